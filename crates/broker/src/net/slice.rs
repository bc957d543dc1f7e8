//! A slice of a log segment on its way to a socket.

use std::io;
use std::os::fd::BorrowedFd;

use ottla_protocol::fetch::RecordsSlice;
use ottla_storage::FileSlice;

/// A [`FileSlice`] that Fetch answers can be gathered around.
#[derive(Clone, Debug)]
pub(crate) struct LogSlice(pub FileSlice);

impl RecordsSlice for LogSlice {
    fn len(&self) -> usize {
        usize::try_from(self.0.length).unwrap_or(usize::MAX)
    }
}

impl LogSlice {
    pub(super) fn position(&self) -> u64 {
        self.0.position
    }

    /// The file's descriptor, unless it is a simulated one.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.file.as_fd()
    }

    /// Fills `buf`, whose length is the slice's.
    pub(super) fn read_into(&self, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_into(buf)
    }

    /// As [`Self::read_into`], but fails with `WouldBlock` where the disk would have to be waited for.
    pub(super) fn read_cached_into(&self, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_cached_into(buf)
    }

    /// Whether the slice is in memory.
    pub(super) fn is_cached(&self) -> io::Result<bool> {
        self.0.is_cached()
    }

    /// The first `len` bytes and the rest; `len` beyond the end takes all.
    pub(super) fn split_at(&self, len: usize) -> (Self, Self) {
        let len = u32::try_from(len).unwrap_or(u32::MAX).min(self.0.length);
        let part = |position, length| Self(FileSlice { file: self.0.file.clone(), position, length });
        (part(self.0.position, len), part(self.0.position + u64::from(len), self.0.length - len))
    }
}
