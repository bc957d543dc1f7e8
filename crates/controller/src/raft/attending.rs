//! Controllers of changing voters tell the leader that they are there (KIP-853, KIP-1186): where they are reached, with which
//! disk, and whether they would vote. The leader does what follows.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant as _, RaftMetrics};
use ottla_metadata::DirectoryId;
use ottla_model::wire::{Reader, WireError, Writer};
use ottla_model::{BrokerId, TopicId};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::door::Started;
use super::network::attend;
use super::quorum::node;
use super::types::{StoredMembership, TypeConfig, Voter};
use super::voters::{VoterChanges, as_voter, duplicate, voter_ids, voter_of};
use crate::error::VoterError;
use crate::peers::{Peer, Peers, VoteWish};

/// Between two times that a controller tells what it wishes.
const AGAIN: Duration = Duration::from_millis(250);
/// Whoever has not told for so long is not there.
const FORGOTTEN: Duration = Duration::from_secs(2);
/// A voter that the leader has not heard of for so long may be replaced by a node of its id with another disk: three election timeouts.
const GONE: Duration = Duration::from_millis(900);

/// What a controller tells the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attend {
    pub(super) directory_id: DirectoryId,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) wish: VoteWish,
}

impl Attend {
    fn of(peers: &Peers, directory_id: DirectoryId) -> Option<Self> {
        let own = peers.attendance()?;
        Some(Self { directory_id, host: own.host.clone(), port: own.port, wish: own.wish })
    }

    fn peer(&self, id: BrokerId) -> Peer {
        Peer { id, directory_id: self.directory_id, host: self.host.clone(), port: self.port }
    }

    pub(super) fn put(&self, out: &mut Writer) {
        out.topic_id(TopicId(self.directory_id.0));
        out.string(&self.host);
        out.u16(self.port);
        out.i8(match self.wish {
            VoteWish::Watch => -1,
            VoteWish::Vote => 0,
            VoteWish::VoteIfOdd { max } => i8::try_from(max).unwrap_or(i8::MAX),
        });
    }

    pub(super) fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            directory_id: DirectoryId(from.topic_id()?.0),
            host: from.string()?.to_owned(),
            port: from.u16()?,
            wish: match from.i8()? {
                -1 => VoteWish::Watch,
                0 => VoteWish::Vote,
                max => VoteWish::VoteIfOdd {
                    max: u8::try_from(max).map_err(|_| WireError::BadLength(i64::from(max)))?,
                },
            },
        })
    }
}

/// Controllers that would make an odd number of voters.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    heard: Mutex<BTreeMap<BrokerId, Instant>>,
}

impl Candidates {
    /// Notes one, and counts those that are there.
    fn note(&self, id: BrokerId) -> usize {
        let (mut heard, now) = (self.heard.lock(), Instant::now());
        heard.insert(id, now);
        heard.retain(|_, at| now.saturating_duration_since(*at) < FORGOTTEN);
        heard.len()
    }

    fn forget(&self, id: BrokerId) {
        self.heard.lock().remove(&id);
    }
}

/// How many shall vote of those that do and those that would: an even number bears no more failures than one less.
fn wanted_voters(voters: usize, candidates: usize, max: usize) -> usize {
    let all = (voters + candidates).min(max.max(1));
    if all.is_multiple_of(2) { all - 1 } else { all }
}

/// What the leader does about a controller that is there.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Add,
    /// It votes with another disk, which is gone.
    Replace(DirectoryId),
    /// It votes, and is reached elsewhere, or its directory was not known.
    Update,
}

fn due(membership: &StoredMembership, from: BrokerId, told: &Attend, candidates: &Candidates) -> Due {
    match voter_of(membership, from) {
        Some(voter) if [told.directory_id, DirectoryId::UNASSIGNED].contains(&voter.directory_id) => {
            candidates.forget(from);
            let is_known = *voter == as_voter(&told.peer(from));
            if is_known { Due::Nothing } else { Due::Update }
        }
        Some(voter) if told.wish != VoteWish::Watch => Due::Replace(voter.directory_id),
        Some(_) => Due::Nothing,
        None => match told.wish {
            VoteWish::Watch => Due::Nothing,
            VoteWish::Vote => Due::Add,
            VoteWish::VoteIfOdd { max } => {
                let (voters, candidates) = (voter_ids(membership).len(), candidates.note(from));
                let wanted = wanted_voters(voters, candidates, usize::from(max));
                if voters < wanted { Due::Add } else { Due::Nothing }
            }
        },
    }
}

impl VoterChanges {
    /// Does what is due about a controller that is there; nothing while this node does not lead, or voters are static.
    pub(super) async fn attended(
        &self,
        started: &Started,
        from: BrokerId,
        told: &Attend,
    ) -> Result<(), VoterError> {
        let (membership, is_there) = {
            let metrics = started.raft.metrics();
            let metrics = metrics.borrow_watched();
            ((*metrics.membership_config).clone(), is_there(&metrics, from))
        };
        if !started.peers.is_dynamic() {
            // The file says who votes.
            return Ok(());
        }
        let new = told.peer(from);
        match due(&membership, from, told, &self.candidates) {
            Due::Nothing => Ok(()),
            Due::Add => self.add(started, &new, 1).await,
            // Two live nodes of one id are a mistake, which no vote should wander about for.
            Due::Replace(_) if is_there => Err(duplicate(&new, &membership)),
            Due::Replace(old) => {
                tracing::warn!(node = %from, %old, new = %told.directory_id, "a voter has come back with another disk");
                self.replace(started, old, &new).await
            }
            Due::Update => self.update(started, &new, 1).await,
        }
    }
}

/// Whether the leader is it, or has heard of it as the log knows it: an answer names the directory that it is of.
fn is_there(metrics: &RaftMetrics<TypeConfig>, id: BrokerId) -> bool {
    let heard = || metrics.heartbeat.as_ref()?.get(&node(id))?.as_ref().map(|at| at.elapsed());
    metrics.id == node(id) || heard().is_some_and(|ago| ago < GONE)
}

/// Whether there is nothing to tell: the voters know this node as it is, or it would not vote.
fn is_settled(membership: &StoredMembership, own: BrokerId, told: &Attend) -> bool {
    match voter_of(membership, own) {
        Some(voter) => *voter == as_voter(&told.peer(own)),
        None => told.wish == VoteWish::Watch,
    }
}

/// Tells the leader again and again, as long as there is something to tell. Runs until it is aborted.
pub(super) async fn keep_attending(started: Started, peers: Peers, directory_id: DirectoryId) {
    let Some(told) = Attend::of(&peers, directory_id) else { return };
    let mut metrics = started.raft.metrics();
    loop {
        let membership = (*metrics.borrow_watched().membership_config).clone();
        if !peers.is_dynamic() || is_settled(&membership, peers.own(), &told) {
            if metrics.changed().await.is_err() {
                return;
            }
            continue;
        }
        if let Err(error) = tell(&started, &peers, &told).await {
            tracing::debug!(%error, "the leader does not know this controller yet");
        }
        sleep(AGAIN).await;
    }
}

async fn tell(started: &Started, peers: &Peers, told: &Attend) -> io::Result<()> {
    let leader = started.publisher.image().controller_id();
    if leader == peers.own() {
        let attended = peers.door.changes.attended(started, leader, told).await;
        return attended.map_err(io::Error::other);
    }
    match peers.voter(leader) {
        Some(peer) => attend(peers, &started.cluster_id, &peer, told.clone()).await,
        None => Err(io::Error::other("nobody leads")),
    }
}

/// Whether the node is among those that the log is sent to, with this disk.
pub(super) fn is_member(membership: &StoredMembership, own: BrokerId, directory_id: DirectoryId) -> bool {
    let known: Option<&Voter> = membership.membership().get_node(&node(own));
    known.is_some_and(|known| [directory_id, DirectoryId::UNASSIGNED].contains(&known.directory_id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::types::Membership;
    use super::*;

    #[test]
    fn an_odd_number_votes() {
        for (voters, candidates, max, wanted) in [
            (1, 1, 3, 1),
            (1, 2, 3, 3),
            (2, 1, 3, 3),
            (2, 0, 3, 1),
            (3, 1, 3, 3),
            (3, 2, 3, 3),
            (3, 1, 5, 3),
            (3, 2, 5, 5),
            (1, 9, 5, 5),
            (4, 1, 5, 5),
            (1, 9, 4, 3),
            (1, 9, 0, 1),
        ] {
            assert_eq!(wanted_voters(voters, candidates, max), wanted, "{voters} + {candidates}, {max}");
        }
    }

    fn dir(n: u128) -> DirectoryId {
        DirectoryId(uuid::Uuid::from_u128(n))
    }

    fn told(directory: u128, wish: VoteWish) -> Attend {
        Attend { directory_id: dir(directory), host: "h".to_owned(), port: 9, wish }
    }

    fn voters(voters: &[(u64, u128)]) -> StoredMembership {
        let voter = |(id, directory): &(u64, u128)| {
            (*id, as_voter(&told(*directory, VoteWish::Watch).peer(BrokerId(0))))
        };
        let nodes: BTreeMap<u64, Voter> = voters.iter().map(voter).collect();
        StoredMembership::new(None, Membership::new(vec![nodes.keys().copied().collect()], nodes).unwrap())
    }

    #[test]
    fn what_is_due_depends_on_id_and_directory() {
        let (candidates, three) = (Candidates::default(), voters(&[(1, 1), (2, 2), (3, 3)]));
        let due = |id, told: &Attend| due(&three, BrokerId(id), told, &candidates);
        assert_eq!(due(2, &told(2, VoteWish::Vote)), Due::Nothing);
        assert_eq!(due(2, &Attend { port: 8, ..told(2, VoteWish::Watch) }), Due::Update);
        assert_eq!(
            due(2, &told(7, VoteWish::Watch)),
            Due::Nothing,
            "an emptied disk votes by nobody's wish but its own"
        );
        assert_eq!(due(2, &told(7, VoteWish::Vote)), Due::Replace(dir(2)));
        assert_eq!(due(2, &told(7, VoteWish::VoteIfOdd { max: 3 })), Due::Replace(dir(2)));
        assert_eq!(due(4, &told(4, VoteWish::Watch)), Due::Nothing);
        assert_eq!(due(4, &told(4, VoteWish::Vote)), Due::Add);
        assert_eq!(due(4, &told(4, VoteWish::VoteIfOdd { max: 5 })), Due::Nothing);
        assert_eq!(
            due(5, &told(5, VoteWish::VoteIfOdd { max: 5 })),
            Due::Add,
            "with the other one there are five"
        );
    }

    #[test]
    fn a_member_is_known_by_its_disk() {
        let two = voters(&[(1, 1), (2, 0)]);
        assert!(is_member(&two, BrokerId(1), dir(1)) && is_member(&two, BrokerId(2), dir(5)));
        assert!(!is_member(&two, BrokerId(1), dir(9)) && !is_member(&two, BrokerId(3), dir(3)));
    }
}
