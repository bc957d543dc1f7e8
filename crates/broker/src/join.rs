//! `--join`: a node that knows nothing but an address learns what it must of the cluster there.

use std::collections::BTreeSet;
use std::time::Duration;

use ottla_client::{Client, ClientError, ConnectionConfig};
use ottla_config::{BrokerConfig, Join};
use ottla_model::BrokerId;
use ottla_protocol::messages::{
    DescribeClusterRequest, DescribeQuorumRequest, DescribeQuorumResponse, StrBytes, TopicName,
    describe_quorum_request,
};
use ottla_storage::{Disk, MetaProperties, RealDisk};
use tokio::time::{Instant, sleep};

use crate::cluster::host_port;
use crate::start_error::StartError;

/// How long a node asks that knows its cluster already: its own log may say the rest.
const KNOWN_WAIT: Duration = Duration::from_secs(2);
/// How long a new node asks.
const NEW_WAIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What the cluster says of itself.
#[derive(Debug, Default)]
struct Found {
    controllers: Vec<(String, u16)>,
    taken: BTreeSet<i32>,
}

/// The settings of a node that joins, with what it has learned: where the controllers are, and which id is free.
///
/// # Errors
/// Nobody has answered for a minute.
pub(crate) async fn learn(mut config: BrokerConfig) -> Result<BrokerConfig, StartError> {
    let Some(join) = config.controller.join.clone() else { return Ok(config) };
    let own = match config.log.dirs.first() {
        Some(dir) => MetaProperties::read(&RealDisk as &dyn Disk, dir)?.map(|own| BrokerId(own.node_id)),
        None => None,
    };
    if let Some(own) = own.filter(|_| join.takes_id) {
        config.node.node_id = own;
    }
    let limit = if own.is_some() { KNOWN_WAIT } else { NEW_WAIT };
    match find(&join, limit).await {
        Ok(found) if found.controllers.is_empty() => {
            let reason = "nobody there says where a controller is reached".to_owned();
            return Err(StartError::Join { address: host_port(&join.host, join.port), reason });
        }
        Ok(found) => {
            if own.is_none() && join.takes_id {
                let next = found.taken.last().map_or(1, |last| last.saturating_add(1));
                config.node.node_id = BrokerId(next);
                tracing::info!(node = next, "this node takes the next id that is free");
            }
            config.controller.bootstrap_servers = found.controllers;
        }
        Err(error) if own.is_some() => {
            tracing::warn!(host = join.host, port = join.port, %error, "goes on with the voters of its own log");
            config.controller.bootstrap_servers = vec![(join.host, join.port)];
        }
        Err(error) => {
            return Err(StartError::Join {
                address: host_port(&join.host, join.port),
                reason: error.to_string(),
            });
        }
    }
    Ok(config)
}

async fn find(join: &Join, limit: Duration) -> Result<Found, ClientError> {
    let deadline = Instant::now() + limit;
    let mut is_said = false;
    loop {
        match ask(&host_port(&join.host, join.port)).await {
            Ok(found) if !found.controllers.is_empty() => return Ok(found),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Ok(_) if Instant::now() >= deadline => return Ok(Found::default()),
            Ok(_) if !is_said => {
                is_said = true;
                tracing::warn!(
                    "nobody there says where a controller is reached: clients must be served there, too"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the cluster is asked again"),
        }
        sleep(PAUSE).await;
    }
}

/// A broker's listener says who votes, and which brokers there are, whoever leads.
async fn ask(address: &str) -> Result<Found, ClientError> {
    let config = ConnectionConfig { timeout: ANSWER_MAX, ..ConnectionConfig::default() };
    let client = Client::connect(address, config).await?;
    let partition = describe_quorum_request::PartitionData::default().with_partition_index(0);
    let topic = describe_quorum_request::TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str("__cluster_metadata")))
        .with_partitions(vec![partition]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let mut found = of_quorum(&client.call(&request).await?);
    // A controller that is no broker does not answer this; it knows who observes.
    let all = DescribeClusterRequest::default().with_include_fenced_brokers(true);
    if let Ok(cluster) = client.call(&all).await {
        found.taken.extend(cluster.brokers.iter().map(|broker| broker.broker_id.0));
    }
    Ok(found)
}

fn of_quorum(quorum: &DescribeQuorumResponse) -> Found {
    let partitions = quorum.topics.iter().flat_map(|topic| &topic.partitions);
    let replicas = partitions.flat_map(|one| one.current_voters.iter().chain(&one.observers));
    let taken = replicas.map(|replica| replica.replica_id.0).collect();
    let controllers = quorum.nodes.iter().filter_map(|node| {
        let listener = node.listeners.first()?;
        (listener.port != 0).then(|| (listener.host.to_string(), listener.port))
    });
    Found { controllers: controllers.collect(), taken }
}
