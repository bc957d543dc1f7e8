//! Record batches: headers, records, and what is inside a compressed section.

use std::borrow::Cow;

use ottla_model::batch::{
    BatchBuilder, BatchHeader, Compression, Glance, HEADER_LEN, Records, batches, compress, crc32c,
    decompress, decompress_section,
};
use ottla_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::Target;

pub(crate) const BATCHES: Target = Target {
    name: "batches",
    about: "record batches one behind the other: walked, unpacked within the limit, their records read",
    run,
    quick: 100_000,
    seeds: || samples().collect(),
};

pub(crate) const SECTIONS: Target = Target {
    name: "sections",
    about: "a codec, then a compressed section: unpacked within the limit, or refused",
    run: section,
    quick: 40_000,
    seeds: sections,
};

const CODECS: [Compression; 4] =
    [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// What a batch may unpack to.
const LIMIT: usize = 100_000;

fn run(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    make_sound(&mut bytes);
    for batch in batches(&bytes) {
        let Ok((header, batch)) = batch else { break };
        assert_eq!(header.size(), batch.len());
        let _ = header.verify(batch);
        if let Ok(section) = decompress(&header, batch, LIMIT) {
            assert!(section.len() <= LIMIT || matches!(section, Cow::Borrowed(_)));
            walk(&header, &section);
        }
    }
}

/// As many records as the header says, or an error as the last of fewer; a glance at them passes none that has one.
fn walk(header: &BatchHeader, section: &[u8]) {
    let glance = Glance::of(header, section);
    let mut read = 0;
    for record in Records::new(header, section) {
        let Ok(record) = record else {
            assert!(glance.is_none());
            return;
        };
        assert!(glance.is_none_or(|glance| record.timestamp <= glance.max_timestamp));
        read += 1;
        let _ = record.headers.count();
    }
    assert_eq!(read, header.record_count);
}

fn section(bytes: &[u8]) {
    let Some((codec, section)) = bytes.split_first() else { return };
    let codec = CODECS[usize::from(*codec) % CODECS.len()];
    if let Ok(unpacked) = decompress_section(codec, section, LIMIT) {
        assert!(unpacked.len() <= LIMIT);
    }
}

/// Gives each batch its right CRC, so that what is behind that check is reached.
pub(crate) fn make_sound(bytes: &mut [u8]) {
    let mut from = 0;
    while let Some(batch) = bytes.get_mut(from..).filter(|left| left.len() >= HEADER_LEN) {
        let Ok(header) = BatchHeader::read(batch) else { return };
        let size = header.size();
        let Some(batch) = batch.get_mut(..size).filter(|batch| batch.len() >= HEADER_LEN) else { return };
        let crc = crc32c(&batch[CRC_FROM..]);
        batch[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
        from += size;
    }
}

/// The CRC covers what follows it.
const CRC_FROM: usize = 21;

/// One batch of each kind.
pub(crate) fn samples() -> impl Iterator<Item = Vec<u8>> {
    let codecs = std::iter::once(Compression::None).chain(CODECS);
    let plain = codecs.map(|codec| sample(BatchBuilder::new(Offset(0)).compression(codec, None)));
    let producer = || BatchBuilder::new(Offset(0)).producer(ProducerId(7), ProducerEpoch(1), 0);
    let kinds = [
        producer(),
        producer().transactional(),
        producer().transactional().control(),
        BatchBuilder::new(Offset(5)).log_append_time(TimestampMs(1_000)).leader_epoch(LeaderEpoch(3)),
    ];
    plain.chain(kinds.map(sample))
}

fn sample(mut batch: BatchBuilder) -> Vec<u8> {
    batch.push(TimestampMs(100), Some(b"key"), Some(b"value value value value"), &[]);
    batch.push(TimestampMs(90), None, Some(b""), &[]);
    batch.push(TimestampMs(110), Some(b"key"), None, &[]);
    batch.build().unwrap_or_default()
}

fn sections() -> Vec<Vec<u8>> {
    let of = |(number, codec)| {
        let section = compress(codec, None, &[b'x'; 300]).unwrap_or_default();
        [&[number], &section[..]].concat()
    };
    (0u8..).zip(CODECS).map(of).collect()
}
