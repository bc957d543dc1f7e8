//! Key -> latest offset, in a fixed amount of memory. Source: Kafka's `SkimpyOffsetMap`.

use ottla_model::Offset;
use sha2::{Digest, Sha256};

/// Bytes of one slot: 16 of the key's hash, 8 of the offset.
const SLOT_BYTES: u64 = 24;

/// Two keys count as one if the first 128 bits of their SHA-256 are equal: that happens to nobody, on purpose or not.
/// An open hash table that never grows: it is made for the records that can be there, within a given buffer.
#[derive(Debug)]
pub(super) struct OffsetMap {
    slots: Vec<Slot>,
    count: usize,
    count_max: usize,
}

/// All zero: free, which the allocator gives without touching the memory.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    hash: [u64; 2],
    /// The offset plus one.
    next_offset: u64,
}

/// A key could not be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl OffsetMap {
    /// For at most `record_count` keys, at most `buffer_bytes` bytes, and at most `load_factor` of the slots in use; but
    /// always for one key.
    pub(super) fn new(buffer_bytes: u64, load_factor: f64, record_count: u64) -> Self {
        let load_factor = if load_factor > 0.0 { load_factor.min(1.0) } else { 1.0 };
        let fitting = buffer_bytes / SLOT_BYTES;
        let wanted = record_count as f64 / load_factor + 2.0;
        let slots = if wanted < fitting as f64 { truncated(wanted) } else { fitting }.max(2);
        let slots = usize::try_from(slots).unwrap_or(usize::MAX);
        let count_max = truncated(slots as f64 * load_factor);
        // One slot stays free, at which a search ends.
        let count_max = usize::try_from(count_max).unwrap_or(usize::MAX).clamp(1, slots - 1);
        Self { slots: vec![Slot::default(); slots], count: 0, count_max }
    }

    /// Notes that `key` occurs at `offset`, which is above all before.
    pub(super) fn put(&mut self, key: &[u8], offset: Offset) -> Result<(), Full> {
        let (at, hash) = self.find(key);
        if self.slots[at].next_offset == 0 {
            if self.count >= self.count_max {
                return Err(Full);
            }
            self.count += 1;
        }
        self.slots[at] = Slot { hash, next_offset: offset.get().unsigned_abs() + 1 };
        Ok(())
    }

    /// The latest offset at which `key` was put.
    pub(super) fn get(&self, key: &[u8]) -> Option<Offset> {
        let (at, _) = self.find(key);
        let offset = self.slots[at].next_offset.checked_sub(1)?;
        i64::try_from(offset).ok().map(Offset)
    }

    /// Share of the slots in use.
    pub(super) fn utilization(&self) -> f64 {
        self.count as f64 / self.slots.len() as f64
    }

    /// The slot that has the key or where it belongs, and its hash.
    fn find(&self, key: &[u8]) -> (usize, [u64; 2]) {
        let digest = Sha256::digest(key);
        let word = |from: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&digest[from..from + 8]);
            u64::from_be_bytes(bytes)
        };
        let hash = [word(0), word(8)];
        let count = self.slots.len();
        let mut at = usize::try_from(hash[0] % count as u64).unwrap_or(0);
        while self.slots[at].next_offset != 0 && self.slots[at].hash != hash {
            at = (at + 1) % count;
        }
        (at, hash)
    }
}

fn truncated(value: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count; `as` saturates")]
    let count = value as u64;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_offset_of_a_key_is_found() {
        let mut map = OffsetMap::new(1 << 20, 0.9, 1000);
        for offset in 0..1000 {
            let key = format!("k{}", offset % 300);
            map.put(key.as_bytes(), Offset(offset)).unwrap();
        }
        assert_eq!(map.get(b"k0"), Some(Offset(900)));
        assert_eq!(map.get(b"k299"), Some(Offset(899)));
        assert_eq!(map.get(b"k300"), None);
        assert_eq!(map.get(b""), None);
    }

    #[test]
    fn a_full_map_takes_known_keys_only() {
        let mut map = OffsetMap::new(10 * SLOT_BYTES, 0.5, 1000);
        for offset in 0..5 {
            map.put(&[u8::try_from(offset).unwrap()], Offset(offset)).unwrap();
        }
        assert_eq!(map.put(b"new", Offset(5)), Err(Full));
        assert_eq!(map.put(&[3], Offset(6)), Ok(()));
        assert_eq!(map.get(&[3]), Some(Offset(6)));
        assert!((map.utilization() - 0.5).abs() < f64::EPSILON);
    }

    #[test]
    fn one_key_fits_into_any_map() {
        for (buffer_bytes, load_factor) in
            [(0, 0.9), (24, 0.0), (1 << 20, f64::NAN), (47, -3.0), (480, 0.001)]
        {
            let mut map = OffsetMap::new(buffer_bytes, load_factor, 0);
            assert_eq!(map.put(b"k", Offset(7)), Ok(()), "{buffer_bytes} {load_factor}");
            assert_eq!(map.get(b"k"), Some(Offset(7)));
            assert_eq!(map.get(b"other"), None);
        }
    }

    #[test]
    fn memory_is_taken_for_what_can_be_there() {
        assert_eq!(OffsetMap::new(128 << 20, 0.9, 90).slots.len(), 102);
        assert_eq!(OffsetMap::new(2400, 0.9, u64::MAX).slots.len(), 100);
    }
}
