//! Voters that come and go, with a network between them that fails as it is told.

use std::collections::BTreeSet;
use std::time::Duration;

use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;
use tokio::time::{Instant, sleep};

use super::cluster_tests::{Cluster, ELECTION_TIMEOUT, PATIENCE};
use crate::command::{CreateTopics, NewTopic};
use crate::error::VoterError;
use crate::handle::Controller;
use crate::peers::{Peer, VoteWish};
use crate::raft::QuorumStatus;

const ODD: VoteWish = VoteWish::VoteIfOdd { max: 3 };

pub(super) fn dir(n: u128) -> DirectoryId {
    DirectoryId(uuid::Uuid::from_u128(n))
}

pub(super) fn voter(id: i32, directory: u128) -> Peer {
    let port = u16::try_from(id).unwrap();
    Peer { directory_id: dir(directory), ..Peer::of_id(BrokerId(id), "sim", port) }
}

pub(super) fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

impl Cluster {
    fn joined(count: i32, wish: VoteWish) -> Self {
        Self { wish: Some(wish), ..Self::new(count) }
    }

    /// So many nodes, all of which vote, and none of which would again if it were removed.
    async fn voting(count: i32) -> Self {
        let mut cluster = Self::joined(count, VoteWish::Watch);
        cluster.start(1).await;
        cluster.create("first", None).await;
        for id in 2..=count {
            cluster.start(id).await;
            let leader = cluster.leader().await;
            leader.add_voter(&voter(id, u128::from(id.unsigned_abs()))).await.unwrap();
        }
        cluster
    }

    pub(super) fn controller(&self, id: i32) -> Controller {
        self.node(id).controller.clone().expect("runs")
    }

    pub(super) async fn leader(&self) -> Controller {
        self.controller(self.active(None).await)
    }

    async fn status(&self) -> QuorumStatus {
        let began = Instant::now();
        loop {
            if let Ok(status) = self.leader().await.describe_quorum().await {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "nobody describes the quorum");
            sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn voters(&self) -> Vec<(i32, u128)> {
        pairs(&self.status().await.voters)
    }

    /// Waits until these vote, by id and directory.
    pub(super) async fn voters_are(&self, expected: &[(i32, u128)]) {
        let began = Instant::now();
        loop {
            let voters = self.voters().await;
            if voters == expected {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{voters:?}, not {expected:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn pairs(replicas: &[crate::ReplicaStatus]) -> Vec<(i32, u128)> {
    replicas.iter().map(|replica| (replica.id.get(), replica.directory_id.0.as_u128())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_voter_is_joined_by_two_and_may_then_die() {
    let mut cluster = Cluster::joined(3, ODD);
    cluster.start(1).await;
    cluster.create("a", None).await;
    cluster.start(2).await;
    cluster.agree(&names(["a"])).await;
    // Two voters would bear no more than one.
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.voters().await, [(1, 1)]);
    assert_eq!(pairs(&cluster.status().await.observers), [(2, 2)]);
    cluster.start(3).await;
    cluster.voters_are(&[(1, 1), (2, 2), (3, 3)]).await;
    cluster.create("b", None).await;
    let first = cluster.active(None).await;
    cluster.kill(first).await;
    cluster.create("c", None).await;
    // Its file says that it is alone; its log knows better.
    cluster.start(first).await;
    cluster.agree(&names(["a", "b", "c"])).await;
    assert_eq!(cluster.voters().await, [(1, 1), (2, 2), (3, 3)]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_voters_restart_with_the_voters_of_their_log() {
    let mut cluster = Cluster::voting(3).await;
    for n in 0..30 {
        // Far enough for snapshots, which carry the voters.
        cluster.create(&format!("t{n}"), None).await;
    }
    for id in 1..=3 {
        cluster.kill(id).await;
    }
    cluster.start(1).await;
    sleep(ELECTION_TIMEOUT * 3).await;
    assert!(!cluster.controller(1).is_active(), "it takes itself for the only voter");
    cluster.start(2).await;
    assert_eq!(cluster.voters().await, [(1, 1), (2, 2), (3, 3)]);
    cluster.create("after", None).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_cannot_be_reached_is_not_added() {
    let mut cluster = Cluster::joined(2, VoteWish::Watch);
    cluster.start(1).await;
    cluster.create("a", None).await;
    cluster.start(2).await;
    cluster.agree(&names(["a"])).await;
    cluster.isolate(2);
    let refused = cluster.controller(1).add_voter(&voter(2, 2)).await;
    assert!(matches!(refused, Err(VoterError::Lagging { .. })), "{refused:?}");
    assert_eq!(cluster.voters().await, [(1, 1)]);
    // It decides alone as before.
    cluster.create("b", None).await;
    cluster.heal();
    cluster.controller(1).add_voter(&voter(2, 2)).await.unwrap();
    assert_eq!(cluster.voters().await, [(1, 1), (2, 2)]);
    cluster.agree(&names(["a", "b"])).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_disk_than_is_named_is_not_added() {
    let mut cluster = Cluster::joined(2, VoteWish::Watch);
    cluster.start(1).await;
    cluster.create("a", None).await;
    cluster.start(2).await;
    cluster.agree(&names(["a"])).await;
    let refused = cluster.controller(1).add_voter(&voter(2, 9)).await;
    assert!(matches!(refused, Err(VoterError::Lagging { .. })), "{refused:?}");
    assert_eq!(cluster.voters().await, [(1, 1)]);
    let refused = cluster.controller(1).add_voter(&voter(1, 9)).await;
    assert!(matches!(refused, Err(VoterError::Duplicate { .. })), "{refused:?}");
    let refused = cluster.controller(1).remove_voter(BrokerId(1), dir(1)).await;
    assert!(matches!(refused, Err(VoterError::NotFound { .. })), "the last one: {refused:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_voter_counts_no_more() {
    let cluster = Cluster::voting(3).await;
    cluster.create("a", None).await;
    let leader = cluster.active(None).await;
    let (other, removed) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    let directory = dir(u128::from(removed.unsigned_abs()));
    let refused = cluster.controller(leader).remove_voter(BrokerId(removed), dir(77)).await;
    assert!(matches!(refused, Err(VoterError::NotFound { .. })), "{refused:?}");
    cluster.controller(leader).remove_voter(BrokerId(removed), directory).await.unwrap();
    let voters = cluster.voters().await;
    assert!(voters.len() == 2 && voters.iter().all(|(id, _)| *id != removed), "{voters:?}");
    // It follows on, and is told of as an observer.
    cluster.create("b", None).await;
    cluster.agree(&names(["first", "a", "b"])).await;
    assert!(pairs(&cluster.status().await.observers).iter().any(|(id, _)| *id == removed));
    // With it the leader makes no majority of the two that are left.
    cluster.isolate(other);
    let lonely = cluster.controller(leader);
    let request = CreateTopics { topics: vec![NewTopic::named("lost")], validate_only: false };
    let writing = tokio::spawn(async move { lonely.create_topics(request).await });
    sleep(ELECTION_TIMEOUT * 3).await;
    if writing.is_finished() {
        let written = writing.await.unwrap();
        assert!(written.is_err(), "the removed voter was counted: {written:?}");
    }
    assert!(!cluster.controller(removed).image().topics().iter().any(|topic| &*topic.name == "lost"));
    cluster.heal();
    cluster.create("c", None).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_goes_only_where_enough_stay_that_vote() {
    let cluster = Cluster::voting(3).await;
    cluster.create("a", None).await;
    let leader = cluster.active(None).await;
    let (other, removed) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    let (voter, directory) = (BrokerId(removed), dir(u128::from(removed.unsigned_abs())));
    cluster.isolate(other);
    let refused = cluster.controller(leader).remove_voter(voter, directory).await;
    assert!(matches!(refused, Err(VoterError::TooFewStay { .. })), "{refused:?}");
    // Nothing was written that could not be committed.
    cluster.create("b", None).await;
    assert_eq!(cluster.voters().await, [(1, 1), (2, 2), (3, 3)]);
    // Whoever is cut off may go itself.
    let (gone, directory) = (BrokerId(other), dir(u128::from(other.unsigned_abs())));
    cluster.controller(leader).remove_voter(gone, directory).await.unwrap();
    let voters = cluster.voters().await;
    assert!(voters.len() == 2 && voters.iter().all(|(id, _)| *id != other), "{voters:?}");
    cluster.heal();
    cluster.agree(&names(["first", "a", "b"])).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_removes_itself_leads_no_more() {
    let cluster = Cluster::voting(3).await;
    cluster.create("a", None).await;
    let leader = cluster.active(None).await;
    let directory = dir(u128::from(leader.unsigned_abs()));
    cluster.controller(leader).remove_voter(BrokerId(leader), directory).await.unwrap();
    let next = cluster.active(Some(leader)).await;
    // It may learn of it later than others.
    let began = Instant::now();
    while cluster.controller(leader).is_active() {
        assert!(began.elapsed() < PATIENCE, "{next} leads as well");
        sleep(Duration::from_millis(5)).await;
    }
    let voters = cluster.voters().await;
    assert!(voters.len() == 2 && voters.iter().all(|(id, _)| *id != leader), "{voters:?}");
    cluster.create("b", Some(leader)).await;
    cluster.agree(&names(["first", "a", "b"])).await;
    // It may come back.
    let back = voter(leader, u128::from(leader.unsigned_abs()));
    cluster.leader().await.add_voter(&back).await.unwrap();
    assert_eq!(cluster.voters().await, [(1, 1), (2, 2), (3, 3)]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn voters_change_while_one_of_them_is_down() {
    let mut cluster = Cluster::voting(3).await;
    cluster.nodes.extend(Cluster::new(4).nodes.pop());
    cluster.create("a", None).await;
    let leader = cluster.active(None).await;
    let down = leader % 3 + 1;
    cluster.kill(down).await;
    cluster.start(4).await;
    cluster.agree(&names(["first", "a"])).await;
    cluster.controller(leader).add_voter(&voter(4, 4)).await.unwrap();
    let directory = dir(u128::from(down.unsigned_abs()));
    cluster.controller(leader).remove_voter(BrokerId(down), directory).await.unwrap();
    cluster.create("b", None).await;
    // Whoever was away learns that it votes no more.
    cluster.start(down).await;
    cluster.agree(&names(["first", "a", "b"])).await;
    let voters = cluster.voters().await;
    assert!(voters.len() == 3 && voters.iter().all(|(id, _)| *id != down), "{voters:?}");
    let leader = cluster.active(None).await;
    cluster.kill(leader).await;
    cluster.create("c", None).await;
    assert_ne!(cluster.active(None).await, down);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_not_committed_ends_with_its_leader() {
    let mut cluster = Cluster::voting(3).await;
    cluster.create("a", None).await;
    let old = cluster.active(None).await;
    let (next, removed) = (old % 3 + 1, (old + 1) % 3 + 1);
    cluster.let_greetings_pass();
    cluster.isolate(old);
    let directory = dir(u128::from(removed.unsigned_abs()));
    let cut_off = cluster.controller(old).remove_voter(BrokerId(removed), directory).await;
    let is_written = matches!(cut_off, Err(VoterError::NotCommitted | VoterError::Controller(_)));
    assert!(is_written, "without a majority of those that are left: {cut_off:?}");
    cluster.create("b", Some(old)).await;
    cluster.heal();
    cluster.agree(&names(["first", "a", "b"])).await;
    assert_eq!(cluster.voters().await, [(1, 1), (2, 2), (3, 3)]);
    // One that is committed outlives the leader's death.
    let leader = cluster.active(None).await;
    let removed = if leader == next { removed } else { next };
    let directory = dir(u128::from(removed.unsigned_abs()));
    cluster.controller(leader).remove_voter(BrokerId(removed), directory).await.unwrap();
    cluster.kill(leader).await;
    cluster.start(leader).await;
    let voters = cluster.voters().await;
    assert!(voters.len() == 2 && voters.iter().all(|(id, _)| *id != removed), "{voters:?}");
    cluster.stop().await;
}

/// openraft knows that the others may need its vote until they have what takes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_has_removed_itself_alone_asks_for_votes_yet() {
    let cluster = Cluster::voting(2).await;
    cluster.create("a", None).await;
    cluster.agree(&names(["first", "a"])).await;
    let old = cluster.active(None).await;
    let other = 3 - old;
    // As a leader it has heard of none itself for long.
    sleep(ELECTION_TIMEOUT * 6).await;
    cluster.let_greetings_pass();
    cluster.isolate(old);
    let (lonely, directory) = (cluster.controller(old), dir(u128::from(old.unsigned_abs())));
    let removing = tokio::spawn(async move { lonely.remove_voter(BrokerId(old), directory).await });
    let began = Instant::now();
    while cluster.door(old).voters().len() > 1 {
        assert!(began.elapsed() < PATIENCE, "it is not in its log");
        sleep(ELECTION_TIMEOUT / 100).await;
    }
    // The other one stands, and cannot win: with both votes or none. It has less than the old one, which it deposes.
    cluster.door(other).leader_died(BrokerId(old)).await;
    cluster.heal();
    cluster.voters_are(&[(other, u128::from(other.unsigned_abs()))]).await;
    cluster.create("b", Some(old)).await;
    cluster.agree(&names(["first", "a", "b"])).await;
    drop(removing.await.unwrap());
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_to_come_and_is_forgotten_asks_for_itself() {
    let mut cluster = Cluster::voting(3).await;
    cluster.nodes.extend(Cluster::new(4).nodes.pop());
    cluster.start(4).await;
    cluster.create("a", None).await;
    cluster.agree(&names(["first", "a"])).await;
    let old = cluster.active(None).await;
    for voter in (1..=3).filter(|id| *id != old) {
        cluster.cut(old, voter);
        cluster.cut(voter, old);
    }
    // The new node has the entry that brings it, and nobody else ever will.
    let leader = cluster.controller(old);
    let adding = tokio::spawn(async move { leader.add_voter(&voter(4, 4)).await });
    sleep(ELECTION_TIMEOUT).await;
    cluster.kill(old).await;
    assert!(adding.await.unwrap().is_err());
    cluster.create("b", Some(old)).await;
    cluster.agree(&names(["first", "a", "b"])).await;
    cluster.heal();
    cluster.start(old).await;
    cluster.agree(&names(["first", "a", "b"])).await;
    cluster.leader().await.add_voter(&voter(4, 4)).await.unwrap();
    assert_eq!(cluster.voters().await, [(1, 1), (2, 2), (3, 3), (4, 4)]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_change_at_a_time() {
    let mut cluster = Cluster::joined(2, VoteWish::Watch);
    cluster.start(1).await;
    cluster.start(2).await;
    cluster.isolate(2);
    let leader = cluster.controller(1);
    let (two, three) = (voter(2, 2), voter(3, 3));
    let (slow, refused) = tokio::join!(leader.add_voter(&two), leader.add_voter(&three));
    assert!(matches!(slow, Err(VoterError::Lagging { .. })), "{slow:?}");
    assert!(matches!(refused, Err(VoterError::Busy)), "{refused:?}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_disk_observes_until_it_is_added_again() {
    let mut cluster = Cluster::voting(3).await;
    cluster.create("a", None).await;
    // Neither the leader nor the first node, whose file says that it is alone.
    let emptied = if cluster.active(None).await == 3 { 2 } else { 3 };
    cluster.kill(emptied).await;
    cluster.empty_disk(emptied);
    cluster.create("b", None).await;
    cluster.start(emptied).await;
    cluster.agree(&names(["first", "a", "b"])).await;
    let (old, new) = (u128::from(emptied.unsigned_abs()), u128::from(emptied.unsigned_abs()) + 100);
    let status = cluster.status().await;
    assert!(pairs(&status.voters).contains(&(emptied, old)), "{status:?}");
    assert!(pairs(&status.observers).contains(&(emptied, new)), "{status:?}");
    // Its word does not count for what it was.
    let other = (1..=3).find(|id| *id != emptied && *id != status.leader.get()).unwrap();
    cluster.kill(other).await;
    let lonely = cluster.controller(status.leader.get());
    let request = CreateTopics { topics: vec![NewTopic::named("lost")], validate_only: false };
    let writing = tokio::spawn(async move { lonely.create_topics(request).await });
    sleep(ELECTION_TIMEOUT * 3).await;
    assert!(!writing.is_finished() || writing.await.unwrap().is_err(), "an emptied disk has acknowledged");
    cluster.start(other).await;
    cluster.create("c", None).await;
    let refused = cluster.leader().await.add_voter(&voter(emptied, new)).await;
    assert!(matches!(refused, Err(VoterError::Duplicate { .. })), "{refused:?}");
    cluster.leader().await.remove_voter(BrokerId(emptied), dir(old)).await.unwrap();
    cluster.leader().await.add_voter(&voter(emptied, new)).await.unwrap();
    assert!(cluster.voters().await.contains(&(emptied, new)));
    cluster.kill(other).await;
    cluster.create("d", None).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_disk_that_wishes_to_vote_takes_its_own_place() {
    let mut cluster = Cluster::voting(3).await;
    cluster.create("a", None).await;
    let emptied = if cluster.active(None).await == 3 { 2 } else { 3 };
    cluster.kill(emptied).await;
    cluster.empty_disk(emptied);
    cluster.wish = Some(ODD);
    cluster.start(emptied).await;
    let mut expected = vec![(1, 1), (2, 2), (3, 3)];
    expected[usize::try_from(emptied).unwrap() - 1].1 += 100;
    cluster.voters_are(&expected).await;
    cluster.agree(&names(["first", "a"])).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_first_disk_does_not_lead_by_the_entry_that_had_it_alone() {
    let mut cluster = Cluster { first_joins: true, ..Cluster::joined(2, ODD) };
    // It replays the log from its beginning, and has come as far as to where it was the only voter, with the disk that is gone.
    cluster.empty_disk(1);
    cluster.begin_log(1, 1);
    cluster.start(1).await;
    sleep(ELECTION_TIMEOUT * 5).await;
    assert!(!cluster.controller(1).is_active(), "it has elected itself");
    cluster.stop().await;
}
