//! Several voters in one runtime, with a network between them that fails as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_metadata::{DirectoryId, MetadataImage};
use ottla_model::BrokerId;
use ottla_storage::{Disk, Seeded, SimDisk};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::log_store::LogStore;
use super::opening::{claim, stand};
use super::peer_codec::{HelloStanding, PeerRequest, read_request};
use super::quorum::{Quorum, QuorumConfig, node as node_id};
use super::snapshot_clock::SnapshotLimits;
use super::standing::Standing;
use super::twin_store::TwinStore;
use super::types::{Entry, Membership, Payload, Voter, log_id};
use crate::command::{CreateTopics, NewTopic};
use crate::error::StartError;
use crate::handle::{Controller, ControllerConfig};
use crate::observing::ObserverConfig;
use crate::peers::{Attendance, Peer, PeerAnswerFuture, PeerError, PeerTransport, Peers, VoteWish};
use crate::publish::Publisher;

pub(super) const ELECTION_TIMEOUT: Duration = Duration::from_millis(480);
/// How long anything may take on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The network: who is there, and who does not hear whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Wires {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    doors: BTreeMap<i32, Peers>,
    /// From, to.
    cut: BTreeSet<(i32, i32)>,
    /// Greetings are heard nevertheless.
    greetings_pass: bool,
    delay: Duration,
}

/// One node's end of the network.
#[derive(Debug)]
struct Wire {
    own: i32,
    wires: Wires,
}

impl PeerTransport for Wire {
    fn call(&self, peer: &Peer, request: Bytes, limit: Duration) -> PeerAnswerFuture {
        // Its port says which node it is, also where nobody knows its id yet.
        let (from, to, wires) = (self.own, i32::from(peer.port), self.wires.clone());
        let greets = matches!(read_request(&request), Ok((_, PeerRequest::Hello(_))));
        let way = move |from: i32, to: i32| {
            let shared = wires.shared.lock();
            let passes = greets && shared.greetings_pass;
            (passes || !shared.cut.contains(&(from, to)))
                .then(|| (shared.doors.get(&to).cloned(), shared.delay))
        };
        Box::pin(async move {
            let Some((door, delay)) = way(from, to) else {
                sleep(limit).await;
                return Err(PeerError::Timeout(limit));
            };
            let door = door.ok_or_else(|| PeerError::Unreachable("not there".to_owned()))?;
            sleep(delay).await;
            let answer = timeout(limit, door.serve(request)).await.map_err(|_| PeerError::Timeout(limit))?;
            // The answer has its own way back.
            if way(to, from).is_none() {
                sleep(limit).await;
                return Err(PeerError::Timeout(limit));
            }
            Ok(answer)
        })
    }
}

/// A node that is there or not, and its disk.
pub(super) struct Node {
    pub(super) id: i32,
    disk: Arc<SimDisk>,
    pub(super) directory: u128,
    pub(super) controller: Option<Controller>,
}

pub(super) struct Cluster {
    pub(super) wires: Wires,
    pub(super) nodes: Vec<Node>,
    /// The first node begins alone, and the others join it with such a wish; `None` of static voters.
    pub(super) wish: Option<VoteWish>,
    /// The first node is started as the others are, as after its disk was emptied.
    pub(super) first_joins: bool,
}

impl Cluster {
    pub(super) fn new(count: i32) -> Self {
        let node = |id| Node {
            id,
            disk: Arc::new(SimDisk::new()),
            directory: u128::from(id.unsigned_abs()),
            controller: None,
        };
        Self {
            wires: Wires::default(),
            nodes: (1..=count).map(node).collect(),
            wish: None,
            first_joins: false,
        }
    }

    fn peers(&self, id: i32) -> Peers {
        let voter = |node: &Node| peer(node.id);
        let wire = Wire { own: id, wires: self.wires.clone() };
        if let Some(wish) = self.wish {
            return dynamic(id, wish, self.first_joins, Arc::new(wire));
        }
        let voters = self.nodes.iter().map(voter).collect();
        Peers::new(BrokerId(id), voters, Arc::new(wire), ELECTION_TIMEOUT)
            .attend(attendance(id, VoteWish::Watch))
    }

    /// Starts a node in its own task, which may have to wait for others.
    fn launch(&self, id: i32) -> impl Future<Output = Controller> + Send + 'static {
        let starting = self.try_launch(id);
        async move { starting.await.unwrap() }
    }

    fn try_launch(&self, id: i32) -> impl Future<Output = Result<Controller, StartError>> + Send + 'static {
        let peers = self.peers(id);
        self.wires.shared.lock().doors.insert(id, peers.clone());
        let node = self.node(id);
        let (disk, directory) = (Arc::clone(&node.disk), DirectoryId(uuid::Uuid::from_u128(node.directory)));
        let is_known = self.wish.is_some();
        async move {
            let cluster_id = match is_known {
                true => "named-by-1".to_owned(),
                false => peers.agree_on_cluster_id(|| format!("named-by-{id}")).await,
            };
            start(id, disk, directory, cluster_id, peers).await
        }
    }

    pub(super) async fn start_all(&mut self) {
        let ids: Vec<i32> = self.nodes.iter().map(|node| node.id).collect();
        let started = ids.iter().map(|id| tokio::spawn(self.launch(*id))).collect::<Vec<_>>();
        for (id, started) in ids.into_iter().zip(started) {
            let controller = timeout(PATIENCE, started).await.expect("starts").unwrap();
            self.node_mut(id).controller = Some(controller);
        }
    }

    pub(super) async fn start(&mut self, id: i32) {
        let controller = timeout(PATIENCE, self.launch(id)).await.expect("starts");
        self.node_mut(id).controller = Some(controller);
    }

    /// Why a node does not start.
    pub(super) async fn refused(&self, id: i32) -> StartError {
        let refused = timeout(PATIENCE, self.try_launch(id)).await.expect("is told").map(|_| ());
        self.wires.shared.lock().doors.remove(&id);
        refused.expect_err("it starts")
    }

    /// How a node that runs sees the controllers, and answers them.
    pub(super) fn door(&self, id: i32) -> Peers {
        self.wires.shared.lock().doors[&id].clone()
    }

    /// As a kill: what was not synced is lost, and nobody answers any more.
    pub(super) async fn kill(&mut self, id: i32) {
        self.wires.shared.lock().doors.remove(&id);
        let controller = self.node_mut(id).controller.take().expect("runs");
        controller.shutdown().await;
        self.node(id).disk.crash();
    }

    /// A new, empty disk in the old one's place.
    pub(super) fn empty_disk(&mut self, id: i32) {
        let node = self.node_mut(id);
        node.disk = Arc::new(SimDisk::new());
        node.directory += 100;
    }

    /// Gives a node that does not run the log's first entry, by which it votes alone with that other disk.
    pub(super) fn begin_log(&self, id: i32, other: u128) {
        let (dir, node) = (Path::new("/log"), self.node(id));
        let disk: Arc<dyn Disk> = Arc::clone(&node.disk) as Arc<dyn Disk>;
        disk.create_dir(dir).and_then(|()| disk.sync_dir(Path::new("/"))).unwrap();
        let meta = Arc::new(TwinStore::open(disk.as_ref(), dir).unwrap());
        let own = DirectoryId(uuid::Uuid::from_u128(node.directory));
        claim(&quorum_config(id, own, "named-by-1", self.peers(id)), disk.as_ref(), meta.as_ref()).unwrap();
        Standing::Member.save(meta.as_ref()).unwrap();
        let voter = Voter { directory_id: DirectoryId(uuid::Uuid::from_u128(other)), ..Voter::default() };
        let nodes = BTreeMap::from([(node_id(BrokerId(id)), voter)]);
        let alone = Membership::new(vec![nodes.keys().copied().collect()], nodes).unwrap();
        let log = LogStore::open(disk, dir, meta, 2_000).unwrap();
        log.begin_with(&Entry { log_id: log_id(0, 0), payload: Payload::Membership(alone) }).unwrap();
    }

    pub(super) fn node(&self, id: i32) -> &Node {
        self.nodes.iter().find(|node| node.id == id).unwrap()
    }

    pub(super) fn node_mut(&mut self, id: i32) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.id == id).unwrap()
    }

    pub(super) fn running(&self) -> impl Iterator<Item = (i32, &Controller)> {
        self.nodes.iter().filter_map(|node| Some((node.id, node.controller.as_ref()?)))
    }

    pub(super) fn cut(&self, from: i32, to: i32) {
        self.wires.shared.lock().cut.insert((from, to));
    }

    pub(super) fn isolate(&self, id: i32) {
        for node in self.nodes.iter().filter(|node| node.id != id) {
            self.cut(id, node.id);
            self.cut(node.id, id);
        }
    }

    /// From now on a node that is cut off still says what it is, and nothing else.
    pub(super) fn let_greetings_pass(&self) {
        self.wires.shared.lock().greetings_pass = true;
    }

    pub(super) fn heal(&self) {
        self.wires.shared.lock().cut.clear();
    }

    /// The node that decides, among those that are not `not`.
    pub(super) async fn active(&self, not: Option<i32>) -> i32 {
        let began = Instant::now();
        loop {
            let active = self.running().find(|(id, controller)| Some(*id) != not && controller.is_active());
            if let Some((id, _)) = active {
                return id;
            }
            assert!(began.elapsed() < PATIENCE, "nobody leads");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Creates a topic through whoever leads.
    pub(super) async fn create(&self, name: &str, not: Option<i32>) {
        let began = Instant::now();
        loop {
            let leader = self.active(not).await;
            let controller = self.node(leader).controller.clone().unwrap();
            let request = CreateTopics { topics: vec![NewTopic::named(name)], validate_only: true };
            let registered = controller.register_broker(registration(1)).await;
            if registered.is_ok()
                && matches!(controller.create_topics(request.clone()).await, Ok(answers) if answers[0].is_ok())
            {
                let request = CreateTopics { validate_only: false, ..request };
                if matches!(controller.create_topics(request).await, Ok(answers) if answers[0].is_ok()) {
                    return;
                }
            }
            assert!(began.elapsed() < PATIENCE, "{name} is not created");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until every running node has these topics, and nothing else.
    pub(super) async fn agree(&self, names: &BTreeSet<String>) {
        let began = Instant::now();
        for (id, controller) in self.running() {
            loop {
                let image = controller.image();
                let found: BTreeSet<String> =
                    image.topics().iter().map(|topic| topic.name.to_string()).collect();
                if found == *names {
                    break;
                }
                assert!(began.elapsed() < PATIENCE, "node {id} has {found:?}, not {names:?}");
                sleep(Duration::from_millis(5)).await;
            }
        }
    }

    /// A node without a vote that knows these voters.
    fn observe(&self, id: i32, voters: &[i32]) -> Controller {
        let wire = Wire { own: id, wires: self.wires.clone() };
        let voters = voters.iter().map(|id| peer(*id)).collect();
        let peers = Peers::new(BrokerId(id), voters, Arc::new(wire), ELECTION_TIMEOUT);
        let any = self.running().next().expect("a node").1;
        let cluster_id = any.image().cluster_id().to_string();
        Controller::observe(ObserverConfig { cluster_id, directory_id: DirectoryId::UNASSIGNED, peers })
    }

    pub(super) async fn stop(mut self) {
        self.wires.shared.lock().doors.clear();
        for node in &mut self.nodes {
            if let Some(controller) = node.controller.take() {
                controller.shutdown().await;
            }
        }
    }
}

fn peer(id: i32) -> Peer {
    Peer::of_id(BrokerId(id), "sim", u16::try_from(id).unwrap())
}

/// The first node begins alone, unless it joins; the others know where it is.
fn dynamic(id: i32, wish: VoteWish, first_joins: bool, wire: Arc<Wire>) -> Peers {
    if id == 1 && !first_joins {
        return Peers::alone(BrokerId(id), attendance(id, wish), wire, ELECTION_TIMEOUT);
    }
    let servers = vec![Peer::at("sim", if id == 1 { 2 } else { 1 })];
    Peers::bootstrap(BrokerId(id), servers, wire, ELECTION_TIMEOUT).attend(attendance(id, wish))
}

fn attendance(id: i32, wish: VoteWish) -> Attendance {
    Attendance { host: "sim".to_owned(), port: u16::try_from(id).unwrap(), wish }
}

fn registration(id: i32) -> crate::BrokerRegistrationRequest {
    crate::BrokerRegistrationRequest { broker_id: BrokerId(id), ..crate::handle_tests::registration() }
}

fn quorum_config(id: i32, directory_id: DirectoryId, cluster_id: &str, peers: Peers) -> QuorumConfig {
    QuorumConfig {
        dir: "/log".into(),
        node_id: BrokerId(id),
        directory_id,
        cluster_id: cluster_id.into(),
        segment_bytes: 2_000,
        snapshot_every_entries: 20,
        snapshots: SnapshotLimits { bytes_max: u64::MAX, interval: None },
        peers: Some(peers),
    }
}

async fn start(
    id: i32,
    disk: Arc<SimDisk>,
    directory_id: DirectoryId,
    cluster_id: String,
    peers: Peers,
) -> Result<Controller, StartError> {
    let disk: Arc<dyn Disk> = disk;
    let dir = Path::new("/log");
    disk.create_dir(dir).and_then(|()| disk.sync_dir(Path::new("/"))).unwrap();
    let publisher = Arc::new(Publisher::new(MetadataImage::new(cluster_id.clone())));
    let config = quorum_config(id, directory_id, &cluster_id, peers.clone());
    let meta = Arc::new(TwinStore::open(disk.as_ref(), dir).unwrap());
    let quorum = Quorum::start_with(config, disk, meta, publisher.clone()).await?;
    let config = ControllerConfig {
        node_id: BrokerId(id),
        cluster_id,
        peers: Some(peers),
        ..crate::handle_tests::config(dir)
    };
    Controller::run(config, quorum, publisher).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_voters_form_a_cluster_and_one_may_go() {
    let mut cluster = Cluster::new(3);
    cluster.start_all().await;
    let mut names = BTreeSet::new();
    for (i, name) in ["a", "b", "c"].into_iter().enumerate() {
        cluster.create(name, None).await;
        names.insert(name.to_owned());
        cluster.agree(&names).await;
        let leader = cluster.active(None).await;
        let ids: BTreeSet<String> =
            cluster.running().map(|(_, node)| node.image().cluster_id().to_string()).collect();
        assert_eq!(ids, ["named-by-1".to_owned()].into());
        cluster.kill(leader).await;
        let next = format!("after-{i}");
        cluster.create(&next, None).await;
        names.insert(next);
        cluster.start(leader).await;
        cluster.agree(&names).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_isolated_leader_decides_nothing() {
    let mut cluster = Cluster::new(3);
    cluster.start_all().await;
    cluster.create("before", None).await;
    // Now all three vote.
    cluster.agree(&["before".to_owned()].into()).await;
    let old = cluster.active(None).await;
    cluster.isolate(old);
    let lonely = cluster.node(old).controller.clone().unwrap();
    let request = CreateTopics { topics: vec![NewTopic::named("lost")], validate_only: false };
    let lost = tokio::spawn(async move { lonely.create_topics(request).await });
    cluster.create("meanwhile", Some(old)).await;
    cluster.heal();
    let lost = timeout(PATIENCE, lost).await.expect("is answered").unwrap();
    assert!(lost.is_err(), "{lost:?}");
    let names = ["before", "meanwhile"].map(str::to_owned).into();
    cluster.agree(&names).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_log_says_nothing_of_itself_before_it_is_open() {
    let cluster = Cluster::new(3);
    cluster.begin_log(1, 1);
    let (dir, disk) = (Path::new("/log"), Arc::clone(&cluster.node(1).disk));
    let meta = TwinStore::open(disk.as_ref(), dir).unwrap();
    let (own, peers) = (DirectoryId(uuid::Uuid::from_u128(1)), cluster.peers(1));
    let config = quorum_config(1, own, "named-by-1", peers.clone());
    assert_eq!(stand(&config, &meta).await.unwrap(), Standing::Member);
    // Whoever has lost its disk would take it for one that has lost its own, or has never had anything.
    assert_eq!(peers.door.hello().cluster_id, None);
    drop(meta);
    let controller = start(1, disk, own, "named-by-1".to_owned(), peers.clone()).await.unwrap();
    let hello = peers.door.hello();
    assert_eq!((hello.cluster_id.as_deref(), hello.standing), (Some("named-by-1"), HelloStanding::Member));
    assert!(hello.log_len > 0, "{hello:?}");
    controller.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_with_an_emptied_disk_is_caught_up_by_snapshot_before_it_votes() {
    let mut cluster = Cluster::new(3);
    cluster.start_all().await;
    let mut names = BTreeSet::new();
    for i in 0..60 {
        let name = format!("t{i}");
        cluster.create(&name, None).await;
        names.insert(name);
    }
    let leader = cluster.active(None).await;
    let follower = leader % 3 + 1;
    let other = follower % 3 + 1;
    cluster.kill(follower).await;
    cluster.empty_disk(follower);
    cluster.kill(other).await;
    // With one other only it is not known what it had promised.
    let waiting = tokio::spawn(cluster.launch(follower));
    sleep(ELECTION_TIMEOUT * 2).await;
    assert!(!waiting.is_finished(), "it went on without the third voter");
    cluster.start(other).await;
    let controller = timeout(PATIENCE, waiting).await.expect("starts").unwrap();
    cluster.node_mut(follower).controller = Some(controller);
    cluster.agree(&names).await;
    // It votes again: with it, the other one makes a majority.
    let leader = cluster.active(None).await;
    if leader != follower {
        cluster.kill(leader).await;
    }
    cluster.create("with-its-vote", None).await;
    names.insert("with-its-vote".to_owned());
    cluster.agree(&names).await;
    cluster.stop().await;
}

/// Cuts, one-way cuts, delays, kills and restarts, from a seed; what was answered is there, everywhere, in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_outlives_a_bad_network() {
    for seed in 0..2 {
        let mut random = Seeded::new(seed);
        let mut cluster = Cluster::new(3);
        cluster.start_all().await;
        // Two of three may have begun without the third, which votes once it has what they have: until then these two must
        // hear each other.
        cluster.create("first", None).await;
        let mut names: BTreeSet<String> = ["first".to_owned()].into();
        cluster.agree(&names).await;
        for round in 0..3 {
            cluster.wires.shared.lock().delay = Duration::from_millis(random.below(10));
            let one = i32::try_from(random.below(3)).unwrap() + 1;
            let other = one % 3 + 1;
            let killed = match random.below(4) {
                0 => {
                    cluster.isolate(one);
                    None
                }
                1 => {
                    cluster.cut(one, other);
                    None
                }
                2 => {
                    cluster.kill(one).await;
                    Some(one)
                }
                _ => None,
            };
            let isolated = cluster.wires.shared.lock().cut.len() > 1;
            for i in 0..5 {
                let name = format!("s{seed}-r{round}-{i}");
                cluster.create(&name, isolated.then_some(one)).await;
                names.insert(name);
            }
            cluster.heal();
            if let Some(killed) = killed {
                cluster.start(killed).await;
            }
        }
        cluster.wires.shared.lock().delay = Duration::ZERO;
        cluster.agree(&names).await;
        cluster.stop().await;
    }
}

/// Waits until the node shows these topics.
async fn shows(controller: &Controller, names: &BTreeSet<String>) {
    let began = Instant::now();
    while topics_of(controller) != *names {
        assert!(began.elapsed() < PATIENCE, "{:?}, not {names:?}", topics_of(controller));
        sleep(Duration::from_millis(5)).await;
    }
}

fn topics_of(controller: &Controller) -> BTreeSet<String> {
    controller.image().topics().iter().map(|topic| topic.name.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_follows_whoever_leads_and_a_late_one_takes_a_snapshot() {
    let mut cluster = Cluster::new(3);
    cluster.start_all().await;
    cluster.create("a", None).await;
    let observer = cluster.observe(9, &[1, 2, 3]);
    let mut names = BTreeSet::from(["a".to_owned()]);
    shows(&observer, &names).await;
    for n in 0..120 {
        let name = format!("t{n}");
        cluster.create(&name, None).await;
        names.insert(name);
    }
    shows(&observer, &names).await;
    shows(&cluster.observe(10, &[1, 2, 3]), &names).await;
    let leader = cluster.active(None).await;
    cluster.kill(leader).await;
    cluster.create("after", None).await;
    names.insert("after".to_owned());
    shows(&observer, &names).await;
    let status =
        cluster.node(cluster.active(None).await).controller.clone().unwrap().describe_quorum().await.unwrap();
    let seen: BTreeSet<i32> = status.observers.iter().map(|observer| observer.id.get()).collect();
    assert!(seen.contains(&9) && status.voters.len() == 3, "{status:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_stopped_hands_over_first() {
    let mut cluster = Cluster::new(3);
    cluster.start_all().await;
    cluster.create("a", None).await;
    let leader = cluster.active(None).await;
    let controller = cluster.node_mut(leader).controller.take().unwrap();
    controller.shutdown().await;
    // Nobody has waited for its silence: others may ask for votes after half of the timeout at the earliest.
    let stopped = Instant::now();
    cluster.active(Some(leader)).await;
    assert!(stopped.elapsed() < ELECTION_TIMEOUT / 2, "{:?}", stopped.elapsed());
    cluster.create("b", Some(leader)).await;
    cluster.stop().await;
}

/// What the stopped leader has proposed is in its log, and is committed once it is back: nothing may have been decided beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_stopped_without_a_majority_decides_nothing_more() {
    let mut cluster = Cluster::new(2);
    cluster.start_all().await;
    cluster.create("before", None).await;
    cluster.agree(&["before".to_owned()].into()).await;
    let leader = cluster.active(None).await;
    cluster.isolate(leader);
    let lonely = cluster.node_mut(leader).controller.take().unwrap();
    let create = || {
        let (lonely, request) =
            (lonely.clone(), CreateTopics { topics: vec![NewTopic::named("once")], validate_only: false });
        tokio::spawn(async move { lonely.create_topics(request).await })
    };
    let proposed = create();
    sleep(Duration::from_millis(50)).await;
    let queued = create();
    sleep(Duration::from_millis(50)).await;
    lonely.shutdown().await;
    for answer in [proposed, queued] {
        let answer = timeout(PATIENCE, answer).await.expect("is answered").unwrap();
        assert!(answer.is_err(), "{answer:?}");
    }
    cluster.heal();
    cluster.start(leader).await;
    cluster.create("after", None).await;
    cluster.agree(&["before", "once", "after"].map(str::to_owned).into()).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_observer_sees_nothing_that_is_not_committed() {
    let mut cluster = Cluster::new(3);
    cluster.start_all().await;
    cluster.create("a", None).await;
    let names = BTreeSet::from(["a".to_owned()]);
    let leader = cluster.active(None).await;
    cluster.isolate(leader);
    let old = cluster.node(leader).controller.clone().unwrap();
    let request = CreateTopics { topics: vec![NewTopic::named("lost")], validate_only: false };
    let writing = tokio::spawn(async move { old.create_topics(request).await });
    // It is in the old leader's log, and nowhere else.
    sleep(Duration::from_millis(100)).await;
    // The observer hears of nobody but the old leader.
    let observer = cluster.observe(9, &[leader]);
    shows(&observer, &names).await;
    let began = Instant::now();
    while began.elapsed() < ELECTION_TIMEOUT {
        assert_eq!(topics_of(&observer), names);
        sleep(Duration::from_millis(5)).await;
    }
    writing.abort();
    cluster.heal();
    cluster.stop().await;
}
