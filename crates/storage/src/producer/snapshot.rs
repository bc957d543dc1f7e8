//! `<offset>.snapshot`: the producers' state before that offset. Layout: `docs/formats/producer-snapshot.md`, from
//! Kafka's schema ProducerSnapshot.

use ottla_model::batch::crc32c;
use ottla_model::wire::Reader;
use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::entry::{BatchMetadata, ProducerEntry};

const VERSION: i16 = 1;
/// Where the bytes under the CRC start, after version and CRC.
const ENTRIES_POS: usize = 6;
const ENTRY_LEN: usize = 46;

/// Bytes of a snapshot of so many producers.
pub(super) fn len(count: usize) -> u32 {
    u32::try_from(ENTRIES_POS + 4 + count * ENTRY_LEN).unwrap_or(u32::MAX)
}

pub(super) fn encode<'a>(
    producers: impl ExactSizeIterator<Item = (&'a ProducerId, &'a ProducerEntry)>,
) -> Vec<u8> {
    let count = producers.len();
    let mut out = Vec::with_capacity(ENTRIES_POS + 4 + count * ENTRY_LEN);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&i32::try_from(count).unwrap_or(i32::MAX).to_be_bytes());
    for (producer_id, entry) in producers {
        let last = entry.last_batch();
        out.extend_from_slice(&producer_id.get().to_be_bytes());
        out.extend_from_slice(&entry.epoch.get().to_be_bytes());
        out.extend_from_slice(&entry.last_sequence().to_be_bytes());
        out.extend_from_slice(&last.map_or(-1, |batch| batch.last_offset.get()).to_be_bytes());
        out.extend_from_slice(&last.map_or(0, |batch| batch.offset_delta).to_be_bytes());
        out.extend_from_slice(&entry.last_timestamp.get().to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&entry.txn_first_offset.map_or(-1, Offset::get).to_be_bytes());
    }
    let crc = crc32c(&out[ENTRIES_POS..]);
    out[2..ENTRIES_POS].copy_from_slice(&crc.to_be_bytes());
    out
}

/// The entries of a snapshot file, or what is wrong with it.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<(ProducerId, ProducerEntry)>, &'static str> {
    const SHORT: &str = "the snapshot ends early";
    let body = bytes.get(ENTRIES_POS..).ok_or(SHORT)?;
    if bytes[0..2] != VERSION.to_be_bytes() {
        return Err("the snapshot's version is unknown");
    }
    if bytes[2..ENTRIES_POS] != crc32c(body).to_be_bytes() {
        return Err("the snapshot's CRC does not fit");
    }
    let mut reader = Reader::new(body);
    let count = reader.i32().map_err(|_| SHORT)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(decode_entry(&mut reader).map_err(|_| SHORT)?);
    }
    Ok(entries)
}

fn decode_entry(
    reader: &mut Reader<'_>,
) -> Result<(ProducerId, ProducerEntry), ottla_model::wire::WireError> {
    let producer_id = ProducerId(reader.i64()?);
    let epoch = ProducerEpoch(reader.i16()?);
    let last_sequence = reader.i32()?;
    let last_offset = Offset(reader.i64()?);
    let offset_delta = reader.i32()?;
    let timestamp = TimestampMs(reader.i64()?);
    let mut entry = ProducerEntry::new(epoch);
    if last_offset >= Offset::ZERO {
        entry.add(epoch, BatchMetadata { last_sequence, last_offset, offset_delta, timestamp });
    }
    entry.last_timestamp = timestamp;
    entry.coordinator_epoch = reader.i32()?;
    entry.txn_first_offset = Some(Offset(reader.i64()?)).filter(|offset| *offset >= Offset::ZERO);
    Ok((producer_id, entry))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn snapshot_reads_back_and_damage_is_refused() {
        let mut entry = ProducerEntry::new(ProducerEpoch(3));
        let batch = BatchMetadata {
            last_sequence: 41,
            last_offset: Offset(77),
            offset_delta: 4,
            timestamp: TimestampMs(1_700_000_000_000),
        };
        entry.add(ProducerEpoch(3), batch);
        entry.txn_first_offset = Some(Offset(73));
        let producers =
            BTreeMap::from([(ProducerId(9), entry), (ProducerId(10), ProducerEntry::new(ProducerEpoch(0)))]);
        let bytes = encode(producers.iter());
        assert_eq!(bytes.len(), 10 + 2 * ENTRY_LEN);
        assert_eq!(decode(&bytes).unwrap(), producers.into_iter().collect::<Vec<_>>());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_err(), "byte {at}");
            assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }
}
