//! `--join`: a node that knows nothing but an address learns what it must of the cluster there.

use std::time::Duration;

use ottla_client::{Client, ClientError, ConnectionConfig};
use ottla_config::{BrokerConfig, Join};
use ottla_model::BrokerId;
use ottla_protocol::ApiKey;
use ottla_protocol::messages::{
    BrokerRegistrationRequest, DescribeQuorumRequest, DescribeQuorumResponse, StrBytes, TopicName,
    describe_quorum_request,
};
use ottla_storage::{Disk, MetaProperties, RealDisk};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::apis::NEXT_BROKER_ID;
use crate::cluster::host_port;
use crate::start_error::StartError;

/// How long a node asks that knows its cluster already: its own log may say the rest.
const KNOWN_WAIT: Duration = Duration::from_secs(2);
/// How long a new node asks.
const NEW_WAIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Where the controllers are reached.
type Controllers = Vec<(String, u16)>;

/// The settings of a node that joins, with what it has learned: where the controllers are, and the id that the active one
/// gives it, and nobody else.
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
        Ok(controllers) if controllers.is_empty() => {
            let reason = "nobody there says where a controller is reached".to_owned();
            return Err(StartError::Join { address: host_port(&join.host, join.port), reason });
        }
        Ok(controllers) => {
            if own.is_none() && join.takes_id {
                config.node.node_id = be_given_id(&join, controllers.clone()).await?;
                tracing::info!(node = %config.node.node_id, "this node is given the next id that is free");
            }
            config.controller.bootstrap_servers = controllers;
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

async fn find(join: &Join, limit: Duration) -> Result<Controllers, ClientError> {
    let deadline = Instant::now() + limit;
    let mut is_said = false;
    loop {
        match ask(&host_port(&join.host, join.port)).await {
            Ok(found) if !found.is_empty() => return Ok(found),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Ok(_) if Instant::now() >= deadline => return Ok(Controllers::new()),
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

/// A broker's listener says who votes, whoever leads; a controller's does so, too.
async fn ask(address: &str) -> Result<Controllers, ClientError> {
    let client = connect(address).await?;
    let partition = describe_quorum_request::PartitionData::default().with_partition_index(0);
    let topic = describe_quorum_request::TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str("__cluster_metadata")))
        .with_partitions(vec![partition]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    Ok(of_quorum(&client.call(&request).await?))
}

async fn connect(address: &str) -> Result<Client, ClientError> {
    let config = ConnectionConfig { timeout: ANSWER_MAX, ..ConnectionConfig::default() };
    Client::connect(address, config).await
}

fn of_quorum(quorum: &DescribeQuorumResponse) -> Controllers {
    let controllers = quorum.nodes.iter().filter_map(|node| {
        let listener = node.listeners.first()?;
        (listener.port != 0).then(|| (listener.host.to_string(), listener.port))
    });
    controllers.collect()
}

/// The id that the active controller gives this node; it is asked for until there is one that answers. What an answer that got
/// lost has given is given again.
async fn be_given_id(join: &Join, mut controllers: Controllers) -> Result<BrokerId, StartError> {
    let (wish, deadline) = (Uuid::new_v4(), Instant::now() + NEW_WAIT);
    loop {
        let mut last = String::new();
        for (host, port) in &controllers {
            match ask_for_id(&host_port(host, *port), wish).await {
                Ok(id) => return Ok(id),
                Err(error) => last = error.to_string(),
            }
        }
        if Instant::now() >= deadline {
            let reason = format!("no controller gives this node an id: {last}");
            return Err(StartError::Join { address: host_port(&join.host, join.port), reason });
        }
        tracing::debug!(error = last, "the controllers are asked for an id again");
        sleep(PAUSE).await;
        // Others may vote by now.
        if let Ok(found) = ask(&host_port(&join.host, join.port)).await
            && !found.is_empty()
        {
            controllers = found;
        }
    }
}

async fn ask_for_id(address: &str, wish: Uuid) -> Result<BrokerId, ClientError> {
    let request =
        BrokerRegistrationRequest::default().with_broker_id(NEXT_BROKER_ID).with_incarnation_id(wish);
    let answer = connect(address).await?.call(&request).await?;
    ClientError::check(ApiKey::BrokerRegistration, answer.error_code)?;
    // It comes in the place of a broker epoch.
    Ok(i32::try_from(answer.broker_epoch).map_or(BrokerId::NONE, BrokerId))
}
