//! openraft's view of the image: replays committed entries, publishes, and takes snapshots.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use ottla_metadata::MetadataDelta;
use tokio::sync::watch;

use super::log_store::LogStore;
use super::replayed::Replayed;
use super::snapshot::{SnapshotState, SnapshotStore};
use super::types::{Applied, LogId, Snapshot, SnapshotMeta, StoredMembership, TypeConfig};
use crate::publish::{Publisher, Source};
use crate::surroundings::blocking;

/// What openraft calls a snapshot's data: the bytes of its file.
type SnapshotData = Bytes;
type OurSnapshot = Snapshot<SnapshotData>;

/// The replicated state, where it is published, and what is written of it.
#[derive(Debug)]
pub(crate) struct StateMachine {
    replayed: Replayed,
    publisher: Arc<Publisher>,
    snapshots: SnapshotStore,
    log: LogStore,
    /// What others may replay.
    applied: watch::Sender<Option<LogId>>,
}

impl StateMachine {
    /// Begins at the current snapshot, or before the first record, and publishes that.
    pub(crate) fn open(
        cluster_id: Arc<str>,
        publisher: Arc<Publisher>,
        snapshots: SnapshotStore,
        log: LogStore,
        applied: watch::Sender<Option<LogId>>,
    ) -> io::Result<Self> {
        let replayed = Replayed::new(cluster_id.clone());
        let mut machine = Self { replayed, publisher, snapshots, log, applied };
        if let Some((_, state)) = machine.snapshots.load(&cluster_id)? {
            machine.restore(state);
        }
        Ok(machine)
    }

    fn restore(&mut self, state: SnapshotState) {
        let delta = MetadataDelta::between(&self.publisher.image(), &state.image);
        self.replayed.restore(state);
        self.publish(&delta);
    }

    fn publish(&self, delta: &MetadataDelta) {
        self.publisher.publish(Source::Quorum, self.replayed.image.clone(), delta);
        self.applied.send_replace(self.replayed.last_applied);
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.replayed.last_applied, self.replayed.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut delta = MetadataDelta::default();
        let mut answers: Vec<(ApplyResponder<TypeConfig>, Applied)> = Vec::new();
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            let applied = self.replayed.apply(entry, &mut delta)?;
            answers.extend(responder.map(|responder| (responder, applied)));
        }
        // Published before anyone is answered: who has an answer reads what it wrote.
        self.publish(&delta);
        for (responder, applied) in answers {
            responder.send(applied);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        SnapshotBuilder { state: self.replayed.state(), snapshots: self.snapshots.clone() }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        let mut state = SnapshotState::decode(self.replayed.image.cluster_id().clone(), &snapshot)?;
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
        let loaded = self.snapshots.load(self.replayed.image.cluster_id())?;
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
