//! Static voters that become dynamic ones.

use openraft::raft::VoteRequest;
use ottla_metadata::{DirectoryId, KRAFT_VERSION};
use ottla_model::BrokerId;
use tokio::time::{Instant, sleep, timeout};

use super::attending::Attend;
use super::cluster_tests::{Cluster, ELECTION_TIMEOUT, PATIENCE};
use super::peer_codec::{Envelope, PeerAnswer, PeerRequest, read_answer, request_bytes};
use super::types::{LeaderId, Vote};
use super::voters_tests::{dir, names, voter};
use crate::command::{FeatureUpdate, FeatureUpgrade, UpdateFeatures};
use crate::error::{FeatureError, StartError, VoterError};
use crate::handle::Controller;
use crate::peers::VoteWish;

const NAMED: [(i32, u128); 3] = [(1, 1), (2, 2), (3, 3)];
const UNNAMED: [(i32, u128); 3] = [(1, 0), (2, 0), (3, 0)];

impl Cluster {
    /// Three static voters that all have the topic `a`.
    async fn of_files() -> Self {
        let mut cluster = Self::new(3);
        cluster.start_all().await;
        cluster.create("a", None).await;
        cluster.agree(&names(["a"])).await;
        cluster
    }

    async fn set_kraft_version(&self, level: i16, upgrade: FeatureUpgrade) -> Result<(), FeatureError> {
        let began = Instant::now();
        loop {
            if let Ok(answer) = self.leader().await.update_features(request(level, upgrade)).await {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "nobody answers");
            sleep(ELECTION_TIMEOUT / 10).await;
        }
    }

    async fn upgrade(&self) -> Result<(), FeatureError> {
        self.set_kraft_version(1, FeatureUpgrade::Upgrade).await
    }

    /// Waits until every node that runs has `kraft.version` at 1.
    async fn are_upgraded(&self) {
        let began = Instant::now();
        for (id, controller) in self.running() {
            while level(controller) < 1 {
                assert!(began.elapsed() < PATIENCE, "node {id} does not know of it");
                sleep(ELECTION_TIMEOUT / 100).await;
            }
        }
    }

    async fn kill_all(&mut self) {
        for id in 1..=3 {
            self.kill(id).await;
        }
    }
}

fn request(level: i16, upgrade: FeatureUpgrade) -> UpdateFeatures {
    let feature = KRAFT_VERSION.to_owned();
    let updates = vec![FeatureUpdate { feature, level, upgrade: Some(upgrade) }];
    UpdateFeatures { updates, validate_only: false }
}

fn level(controller: &Controller) -> i16 {
    controller.image().features().level(KRAFT_VERSION)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_says_who_votes_whatever_the_files_say() {
    let mut cluster = Cluster::of_files().await;
    cluster.voters_are(&UNNAMED).await;
    let refused = cluster.leader().await.add_voter(&voter(4, 4)).await;
    assert_eq!(refused, Err(VoterError::Unsupported { change: "adding", level: 0 }));
    assert_eq!(cluster.upgrade().await, Ok(()));
    cluster.voters_are(&NAMED).await;
    cluster.are_upgraded().await;
    assert_eq!(cluster.upgrade().await, Ok(()), "it is so already");

    cluster.kill_all().await;
    cluster.start_all().await;
    cluster.voters_are(&NAMED).await;
    cluster.are_upgraded().await;
    for upgrade in [FeatureUpgrade::SafeDowngrade, FeatureUpgrade::UnsafeDowngrade] {
        let refused = cluster.set_kraft_version(0, upgrade).await;
        let why = "Invalid update version 0 for feature kraft.version. Can't downgrade the version of this feature.";
        assert_eq!(refused, Err(FeatureError::InvalidUpdateVersion(why.to_owned())));
    }

    // Whose file says that it votes does not, once it is removed, and does, once it is added.
    let leader = cluster.active(None).await;
    let removed = leader % 3 + 1;
    let directory = u128::from(removed.unsigned_abs());
    cluster.leader().await.remove_voter(BrokerId(removed), dir(directory)).await.unwrap();
    cluster.kill_all().await;
    cluster.start_all().await;
    let two: Vec<_> = NAMED.into_iter().filter(|(id, _)| *id != removed).collect();
    cluster.voters_are(&two).await;
    cluster.create("b", None).await;
    cluster.agree(&names(["a", "b"])).await;
    cluster.leader().await.add_voter(&voter(removed, directory)).await.unwrap();
    cluster.voters_are(&NAMED).await;
    let leader = cluster.active(None).await;
    cluster.kill(leader).await;
    cluster.create("c", None).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_voter_must_say_which_disk_it_has() {
    let cluster = Cluster::of_files().await;
    let away = cluster.active(None).await % 3 + 1;
    cluster.isolate(away);
    let refused = cluster.upgrade().await;
    assert!(
        matches!(&refused, Err(FeatureError::DirectoryUnknown { voters })
        if voters.contains(&format!("ReplicaKey(id={away}, directoryId=<undefined>)"))),
        "{refused:?}"
    );
    cluster.voters_are(&UNNAMED).await;
    assert_eq!(level(&cluster.leader().await), 0);
    cluster.heal();
    let began = Instant::now();
    while cluster.upgrade().await.is_err() {
        assert!(began.elapsed() < PATIENCE, "it stays refused");
        sleep(ELECTION_TIMEOUT / 10).await;
    }
    cluster.voters_are(&NAMED).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_disk_does_not_begin_with_the_voters_of_its_file() {
    let mut cluster = Cluster::of_files().await;
    cluster.upgrade().await.unwrap();
    cluster.are_upgraded().await;
    let emptied = cluster.active(None).await % 3 + 1;
    cluster.kill(emptied).await;
    cluster.empty_disk(emptied);
    let refused = cluster.refused(emptied).await;
    assert!(matches!(refused, StartError::VotersInLog { .. }), "{refused}");
    cluster.create("b", None).await;
    cluster.voters_are(&NAMED).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_that_was_away_follows_the_log_when_it_is_back() {
    let mut cluster = Cluster::of_files().await;
    cluster.upgrade().await.unwrap();
    let away = cluster.active(None).await % 3 + 1;
    cluster.kill(away).await;
    for n in 0..30 {
        // Far enough for a snapshot, which carries the voters.
        cluster.create(&format!("t{n}"), None).await;
    }
    cluster.start(away).await;
    cluster.are_upgraded().await;
    let leader = cluster.active(None).await;
    if leader != away {
        cluster.kill(leader).await;
    }
    cluster.create("with-its-vote", None).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_leads_next_says_so_as_a_feature() {
    let mut cluster = Cluster::of_files().await;
    let first = cluster.active(None).await;
    let door = cluster.controller(first).door.expect("others ask it");
    // It dies with the voters named, and before it has said what that is.
    door.name_voters(false).await.unwrap();
    assert_eq!(level(&cluster.controller(first)), 0);
    cluster.kill(first).await;
    cluster.create("b", None).await;
    cluster.are_upgraded().await;
    cluster.voters_are(&NAMED).await;
    cluster.start(first).await;
    cluster.are_upgraded().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_committed_is_taken_back() {
    let mut cluster = Cluster::of_files().await;
    let old = cluster.active(None).await;
    cluster.let_greetings_pass();
    cluster.isolate(old);
    let lonely = cluster.controller(old);
    let upgrading =
        tokio::spawn(async move { lonely.update_features(request(1, FeatureUpgrade::Upgrade)).await });
    let began = Instant::now();
    while !cluster.door(old).is_dynamic() {
        assert!(began.elapsed() < PATIENCE, "it is not in its log");
        sleep(ELECTION_TIMEOUT / 100).await;
    }
    cluster.create("b", Some(old)).await;
    cluster.heal();
    let upgraded = timeout(PATIENCE, upgrading).await.expect("is answered").unwrap();
    assert!(!matches!(upgraded, Ok(Ok(()))), "{upgraded:?}");
    cluster.agree(&names(["a", "b"])).await;
    assert!(!cluster.door(old).is_dynamic());
    cluster.voters_are(&UNNAMED).await;
    // It is a voter as the others are.
    let leader = cluster.active(None).await;
    let away = if leader == old { old % 3 + 1 } else { leader };
    cluster.kill(away).await;
    cluster.create("c", None).await;
    cluster.start(away).await;
    assert_eq!(cluster.upgrade().await, Ok(()));
    cluster.voters_are(&NAMED).await;
    cluster.stop().await;
}

/// What a node answers another one.
async fn ask(
    cluster: &Cluster,
    from: i32,
    (to, to_directory): (i32, DirectoryId),
    request: PeerRequest,
) -> Result<PeerAnswer, String> {
    let (from, to_id) = (BrokerId(from), BrokerId(to));
    let envelope = Envelope { cluster_id: "named-by-1".to_owned(), from, to: to_id, to_directory };
    let bytes = request_bytes(&envelope, &request).unwrap();
    read_answer(&cluster.door(to).serve(bytes).await).unwrap()
}

/// Another voter asks that node's vote; without a directory as one that goes by its file.
async fn ask_for_vote(cluster: &Cluster, of: i32, to_directory: DirectoryId) -> Result<PeerAnswer, String> {
    let from = of % 3 + 1;
    let leader_id = LeaderId { term: 1_000, voted_for: u64::try_from(from).unwrap() };
    let asked = VoteRequest::new(Vote { leader_id, committed: false }, None);
    ask(cluster, from, (of, to_directory), PeerRequest::Vote(asked)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_joins_static_voters() {
    let cluster = Cluster::of_files().await;
    let leader = cluster.active(None).await;
    let told = Attend { directory_id: dir(4), host: "sim".to_owned(), port: 4, wish: VoteWish::Vote };
    let answer = ask(&cluster, 4, (leader, DirectoryId::UNASSIGNED), PeerRequest::Attend(told)).await;
    assert_eq!(answer, Ok(PeerAnswer::Attended));
    let status = cluster.controller(leader).describe_quorum().await.unwrap();
    let known: Vec<i32> = status.nodes.iter().map(|node| node.id.get()).collect();
    assert_eq!(known, [1, 2, 3], "it is not even sent the log");
    cluster.voters_are(&UNNAMED).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_disk_gives_no_vote_to_who_goes_by_its_file() {
    let mut cluster = Cluster::of_files().await;
    cluster.upgrade().await.unwrap();
    let emptied = cluster.active(None).await % 3 + 1;
    cluster.kill(emptied).await;
    cluster.empty_disk(emptied);
    (cluster.wish, cluster.first_joins) = (Some(VoteWish::Watch), true);
    cluster.start(emptied).await;
    let answer = ask_for_vote(&cluster, emptied, DirectoryId::UNASSIGNED).await;
    assert!(matches!(&answer, Ok(PeerAnswer::Vote(answer)) if !answer.vote_granted), "{answer:?}");
    cluster.create("b", None).await;
    cluster.agree(&names(["a", "b"])).await;
    cluster.voters_are(&NAMED).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_static_voter_ends_where_the_log_names_another_disk() {
    let cluster = Cluster::of_files().await;
    let follower = cluster.active(None).await % 3 + 1;
    assert!(ask_for_vote(&cluster, follower, dir(9)).await.is_err());
    let why = timeout(PATIENCE, cluster.controller(follower).failed()).await.expect("it ends");
    assert!(why.contains("controller.quorum.bootstrap.servers"), "{why}");
    cluster.stop().await;
}
