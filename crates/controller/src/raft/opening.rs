//! What a voter finds on its disk: whose log it is, what it may do with it, and what it holds.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ottla_storage::Disk;
use tokio::sync::watch;

use super::codec::{Identity, identity_bytes, purged_bytes, read_identity, read_vote, vote_bytes};
use super::damage::{Remedy, damaged, is_damage};
use super::forming::VotersInLog;
use super::log_store::LogStore;
use super::meta_pair::SLED_DIR;
use super::meta_store::{MetaKey, MetaStore};
use super::quorum::{QuorumConfig, node};
use super::snapshot::SnapshotStore;
use super::standing::Standing;
use super::state_machine::StateMachine;
use super::types::{Entry, LeaderId, LogId, Membership, Payload, Vote, Voter, log_id};
use crate::error::StartError;
use crate::peers::Peer;
use crate::publish::Publisher;

/// The power may have failed between the first vote, for ourselves, and the first entry, which says who votes. Nobody has
/// counted that vote, and with it the quorum would take itself for formed, and wait for ever.
fn forget_lonely_vote(config: &QuorumConfig, log: &LogStore, meta: &dyn MetaStore) -> io::Result<()> {
    let vote = meta.get(MetaKey::Vote)?.map(|bytes| read_vote(&bytes)).transpose()?;
    // Among others a lonely vote may be the term that a voter with an emptied disk keeps to.
    let is_ours = config.several().is_none()
        && vote.is_some_and(|vote| vote.leader_id.voted_for == node(config.node_id));
    if is_ours && log.is_empty() && meta.get(MetaKey::Snapshot)?.is_none() {
        let none = Vote { leader_id: LeaderId { term: 0, voted_for: 0 }, committed: false };
        meta.save(MetaKey::Vote, &vote_bytes(&none))?;
    }
    Ok(())
}

/// Who votes in a new quorum.
pub(super) fn founding_voters(voters: &[Peer]) -> BTreeMap<u64, Voter> {
    let voters = voters.iter().map(|peer| {
        // Static voters carry no directory id (KIP-853): `standing` tells who remembers.
        (node(peer.id), Voter { host: peer.host.clone(), port: peer.port, ..Voter::default() })
    });
    voters.collect()
}

/// A founder that has a vote, and no entry yet: it began above a term of others, or the power failed between the two. openraft takes
/// it for formed; the entry that founders begin with makes it so.
pub(super) fn begin_above(config: &QuorumConfig, log: &LogStore, meta: &dyn MetaStore) -> io::Result<()> {
    let vote = meta.get(MetaKey::Vote)?.map(|bytes| read_vote(&bytes)).transpose()?;
    let has_vote = vote.is_some_and(|vote| vote.leader_id.term > 0);
    let Some(peers) = config.several().filter(|_| has_vote && log.is_empty()) else { return Ok(()) };
    if meta.get(MetaKey::Snapshot)?.is_some() {
        return Ok(());
    }
    let nodes = founding_voters(&peers.voters());
    let membership =
        Membership::new(vec![nodes.keys().copied().collect()], nodes).map_err(io::Error::other)?;
    log.begin_with(&Entry { log_id: log_id(0, 0), payload: Payload::Membership(membership) })
}

/// The log and the state machine. Of the log and the snapshot each does without what the other has, too.
pub(super) fn open(
    config: &QuorumConfig,
    disk: &Arc<dyn Disk>,
    meta: &Arc<dyn MetaStore>,
    publisher: &Arc<Publisher>,
) -> io::Result<(LogStore, StateMachine, watch::Receiver<Option<LogId>>)> {
    let cluster_id = &config.cluster_id;
    let snapshots = SnapshotStore::new(disk.clone(), &config.dir, meta.clone());
    let open_log = || LogStore::open(disk.clone(), &config.dir, meta.clone(), config.segment_bytes);
    let log = match open_log() {
        Err(error) if is_damage(&error) => {
            let Some(covered) = snapshots.covered(cluster_id).ok().flatten() else { return Err(error) };
            tracing::warn!(%error, snapshot = %covered.log_id, "the metadata log now begins behind its snapshot");
            meta.save(MetaKey::Purged, &purged_bytes(&covered))?;
            open_log()?
        }
        opened => opened?,
    };
    forget_lonely_vote(config, &log, meta.as_ref())?;
    let (applied, replayable) = watch::channel(None);
    let open_machine = || {
        let (snapshots, log) = (snapshots.clone(), log.clone());
        StateMachine::open(cluster_id.clone(), publisher.clone(), snapshots, log, applied.clone())
    };
    let machine = match open_machine() {
        Err(error) if is_damage(&error) && log.is_whole() => {
            tracing::warn!(%error, "the metadata is made anew of its log");
            snapshots.forget()?;
            open_machine()?
        }
        opened => opened?,
    };
    Ok((log, machine, replayable))
}

pub(super) fn start_error(config: &QuorumConfig, source: io::Error) -> StartError {
    if is_damage(&source) {
        StartError::Damaged(source.to_string())
    } else {
        StartError::Io { path: config.dir.clone(), source }
    }
}

/// Writes who we are into a new store, or checks that the store is ours.
pub(super) fn claim(config: &QuorumConfig, disk: &dyn Disk, meta: &dyn MetaStore) -> Result<(), StartError> {
    let path = config.dir.clone();
    let io = |source| start_error(config, source);
    let ours = Identity {
        cluster_id: config.cluster_id.to_string(),
        node_id: config.node_id,
        directory_id: config.directory_id,
    };
    let Some(found) = meta.get(MetaKey::Identity).map_err(io)? else {
        check_is_new(disk, &config.dir).map_err(io)?;
        if config.several().is_some() {
            Standing::Blank.save(meta).map_err(io)?;
        }
        return meta.save(MetaKey::Identity, &identity_bytes(&ours)).map_err(io);
    };
    let found = read_identity(&found).map_err(io)?;
    if found.cluster_id != ours.cluster_id {
        return Err(StartError::WrongCluster { path, found: found.cluster_id, expected: ours.cluster_id });
    }
    if found.node_id != ours.node_id {
        return Err(StartError::WrongNode { path, found: found.node_id, expected: ours.node_id });
    }
    if found.directory_id != ours.directory_id {
        let (found, expected) = (found.directory_id, ours.directory_id);
        return Err(StartError::WrongDirectory { path, found, expected });
    }
    Ok(())
}

/// What this voter may do: at once, unless its disk is empty; then what the others say.
pub(super) async fn stand(config: &QuorumConfig, meta: &dyn MetaStore) -> Result<Standing, StartError> {
    let Some(peers) = &config.peers else { return Ok(Standing::Member) };
    let io = |source| start_error(config, source);
    let mut standing = Standing::load(meta).map_err(io)?;
    peers.door.know(peers.voters().to_vec());
    if standing == Standing::Blank {
        peers.door.introduce(&config.cluster_id, config.directory_id, &standing, 0);
        let standing_up = peers.stand_up(&config.cluster_id, config.directory_id).await;
        let (next, term) =
            standing_up.map_err(|VotersInLog| StartError::VotersInLog { path: config.dir.clone() })?;
        if let Standing::CatchingUp { log_len } = next {
            tracing::warn!(term, log_len, "this voter's disk is empty: it votes again once it has caught up");
        }
        if term > 0 {
            let leader_id = LeaderId { term, voted_for: node(config.node_id) };
            let vote = Vote { leader_id, committed: false };
            meta.save(MetaKey::Vote, &vote_bytes(&vote)).map_err(io)?;
        }
        next.save(meta).map_err(io)?;
        standing = next;
        peers.door.introduce(&config.cluster_id, config.directory_id, &standing, term);
    }
    Ok(standing)
}

/// A node without a log says who it is before its quorum has started: founders wait for each other. One that has a log would say
/// that it has none, and whoever has lost its own goes by that.
pub(super) fn introduce_founder(
    config: &QuorumConfig,
    standing: &Standing,
    meta: &dyn MetaStore,
) -> io::Result<()> {
    let Some(peers) = &config.peers else { return Ok(()) };
    let vote = meta.get(MetaKey::Vote)?.map(|bytes| read_vote(&bytes)).transpose()?;
    let term = vote.map_or(0, |vote| vote.leader_id.term);
    peers.door.introduce(&config.cluster_id, config.directory_id, standing, term);
    Ok(())
}

/// A log without votes and pointers has lost them: without them it would be another log.
fn check_is_new(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let is_ours = |name: &str| name.ends_with(".log") || name.ends_with(".checkpoint");
    match disk.list(dir)?.into_iter().find(|entry| is_ours(&entry.name)) {
        None => Ok(()),
        Some(entry) => {
            let what = format!("{SLED_DIR} and its copy are gone, though {} is there", entry.name);
            Err(damaged(dir, what, Remedy::Backup))
        }
    }
}
