//! A range of a segment file, for sendfile or pread.

use std::io;
use std::sync::Arc;

use crate::disk::DiskFile;

/// `length` bytes at `position` of an open segment file, which this keeps alive even when retention deletes it.
#[derive(Clone, Debug)]
pub struct FileSlice {
    pub file: Arc<dyn DiskFile>,
    pub position: u64,
    pub length: u32,
}

impl FileSlice {
    /// Fills the front of `buf` with the slice's bytes, which it must have room for.
    pub fn read_into(&self, buf: &mut [u8]) -> io::Result<()> {
        let buf = buf.get_mut(..self.length as usize).ok_or(io::ErrorKind::InvalidInput)?;
        self.file.read_exact_at(buf, self.position)
    }

    /// The slice's bytes, copied.
    pub fn to_vec(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length as usize];
        self.read_into(&mut bytes)?;
        Ok(bytes)
    }
}
