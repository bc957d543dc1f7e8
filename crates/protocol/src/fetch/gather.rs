//! Bytes of our own with other people's slices between them.

use bytes::{BufMut, Bytes, BytesMut};

use super::RecordsSlice;
use crate::{EncodeError, FRAME_PREFIX_LEN};

/// What to send next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment<F> {
    Bytes(Bytes),
    File(F),
}

/// A frame to be sent segment by segment, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered<F> {
    /// None is empty.
    pub segments: Vec<Segment<F>>,
    /// Bytes of all segments: the frame with its length prefix.
    pub len: usize,
}

/// Writes a frame, remembering where slices go in.
#[derive(Debug)]
pub(super) struct GatherWriter<F> {
    pub(super) out: BytesMut,
    /// Ascending positions in `out`, each with the slice that goes in before it.
    splices: Vec<(usize, F)>,
    spliced_len: usize,
}

impl<F: RecordsSlice> GatherWriter<F> {
    pub(super) fn new(capacity: usize, splice_count: usize) -> Self {
        let mut out = BytesMut::with_capacity(capacity);
        out.put_bytes(0, FRAME_PREFIX_LEN);
        Self { out, splices: Vec::with_capacity(splice_count), spliced_len: 0 }
    }

    pub(super) fn splice(&mut self, slice: F) {
        if !slice.is_empty() {
            self.spliced_len += slice.len();
            self.splices.push((self.out.len(), slice));
        }
    }

    pub(super) fn finish(self) -> Result<Gathered<F>, EncodeError> {
        let Self { mut out, splices, spliced_len } = self;
        let len = out.len() + spliced_len;
        let prefix = i32::try_from(len - FRAME_PREFIX_LEN).map_err(|_| EncodeError::TooLong { len })?;
        out[..FRAME_PREFIX_LEN].copy_from_slice(&prefix.to_be_bytes());
        let mut out = out.freeze();
        let mut segments = Vec::with_capacity(2 * splices.len() + 1);
        let mut cut = 0;
        for (position, slice) in splices {
            if position > cut {
                segments.push(Segment::Bytes(out.split_to(position - cut)));
                cut = position;
            }
            segments.push(Segment::File(slice));
        }
        if !out.is_empty() {
            segments.push(Segment::Bytes(out));
        }
        Ok(Gathered { segments, len })
    }
}
