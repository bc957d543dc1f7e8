//! The few small values kept beside the log: who we are, our vote, and pointers.

use std::fmt::Debug;
use std::io;

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum MetaKey {
    /// Cluster, node and directory that this log belongs to.
    Identity,
    Vote,
    /// The last log id known to be committed; a hint, never flushed for its own sake.
    Committed,
    /// The last log id that the log no longer holds.
    Purged,
    /// The name of the current snapshot's file.
    Snapshot,
    /// How far this voter's word goes, where it is not simply one.
    Standing,
}

impl MetaKey {
    pub(super) const ALL: [Self; 6] =
        [Self::Identity, Self::Vote, Self::Committed, Self::Purged, Self::Snapshot, Self::Standing];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Vote => "vote",
            Self::Committed => "committed",
            Self::Purged => "purged",
            Self::Snapshot => "snapshot",
            Self::Standing => "standing",
        }
    }
}

/// A map of small values. What was put is durable once a later [`Self::flush`] has returned.
pub(crate) trait MetaStore: Send + Sync + Debug + 'static {
    fn get(&self, key: MetaKey) -> io::Result<Option<Vec<u8>>>;
    fn put(&self, key: MetaKey, value: &[u8]) -> io::Result<()>;
    fn flush(&self) -> io::Result<()>;

    /// Puts and flushes.
    fn save(&self, key: MetaKey, value: &[u8]) -> io::Result<()> {
        self.put(key, value)?;
        self.flush()
    }
}
