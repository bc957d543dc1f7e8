//! The types openraft is configured with.

use std::fmt;

use openraft::vote::{RaftLeaderId, leader_id_std};
use ottla_metadata::{DirectoryId, MetadataRecord};
use ottla_model::{Offset, TimestampMs};

/// Records computed from applied state, to be replayed together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// The leader's term when the records were computed. If another term's leader appended the entry, the state they
    /// were computed from may have moved: the entry is then dropped at apply.
    pub(crate) term: u64,
    pub(crate) timestamp: TimestampMs,
    /// At least one.
    pub(crate) records: Vec<MetadataRecord>,
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records of term {}", self.records.len(), self.term)
    }
}

/// What became of an entry at apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// The records are in the published image; the last one's offset.
    At(Offset),
    /// The leader changed between computing and appending; nothing was replayed.
    Dropped,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(offset) => write!(f, "applied at {offset}"),
            Self::Dropped => f.write_str("dropped"),
        }
    }
}

/// A voter as the membership entry carries it. The directory id tells a voter that lost its disk from the one it
/// replaces (KIP-853).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Voter {
    pub(crate) directory_id: DirectoryId,
    /// Empty while there is one voter, which nobody calls.
    pub(crate) host: String,
    pub(crate) port: u16,
}

openraft::declare_raft_types!(
    /// openraft's configuration. Leader ids are the standard ones: at most one leader a term, so that the term can be
    /// the controller epoch.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Applied,
        NodeId = u64,
        Node = Voter,
        Term = u64,
        LeaderId = leader_id_std::LeaderId<u64, u64>,
        AsyncRuntime = super::runtime::Runtime,
);

pub(crate) type LeaderId = leader_id_std::LeaderId<u64, u64>;
pub(crate) type CommittedLeaderId = <LeaderId as RaftLeaderId>::Committed;
pub(crate) type LogId = openraft::LogId<CommittedLeaderId>;
pub(crate) type Vote = openraft::Vote<LeaderId>;
pub(crate) type Payload = openraft::EntryPayload<Proposal, u64, Voter>;
pub(crate) type Entry = openraft::Entry<CommittedLeaderId, Payload>;
pub(crate) type Membership = openraft::Membership<u64, Voter>;
pub(crate) type StoredMembership = openraft::StoredMembership<CommittedLeaderId, u64, Voter>;
pub(crate) type SnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId, u64, Voter>;

pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new_term_index(term, index)
}

pub(crate) type Snapshot<D> = openraft::Snapshot<CommittedLeaderId, u64, Voter, D>;
