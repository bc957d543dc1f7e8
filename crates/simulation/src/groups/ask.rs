//! What clients ask a group's coordinator.

use ottla_group_coordinator::offsets::{OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest};

#[derive(Clone, Debug)]
pub(crate) enum GroupAsk {
    Commit(OffsetCommitRequest),
    Delete(OffsetDeleteRequest),
    Fetch(OffsetFetchRequest),
    /// With what is on its way (`require_stable`).
    FetchStable(OffsetFetchRequest),
}

impl GroupAsk {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Commit(_) => "group: offset commit",
            Self::Delete(_) => "group: offset deletion",
            Self::Fetch(_) => "group: offset fetch",
            Self::FetchStable(_) => "group: stable offset fetch",
        }
    }
}
