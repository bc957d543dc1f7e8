//! Decides one batch of commands at a time: what has queued up while one batch became durable is the next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ottla_metadata::{
    FeatureLevelRecord, KRAFT_VERSION, LeaderRecoveryState, MetadataImage, MetadataRecord, Provenance,
    new_cluster_records,
};
use ottla_planted::planted;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use uuid::Uuid;

use crate::decision::{Context, Randomness, Settings};
use crate::error::ControllerError;
use crate::publish::Publisher;
use crate::raft::{ProposeError, Quorum, QuorumStatus};
use crate::surroundings::{self, wall_clock};

/// Commands decided together.
const COMMANDS_PER_BATCH: usize = 1_024;
/// An entry is closed once it has so many records; a single command may go beyond.
const RECORDS_PER_ENTRY: usize = 10_000;

/// How long a decision that is on its way has when the loop is stopped.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// Tells the caller: the answer, or why there is none.
type Finish = Box<dyn FnOnce(Result<(), ControllerError>) + Send>;
type Decide = Box<dyn FnOnce(&mut Context<'_>) -> Outcome + Send>;

/// What a caller wants of the loop.
pub(crate) enum Job {
    Decide(Need, Decide),
    /// Asks how the quorum stands; `None` while this is not the controller.
    Describe(oneshot::Sender<Option<QuorumStatus>>),
    /// Ends the loop; told when nothing runs any more.
    Stop(oneshot::Sender<()>),
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Decide(..) => "Decide",
            Self::Describe(_) => "Describe",
            Self::Stop(_) => "Stop",
        })
    }
}

/// How much a command is needed where the metadata log's disk is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Makes the cluster larger.
    Growth,
    /// Changes what is there, as an administrator may who makes room.
    Change,
    /// Makes room, or is about what has failed.
    Relief,
}

impl Need {
    /// Bytes that stay reserved for what is needed more.
    const fn kept(self) -> u64 {
        match self {
            Self::Growth => 1 << 20,
            Self::Change => 512 << 10,
            Self::Relief => 0,
        }
    }
}

/// A decision with its caller's end.
pub(crate) struct Outcome {
    pub(crate) records: Vec<MetadataRecord>,
    pub(crate) finish: Finish,
}

/// The only one that proposes, so that what it decides from is what the records will be replayed into.
#[derive(Debug)]
pub(crate) struct DecisionLoop {
    quorum: Quorum,
    publisher: Arc<Publisher>,
    settings: Settings,
    random: SystemRandom,
    /// Whoever stops the loop does not wait for a majority that may have gone.
    stopping: watch::Receiver<bool>,
    /// What it has proposed it waits for no longer: that may be committed yet, and nothing may be decided that does not know of it.
    gave_up: bool,
}

impl DecisionLoop {
    pub(crate) fn new(
        quorum: Quorum,
        publisher: Arc<Publisher>,
        settings: Settings,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self { quorum, publisher, settings, random: SystemRandom, stopping, gave_up: false }
    }

    pub(crate) async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::new();
        let mut stopped = None;
        while stopped.is_none() && queue.recv_many(&mut jobs, COMMANDS_PER_BATCH).await > 0 {
            let mut decides = VecDeque::new();
            for job in jobs.drain(..) {
                match job {
                    Job::Decide(need, decide) => decides.push_back((need, decide)),
                    // Whoever asked may have gone.
                    Job::Describe(reply) => drop(reply.send(self.quorum.status())),
                    Job::Stop(done) => stopped = Some(done),
                }
            }
            while !decides.is_empty() {
                self.decide_entry(&mut decides).await;
            }
        }
        queue.close();
        self.quorum.shutdown().await;
        if let Some(done) = stopped {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }

    /// Decides as many commands as one entry takes, and answers them when it is applied.
    async fn decide_entry(&mut self, decides: &mut VecDeque<(Need, Decide)>) {
        let Some(term) = self.quorum.leading_term().filter(|_| !self.gave_up) else {
            // Callers whose command is dropped learn that this is not the controller.
            decides.clear();
            return;
        };
        let mut pending = self.publisher.image().as_ref().clone();
        let mut records = self.first_records(&pending);
        let mut waiting: Vec<Finish> = Vec::new();
        let mut bytes = 0;
        if let Err(error) = replay(&mut pending, &records) {
            tracing::error!(%error, "a new cluster's first records do not replay");
            return;
        }
        while records.len() < RECORDS_PER_ENTRY
            && let Some((need, decide)) = decides.pop_front()
        {
            let outcome = self.decide(decide, &mut pending);
            let len = outcome.records.iter().map(encoded_len).sum::<u64>();
            if len > 0 && need != Need::Relief {
                let wanted = bytes + len + need.kept();
                if self.quorum.reserve(wanted) < wanted {
                    (outcome.finish)(Err(ControllerError::NoRoom));
                    continue;
                }
            }
            bytes += len;
            if let Err(error) = replay(&mut pending, &outcome.records) {
                tracing::error!(%error, "a decision does not replay");
                fail(waiting, outcome.finish, &ControllerError::Failed(error));
                return;
            }
            records.extend(outcome.records);
            waiting.push(outcome.finish);
        }
        let mut result = self.commit(term, records).await;
        self.gave_up = matches!(result, Err(ControllerError::Closed)) && !planted!("decides_beside_proposal");
        if result.is_err() && planted!("lost_proposal_answered") {
            result = Ok(());
        }
        for finish in waiting {
            finish(result.clone());
        }
    }

    /// A new cluster's log begins with its features, and the settings that go with them. One whose log has come to say who votes says so
    /// as a feature, too: whoever had begun that may be gone.
    fn first_records(&self, image: &MetadataImage) -> Vec<MetadataRecord> {
        let is_new = image.features().iter().next().is_none();
        if !is_new {
            let is_said = image.features().level(KRAFT_VERSION) > 0 || !self.quorum.names_voters();
            let level = FeatureLevelRecord { name: KRAFT_VERSION.to_owned(), feature_level: 1 };
            let is_left = is_said || planted!("raise_not_finished");
            return if is_left { Vec::new() } else { vec![MetadataRecord::FeatureLevel(level)] };
        }
        let kraft_version = i16::from(self.settings.dynamic_voters);
        new_cluster_records(&self.settings.min_insync_replicas(), kraft_version)
    }

    fn decide(&mut self, decide: Decide, image: &mut MetadataImage) -> Outcome {
        decide(&mut Context { image, settings: &self.settings, random: &mut self.random })
    }

    async fn commit(&self, term: u64, records: Vec<MetadataRecord>) -> Result<(), ControllerError> {
        if records.is_empty() {
            return Ok(());
        }
        let unclean: Vec<MetadataRecord> =
            records.iter().filter(|record| is_unclean(record)).cloned().collect();
        let mut stopping = self.stopping.clone();
        let given_up = async {
            // A sender that has gone stops it, too.
            let _ = stopping.wait_for(|stops| *stops).await;
            sleep(STOP_GRACE).await;
        };
        surroundings::scheduled().await;
        let proposed = tokio::select! {
            biased;
            proposed = self.quorum.propose(term, wall_clock(), records) => proposed,
            () = given_up => return Err(ControllerError::Closed),
        };
        proposed.map_err(|error| match error {
            ProposeError::NotLeader { leader } => ControllerError::NotController { leader },
            ProposeError::Failed(why) => ControllerError::Failed(why),
        })?;
        self.publisher.note_unclean(&unclean);
        Ok(())
    }
}

/// Whether the record elects a leader that may lack records.
fn is_unclean(record: &MetadataRecord) -> bool {
    matches!(record, MetadataRecord::PartitionChange(change)
        if change.leader_recovery_state == Some(LeaderRecoveryState::Recovering))
}

/// As a record of a batch, at most.
fn encoded_len(record: &MetadataRecord) -> u64 {
    const FRAME: usize = 128;
    (record.encode().len() + FRAME) as u64
}

/// Brings the overlay to where the image will be once the records are applied.
fn replay(pending: &mut MetadataImage, records: &[MetadataRecord]) -> Result<(), String> {
    for record in records {
        pending.replay(record).map_err(|error| error.to_string())?;
    }
    let Provenance { offset, epoch } = pending.provenance();
    let offset = offset.plus(i64::try_from(records.len()).unwrap_or(i64::MAX));
    pending.set_provenance(Provenance { offset, epoch });
    Ok(())
}

fn fail(waiting: Vec<Finish>, last: Finish, error: &ControllerError) {
    for finish in waiting.into_iter().chain([last]) {
        finish(Err(error.clone()));
    }
}

/// The surroundings' random numbers.
#[derive(Clone, Copy, Debug)]
struct SystemRandom;

impl Randomness for SystemRandom {
    fn uuid(&mut self) -> Uuid {
        surroundings::uuid()
    }

    fn below(&mut self, bound: usize) -> usize {
        // The first 48 bits of a v4 uuid are random; the bias is far below anything placement could show.
        let (high, _) = surroundings::uuid().as_u64_pair();
        usize::try_from(high >> 16).unwrap_or(0) % bound.max(1)
    }
}
