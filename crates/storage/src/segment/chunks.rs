//! Reading a segment's file from front to back in large pieces.

use std::io;
use std::sync::Arc;

use ottla_model::batch::{BatchError, BatchHeader, HEADER_LEN};

use crate::disk::DiskFile;

/// What stands at a position of a segment's file.
pub(crate) enum BatchRead<'a> {
    /// A whole batch; its CRC is not checked.
    Whole(BatchHeader, &'a [u8]),
    /// The file ends here.
    End,
    /// No batch, or one that is longer than what is left of the file.
    Broken(BatchError),
}

/// A file read in pieces of `chunk_len` bytes, or of a batch where that is larger.
pub(crate) struct Chunks {
    file: Arc<dyn DiskFile>,
    file_size: u32,
    chunk_len: usize,
    chunk: Vec<u8>,
    chunk_pos: u32,
}

impl Chunks {
    pub(crate) fn new(file: Arc<dyn DiskFile>, file_size: u32, chunk_len: usize) -> Self {
        Self { file, file_size, chunk_len, chunk: Vec::new(), chunk_pos: 0 }
    }

    pub(crate) fn file_size(&self) -> u32 {
        self.file_size
    }

    /// The bytes at `position`, `len` of them or what is left of the file.
    pub(crate) fn read(&mut self, position: u32, len: usize) -> io::Result<&[u8]> {
        let left = self.file_size.saturating_sub(position) as usize;
        let len = len.min(left);
        let at = position.checked_sub(self.chunk_pos).map_or(usize::MAX, |at| at as usize);
        if at.checked_add(len).is_none_or(|end| end > self.chunk.len()) {
            self.chunk.resize(len.max(self.chunk_len).min(left), 0);
            // One batch larger than the rest does not keep its memory for good.
            self.chunk.shrink_to(self.chunk_len);
            self.file.read_exact_at(&mut self.chunk, u64::from(position))?;
            self.chunk_pos = position;
        }
        let at = (position - self.chunk_pos) as usize;
        Ok(self.chunk.get(at..at + len).unwrap_or(&[]))
    }

    /// The batch at the batch boundary `position`.
    pub(crate) fn batch(&mut self, position: u32) -> io::Result<BatchRead<'_>> {
        if position >= self.file_size {
            return Ok(BatchRead::End);
        }
        let header = match BatchHeader::read(self.read(position, HEADER_LEN)?) {
            Ok(header) => header,
            Err(error) => return Ok(BatchRead::Broken(error)),
        };
        let (size, left) = (header.size(), (self.file_size - position) as usize);
        if size > left {
            return Ok(BatchRead::Broken(BatchError::Short { wanted: size, left }));
        }
        Ok(BatchRead::Whole(header, self.read(position, size)?))
    }

    /// Forgets what was read, so that the next look reads it from the file again.
    pub(crate) fn forget(&mut self) {
        self.chunk.clear();
    }
}
