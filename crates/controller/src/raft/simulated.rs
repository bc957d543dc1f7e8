//! What the simulation needs of the quorum: a controller whose store of votes is on the simulated disk, and what nodes claim and
//! promise in what they send.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ottla_config::BrokerConfig;
use ottla_metadata::{DirectoryId, MetadataImage};
use ottla_model::BrokerId;
use ottla_storage::Disk;

use super::peer_codec::{HelloStanding, PeerAnswer, PeerRequest, read_answer, read_request};
use super::quorum::{Quorum, QuorumConfig};
use super::snapshot_clock::SnapshotLimits;
use super::twin_store::TwinStore;
use super::types::Vote;
use crate::error::StartError;
use crate::handle::{Controller, ControllerConfig};
use crate::peers::Peers;
use crate::publish::Publisher;

const DIR: &str = "/log";

/// A node that is about to start.
#[derive(Clone, Debug)]
pub struct Node {
    pub id: BrokerId,
    pub directory_id: DirectoryId,
    pub cluster_id: String,
    pub broker: BrokerConfig,
    pub segment_bytes: u64,
    pub snapshot_every_entries: u64,
    pub peers: Peers,
}

/// Starts a controller on a disk of its own.
///
/// # Errors
/// As [`Controller::start`].
pub async fn start(disk: Arc<dyn Disk>, node: Node) -> Result<Controller, StartError> {
    let dir = Path::new(DIR);
    let io = |source| StartError::Io { path: dir.into(), source };
    disk.create_dir(dir).and_then(|()| disk.sync_dir(Path::new("/"))).map_err(io)?;
    let meta = Arc::new(TwinStore::open(disk.as_ref(), dir).map_err(io)?);
    let publisher = Arc::new(Publisher::new(MetadataImage::new(node.cluster_id.as_str())));
    let config = QuorumConfig {
        dir: dir.into(),
        node_id: node.id,
        directory_id: node.directory_id,
        cluster_id: node.cluster_id.as_str().into(),
        segment_bytes: node.segment_bytes,
        snapshot_every_entries: node.snapshot_every_entries,
        snapshots: SnapshotLimits { bytes_max: u64::MAX, interval: None },
        peers: Some(node.peers.clone()),
    };
    let quorum = Quorum::start_with(config, disk, meta, Arc::clone(&publisher)).await?;
    let config = ControllerConfig {
        dir: dir.into(),
        node_id: node.id,
        cluster_id: node.cluster_id,
        directory_id: node.directory_id,
        broker: node.broker,
        snapshot_every_entries: node.snapshot_every_entries,
        peers: Some(node.peers),
    };
    Controller::run(config, quorum, publisher).await
}

/// Lets go of a node that has not come to its end by itself.
pub fn close(peers: &Peers) {
    peers.door.close();
}

/// Whether the node's word counts: it votes as one that remembers what it has promised.
#[must_use]
pub fn remembers(peers: &Peers) -> bool {
    peers.door.hello().standing == HelloStanding::Member
}

/// What a node says of itself with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// That it leads in the term.
    Leads { term: u64, leader: BrokerId },
    /// That it stands for election: it has promised itself its vote.
    Stands { term: u64, candidate: BrokerId },
}

/// A node's promise to vote for nobody else in the term, and in none before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    pub term: u64,
    pub candidate: BrokerId,
}

/// What is claimed by sending a request.
#[must_use]
pub fn claim(request: &Bytes) -> Option<Claim> {
    let leads = |vote: Vote| Claim::Leads { term: vote.leader_id.term, leader: id(vote.leader_id.voted_for) };
    match read_request(request).ok()?.1 {
        PeerRequest::Append(request) => Some(leads(request.vote)),
        PeerRequest::Snapshot(piece) => Some(leads(piece.vote)),
        PeerRequest::Vote(request) => {
            let asked = request.vote.leader_id;
            Some(Claim::Stands { term: asked.term, candidate: id(asked.voted_for) })
        }
        _ => None,
    }
}

/// What is promised by answering a request so.
#[must_use]
pub fn promise(request: &Bytes, answer: &[u8]) -> Option<Promise> {
    let PeerRequest::Vote(request) = read_request(request).ok()?.1 else { return None };
    let Ok(Ok(PeerAnswer::Vote(answer))) = read_answer(answer) else { return None };
    let asked = request.vote.leader_id;
    answer.vote_granted.then(|| Promise { term: asked.term, candidate: id(asked.voted_for) })
}

/// A request as a line of a story.
#[must_use]
pub fn tell(request: &Bytes) -> String {
    match read_request(request) {
        Ok((_, request)) => format!("{request:?}"),
        Err(error) => error.to_string(),
    }
}

fn id(node: u64) -> BrokerId {
    super::quorum::broker_id(node)
}
