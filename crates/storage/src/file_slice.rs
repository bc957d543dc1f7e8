//! A range of a segment file, for sendfile or pread.

use std::io;
use std::sync::Arc;

use crate::disk::DiskFile;

/// Read-ahead brings in at least so much at once, so that what is missing between two looks is little.
const PROBE_STEP: usize = 128 * 1024;
const WARM_STEP: usize = 128 * 1024;

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

    /// As [`FileSlice::read_into`], but fails with `WouldBlock` where the disk would have to be waited for.
    pub fn read_cached_into(&self, buf: &mut [u8]) -> io::Result<()> {
        let buf = buf.get_mut(..self.length as usize).ok_or(io::ErrorKind::InvalidInput)?;
        if self.file.read_cached_at(buf, self.position)? < buf.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Whether the slice is in memory, as far as a look every 128 KiB tells.
    pub fn is_cached(&self) -> io::Result<bool> {
        let last = u64::from(self.length).checked_sub(1);
        let steps = (0..u64::from(self.length)).step_by(PROBE_STEP);
        for at in steps.chain(last) {
            match self.file.read_cached_at(&mut [0], self.position + at) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Brings the slice into memory, however long the disk takes; what lies beyond the file's end is left out.
    pub fn warm(&self) -> io::Result<()> {
        let mut scratch = vec![0; WARM_STEP.min(self.length as usize)];
        let end = self.position + u64::from(self.length);
        let mut at = self.position;
        while at < end {
            let len = usize::try_from(end - at).unwrap_or(WARM_STEP).min(WARM_STEP);
            let read = self.file.read_at(&mut scratch[..len], at)?;
            if read < len {
                break;
            }
            at += read as u64;
        }
        Ok(())
    }

    /// The slice's bytes, copied.
    pub fn to_vec(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length as usize];
        self.read_into(&mut bytes)?;
        Ok(bytes)
    }
}
