//! Answers the other voters: before there is a quorum with what this node is, later by openraft.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::{AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse};
use openraft::type_config::alias::WatchReceiverOf;
use openraft::{RaftMetrics, Snapshot as RaftSnapshot};
use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::attending::is_member;
use super::peer_codec::{
    Envelope, Hello, HelloStanding, PeerAnswer, PeerRequest, SnapshotPiece, answer_bytes, read_request,
};
use super::quorum::{OurRaft, node};
use super::serving::Serving;
use super::snapshot::SnapshotState;
use super::standing::Standing;
use super::types::{TypeConfig, Vote};
use super::voters::VoterChanges;
use crate::error::{ControllerError, VoterError};
use crate::peers::{Peer, Peers};
use crate::publish::Publisher;
use crate::surroundings::blocking;

/// A snapshot longer than this is refused, so that no peer fills the memory.
const SNAPSHOT_LEN_MAX: u64 = 1 << 30;
/// How often it is said that another cluster means this node.
const REMIND: Duration = Duration::from_secs(60);

/// What stands behind the door once the quorum has started.
#[derive(Clone)]
pub(super) struct Started {
    pub(super) raft: OurRaft,
    pub(super) cluster_id: Arc<str>,
    /// False while this voter has not caught up with what it may have promised.
    pub(super) may_vote: Arc<AtomicBool>,
    pub(super) serving: Arc<Serving>,
    pub(super) publisher: Arc<Publisher>,
    /// How the other controllers are reached.
    pub(super) peers: Peers,
}

/// The one place where other voters' requests come in.
pub(crate) struct PeerDoor {
    own: BrokerId,
    hello: Mutex<Hello>,
    started: Mutex<Option<Started>>,
    incoming: Mutex<Option<Incoming>>,
    said_of_strangers: Mutex<Option<Instant>>,
    /// The log names another disk in the place of this one, of which this node's file knows nothing.
    displaced: watch::Sender<bool>,
    /// When a leader has last sent something that was taken, or this node began.
    heard: Mutex<Instant>,
    pub(super) changes: VoterChanges,
}

/// A snapshot that comes in.
struct Incoming {
    transmission: u64,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for PeerDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerDoor").field("own", &self.own).finish_non_exhaustive()
    }
}

impl PeerDoor {
    pub(crate) fn new(own: BrokerId) -> Self {
        Self {
            own,
            hello: Mutex::new(Hello::of(own)),
            started: Mutex::new(None),
            incoming: Mutex::new(None),
            said_of_strangers: Mutex::new(None),
            displaced: watch::Sender::new(false),
            heard: Mutex::new(Instant::now()),
            changes: VoterChanges::default(),
        }
    }

    pub(super) fn hello(&self) -> Hello {
        let mut hello = self.hello.lock().clone();
        if let Some(started) = &*self.started.lock() {
            let metrics = started.raft.metrics();
            let metrics = metrics.borrow_watched();
            hello.term = metrics.vote.leader_id.term;
            hello.log_len = metrics.last_log_index.map_or(0, |last| last + 1);
        }
        hello
    }

    /// From now on it says who it is and how far its word goes, all at once: who asks goes by it. Of a node whose log is empty, or whose
    /// quorum has started, which knows what it has; of any other one too little would be said.
    pub(super) fn introduce(
        &self,
        cluster_id: &str,
        directory_id: DirectoryId,
        standing: &Standing,
        term: u64,
    ) {
        let hello = &mut *self.hello.lock();
        hello.cluster_id = Some(cluster_id.to_owned());
        hello.directory_id = directory_id;
        hello.term = term;
        Self::tell(hello, standing);
    }

    pub(super) fn stand(&self, standing: &Standing) {
        Self::tell(&mut self.hello.lock(), standing);
    }

    fn tell(hello: &mut Hello, standing: &Standing) {
        hello.standing = standing.as_told();
        hello.founders = match standing {
            Standing::Founder(founders) => founders.clone(),
            _ => Vec::new(),
        };
    }

    /// Who is known to vote.
    pub(super) fn know(&self, voters: Vec<Peer>) {
        self.hello.lock().voters = voters;
    }

    /// How long no leader has sent anything.
    pub(super) fn silent_for(&self) -> Duration {
        self.heard.lock().elapsed()
    }

    /// Ends once another disk is known to vote in the place of this one, which its file's voters know nothing of.
    pub(super) fn displaced(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut displaced = self.displaced.subscribe();
        async move {
            if displaced.wait_for(|displaced| *displaced).await.is_err() {
                std::future::pending().await
            }
        }
    }

    pub(super) fn open(&self, started: Started) {
        *self.started.lock() = Some(started);
    }

    /// Lets go of the quorum, so that another may open its log.
    pub(super) fn close(&self) {
        *self.started.lock() = None;
    }

    /// The quorum, while there is one here.
    fn started(&self) -> Option<Started> {
        self.started.lock().clone()
    }

    pub(crate) async fn add_voter(&self, voter: &Peer, level: i16) -> Result<(), VoterError> {
        self.changes.add(&self.started().ok_or(ControllerError::Closed)?, voter, level).await
    }

    pub(crate) async fn remove_voter(
        &self,
        id: BrokerId,
        directory_id: DirectoryId,
        level: i16,
    ) -> Result<(), VoterError> {
        let started = self.started().ok_or(ControllerError::Closed)?;
        self.changes.remove(&started, id, directory_id, level).await
    }

    pub(crate) async fn name_voters(&self, is_trial: bool) -> Result<(), VoterError> {
        self.changes.name(&self.started().ok_or(ControllerError::Closed)?, is_trial).await
    }

    pub(crate) async fn update_voter(&self, voter: &Peer, level: i16) -> Result<(), VoterError> {
        self.changes.update(&self.started().ok_or(ControllerError::Closed)?, voter, level).await
    }

    /// As if the leader had handed over before it went: openraft's way round the lease.
    pub(crate) async fn leader_died(&self, leader: BrokerId, next: BrokerId) {
        let Some(started) = self.started.lock().clone() else { return };
        let (leader, next) = (node(leader), node(next));
        let vote = started.raft.metrics().borrow_watched().vote;
        let led = vote.committed && vote.leader_id.voted_for == leader;
        if !led || !self.may_lead(&started) {
            return;
        }
        let request = TransferLeaderRequest::new(vote, next, None);
        if let Err(error) = started.raft.handle_transfer_leader(request).await {
            tracing::debug!(%error, "nobody is elected in a dead leader's place yet");
        }
    }

    /// Whether this node may ask for votes: it has caught up, and is a voter with this disk.
    fn may_lead(&self, started: &Started) -> bool {
        let (metrics, own) = (started.raft.metrics(), self.hello.lock().directory_id);
        let is_voter = is_member(&metrics.borrow_watched().membership_config, self.own, own);
        is_voter && started.may_vote.load(Ordering::Acquire)
    }

    pub(crate) async fn answer(&self, request: Bytes) -> Bytes {
        let answer = match read_request(&request) {
            Ok((envelope, request)) => self.handle(envelope, request).await,
            Err(error) => Err(error.to_string()),
        };
        answer_bytes(&answer)
    }

    async fn handle(&self, envelope: Envelope, request: PeerRequest) -> Result<PeerAnswer, String> {
        self.note_stranger(&envelope);
        self.check_receiver(&envelope)?;
        if let PeerRequest::Hello(_) = request {
            return Ok(PeerAnswer::Hello(self.hello()));
        }
        let started = self.started.lock().clone().ok_or("the quorum has not started here")?;
        if envelope.cluster_id != *started.cluster_id {
            return Err(format!("this is cluster {}, not {}", started.cluster_id, envelope.cluster_id));
        }
        if !self.is_meant(&envelope, &started) {
            return match request {
                PeerRequest::Vote(_) | PeerRequest::PreVote(_) => Ok(started.no_vote()),
                PeerRequest::Append(_) | PeerRequest::Snapshot(_) | PeerRequest::TransferLeader(_) => {
                    Err("another disk is meant, which this node had before".to_owned())
                }
                _ => self.handle_meant(&envelope, &started, request).await,
            };
        }
        self.handle_meant(&envelope, &started, request).await
    }

    async fn handle_meant(
        &self,
        envelope: &Envelope,
        started: &Started,
        request: PeerRequest,
    ) -> Result<PeerAnswer, String> {
        let failed = |error: &dyn std::fmt::Display| error.to_string();
        match request {
            PeerRequest::Append(request) => {
                let answer = started.raft.append_entries(request).await;
                if matches!(&answer, Ok(answer) if !matches!(answer, AppendEntriesResponse::HigherVote(_))) {
                    *self.heard.lock() = Instant::now();
                }
                answer.map(PeerAnswer::Append).map_err(|error| failed(&error))
            }
            PeerRequest::Vote(request) => match started.abstains() {
                Some(answer) => Ok(answer),
                None => vote(&started.raft, request).await,
            },
            PeerRequest::PreVote(request) => match started.abstains() {
                Some(answer) => Ok(answer),
                None => {
                    let answer = started.raft.pre_vote(request).await;
                    answer.map(PeerAnswer::Vote).map_err(|error| failed(&error))
                }
            },
            PeerRequest::Snapshot(piece) => {
                *self.heard.lock() = Instant::now();
                self.snapshot(started, piece).await
            }
            PeerRequest::TransferLeader(request) => {
                if !self.may_lead(started) {
                    return Err("this voter has not caught up, or is none".to_owned());
                }
                let answer = started.raft.handle_transfer_leader(request).await;
                answer.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
                Ok(PeerAnswer::TransferLeader)
            }
            PeerRequest::Pull(pull) => {
                let voters = self.hello.lock().voters.clone();
                let pulled = started.serving.pull(envelope.from, &pull, voters).await;
                pulled.map(PeerAnswer::Pulled).map_err(|error| failed(&error))
            }
            PeerRequest::PullSnapshot(asked) => {
                let serving = Arc::clone(&started.serving);
                let piece = blocking(move || serving.snapshot_piece(&asked)).await;
                piece.map(PeerAnswer::PulledPiece).map_err(|error| failed(&error))
            }
            PeerRequest::Attend(told) => {
                let attended = self.changes.attended(started, envelope.from, &told).await;
                attended.map(|()| PeerAnswer::Attended).map_err(|error| failed(&error))
            }
            PeerRequest::Hello(_) => Ok(PeerAnswer::Hello(self.hello())),
        }
    }

    /// Another cluster's node that means this one: this node's disk was emptied, and it has begun anew, knowing of nobody. It cannot
    /// tell by itself, so a person must.
    fn note_stranger(&self, envelope: &Envelope) {
        let Some(cluster_id) = self.hello.lock().cluster_id.clone() else { return };
        let theirs = &envelope.cluster_id;
        if envelope.to != self.own || theirs.is_empty() || *theirs == cluster_id {
            return;
        }
        let (mut said, now) = (self.said_of_strangers.lock(), Instant::now());
        if said.is_none_or(|said| now.saturating_duration_since(said) >= REMIND) {
            *said = Some(now);
            tracing::error!(
                node = %envelope.from,
                theirs,
                cluster_id,
                "another cluster takes this node for one of its own: if this node's disk was emptied, it has begun a cluster of its \
                 own; to have it back, stop it, empty its disk again, and start it with --join and its node.id"
            );
        }
    }

    /// A node with another metadata log is not the one that is meant: it knows nothing of what that one has promised (KIP-853).
    fn check_receiver(&self, envelope: &Envelope) -> Result<(), String> {
        if envelope.to != BrokerId::NONE && envelope.to != self.own {
            return Err(format!("this is node {}, not {}", self.own, envelope.to));
        }
        let own = self.hello.lock().directory_id;
        let is_known = |directory: DirectoryId| directory != DirectoryId::UNASSIGNED;
        if is_known(envelope.to_directory) && is_known(own) && envelope.to_directory != own {
            self.note_other_disk(envelope);
            return Err(format!("this is directory {own}, not {}", envelope.to_directory));
        }
        Ok(())
    }

    /// Another disk is meant, by one that goes by the log. A static voter whose disk was emptied just before the log named that disk would
    /// wait for ever to be sent what it lacks.
    fn note_other_disk(&self, envelope: &Envelope) {
        let Some(started) = self.started() else { return };
        if !started.peers.is_dynamic() && envelope.cluster_id == *started.cluster_id {
            self.displaced.send_replace(true);
        }
    }

    /// Whether a voter can mean this disk. One that names no directory may not know yet that the log says who votes, and that it says so
    /// of another disk than this one, which was emptied since: what that one has promised is not known here. Founders know of each other
    /// before there is a log; who catches up gives no vote.
    fn is_meant(&self, envelope: &Envelope, started: &Started) -> bool {
        if envelope.to_directory != DirectoryId::UNASSIGNED || !started.peers.is_dynamic() {
            return true;
        }
        let (own, is_founder, standing) = {
            let hello = self.hello.lock();
            (hello.directory_id, !hello.founders.is_empty(), hello.standing)
        };
        let metrics = started.raft.metrics();
        is_founder
            || standing != HelloStanding::Member
            || is_member(&metrics.borrow_watched().membership_config, self.own, own)
    }

    async fn snapshot(&self, started: &Started, piece: SnapshotPiece) -> Result<PeerAnswer, String> {
        let vote = piece.vote;
        let Some(bytes) = self.take_piece(piece)? else { return Ok(PeerAnswer::Piece) };
        let state = SnapshotState::decode(Arc::clone(&started.cluster_id), &bytes)
            .map_err(|error: io::Error| error.to_string())?;
        let snapshot = RaftSnapshot { meta: state.meta, snapshot: Bytes::from(bytes) };
        let answer = started.raft.install_full_snapshot(vote, snapshot).await;
        answer.map(PeerAnswer::Snapshot).map_err(|error| error.to_string())
    }

    /// The whole snapshot with its last piece. A new transmission takes the place of one that was given up.
    fn take_piece(&self, piece: SnapshotPiece) -> Result<Option<Vec<u8>>, String> {
        let mut incoming = self.incoming.lock();
        if piece.pos == 0 {
            if piece.total_len > SNAPSHOT_LEN_MAX {
                return Err(format!("a snapshot of {} bytes is too long", piece.total_len));
            }
            *incoming = Some(Incoming { transmission: piece.transmission, bytes: Vec::new() });
        }
        let current = incoming.as_mut().filter(|current| {
            current.transmission == piece.transmission && current.bytes.len() as u64 == piece.pos
        });
        let Some(current) = current else {
            return Err("a piece of a snapshot does not follow the last one".to_owned());
        };
        if piece.pos + piece.bytes.len() as u64 > piece.total_len {
            *incoming = None;
            return Err("a snapshot is longer than announced".to_owned());
        }
        current.bytes.extend_from_slice(&piece.bytes);
        if (current.bytes.len() as u64) < piece.total_len {
            return Ok(None);
        }
        Ok(incoming.take().map(|whole| whole.bytes))
    }
}

async fn vote(raft: &OurRaft, request: VoteRequest<TypeConfig>) -> Result<PeerAnswer, String> {
    raft.vote(request).await.map(PeerAnswer::Vote).map_err(|error| error.to_string())
}

impl Started {
    /// The answer of a voter that must not vote.
    fn abstains(&self) -> Option<PeerAnswer> {
        (!self.may_vote.load(Ordering::Acquire)).then(|| self.no_vote())
    }

    fn no_vote(&self) -> PeerAnswer {
        let metrics: WatchReceiverOf<TypeConfig, RaftMetrics<TypeConfig>> = self.raft.metrics();
        let vote: Vote = metrics.borrow_watched().vote;
        PeerAnswer::Vote(VoteResponse::new(vote, None, false))
    }
}
