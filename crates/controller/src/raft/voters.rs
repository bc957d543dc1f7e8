//! The voters change by one at a time, as Kafka's do (KIP-853): one entry of the log, which counts from the moment it is
//! written, and is committed by the voters that it names. Two such sets that follow each other always share a majority's
//! node, so that no joint phase is needed; openraft refuses a change while the one before is not committed.
//!
//! Who comes to vote is first sent the log without a vote, until it has what the leader had when it came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::raft::{ClientWriteResponse, Precondition};
use openraft::{ChangeMembers, RaftMetrics, ServerState};
use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;
use tokio::time::timeout;

use super::attending::Candidates;
use super::door::Started;
use super::network::peer_of;
use super::peer_codec::{Hello, HelloStanding};
use super::quorum::{broker_id, leading_term, node};
use super::types::{Membership, Payload, StoredMembership, TypeConfig, Voter};
use crate::error::{ControllerError, VoterError};
use crate::peers::Peer;

/// How long a new voter may take to get what the leader has.
const CATCH_UP_MAX: Duration = Duration::from_secs(5);
/// How long the change may take to be committed.
const COMMIT_MAX: Duration = Duration::from_secs(5);
/// How long a leader that votes no more waits for another one, for each that it asks.
const RESIGN_WAIT: Duration = Duration::from_millis(500);
/// How often it asks.
const RESIGN_TRIES: usize = 20;

/// Changes the voters while this node leads.
#[derive(Debug, Default)]
pub(super) struct VoterChanges {
    /// One change at a time.
    pub(super) one: tokio::sync::Mutex<()>,
    pub(super) candidates: Candidates,
}

impl VoterChanges {
    /// Adds a voter, once it has caught up. `level` is the cluster's `kraft.version`.
    ///
    /// # Errors
    /// In Kafka's order (`AddVoterHandler`). Only [`VoterError::NotCommitted`] leaves it open whether it votes.
    pub(super) async fn add(&self, started: &Started, new: &Peer, level: i16) -> Result<(), VoterError> {
        let _one = self.one.try_lock().map_err(|_| VoterError::Busy)?;
        let membership = established(started)?;
        check_level(level, "adding")?;
        add_to(started, membership, new).await
    }

    /// Removes a voter; a leader that removes itself leads no more when this returns, if anybody else can.
    ///
    /// # Errors
    /// In Kafka's order (`RemoveVoterHandler`), and [`VoterError::TooFewStay`], which Kafka does not look at.
    pub(super) async fn remove(
        &self,
        started: &Started,
        id: BrokerId,
        directory_id: DirectoryId,
        level: i16,
    ) -> Result<(), VoterError> {
        let _one = self.one.try_lock().map_err(|_| VoterError::Busy)?;
        let membership = established(started)?;
        check_level(level, "removing")?;
        remove_from(started, &membership, id, directory_id).await.map(drop)
    }

    /// Lets a voter that comes back with another disk vote in the place of the one that it was.
    pub(super) async fn replace(
        &self,
        started: &Started,
        old: DirectoryId,
        new: &Peer,
    ) -> Result<(), VoterError> {
        let _one = self.one.try_lock().map_err(|_| VoterError::Busy)?;
        let membership = established(started)?;
        let without = remove_from(started, &membership, new.id, old).await?;
        add_to(started, without, new).await
    }

    /// Notes where a voter is reached, and its directory where that was not known.
    ///
    /// # Errors
    /// [`VoterError::NotFound`] of a node that does not vote, or has another directory.
    pub(super) async fn update(&self, started: &Started, voter: &Peer, level: i16) -> Result<(), VoterError> {
        let _one = self.one.try_lock().map_err(|_| VoterError::Busy)?;
        let membership = established(started)?;
        check_level(level, "updating")?;
        let known = voter_of(&membership, voter.id);
        let is_same =
            |known: &&Voter| [voter.directory_id, DirectoryId::UNASSIGNED].contains(&known.directory_id);
        let Some(known) = known.filter(is_same) else {
            return Err(VoterError::NotFound {
                voter: key(voter.id, voter.directory_id),
                voters: keys(&membership),
            });
        };
        if *known == as_voter(voter) {
            return Ok(());
        }
        set_nodes(started, &membership, BTreeMap::from([(node(voter.id), as_voter(voter))])).await
    }
}

/// Who votes, if this node leads and knows all that was committed before it.
pub(super) fn established(started: &Started) -> Result<StoredMembership, VoterError> {
    let metrics = started.raft.metrics();
    let metrics = metrics.borrow_watched();
    if metrics.state != ServerState::Leader {
        let leader = metrics.current_leader.map(broker_id);
        return Err(ControllerError::NotController { leader }.into());
    }
    leading_term(&metrics).ok_or(VoterError::NotEstablished)?;
    Ok((*metrics.membership_config).clone())
}

fn check_level(level: i16, change: &'static str) -> Result<(), VoterError> {
    if level < 1 { Err(VoterError::Unsupported { change, level }) } else { Ok(()) }
}

async fn add_to(started: &Started, membership: StoredMembership, new: &Peer) -> Result<(), VoterError> {
    let (id, voter) = (node(new.id), as_voter(new));
    if voter_ids(&membership).contains(&id) {
        return Err(duplicate(new, &membership));
    }
    let known = membership.membership().get_node(&id).cloned();
    let mut membership = membership;
    if known.as_ref().is_some_and(|known| *known != voter) {
        // What it has acknowledged with another disk must not count.
        membership = append(started, &membership, |_, nodes| nodes.retain(|known, _| *known != id)).await?;
    }
    if known.as_ref() != Some(&voter) {
        membership = append(started, &membership, |_, nodes| nodes.extend([(id, voter.clone())])).await?;
    }
    if timeout(CATCH_UP_MAX, caught_up(started, id)).await.is_err() {
        if acknowledged(&started.raft.metrics().borrow_watched(), id).is_none() {
            append(started, &membership, |_, nodes| nodes.retain(|known, _| *known != id)).await?;
        }
        return Err(VoterError::Lagging { voter: key(new.id, new.directory_id) });
    }
    append(started, &membership, |voters, _| voters.extend([id])).await?;
    tracing::info!(node = %new.id, directory = %new.directory_id, "votes from now on");
    Ok(())
}

pub(super) fn duplicate(new: &Peer, membership: &StoredMembership) -> VoterError {
    VoterError::Duplicate { voter: key(new.id, new.directory_id), voters: keys(membership) }
}

/// Gives who votes without it.
async fn remove_from(
    started: &Started,
    membership: &StoredMembership,
    id: BrokerId,
    directory_id: DirectoryId,
) -> Result<StoredMembership, VoterError> {
    let is_it = voter_of(membership, id).is_some_and(|voter| voter.directory_id == directory_id);
    if !is_it || voter_ids(membership).len() < 2 {
        return Err(VoterError::NotFound { voter: key(id, directory_id), voters: keys(membership) });
    }
    enough_stay(started, membership, id, directory_id).await?;
    // It stays among the nodes: so it hears that it votes no more, and goes on as an observer.
    let without = append(started, membership, |voters, _| voters.retain(|voter| *voter != node(id))).await?;
    tracing::info!(node = %id, directory = %directory_id, "votes no more");
    if started.serving.own == id {
        resign(started, &without).await;
    }
    Ok(without)
}

/// A majority of the voters that stay must be there and know what they have promised. One whose disk is empty, or was emptied, votes
/// once it has caught up with a leader, and without such a majority there would never be one again.
async fn enough_stay(
    started: &Started,
    membership: &StoredMembership,
    id: BrokerId,
    directory_id: DirectoryId,
) -> Result<(), VoterError> {
    let staying = || voter_ids(membership).into_iter().filter(|voter| *voter != node(id));
    let own = node(started.serving.own);
    let known = |id: u64| Some(peer_of(broker_id(id), membership.membership().get_node(&id)?));
    let others: Vec<Peer> = staying().filter(|voter| *voter != own).filter_map(known).collect();
    let hellos = started.peers.greet_each(others, started.cluster_id.to_string()).await;
    let is_ours = |hello: &Hello| hello.cluster_id.as_deref() == Some(&*started.cluster_id);
    let may_vote = |hello: &Hello| hello.standing == HelloStanding::Member && is_ours(hello);
    let mut voting: BTreeSet<u64> =
        hellos.iter().filter(|(_, hello)| may_vote(hello)).map(|(peer, _)| node(peer.id)).collect();
    if staying().any(|voter| voter == own) && started.may_vote.load(Ordering::Acquire) {
        voting.insert(own);
    }
    if voting.len() * 2 > staying().count() {
        return Ok(());
    }
    let absent = membership.membership().nodes().filter(|(id, _)| staying().any(|voter| voter == **id));
    let absent = absent.filter(|(id, _)| !voting.contains(id));
    let absent: Vec<String> = absent.map(|(id, voter)| key(broker_id(*id), voter.directory_id)).collect();
    Err(VoterError::TooFewStay { voter: key(id, directory_id), absent: absent.join(", ") })
}

/// Ends once the node has what the leader has now.
async fn caught_up(started: &Started, id: u64) {
    let mut metrics = started.raft.metrics();
    let wanted = metrics.borrow_watched().last_log_index;
    while acknowledged(&metrics.borrow_watched(), id) < wanted {
        if metrics.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The last entry that the leader knows to be in the node's log.
fn acknowledged(metrics: &RaftMetrics<TypeConfig>, id: u64) -> Option<u64> {
    let matching = metrics.replication.as_ref()?.get(&id)?.as_ref();
    matching.map(|log_id| log_id.index)
}

/// Leads no more: it has no vote.
async fn resign(started: &Started, membership: &StoredMembership) {
    let own = node(started.serving.own);
    for _ in 0..RESIGN_TRIES {
        let next = {
            let metrics = started.raft.metrics();
            let metrics = metrics.borrow_watched();
            voter_ids(membership).into_iter().max_by_key(|id| acknowledged(&metrics, *id))
        };
        let Some(next) = next else { return };
        if started.raft.trigger().transfer_leader(next).await.is_err() {
            return;
        }
        let leads_no_more = |metrics: &RaftMetrics<TypeConfig>| metrics.current_leader != Some(own);
        let waited = started.raft.wait(Some(RESIGN_WAIT)).metrics(leads_no_more, "another voter leads").await;
        if waited.is_ok() {
            return;
        }
    }
    tracing::warn!("this node has no vote, and leads the quorum until another one does");
}

/// Writes what is known of voters, who stay the same, and waits until that is committed.
pub(super) async fn set_nodes(
    started: &Started,
    before: &StoredMembership,
    nodes: BTreeMap<u64, Voter>,
) -> Result<(), VoterError> {
    let change = ChangeMembers::SetNodes(nodes);
    let writing = started.raft.change_membership_if(change, true, [unchanged(before)]);
    written(timeout(COMMIT_MAX, writing).await)?;
    Ok(())
}

/// Writes who votes next, and waits until that is committed.
async fn append(
    started: &Started,
    before: &StoredMembership,
    change: impl FnOnce(&mut BTreeSet<u64>, &mut BTreeMap<u64, Voter>),
) -> Result<StoredMembership, VoterError> {
    let mut voters = voter_ids(before);
    let mut nodes: BTreeMap<u64, Voter> =
        before.membership().nodes().map(|(id, voter)| (*id, voter.clone())).collect();
    change(&mut voters, &mut nodes);
    let next =
        Membership::new(vec![voters], nodes).map_err(|error| ControllerError::Failed(error.to_string()))?;
    let writing = started.raft.append_membership(next.clone(), Payload::Blank, [unchanged(before)]);
    let written = written(timeout(COMMIT_MAX, writing).await)?;
    Ok(StoredMembership::new(Some(written.log_id), next))
}

/// Holds only as long as nobody has changed the voters since.
fn unchanged(membership: &StoredMembership) -> Precondition<TypeConfig> {
    Precondition::LastMembershipLogId { last_membership_log_id: *membership.log_id() }
}

type Written<E> = Result<Result<ClientWriteResponse<TypeConfig>, RaftError<TypeConfig, E>>, E0>;
type E0 = tokio::time::error::Elapsed;

fn written(
    result: Written<ClientWriteError<TypeConfig>>,
) -> Result<ClientWriteResponse<TypeConfig>, VoterError> {
    match result {
        Err(_) => Err(VoterError::NotCommitted),
        Ok(Ok(response)) => Ok(response),
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))) => {
            Err(ControllerError::NotController { leader: forward.leader_id.map(broker_id) }.into())
        }
        Ok(Err(RaftError::APIError(error))) => {
            tracing::info!(%error, "the voters are not changed");
            Err(VoterError::Busy)
        }
        Ok(Err(RaftError::Fatal(fatal))) => Err(ControllerError::Failed(fatal.to_string()).into()),
    }
}

pub(super) fn voter_ids(membership: &StoredMembership) -> BTreeSet<u64> {
    membership.membership().voter_ids().collect()
}

/// What is known of a node that votes.
pub(super) fn voter_of(membership: &StoredMembership, id: BrokerId) -> Option<&Voter> {
    let id = node(id);
    voter_ids(membership).contains(&id).then(|| membership.membership().get_node(&id)).flatten()
}

pub(super) fn as_voter(peer: &Peer) -> Voter {
    Voter { directory_id: peer.directory_id, host: peer.host.clone(), port: peer.port }
}

/// As `ReplicaKey` shows itself.
pub(super) fn key(id: BrokerId, directory_id: DirectoryId) -> String {
    let directory = match directory_id {
        DirectoryId::UNASSIGNED => "<undefined>".to_owned(),
        known => known.to_string(),
    };
    format!("ReplicaKey(id={id}, directoryId={directory})")
}

fn keys(membership: &StoredMembership) -> String {
    let keys = membership.membership().voter_ids().filter_map(|id| {
        let voter = membership.membership().get_node(&id)?;
        Some(key(broker_id(id), voter.directory_id))
    });
    keys.collect::<Vec<_>>().join(", ")
}
