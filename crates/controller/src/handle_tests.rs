//! The controller as a whole: what it answered is there after any restart.

use std::path::Path;

use ottla_config::BrokerConfig;
use ottla_metadata::{BrokerEndpoint, BrokerFeature, DirectoryId, FEATURES, SecurityProtocol};
use ottla_model::BrokerId;

use crate::{
    BrokerRegistrationRequest, Controller, ControllerConfig, CreateTopics, DeleteTopics, NewTopic,
    StartError, TopicError, TopicRef,
};

pub(crate) fn config(dir: &Path) -> ControllerConfig {
    ControllerConfig {
        dir: dir.to_owned(),
        node_id: BrokerId(1),
        cluster_id: "cluster".to_owned(),
        directory_id: DirectoryId(uuid::Uuid::from_u128(7)),
        broker: BrokerConfig::from_static([("node.id".to_owned(), "1".to_owned())].into()).unwrap(),
        snapshot_every_entries: 20,
        peers: None,
    }
}

pub(crate) fn registration() -> BrokerRegistrationRequest {
    BrokerRegistrationRequest {
        broker_id: BrokerId(1),
        incarnation_id: uuid::Uuid::new_v4(),
        endpoints: vec![BrokerEndpoint {
            name: "PLAINTEXT".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 9092,
            security_protocol: SecurityProtocol::Plaintext,
        }],
        features: FEATURES
            .iter()
            .map(|def| BrokerFeature {
                name: def.name.to_owned(),
                min_supported_version: def.min_supported,
                max_supported_version: def.max_supported,
            })
            .collect(),
        rack: None,
        log_dirs: vec![DirectoryId(uuid::Uuid::from_u128(7))],
        previous_broker_epoch: -1,
        fenced: false,
    }
}

fn topic(name: &str) -> CreateTopics {
    CreateTopics { topics: vec![NewTopic::named(name)], validate_only: false }
}

#[tokio::test]
async fn what_was_answered_survives_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let mut names: Vec<String> = Vec::new();
    for start in 0..4 {
        let controller = Controller::start(config(dir.path())).await.unwrap();
        controller.register_broker(registration()).await.unwrap().unwrap();
        let image = controller.image();
        assert_eq!(image.controller_id(), BrokerId(1));
        assert_eq!(image.features().level("metadata.version"), 33);
        for name in &names {
            assert!(image.topic(name).is_some(), "{name} after start {start}");
        }
        for i in 0..30 {
            let name = format!("t-{start}-{i}");
            controller.create_topics(topic(&name)).await.unwrap().remove(0).unwrap();
            assert!(controller.image().topic(&name).is_some());
            names.push(name);
        }
        let gone = names.remove(0);
        let request = DeleteTopics { topics: vec![TopicRef::Name(gone)] };
        controller.delete_topics(request).await.unwrap().remove(0).unwrap();
        controller.shutdown().await;
    }
}

/// A copy of the files taken while the controller runs is what a killed process leaves behind; no snapshot is written
/// meanwhile, since a copy, unlike a death, takes time.
#[tokio::test]
async fn a_killed_controller_comes_back_with_all_it_answered() {
    let dir = tempfile::tempdir().unwrap();
    let mut at = dir.path().join("0");
    std::fs::create_dir(&at).unwrap();
    let mut answered = 0;
    for start in 1..6 {
        let no_snapshots = ControllerConfig { snapshot_every_entries: 10_000, ..config(&at) };
        let controller = Controller::start(no_snapshots).await.unwrap();
        assert_eq!(controller.image().topics().len(), answered, "at start {start}");
        let epoch = controller.register_broker(registration()).await.unwrap().unwrap();
        let block = controller.allocate_producer_ids(BrokerId(1), epoch).await.unwrap().unwrap();
        assert_eq!(block.ids.start, (start - 1) * 1_000);
        for i in 0..15 {
            controller.create_topics(topic(&format!("t-{start}-{i}"))).await.unwrap().remove(0).unwrap();
            answered += 1;
        }
        let killed = dir.path().join(start.to_string());
        copy(&at, &killed);
        controller.shutdown().await;
        at = killed;
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_commands_share_their_way_to_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let controller = Controller::start(config(dir.path())).await.unwrap();
    controller.register_broker(registration()).await.unwrap().unwrap();
    let mut subscription = controller.subscribe();
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..200 {
        let controller = controller.clone();
        tasks.spawn(async move {
            controller.create_topics(topic(&format!("t{}", i % 100))).await.unwrap().remove(0)
        });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 100);
    let already = |answer: &&Result<_, _>| matches!(answer, Err(TopicError::AlreadyExists { .. }));
    assert_eq!(answers.iter().filter(already).count(), 100);
    assert_eq!(controller.image().topics().len(), 100);

    let mut changed = std::collections::BTreeSet::new();
    while let Some(update) = subscription.try_next() {
        changed.extend(update.delta.topics.into_values().map(|topic| topic.name));
    }
    assert_eq!(changed.len(), 100);
    controller.shutdown().await;
    assert!(controller.create_topics(topic("late")).await.is_err());
}

#[tokio::test]
async fn a_log_of_another_node_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Controller::start(config(dir.path())).await.unwrap().shutdown().await;
    let other = ControllerConfig { node_id: BrokerId(2), ..config(dir.path()) };
    assert!(matches!(Controller::start(other).await, Err(StartError::WrongNode { .. })));
    let other = ControllerConfig { cluster_id: "other".to_owned(), ..config(dir.path()) };
    assert!(matches!(Controller::start(other).await, Err(StartError::WrongCluster { .. })));
}

#[tokio::test]
async fn the_quorum_describes_itself() {
    let dir = tempfile::tempdir().unwrap();
    let mut epoch = 0;
    for _ in 0..2 {
        let controller = Controller::start(config(dir.path())).await.unwrap();
        controller.register_broker(registration()).await.unwrap().unwrap();
        let status = controller.describe_quorum().await.unwrap();
        assert_eq!(status.leader, BrokerId(1));
        assert!(status.leader_epoch > epoch, "a restart is a new term: {status:?}");
        epoch = status.leader_epoch;
        assert_eq!(status.leader_epoch, controller.image().provenance().epoch);
        assert_eq!(status.high_watermark, controller.image().provenance().offset.get() + 1);
        let [voter] = status.voters.as_slice() else { panic!("{status:?}") };
        assert_eq!((voter.id, voter.log_end_offset), (BrokerId(1), status.high_watermark));
        controller.shutdown().await;
    }
}

#[tokio::test]
async fn only_who_is_absent_when_it_is_decided_is_fenced() {
    let dir = tempfile::tempdir().unwrap();
    let controller = Controller::start(config(dir.path())).await.unwrap();
    let (id, epoch) = (BrokerId(1), controller.register_broker(registration()).await.unwrap().unwrap());
    let is_fenced = || controller.image().brokers().get(id).unwrap().fenced;
    // Somebody has found it silent, and it was heard of since, or is not known to be silent at all.
    assert_eq!(controller.fence_absent(id, epoch).await, Ok(Ok(false)));
    assert!(!is_fenced());
    controller.note_process(id, false);
    assert_eq!(controller.fence_absent(id, epoch).await, Ok(Ok(true)));
    assert!(is_fenced());
    controller.shutdown().await;
}
