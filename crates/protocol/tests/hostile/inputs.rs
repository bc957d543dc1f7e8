//! Hostile bytes from a seed.

/// SplitMix64: the same bytes on every run and machine.
#[derive(Debug)]
pub(crate) struct Seed(pub(crate) u64);

/// Bytes that decoders trip over: signs, varint continuations, null markers.
const EDGES: &[u8] = &[0x00, 0x01, 0x02, 0x7f, 0x80, 0xfe, 0xff];

impl Seed {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(self.next() % end).unwrap()
    }

    fn byte(&mut self) -> u8 {
        if self.below(3) == 0 { self.next().to_le_bytes()[0] } else { EDGES[self.below(EDGES.len())] }
    }

    pub(crate) fn bytes(&mut self, len_max: usize) -> Vec<u8> {
        let len = self.below(len_max + 1);
        (0..len).map(|_| self.byte()).collect()
    }

    /// The beginning of a valid body, then a count and as many of the smallest elements as it may mean.
    pub(crate) fn dense(&mut self, valid: &[u8]) -> Vec<u8> {
        let mut body = valid[..self.below(valid.len() + 1)].to_vec();
        let pattern: Vec<u8> = (0..=self.below(6)).map(|_| EDGES[self.below(3)]).collect();
        body.extend(if self.below(2) == 0 { vec![0xe8, 0x07] } else { vec![0, 0, 0x03, 0xe7] });
        body.extend(pattern.iter().cycle().take(999 * pattern.len() + self.below(8)));
        body
    }

    /// A valid body with one to three wounds.
    pub(crate) fn wound(&mut self, valid: &[u8]) -> Vec<u8> {
        let mut body = valid.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(body.len());
            match self.below(6) {
                0 => body.truncate(at),
                1 => drop(body.splice(at..at, self.bytes(5))),
                // The largest count of a compact array, and of a plain one.
                2 => overwrite(&mut body, at, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
                3 => overwrite(&mut body, at, &[0x7f, 0xff, 0xff, 0xff]),
                4 => drop(body.drain(at..(at + self.below(4)).min(valid.len()).max(at).min(body.len()))),
                _ => overwrite(&mut body, at, &[self.byte()]),
            }
        }
        body
    }
}

fn overwrite(body: &mut [u8], at: usize, bytes: &[u8]) {
    for (slot, byte) in body.iter_mut().skip(at).zip(bytes) {
        *slot = *byte;
    }
}
