//! Copies of a partition's log: when nobody writes any more, they are the same bytes.

use std::collections::BTreeMap;

/// Bytes before the length field of a batch, and that field (`baseOffset`, `batchLength`).
const BATCH_PREFIX: usize = 12;

/// Two copies part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    pub nodes: (usize, usize),
    /// The first byte that one has and the other has not.
    pub position: usize,
    /// The base offset of the batch that it is in, on the first node or else on the second.
    pub batch: Option<i64>,
}

/// Compares the bytes of all segments of each node's copy with those of the first.
pub fn check(copies: &BTreeMap<usize, Vec<u8>>) -> Vec<Violation> {
    let mut copies = copies.iter();
    let Some((first, reference)) = copies.next() else { return Vec::new() };
    let violations = copies.filter_map(|(node, copy)| {
        let position = difference(reference, copy)?;
        let batch = batch_at(reference, position).or_else(|| batch_at(copy, position));
        Some(Violation { nodes: (*first, *node), position, batch })
    });
    violations.collect()
}

fn difference(a: &[u8], b: &[u8]) -> Option<usize> {
    let common = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    (common < a.len() || common < b.len()).then_some(common)
}

fn batch_at(log: &[u8], position: usize) -> Option<i64> {
    let mut at = 0;
    loop {
        let prefix = log.get(at..at + BATCH_PREFIX)?;
        let base = i64::from_be_bytes(prefix[..8].try_into().ok()?);
        let len = usize::try_from(i32::from_be_bytes(prefix[8..].try_into().ok()?)).ok()?;
        let end = at + BATCH_PREFIX + len;
        if position < end {
            return Some(base);
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches of ten bytes each after their prefix.
    fn log(bases: std::ops::Range<i64>) -> Vec<u8> {
        bases.flat_map(|base| [&base.to_be_bytes()[..], &10_i32.to_be_bytes(), &[7; 10]].concat()).collect()
    }

    fn found(second: Vec<u8>) -> Vec<Violation> {
        check(&BTreeMap::from([(1, log(0..5)), (2, second), (3, log(0..5))]))
    }

    #[test]
    fn the_same_bytes_pass() {
        assert_eq!(found(log(0..5)), []);
        assert_eq!(check(&BTreeMap::new()), []);
    }

    #[test]
    fn planted_byte_is_found_in_its_batch() {
        let mut second = log(0..5);
        second[22 * 3 + 15] = 8;
        assert_eq!(found(second), [Violation { nodes: (1, 2), position: 22 * 3 + 15, batch: Some(3) }]);
    }

    #[test]
    fn planted_missing_end_and_planted_tail_are_found() {
        let missing = Violation { nodes: (1, 2), position: 22 * 4, batch: Some(4) };
        assert_eq!(found(log(0..4)), [missing]);
        let tail = Violation { nodes: (1, 2), position: 22 * 5, batch: Some(5) };
        assert_eq!(found(log(0..6)), [tail]);
    }
}
