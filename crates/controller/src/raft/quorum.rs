//! One voter of the quorum, started and led.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, Fatal, InitializeError, RaftError};
use openraft::{Config, Raft, RaftMetrics, ReadPolicy, ServerState, SnapshotPolicy};
use ottla_metadata::{DirectoryId, MetadataRecord};
use ottla_model::{BrokerId, TimestampMs};
use ottla_planted::planted;
use ottla_storage::Disk;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::attending::{is_member, keep_attending};
use super::door::Started;
use super::followers::Followers;
use super::log_store::LogStore;
use super::meta_pair::MetaPair;
use super::meta_store::{MetaKey, MetaStore};
use super::network::{Network, peer_of};
use super::observer::Observer;
use super::observers::is_there;
use super::opening::{begin_above, claim, founding_voters, introduce_founder, open, stand, start_error};
use super::serving::Serving;
use super::snapshot::SnapshotStore;
use super::snapshot_clock::{SnapshotClock, SnapshotLimits};
use super::standing::Standing;
use super::state_machine::StateMachine;
use super::types::{Applied, Membership, Proposal, StoredMembership, TypeConfig, Voter};
use super::watch::Watch;
use crate::error::StartError;
use crate::peers::{Peer, Peers};
use crate::publish::Publisher;
use crate::surroundings::{blocking, wall_clock};

pub(super) type OurRaft = Raft<TypeConfig, StateMachine>;

/// Where a voter lives and who it is.
#[derive(Clone, Debug)]
pub(crate) struct QuorumConfig {
    /// `__cluster_metadata-0`, which exists.
    pub(crate) dir: PathBuf,
    pub(crate) node_id: BrokerId,
    pub(crate) directory_id: DirectoryId,
    pub(crate) cluster_id: Arc<str>,
    pub(crate) segment_bytes: u64,
    pub(crate) snapshot_every_entries: u64,
    pub(crate) snapshots: SnapshotLimits,
    /// The voters; `None` where this node is the only one, and nobody else ever asks it.
    pub(crate) peers: Option<Peers>,
}

impl QuorumConfig {
    /// The voters, unless this node is the only one.
    pub(super) fn several(&self) -> Option<&Peers> {
        self.peers.as_ref().filter(|peers| !peers.is_alone())
    }
}

/// Why a proposal was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProposeError {
    /// Nothing was or will be applied.
    NotLeader { leader: Option<BrokerId> },
    /// The quorum cannot go on; whether the proposal will be applied is not known.
    Failed(String),
}

/// The quorum as a voter sees it (DescribeQuorum, KIP-595).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumStatus {
    pub leader: BrokerId,
    /// The raft term, which is the controller's epoch.
    pub leader_epoch: i32,
    /// The offset after the last record that is committed and applied here.
    pub high_watermark: i64,
    pub voters: Vec<ReplicaStatus>,
    /// Who follows without a vote.
    pub observers: Vec<ReplicaStatus>,
    /// Where each controller is reached that the log or the file knows of.
    pub nodes: Vec<Peer>,
}

/// How far one node's log reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaStatus {
    pub id: BrokerId,
    /// Of its metadata log; nil where it is not known.
    pub directory_id: DirectoryId,
    /// The offset after its last record; -1 if the leader has not heard yet.
    pub log_end_offset: i64,
    /// When the leader last heard from it, and when it last had all that the leader had; -1: never.
    pub last_fetch: TimestampMs,
    pub last_caught_up: TimestampMs,
}

/// A voter that has started.
pub(crate) struct Quorum {
    raft: OurRaft,
    log: LogStore,
    snapshots: SnapshotClock,
    peers: Option<Peers>,
    serving: Arc<Serving>,
    followers: Arc<Mutex<Followers>>,
    watch: JoinHandle<()>,
    /// What a node of changing voters does beside: it follows without a vote, and tells the leader that it is there.
    followed: JoinSet<()>,
    leading: watch::Receiver<bool>,
    /// Ends once the store is closed, so that the next start can open it.
    closed: Option<oneshot::Receiver<()>>,
}

impl std::fmt::Debug for Quorum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Quorum")
    }
}

impl Quorum {
    /// Opens the log on a real file system and leads.
    pub(crate) async fn start(
        config: QuorumConfig,
        disk: Arc<dyn Disk>,
        publisher: Arc<Publisher>,
    ) -> Result<Self, StartError> {
        let (beside, dir) = (disk.clone(), config.dir.clone());
        let meta = blocking(move || MetaPair::open(&beside, &dir)).await;
        let (meta, closed) = meta.map_err(|source| start_error(&config, source))?;
        let mut quorum = Self::start_with(config, disk, Arc::new(meta), publisher).await?;
        quorum.closed = Some(closed);
        Ok(quorum)
    }

    /// Opens the log and leads; when it returns, all that was ever answered is in the published image.
    pub(crate) async fn start_with(
        config: QuorumConfig,
        disk: Arc<dyn Disk>,
        meta: Arc<dyn MetaStore>,
        publisher: Arc<Publisher>,
    ) -> Result<Self, StartError> {
        claim(&config, disk.as_ref(), meta.as_ref())?;
        let standing = stand(&config, meta.as_ref()).await?;
        let has_joined =
            meta.get(MetaKey::Standing).map_err(|source| start_error(&config, source))?.is_some();
        let (log, machine, applied) =
            open(&config, &disk, &meta, &publisher).map_err(|source| start_error(&config, source))?;
        let is_founder = matches!(standing, Standing::Founder(_));
        if is_founder && log.is_empty() {
            introduce_founder(&config, &standing, meta.as_ref())
                .map_err(|source| start_error(&config, source))?;
        }
        let begins = match &config.peers {
            Some(peers) if is_founder && log.is_empty() && peers.voters().is_empty() => {
                peers.meet_again(&config.cluster_id).await
            }
            _ => true,
        };
        if is_founder && begins {
            begin_above(&config, &log, meta.as_ref()).map_err(|source| start_error(&config, source))?;
        }
        let network = Network { peers: config.peers.clone(), cluster_id: config.cluster_id.to_string() };
        // What openraft is started with; the log may know of others than the file, which it learns of below.
        let ticks = config.several().is_some();
        let raft_config = raft_config(&config, standing.may_vote() && config.peers.is_none())?;
        let raft = Raft::new(node(config.node_id), raft_config, network, log.clone(), machine);
        let raft = raft.await.map_err(raft_error)?;
        let membership = membership_of(&raft).await?;
        let is_member = is_member(&membership, config.node_id, config.directory_id);
        if let Some(peers) = &config.peers {
            peers.follow_membership(&membership, &publisher);
            // Where the log says who votes, it says so of a disk: what it says of another one is not this node's.
            raft.runtime_config().elect(standing.may_vote() && (is_member || !peers.is_dynamic()));
            // Who has begun alone may not be alone any more.
            peers.learn(peers_of(membership.membership()));
        }
        let snapshots = SnapshotClock::start(raft.clone(), log.clone(), config.snapshots);
        let may_vote = Arc::new(AtomicBool::new(standing.may_vote()));
        let (tell_leader, leader) = watch::channel(BrokerId::NONE);
        let serving = Arc::new(Serving {
            own: config.node_id,
            log: log.clone(),
            snapshots: SnapshotStore::new(disk.clone(), &config.dir, meta.clone()),
            applied,
            leader,
            observers: Mutex::default(),
        });
        let (tell_pulling, pulling) = watch::channel(false);
        let mut followed = JoinSet::new();
        if let Some(peers) = &config.peers {
            let started = Started {
                raft: raft.clone(),
                cluster_id: Arc::clone(&config.cluster_id),
                may_vote: Arc::clone(&may_vote),
                serving: Arc::clone(&serving),
                // What the image says also who only pulls knows.
                publisher: Arc::clone(&publisher),
                peers: peers.clone(),
            };
            peers.door.open(started.clone());
            peers.door.introduce(&config.cluster_id, config.directory_id, &standing, 0);
            // Static voters may come to be dynamic ones: until then both wait.
            let cluster_id = Arc::clone(&config.cluster_id);
            let (directory, publisher) = (config.directory_id, Arc::clone(&publisher));
            let observer = Observer::new(cluster_id, directory, peers.clone(), publisher, pulling);
            followed.spawn(observer.run());
            followed.spawn(keep_attending(started, peers.clone(), directory));
        }
        let (leads, leading) = watch::channel(false);
        let peers = config.peers.clone();
        let followers = Arc::<Mutex<Followers>>::default();
        let watch = Watch {
            raft: raft.clone(),
            publisher,
            meta,
            may_vote,
            standing,
            peers,
            leads,
            tell_leader,
            serving: Arc::clone(&serving),
            followers: Arc::clone(&followers),
            directory_id: config.directory_id,
            tell_pulling,
            ticks,
            learns: false,
        };
        let watch = tokio::spawn(watch.run());
        let peers = config.peers.clone();
        let closed = None;
        let quorum =
            Self { raft, log, snapshots, peers, serving, followers, watch, followed, leading, closed };
        match config.several() {
            None => quorum.lead(&config, has_joined, is_member).await?,
            Some(peers) if begins => quorum.take_part(peers, config.directory_id, is_founder).await?,
            Some(_) => {}
        }
        Ok(quorum)
    }

    /// The term this voter leads in; `None` while it does not, or has not applied all that was there before it: only
    /// then is the image what may be decided from.
    pub(crate) fn leading_term(&self) -> Option<u64> {
        leading_term(&self.raft.metrics().borrow_watched())
    }

    /// Whether the log names each voter's directory, as it does where it says who votes.
    pub(crate) fn names_voters(&self) -> bool {
        let metrics = self.raft.metrics();
        let membership = metrics.borrow_watched().membership_config.clone();
        self.peers.as_ref().is_some_and(|peers| peers.are_of_log(&peers_of(membership.membership())))
    }

    /// Whether this voter leads and may decide ([`Self::leading_term`]).
    pub(crate) fn leading(&self) -> watch::Receiver<bool> {
        self.leading.clone()
    }

    /// Ends when this voter cannot go on, as when its disk has failed, and says why.
    pub(crate) fn failure(&self) -> impl Future<Output = String> + Send + use<> {
        let (ended, displaced) = (self.ended(), self.peers.as_ref().map(|peers| peers.door.displaced()));
        async move {
            let displaced = async {
                match displaced {
                    Some(displaced) => displaced.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                why = ended => why,
                () = displaced => DISPLACED.to_owned(),
            }
        }
    }

    fn ended(&self) -> impl Future<Output = String> + Send + use<> {
        let mut metrics = self.raft.metrics();
        async move {
            loop {
                let is_stopped = match &metrics.borrow_watched().running_state {
                    Ok(()) => false,
                    Err(Fatal::Stopped) => true,
                    Err(fatal) => return fatal.to_string(),
                };
                if metrics.changed().await.is_err() {
                    if !is_stopped {
                        // It says so itself however else it ends.
                        return "the quorum's task has panicked".to_owned();
                    }
                    return std::future::pending().await;
                }
            }
        }
    }

    /// The quorum now; `None` while this voter does not lead.
    pub(crate) fn status(&self) -> Option<QuorumStatus> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        if metrics.state != ServerState::Leader {
            return None;
        }
        let mut followers = self.followers.lock();
        followers.hear(&metrics, &self.log);
        let replica = |id: u64, node: &Voter| followers.status(id, node, metrics.id, &self.log);
        let membership = metrics.membership_config.membership();
        let is_voter = |id: &u64| membership.voter_ids().any(|voter| voter == *id);
        let (voters, learners): (Vec<_>, Vec<_>) = membership.nodes().partition(|(id, _)| is_voter(id));
        let learners = learners.into_iter().map(|(id, node)| replica(*id, node));
        let learners = learners.filter(|learner| is_there(learner.last_fetch, wall_clock()));
        let observers = self.serving.observers.lock().list(wall_clock());
        let is_sent = |id: BrokerId, directory_id| {
            membership.get_node(&node(id)).is_some_and(|known| known.directory_id == directory_id)
        };
        let observers = observers.into_iter().filter(|(id, directory, _)| !is_sent(*id, *directory));
        let observers = observers.map(|(id, directory_id, progress)| ReplicaStatus {
            id,
            directory_id,
            log_end_offset: progress.log_end_offset,
            last_fetch: progress.last_fetch,
            last_caught_up: progress.last_caught_up,
        });
        let nodes = membership.nodes().map(|(id, node)| self.known(broker_id(*id), node));
        let applied = metrics.last_applied.as_ref().and_then(|applied| self.log.end_offset(applied.index));
        Some(QuorumStatus {
            leader: broker_id(metrics.id),
            leader_epoch: i32::try_from(metrics.current_term).unwrap_or(i32::MAX),
            // What is purged is below what a snapshot holds, and the leader's first entry is after it.
            high_watermark: applied.unwrap_or_else(|| self.log.next_offset()),
            voters: voters.into_iter().map(|(id, node)| replica(*id, node)).collect(),
            observers: learners.chain(observers).collect(),
            nodes: nodes.collect(),
        })
    }

    /// A controller as the file knows it, or else the log.
    fn known(&self, id: BrokerId, node: &Voter) -> Peer {
        let configured = self.peers.as_ref().and_then(|peers| peers.configured(id));
        configured.map_or_else(|| peer_of(id, node), |peer| Peer { directory_id: node.directory_id, ..peer })
    }

    /// Reserves room in the log for `bytes` of records where there is some; gives for how many bytes it will not fail.
    pub(crate) fn reserve(&self, bytes: u64) -> u64 {
        self.log.reserve(bytes)
    }

    /// Replicates records computed in `term` and answers once they are in the published image.
    pub(crate) async fn propose(
        &self,
        term: u64,
        timestamp: TimestampMs,
        records: Vec<MetadataRecord>,
    ) -> Result<(), ProposeError> {
        match self.raft.client_write(Proposal { term, timestamp, records }).await {
            Ok(response) => match response.data {
                Applied::At(_) => Ok(()),
                Applied::Dropped => Err(ProposeError::NotLeader { leader: None }),
            },
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                let leader = forward.leader_id.map(broker_id);
                Err(ProposeError::NotLeader { leader })
            }
            Err(error) => Err(ProposeError::Failed(error.to_string())),
        }
    }

    /// Stops, and waits until another may open the log.
    pub(crate) async fn shutdown(mut self) {
        self.hand_over().await;
        self.snapshots.stop().await;
        if let Some(peers) = &self.peers {
            peers.door.close();
        }
        self.followed.shutdown().await;
        self.watch.abort();
        // Aborted is how it ends.
        drop((&mut self.watch).await);
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "the metadata quorum did not shut down cleanly");
        }
        drop(self.raft);
        drop(self.log);
        drop(self.serving);
        // openraft's workers end by themselves after its core; the last to go closes the store.
        if let Some(closed) = self.closed
            && tokio::time::timeout(CLOSE_WAIT, closed).await.is_err()
        {
            tracing::warn!("the metadata quorum's store is still in use");
        }
    }

    /// Whoever has come furthest leads on, so that nobody waits for an election timeout.
    async fn hand_over(&self) {
        let (own, next) = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            let Some(matching) = &metrics.replication else { return };
            let reached = |id: &u64| matching.get(id).and_then(Option::as_ref).map(|log_id| log_id.index);
            let voters = metrics.membership_config.voter_ids().filter(|id| *id != metrics.id);
            (metrics.id, voters.max_by_key(reached))
        };
        let Some(next) = next else { return };
        if self.raft.trigger().transfer_leader(next).await.is_err() {
            return;
        }
        let is_led =
            |metrics: &RaftMetrics<TypeConfig>| metrics.current_leader.is_some_and(|leader| leader != own);
        match self.raft.wait(Some(HAND_OVER_MAX)).metrics(is_led, "another voter leads").await {
            Ok(_) => tracing::info!(node = next, "leads the quorum in this voter's place"),
            Err(_) => {
                tracing::warn!(waited = ?HAND_OVER_MAX, "nobody leads the quorum in this voter's place yet")
            }
        }
    }

    /// With others, who leads is seen later; whoever is first to time out asks for votes.
    async fn take_part(&self, peers: &Peers, own: DirectoryId, is_founder: bool) -> Result<(), StartError> {
        if self.raft.is_initialized().await.map_err(raft_error)? {
            return Ok(());
        }
        let voters = peers.voters();
        let is_it = |voter: &Peer| {
            voter.id == peers.own && [own, DirectoryId::UNASSIGNED].contains(&voter.directory_id)
        };
        if !is_founder && !voters.iter().any(is_it) {
            // It does not vote, or did so with a disk that is gone: the leader brings it what there is.
            return Ok(());
        }
        match self.raft.initialize(founding_voters(&voters)).await {
            // Another voter was quicker.
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(raft_error(error)),
        }
    }

    /// A quorum of one needs no election timeout: it forms itself at once, and elects itself at once.
    async fn lead(&self, config: &QuorumConfig, has_joined: bool, is_member: bool) -> Result<(), StartError> {
        let is_formed = self.raft.is_initialized().await.map_err(raft_error)?;
        if (!is_formed && has_joined) || (is_formed && !is_member) {
            // It has asked others before: what is alone now would be another cluster of the same name. So would a node whose log does
            // not go further yet than to where another disk of its id was alone.
            return Err(StartError::Joined { path: config.dir.clone() });
        }
        if is_formed {
            self.raft.trigger().elect(false).await.map_err(raft_error)?;
        } else {
            let own = config.peers.as_ref().and_then(|peers| peers.voter(config.node_id));
            let reached = own.map(|own| (own.host, own.port)).unwrap_or_default();
            let voter = Voter { directory_id: config.directory_id, host: reached.0, port: reached.1 };
            self.raft
                .initialize(BTreeMap::from([(node(config.node_id), voter)]))
                .await
                .map_err(raft_error)?;
        }
        let wait = self.raft.wait(Some(ELECTION_WAIT));
        wait.state(ServerState::Leader, "the only voter leads").await.map_err(raft_error)?;
        // Returns once the leader's first entry, and so everything before it, has been applied.
        self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await.map_err(raft_error)?;
        self.leading.clone().wait_for(|leads| *leads).await.map_err(raft_error)?;
        Ok(())
    }
}

/// Why a static voter ends whose disk was emptied while the log came to say who votes.
const DISPLACED: &str = "by the others' log another disk votes in the place of this one, whatever controller.quorum.voters says: start \
                         with controller.quorum.bootstrap.servers, and add this node to the voters";
/// The election of a single voter waits for its disk only.
const ELECTION_WAIT: Duration = Duration::from_secs(60);
/// How long a voter that stops waits until another one leads.
const HAND_OVER_MAX: Duration = Duration::from_secs(1);
/// openraft's workers stop within moments; a snapshot that is being written takes a little longer.
const CLOSE_WAIT: Duration = Duration::from_secs(5);
const SNAPSHOT_TIMEOUT_MS: u64 = 60_000;
/// Applied entries that stay in the log after a snapshot, for a follower that is a little behind.
const ENTRIES_KEPT: u64 = 1_000;

pub(super) fn leading_term(metrics: &RaftMetrics<TypeConfig>) -> Option<u64> {
    let applied = metrics.last_applied.map(|log_id| **log_id.committed_leader_id());
    let is_caught_up = applied == Some(metrics.current_term) || planted!("decides_before_caught_up");
    let leads = metrics.state == ServerState::Leader && is_caught_up;
    leads.then_some(metrics.current_term)
}

async fn membership_of(raft: &OurRaft) -> Result<StoredMembership, StartError> {
    let effective =
        |state: &openraft::RaftState<TypeConfig>| StoredMembership::clone(state.membership_state.effective());
    raft.with_raft_state(effective).await.map_err(raft_error)
}

/// Who votes.
pub(super) fn peers_of(membership: &Membership) -> Vec<Peer> {
    let voters = membership.voter_ids().filter_map(|id| {
        let node = membership.get_node(&id)?;
        Some(peer_of(broker_id(id), node))
    });
    voters.collect()
}

pub(super) fn node(id: BrokerId) -> u64 {
    u64::try_from(id.get()).unwrap_or(0)
}

pub(super) fn broker_id(node: u64) -> BrokerId {
    i32::try_from(node).map_or(BrokerId::NONE, BrokerId)
}

fn raft_error(error: impl std::fmt::Display) -> StartError {
    StartError::Raft(error.to_string())
}

fn raft_config(config: &QuorumConfig, may_vote: bool) -> Result<Arc<Config>, StartError> {
    // With one voter there is nobody to beat the heart for, nor anybody whose silence could be noticed.
    let several = config.several().is_some();
    let silence = config.peers.as_ref().map_or(Duration::from_millis(400), |peers| peers.election_timeout);
    let silence_ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX).max(12);
    let config = Config {
        cluster_name: config.cluster_id.to_string(),
        enable_tick: several,
        enable_heartbeat: several,
        enable_elect: may_vote,
        // A follower asks for votes when a leader has been silent for so long, and some more, at random.
        election_timeout_max: silence_ms,
        election_timeout_min: silence_ms / 2,
        // A follower waits for one to two silences. openraft looks at its clock five times as often as it beats: an idle cluster
        // does little else.
        heartbeat_interval: silence_ms / 3,
        install_snapshot_timeout: SNAPSHOT_TIMEOUT_MS,
        // A voter with an emptied disk comes back with less than it had: `Standing` sees to it that this loses nothing.
        allow_log_reversion: Some(config.peers.is_some()),
        backoff: "20ms 40ms 80ms ..200ms".to_owned(),
        enable_pre_vote: Some(true),
        // A restart is a new term, and so a new controller epoch.
        enable_leader_restore: Some(false),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.snapshot_every_entries),
        max_in_snapshot_log_to_keep: ENTRIES_KEPT.min(config.snapshot_every_entries),
        purge_batch_size: 64,
        log_stage_capacity: Some(1),
        api_channel_size: Some(64),
        notification_channel_size: Some(64),
        state_machine_channel_size: Some(64),
        ..Config::default()
    };
    config.validate().map(Arc::new).map_err(raft_error)
}
