//! Wounds to valid bytes, from a seed: the run without coverage, which every machine can make.

/// SplitMix64: the same bytes on every run and machine.
#[derive(Debug)]
pub struct Mutator(u64);

/// Bytes that decoders trip over: signs, varint continuations, null markers.
const EDGES: &[u8] = &[0x00, 0x01, 0x02, 0x7f, 0x80, 0xfe, 0xff];

/// Numbers that lengths and offsets trip over.
const NUMBERS: &[i64] =
    &[0, 1, -1, -2, 127, 32_767, -32_768, i32::MAX as i64, i32::MIN as i64, i64::MAX, i64::MIN];

impl Mutator {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `end` - 1; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        if self.below(3) == 0 { self.next().to_le_bytes()[0] } else { EDGES[self.below(EDGES.len())] }
    }

    fn bytes(&mut self, len_max: usize) -> Vec<u8> {
        (0..self.below(len_max + 1)).map(|_| self.byte()).collect()
    }

    /// `valid` with one to four wounds; `other` is something to take pieces from.
    pub fn wound(&mut self, valid: &[u8], other: &[u8]) -> Vec<u8> {
        let mut bytes = valid.to_vec();
        for _ in 0..=self.below(4) {
            self.wound_once(&mut bytes, other);
        }
        bytes
    }

    /// The beginning of a valid body, then a count and as many of the smallest elements as it may mean.
    pub fn dense(&mut self, valid: &[u8]) -> Vec<u8> {
        let mut bytes = valid[..self.below(valid.len() + 1)].to_vec();
        let pattern: Vec<u8> = (0..=self.below(6)).map(|_| EDGES[self.below(3)]).collect();
        bytes.extend(if self.below(2) == 0 { vec![0xe8, 0x07] } else { vec![0, 0, 0x03, 0xe7] });
        bytes.extend(pattern.iter().cycle().take(999 * pattern.len() + self.below(8)));
        bytes
    }

    fn wound_once(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        match self.below(9) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, self.bytes(8))),
            // The largest count of a compact array.
            2 => overwrite(bytes, at, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
            3 => {
                let number = NUMBERS[self.below(NUMBERS.len())].to_be_bytes();
                let width = [1, 2, 4, 8][self.below(4)];
                overwrite(bytes, at, &number[8 - width..]);
            }
            4 => drop(bytes.drain(at..(at + self.below(16)).min(bytes.len()))),
            5 => {
                let from = self.below(other.len() + 1);
                let piece = &other[from..(from + self.below(64)).min(other.len())];
                drop(bytes.splice(at..at, piece.iter().copied()));
            }
            6 => {
                let piece = bytes[at..(at + self.below(64)).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            7 => {
                let flip = 1 << self.below(8);
                bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= flip);
            }
            _ => {
                let byte = self.byte();
                overwrite(bytes, at, &[byte]);
            }
        }
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (slot, byte) in bytes.iter_mut().skip(at).zip(with) {
        *slot = *byte;
    }
}
