//! The replicated state and how far in the log it stands: the same for voters, which openraft gives committed entries, and for
//! observers, which ask for them.

use std::io;
use std::sync::Arc;

use ottla_metadata::{MetadataDelta, MetadataImage, Provenance};
use ottla_model::TimestampMs;
use ottla_planted::planted;

use super::codec::corrupt;
use super::snapshot::{SnapshotState, no_membership};
use super::types::{Applied, Entry, LogId, Payload, Proposal, SnapshotMeta, StoredMembership};

/// What committed entries come to.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) image: MetadataImage,
    pub(super) last_applied: Option<LogId>,
    pub(super) membership: StoredMembership,
    timestamp: TimestampMs,
}

impl Replayed {
    /// Before the first record.
    pub(super) fn new(cluster_id: Arc<str>) -> Self {
        Self {
            image: MetadataImage::new(cluster_id),
            last_applied: None,
            membership: no_membership(),
            timestamp: TimestampMs::NONE,
        }
    }

    /// Goes on from a snapshot.
    pub(super) fn restore(&mut self, state: SnapshotState) {
        self.last_applied = state.meta.last_log_id;
        self.membership = state.meta.last_membership;
        self.timestamp = state.timestamp;
        self.image = state.image;
    }

    pub(super) fn state(&self) -> SnapshotState {
        let meta = SnapshotMeta { last_log_id: self.last_applied, last_membership: self.membership.clone() };
        SnapshotState { meta, image: self.image.clone(), timestamp: self.timestamp }
    }

    /// The offset after the last record.
    pub(super) fn end_offset(&self) -> i64 {
        self.image.provenance().offset.get() + 1
    }

    /// Replays the entry that follows; `delta` is added to.
    ///
    /// # Errors
    /// Records that do not replay; the state is then of no use.
    pub(super) fn apply(&mut self, entry: Entry, delta: &mut MetadataDelta) -> io::Result<Applied> {
        let term = **entry.log_id.committed_leader_id();
        let (count, applied) = match entry.payload {
            Payload::Normal(proposal) => {
                (proposal.records.len(), self.apply_proposal(term, &proposal, delta)?)
            }
            Payload::Blank => (1, true),
            Payload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                (1, true)
            }
        };
        self.last_applied = Some(entry.log_id);
        let offset = self.image.provenance().offset.plus(i64::try_from(count).unwrap_or(i64::MAX));
        let epoch = i32::try_from(term).map_err(|_| corrupt("entry", "its term is too large"))?;
        self.image.set_provenance(Provenance { offset, epoch });
        Ok(if applied { Applied::At(offset) } else { Applied::Dropped })
    }

    /// Whether the proposal was replayed: not if another term's leader appended it than had computed it.
    fn apply_proposal(
        &mut self,
        term: u64,
        proposal: &Proposal,
        delta: &mut MetadataDelta,
    ) -> io::Result<bool> {
        if proposal.term != term && !planted!("other_terms_proposal") {
            return Ok(false);
        }
        for record in &proposal.records {
            delta.note(&self.image, record);
            self.image.replay(record).map_err(|error| corrupt("metadata log", error))?;
        }
        self.timestamp = self.timestamp.max(proposal.timestamp);
        Ok(true)
    }
}
