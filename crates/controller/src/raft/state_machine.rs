//! openraft's view of the image: replays committed entries, publishes, and takes snapshots.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use ottla_metadata::{MetadataDelta, MetadataImage, Provenance};
use ottla_model::TimestampMs;

use super::codec::corrupt;
use super::log_store::{LogStore, blocking};
use super::snapshot::{SnapshotState, SnapshotStore, no_membership};
use super::types::{
    Applied, Entry, LogId, Payload, Proposal, Snapshot, SnapshotMeta, StoredMembership, TypeConfig,
};
use crate::publish::Publisher;

/// What openraft calls a snapshot's data: the bytes of its file.
type SnapshotData = Bytes;
type OurSnapshot = Snapshot<SnapshotData>;

/// The replicated state and how far in the log it stands.
#[derive(Debug)]
pub(crate) struct StateMachine {
    image: MetadataImage,
    last_applied: Option<LogId>,
    membership: StoredMembership,
    timestamp: TimestampMs,
    publisher: Arc<Publisher>,
    snapshots: SnapshotStore,
    log: LogStore,
}

impl StateMachine {
    /// Begins at the current snapshot, or before the first record, and publishes that.
    pub(crate) fn open(
        cluster_id: Arc<str>,
        publisher: Arc<Publisher>,
        snapshots: SnapshotStore,
        log: LogStore,
    ) -> io::Result<Self> {
        let mut machine = Self {
            image: MetadataImage::new(cluster_id.clone()),
            last_applied: None,
            membership: no_membership(),
            timestamp: TimestampMs::NONE,
            publisher,
            snapshots,
            log,
        };
        if let Some((_, state)) = machine.snapshots.load(&cluster_id)? {
            machine.restore(state);
        }
        Ok(machine)
    }

    fn restore(&mut self, state: SnapshotState) {
        let delta = MetadataDelta::between(&self.publisher.image(), &state.image);
        self.last_applied = state.meta.last_log_id;
        self.membership = state.meta.last_membership;
        self.timestamp = state.timestamp;
        self.image = state.image;
        self.publisher.publish(self.image.clone(), &delta);
    }

    fn apply_entry(&mut self, entry: Entry, delta: &mut MetadataDelta) -> io::Result<Applied> {
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
        if proposal.term != term {
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

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut delta = MetadataDelta::default();
        let mut answers: Vec<(ApplyResponder<TypeConfig>, Applied)> = Vec::new();
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let applied = self.apply_entry(entry, &mut delta)?;
            answers.extend(responder.map(|responder| (responder, applied)));
        }
        // Published before anyone is answered: who has an answer reads what it wrote.
        self.publisher.publish(self.image.clone(), &delta);
        for (responder, applied) in answers {
            responder.send(applied);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        let meta = SnapshotMeta { last_log_id: self.last_applied, last_membership: self.membership.clone() };
        let state = SnapshotState { meta, image: self.image.clone(), timestamp: self.timestamp };
        SnapshotBuilder { state, snapshots: self.snapshots.clone() }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        let mut state = SnapshotState::decode(self.image.cluster_id().clone(), &snapshot)?;
        state.meta = meta.clone();
        let (snapshots, saved) = (self.snapshots.clone(), state.clone());
        if !blocking(move || snapshots.save(&saved, &snapshot)).await? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.log.snapshot_installed(state.end_offset());
        self.restore(state);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<OurSnapshot>, io::Error> {
        let loaded = self.snapshots.load(self.image.cluster_id())?;
        Ok(loaded.map(|(bytes, state)| Snapshot { meta: state.meta, snapshot: bytes }))
    }
}

/// Writes one state out, beside the state machine that goes on.
#[derive(Debug)]
pub(crate) struct SnapshotBuilder {
    state: SnapshotState,
    snapshots: SnapshotStore,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<OurSnapshot, io::Error> {
        let (state, snapshots) = (self.state.clone(), self.snapshots.clone());
        let saved = blocking(move || {
            let bytes = Bytes::from(state.encode()?);
            snapshots.save(&state, &bytes).map(|saved| saved.then_some(bytes))
        });
        Ok(match saved.await? {
            Some(bytes) => Snapshot { meta: self.state.meta.clone(), snapshot: bytes },
            // One that covers nothing is no news to openraft, which so keeps what the log holds.
            None => Snapshot { meta: SnapshotMeta::default(), snapshot: Bytes::new() },
        })
    }
}
