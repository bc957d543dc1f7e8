//! The controllers of the cluster: who they are, and how they are reached. Whoever starts a controller, or watches one from a
//! broker, brings the transport.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;

use crate::raft::PeerDoor;

/// A controller and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// [`BrokerId::NONE`] of one that is only known by its address.
    pub id: BrokerId,
    /// Of its metadata log; nil where it is not known, as of static voters.
    pub directory_id: DirectoryId,
    pub host: String,
    pub port: u16,
}

impl Peer {
    /// One of static voters.
    #[must_use]
    pub fn of_id(id: BrokerId, host: &str, port: u16) -> Self {
        Self { id, directory_id: DirectoryId::UNASSIGNED, host: host.to_owned(), port }
    }

    /// Whether its directory is known.
    pub(crate) fn is_named(&self) -> bool {
        self.directory_id != DirectoryId::UNASSIGNED
    }

    /// One whose id nobody knows yet.
    #[must_use]
    pub fn at(host: &str, port: u16) -> Self {
        Self::of_id(BrokerId::NONE, host, port)
    }
}

/// Why a voter did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// It cannot be reached, or was not there until the end.
    #[error("{0}")]
    Unreachable(String),
    #[error("no answer within {0:?}")]
    Timeout(Duration),
}

/// A voter's answer, on its way.
pub type PeerAnswerFuture = Pin<Box<dyn Future<Output = Result<Bytes, PeerError>> + Send>>;

/// Carries bytes to a voter, whose [`Peers::serve`] answers them, and the answer back.
pub trait PeerTransport: Send + Sync + Debug + 'static {
    fn call(&self, peer: &Peer, request: Bytes, timeout: Duration) -> PeerAnswerFuture;
}

/// How the controllers are found.
#[derive(Clone, Debug)]
enum Found {
    /// `controller.quorum.voters`: what the file says of a voter is newer than what the log does, until the log says who votes.
    Static(Arc<[Peer]>),
    /// `controller.quorum.bootstrap.servers`: addresses; the log says whose, and who else.
    Bootstrap(Arc<[Peer]>),
    /// Nowhere: this node begins alone; the log says who has joined it.
    Alone,
}

/// What a controller that does not vote wishes (KIP-1186).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VoteWish {
    /// To watch until somebody adds it.
    #[default]
    Watch,
    /// To vote (`controller.quorum.auto.join.enable`).
    Vote,
    /// To vote where that leaves an odd number of voters, of so many at most (`--join`).
    VoteIfOdd { max: u8 },
}

/// Where a controller of changing voters is reached itself, and what it wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attendance {
    pub host: String,
    pub port: u16,
    pub wish: VoteWish,
}

/// The controllers, as one node sees them. Clones share it.
#[derive(Clone, Debug)]
pub struct Peers {
    pub(crate) own: BrokerId,
    found: Found,
    /// Of static voters: the log says who votes by now (`kraft.version` 1), whatever the file says.
    in_log: Arc<AtomicBool>,
    /// By ascending id.
    voters: Arc<ArcSwap<Vec<Peer>>>,
    pub(crate) transport: Arc<dyn PeerTransport>,
    pub(crate) door: Arc<PeerDoor>,
    /// The longest that a follower waits to hear of its leader.
    pub(crate) election_timeout: Duration,
    /// `None` of a node that is no controller, or is not reached.
    attendance: Option<Arc<Attendance>>,
}

impl Peers {
    /// Static voters, `own` among them unless this node is none.
    #[must_use]
    pub fn new(
        own: BrokerId,
        voters: Vec<Peer>,
        transport: Arc<dyn PeerTransport>,
        election_timeout: Duration,
    ) -> Self {
        let peers = Self::found(own, Found::Static(voters.as_slice().into()), transport, election_timeout);
        peers.know(voters);
        peers
    }

    /// Controllers that are found at these addresses.
    #[must_use]
    pub fn bootstrap(
        own: BrokerId,
        servers: Vec<Peer>,
        transport: Arc<dyn PeerTransport>,
        election_timeout: Duration,
    ) -> Self {
        Self::found(own, Found::Bootstrap(servers.into()), transport, election_timeout)
    }

    /// A node that is a whole quorum, until others join it at this address.
    #[must_use]
    pub fn alone(
        own: BrokerId,
        attendance: Attendance,
        transport: Arc<dyn PeerTransport>,
        election_timeout: Duration,
    ) -> Self {
        let peers = Self::found(own, Found::Alone, transport, election_timeout);
        peers.know(vec![Peer::of_id(own, &attendance.host, attendance.port)]);
        peers.attend(attendance)
    }

    /// The same as a controller that is reached there, and may come to vote.
    #[must_use]
    pub fn attend(self, attendance: Attendance) -> Self {
        Self { attendance: Some(Arc::new(attendance)), ..self }
    }

    fn found(
        own: BrokerId,
        found: Found,
        transport: Arc<dyn PeerTransport>,
        election_timeout: Duration,
    ) -> Self {
        let door = Arc::new(PeerDoor::new(own));
        Self {
            own,
            found,
            in_log: Arc::default(),
            voters: Arc::default(),
            transport,
            door,
            election_timeout,
            attendance: None,
        }
    }

    /// Answers what another node's transport has brought.
    pub async fn serve(&self, request: Bytes) -> Bytes {
        self.door.answer(request).await
    }

    /// A voter's process is gone. If it led, nobody waits for its silence to last: the lowest of the others asks for votes,
    /// and the others let it.
    pub async fn leader_died(&self, id: BrokerId) {
        if let Some(next) = self.voters().iter().find(|voter| voter.id != id) {
            self.door.leader_died(id, next.id).await;
        }
    }

    /// This node.
    #[must_use]
    pub const fn own(&self) -> BrokerId {
        self.own
    }

    /// All voters that are known, by ascending id.
    #[must_use]
    pub fn voters(&self) -> Arc<Vec<Peer>> {
        self.voters.load_full()
    }

    /// The voter of that id.
    #[must_use]
    pub fn voter(&self, id: BrokerId) -> Option<Peer> {
        self.voters.load().iter().find(|voter| voter.id == id).cloned()
    }

    /// Whether this node is the only voter there shall be at first, or is.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        let voters = self.voters.load();
        !matches!(self.found, Found::Bootstrap(_)) && voters.len() == 1 && voters[0].id == self.own
    }

    /// Whether the log says who votes, and so may change it (`kraft.version` 1); else the file does.
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        !self.is_static() || self.in_log.load(Ordering::Acquire)
    }

    /// Whether the file has said who votes, at first.
    pub(crate) fn is_static(&self) -> bool {
        matches!(self.found, Found::Static(_))
    }

    /// Notes whether the log says who votes, in the place of a file that does so, too. What says so may be an entry that was never
    /// committed: then it is the file again.
    pub(crate) fn follow_log(&self, says: bool) {
        let Found::Static(voters) = &self.found else { return };
        let said = self.in_log.swap(says, Ordering::AcqRel);
        if said && !says {
            self.know(voters.to_vec());
        }
    }

    /// Whether voters that are named with their directories say that the log is what names them. A lone voter of a file is named so, too.
    pub(crate) fn are_of_log(&self, voters: &[Peer]) -> bool {
        let several = matches!(&self.found, Found::Static(file) if file.len() > 1) || voters.len() > 1;
        several && voters.iter().all(Peer::is_named)
    }

    /// Notes who votes, as another node tells it: static voters are told of without directories.
    pub(crate) fn hear(&self, voters: Vec<Peer>) {
        if !voters.is_empty() && voters.iter().all(Peer::is_named) {
            self.follow_log(true);
        }
        self.learn(voters);
    }

    pub(crate) fn attendance(&self) -> Option<&Attendance> {
        self.attendance.as_deref()
    }

    /// Notes who votes, as the log says it; of static voters nothing new.
    pub(crate) fn learn(&self, voters: Vec<Peer>) {
        if self.is_dynamic() && !voters.is_empty() {
            self.know(voters);
        }
    }

    fn know(&self, mut voters: Vec<Peer>) {
        voters.sort_by_key(|voter| voter.id);
        if **self.voters.load() != voters {
            self.voters.store(Arc::new(voters));
        }
    }

    /// Where controllers may be found beside those that are known.
    pub(crate) fn bootstrap_servers(&self) -> &[Peer] {
        match &self.found {
            Found::Static(voters) if self.is_dynamic() => voters,
            Found::Static(_) | Found::Alone => &[],
            Found::Bootstrap(servers) => servers,
        }
    }

    /// What the file says of a voter; `None` where the log says it.
    pub(crate) fn configured(&self, id: BrokerId) -> Option<Peer> {
        (!self.is_dynamic()).then(|| self.voter(id)).flatten()
    }

    pub(crate) fn others(&self) -> Vec<Peer> {
        self.voters.load().iter().filter(|voter| voter.id != self.own).cloned().collect()
    }

    /// Voters that make a majority.
    pub(crate) fn majority(&self) -> usize {
        self.voters.load().len() / 2 + 1
    }
}
