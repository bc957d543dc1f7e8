//! The names that a segment's files have while it is made as a replacement for others.

use crate::error::{At, StorageError};
use ottla_model::TimestampMs;

use super::Segment;

/// How far a replacement has come. Source: Kafka's `LogFileUtils` and `UnifiedLog.replaceSegments`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Being written: worthless after a crash.
    Cleaned,
    /// Complete and on disk: after a crash it takes the place of what it replaces.
    Swap,
    /// In its place.
    Live,
}

/// The file of a stage's aborted transactions, which not every segment has.
const TXN_INDEX: [&str; 3] = [".txnindex.cleaned", ".txnindex.swap", ".txnindex"];

impl Stage {
    /// Of `.log`, `.index` and `.timeindex`.
    pub(crate) const fn suffixes(self) -> [&'static str; 3] {
        match self {
            Self::Cleaned => [".log.cleaned", ".index.cleaned", ".timeindex.cleaned"],
            Self::Swap => [".log.swap", ".index.swap", ".timeindex.swap"],
            Self::Live => [".log", ".index", ".timeindex"],
        }
    }

    pub(crate) const fn txn_index(self) -> &'static str {
        match self {
            Self::Cleaned => TXN_INDEX[0],
            Self::Swap => TXN_INDEX[1],
            Self::Live => TXN_INDEX[2],
        }
    }
}

impl Segment {
    /// Renames the files; the `.log` last, whose name says what the others are worth.
    pub(crate) fn rename(&mut self, stage: Stage) -> Result<(), StorageError> {
        let [log, index, time_index] = stage.suffixes();
        self.index.file_mut().rename(index)?;
        self.time_index.file_mut().rename(time_index)?;
        self.log.rename(log)
    }

    /// Takes no more appends: writes everything to the disk, and looks as if it had been written at `modified`.
    pub(crate) fn finish(&mut self, modified: TimestampMs) -> Result<(), StorageError> {
        self.seal()?;
        self.release_reserved()?;
        self.write_indexes()?;
        let files = [self.log.get()?, self.time_index.file().get()?, self.index.file().get()?];
        for file in &files {
            file.sync_data().synced(&self.log.path())?;
        }
        self.modified = modified;
        // Where records have no timestamps retention goes by it after a restart, too; no more depends on it.
        let _ = files[0].set_modified_ms(modified.get());
        self.forget_written();
        Ok(())
    }

    /// When the last append was.
    pub(crate) fn modified(&self) -> TimestampMs {
        self.modified
    }
}
