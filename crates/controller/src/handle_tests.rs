//! The controller as a whole: what it answered is there after any restart.

use std::path::Path;
use std::time::Instant;

use ottla_config::BrokerConfig;
use ottla_metadata::{BrokerEndpoint, BrokerFeature, DirectoryId, FEATURES, SecurityProtocol};
use ottla_model::BrokerId;

use crate::{
    BrokerRegistrationRequest, Controller, ControllerConfig, CreateTopics, DeleteTopics, NewTopic, TopicRef,
};

fn config(dir: &Path) -> ControllerConfig {
    ControllerConfig {
        dir: dir.to_owned(),
        node_id: BrokerId(1),
        cluster_id: "cluster".to_owned(),
        directory_id: DirectoryId(uuid::Uuid::from_u128(7)),
        broker: BrokerConfig::from_static([("node.id".to_owned(), "1".to_owned())].into()).unwrap(),
        snapshot_every_entries: 20,
    }
}

fn registration() -> BrokerRegistrationRequest {
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
        let began = Instant::now();
        let controller = Controller::start(config(dir.path())).await.unwrap();
        println!("start {start}: {:?}", began.elapsed());
        controller.register_broker(registration()).await.unwrap().unwrap();
        println!("registered {start}: {:?}", began.elapsed());
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
        println!("done {start}: {:?}", began.elapsed());
        controller.shutdown().await;
    }
}
