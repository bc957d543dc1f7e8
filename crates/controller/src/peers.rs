//! The other voters: who they are, and how they are reached. Whoever starts a controller brings the transport.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_model::BrokerId;

use crate::raft::PeerDoor;

/// A voter and its controller's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub id: BrokerId,
    pub host: String,
    pub port: u16,
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

/// The voters of a quorum of several, as one of them sees them. Clones share it.
#[derive(Clone, Debug)]
pub struct Peers {
    pub(crate) own: BrokerId,
    /// All of them, this one included, by ascending id.
    pub(crate) voters: Arc<[Peer]>,
    pub(crate) transport: Arc<dyn PeerTransport>,
    pub(crate) door: Arc<PeerDoor>,
    /// The longest that a follower waits to hear of its leader.
    pub(crate) election_timeout: Duration,
}

impl Peers {
    /// `voters` has `own`, and others.
    #[must_use]
    pub fn new(
        own: BrokerId,
        mut voters: Vec<Peer>,
        transport: Arc<dyn PeerTransport>,
        election_timeout: Duration,
    ) -> Self {
        voters.sort_by_key(|voter| voter.id);
        Self { own, voters: voters.into(), transport, door: Arc::new(PeerDoor::new(own)), election_timeout }
    }

    /// Answers what another voter's transport has brought.
    pub async fn serve(&self, request: Bytes) -> Bytes {
        self.door.answer(request).await
    }

    /// A voter's process is gone. If it led, nobody waits for its silence to last: the lowest of the others asks for votes,
    /// and the others let it.
    pub async fn leader_died(&self, id: BrokerId) {
        if let Some(next) = self.voters.iter().find(|voter| voter.id != id) {
            self.door.leader_died(id, next.id).await;
        }
    }

    /// This node.
    #[must_use]
    pub const fn own(&self) -> BrokerId {
        self.own
    }

    /// All voters, by ascending id.
    #[must_use]
    pub fn voters(&self) -> &[Peer] {
        &self.voters
    }

    /// The voter of that id.
    #[must_use]
    pub fn voter(&self, id: BrokerId) -> Option<&Peer> {
        self.voters.iter().find(|voter| voter.id == id)
    }

    pub(crate) fn others(&self) -> impl Iterator<Item = &Peer> {
        self.voters.iter().filter(|voter| voter.id != self.own)
    }

    /// Voters that make a majority.
    pub(crate) fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}
