//! How this voter reaches the others.

use std::future::Future;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;

use super::attending::Attend;
use super::peer_codec::{Envelope, PeerAnswer, PeerRequest, SnapshotPiece, read_answer, request_bytes};
use super::pull::{Pull, PullSnapshot, Pulled};
use super::types::{Snapshot, TypeConfig, Vote, Voter};
use crate::peers::{Peer, PeerError, Peers};
use crate::surroundings::uuid;

/// Entries are answered once they are durable: what a disk may take.
const APPEND_TIMEOUT: Duration = Duration::from_secs(5);
/// A heartbeat, or a question of votes.
const QUICK_TIMEOUT: Duration = Duration::from_millis(500);
/// A piece of a snapshot, and for the last the installation of the whole. Where one is lost nothing else is sent meanwhile; where an
/// installation takes longer, the next one finds it done.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(10);
/// A voter that catches up, and the entries that make it one.
const ATTEND_TIMEOUT: Duration = Duration::from_secs(30);
const SNAPSHOT_PIECE_LEN: usize = 1 << 20;

/// Makes the ways to the other voters; a quorum of one has none.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) peers: Option<Peers>,
    pub(crate) cluster_id: String,
}

/// The way to one voter.
#[derive(Clone, Debug)]
pub(crate) struct PeerClient {
    network: Network,
    peer: Peer,
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = PeerClient;

    async fn new_client(&mut self, target: u64, node: &Voter) -> Self::Network {
        let id = i32::try_from(target).map_or(BrokerId::NONE, BrokerId);
        // What this node's file says of a voter is newer than what the log does.
        let configured = self.peers.as_ref().and_then(|peers| peers.configured(id));
        let peer = configured.unwrap_or_else(|| peer_of(id, node));
        PeerClient { network: self.clone(), peer }
    }
}

/// A voter as the log has it.
pub(super) fn peer_of(id: BrokerId, node: &Voter) -> Peer {
    Peer { id, directory_id: node.directory_id, host: node.host.clone(), port: node.port }
}

/// What one call came to.
enum Failure {
    Unreachable(String),
    Other(io::Error),
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(why) => Self::other(why),
            Failure::Other(error) => error,
        }
    }
}

impl From<Failure> for RPCError<TypeConfig> {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(why) => Unreachable::from_string(why).into(),
            Failure::Other(error) => NetworkError::new(&error).into(),
        }
    }
}

impl From<Failure> for StreamingError<TypeConfig> {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable(why) => Unreachable::from_string(why).into(),
            Failure::Other(error) => NetworkError::new(&error).into(),
        }
    }
}

impl PeerClient {
    async fn call(&self, request: PeerRequest, timeout: Duration) -> Result<PeerAnswer, Failure> {
        let Some(peers) = &self.network.peers else {
            return Err(Failure::Unreachable("this quorum has one voter".to_owned()));
        };
        let cluster_id = self.network.cluster_id.clone();
        // A voter may have moved since openraft made this client, and its directory may not have been known.
        let is_same =
            |voter: &Peer| [voter.directory_id, DirectoryId::UNASSIGNED].contains(&self.peer.directory_id);
        let known = peers.voter(self.peer.id).filter(|voter| peers.is_dynamic() && is_same(voter));
        let peer = known.as_ref().unwrap_or(&self.peer);
        ask(peers, cluster_id, peer, &request, timeout).await
    }

    async fn vote_call(
        &self,
        request: PeerRequest,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(request, QUICK_TIMEOUT).await? {
            PeerAnswer::Vote(answer) => Ok(answer),
            other => Err(unexpected(&other).into()),
        }
    }
}

fn unexpected(answer: &PeerAnswer) -> Failure {
    Failure::Other(io::Error::other(format!("an answer to another question: {answer:?}")))
}

/// Asks a voter, and tells its refusal from its absence.
async fn ask(
    peers: &Peers,
    cluster_id: String,
    peer: &Peer,
    request: &PeerRequest,
    timeout: Duration,
) -> Result<PeerAnswer, Failure> {
    let envelope = Envelope { cluster_id, from: peers.own, to: peer.id, to_directory: peer.directory_id };
    let bytes = request_bytes(&envelope, request).map_err(Failure::Other)?;
    let answer = peers.transport.call(peer, bytes, timeout).await.map_err(|error| match error {
        PeerError::Unreachable(why) => Failure::Unreachable(why),
        error @ PeerError::Timeout(_) => Failure::Other(io::Error::other(error)),
    })?;
    let answer = read_answer(&answer).map_err(Failure::Other)?;
    answer.map_err(|why| Failure::Other(io::Error::other(why)))
}

/// What is committed behind what an observer has, from the controller that it takes for the leader.
pub(super) async fn pull(
    peers: &Peers,
    cluster_id: &str,
    peer: &Peer,
    question: Pull,
    wait: Duration,
) -> io::Result<Pulled> {
    let request = PeerRequest::Pull(question);
    match ask(peers, cluster_id.to_owned(), peer, &request, wait + APPEND_TIMEOUT).await? {
        PeerAnswer::Pulled(pulled) => Ok(pulled),
        other => Err(unexpected(&other).into()),
    }
}

/// Bytes of a snapshot.
pub(super) async fn pull_snapshot(
    peers: &Peers,
    cluster_id: &str,
    peer: &Peer,
    asked: PullSnapshot,
) -> io::Result<Bytes> {
    let request = PeerRequest::PullSnapshot(asked);
    match ask(peers, cluster_id.to_owned(), peer, &request, SNAPSHOT_TIMEOUT).await? {
        PeerAnswer::PulledPiece(bytes) => Ok(bytes),
        other => Err(unexpected(&other).into()),
    }
}

/// Tells the leader that a controller is there; answered once what is due has been done.
pub(super) async fn attend(peers: &Peers, cluster_id: &str, peer: &Peer, told: Attend) -> io::Result<()> {
    let request = PeerRequest::Attend(told);
    match ask(peers, cluster_id.to_owned(), peer, &request, ATTEND_TIMEOUT).await? {
        PeerAnswer::Attended => Ok(()),
        other => Err(unexpected(&other).into()),
    }
}

/// What a voter says of itself; `None` if it says nothing.
pub(super) async fn greet(
    peers: &Peers,
    cluster_id: String,
    peer: &Peer,
    hello: super::peer_codec::Hello,
) -> Option<super::peer_codec::Hello> {
    match ask(peers, cluster_id, peer, &PeerRequest::Hello(hello), QUICK_TIMEOUT).await {
        Ok(PeerAnswer::Hello(hello)) => Some(hello),
        Ok(_) => None,
        Err(Failure::Unreachable(why)) => {
            tracing::debug!(peer = %peer.id, host = peer.host, port = peer.port, %why, "not reached");
            None
        }
        Err(Failure::Other(error)) => {
            tracing::warn!(peer = %peer.id, %error, "no greeting");
            None
        }
    }
}

impl RaftNetworkV2<TypeConfig> for PeerClient {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let timeout = if rpc.entries.is_empty() { QUICK_TIMEOUT } else { APPEND_TIMEOUT };
        match self.call(PeerRequest::Append(rpc), timeout).await? {
            PeerAnswer::Append(answer) => Ok(answer),
            other => Err(unexpected(&other).into()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.vote_call(PeerRequest::Vote(rpc)).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.vote_call(PeerRequest::PreVote(rpc)).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<Self::SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + openraft::OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            biased;
            sent = self.send_snapshot(vote, snapshot.snapshot) => sent,
            closed = cancel => Err(closed.into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        rpc: TransferLeaderRequest<TypeConfig>,
        _option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(PeerRequest::TransferLeader(rpc), QUICK_TIMEOUT).await? {
            PeerAnswer::TransferLeader => Ok(Ok(())),
            other => Err(unexpected(&other).into()),
        }
    }
}

impl PeerClient {
    /// Piece by piece; a receiver that has a higher vote says so at the last.
    async fn send_snapshot(
        &self,
        vote: Vote,
        bytes: Bytes,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let (transmission, _) = uuid().as_u64_pair();
        let total_len = bytes.len() as u64;
        let mut sent = 0;
        loop {
            let end = bytes.len().min(sent + SNAPSHOT_PIECE_LEN);
            let piece = SnapshotPiece {
                vote,
                transmission,
                pos: sent as u64,
                total_len,
                bytes: bytes.slice(sent..end),
            };
            match self.call(PeerRequest::Snapshot(piece), SNAPSHOT_TIMEOUT).await? {
                PeerAnswer::Piece => sent = end,
                PeerAnswer::Snapshot(answer) => return Ok(answer),
                other => return Err(unexpected(&other).into()),
            }
            if sent == bytes.len() {
                let error = io::Error::other("the snapshot was sent, and its receiver wants more");
                return Err(Failure::Other(error).into());
            }
        }
    }
}
