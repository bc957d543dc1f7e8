//! An administrator: creates, configures and deletes topics, one at a time, and looks after each restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_client::Client;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
    MetadataRequest,
};
use tokio::time::sleep;

use super::session::{Interrupted, Site, later, text, topic_name};
use super::{History, Rng};
use crate::ledger::topics::{Change, Id, Seen, Topics};

const PAUSE: Duration = Duration::from_millis(10);
/// Names are used again and again.
const NAMES: u64 = 8;
const PREFIX: &str = "made-";
const CONFIGS: [&str; 2] = ["retention.ms", "max.message.bytes"];
const TIMEOUT_MS: i32 = 15_000;
const TOPIC: i8 = 2;
/// A config that was set on the topic itself.
const OF_TOPIC: i8 = 1;
/// The last version that deletes by name.
const DELETE: i16 = 5;

pub(super) struct Admin {
    rng: Rng,
    history: Arc<History>,
    topics: Topics,
}

impl Admin {
    pub(super) fn new(rng: Rng, history: Arc<History>) -> Self {
        Self { rng, history, topics: Topics::default() }
    }

    pub(super) async fn run(mut self, site: Site) {
        while let Some(client) = site.client().await {
            let _ = self.session(&site, &client).await;
        }
        while self.check(&site.last_client().await).await.is_err() {}
    }

    async fn session(&mut self, site: &Site, client: &Client) -> Result<(), Interrupted> {
        self.check(client).await?;
        while !site.stopped() {
            let topic = format!("{PREFIX}{}", self.rng.below(NAMES));
            let change = match self.topics.get(&topic) {
                None => Change::Create(1 + usize::try_from(self.rng.below(4)).unwrap_or(0)),
                Some(_) if self.rng.once_in(3) => Change::Delete,
                Some(_) => {
                    let name = CONFIGS[usize::from(self.rng.once_in(2))];
                    Change::Config(name.to_owned(), (1_000_000 + self.rng.below(1_000_000)).to_string())
                }
            };
            self.topics.asked(&topic, change.clone());
            match ask(client, &topic, &change).await? {
                (0, id) => {
                    self.topics.answered(&topic, id);
                    self.history.count(|counts| match change {
                        Change::Create(_) => counts.created += 1,
                        Change::Delete => counts.deleted += 1,
                        Change::Config(..) => counts.configured += 1,
                    });
                }
                // REQUEST_TIMED_OUT and the like say nothing: the next look decides.
                _ => return Err(later().await),
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn check(&mut self, client: &Client) -> Result<(), Interrupted> {
        let found = look(client).await?;
        self.history.found("topics", self.topics.check(&found));
        Ok(())
    }
}

/// Asks for a change; the error code, and the topic's id if it was created.
async fn ask(client: &Client, topic: &str, change: &Change) -> Result<(i16, Id), Interrupted> {
    match change {
        Change::Create(partitions) => {
            let topic = CreatableTopic::default()
                .with_name(topic_name(topic))
                .with_num_partitions(i32::try_from(*partitions).unwrap_or(1))
                .with_replication_factor(1);
            let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS);
            let answer = client.call(&request).await?;
            let created = answer.topics.first().ok_or(Interrupted)?;
            Ok((created.error_code, created.topic_id.as_u128()))
        }
        Change::Delete => {
            let request = DeleteTopicsRequest::default().with_topic_names(vec![topic_name(topic)]);
            let answer = client.connection().call(&request.with_timeout_ms(TIMEOUT_MS), DELETE).await?;
            Ok((answer.responses.first().ok_or(Interrupted)?.error_code, 0))
        }
        Change::Config(name, value) => {
            let config = AlterableConfig::default().with_name(text(name)).with_value(Some(text(value)));
            let resource = AlterConfigsResource::default()
                .with_resource_type(TOPIC)
                .with_resource_name(text(topic))
                .with_configs(vec![config]);
            let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
            Ok((client.call(&request).await?.responses.first().ok_or(Interrupted)?.error_code, 0))
        }
    }
}

/// All topics of ours as they are now.
async fn look(client: &Client) -> Result<BTreeMap<String, Seen>, Interrupted> {
    let metadata = client.call(&MetadataRequest::default().with_topics(None)).await?;
    let mut found = BTreeMap::new();
    for topic in &metadata.topics {
        let Some(name) = topic.name.as_ref().map(|name| name.0.to_string()) else { continue };
        if name.starts_with(PREFIX) {
            let (id, partitions) = (topic.topic_id.as_u128(), topic.partitions.len());
            found.insert(name, Seen { id, partitions, configs: BTreeMap::new() });
        }
    }
    let resources = found.keys().map(|topic| {
        let names = CONFIGS.iter().map(|name| text(name)).collect();
        let resource = DescribeConfigsResource::default().with_resource_type(TOPIC);
        resource.with_resource_name(text(topic)).with_configuration_keys(Some(names))
    });
    let request = DescribeConfigsRequest::default().with_resources(resources.collect());
    for result in client.call(&request).await?.results {
        let Some(topic) = found.get_mut(result.resource_name.as_str()) else { continue };
        if result.error_code != 0 {
            return Err(later().await);
        }
        let set = result.configs.into_iter().filter(|config| config.config_source == OF_TOPIC);
        topic
            .configs
            .extend(set.filter_map(|config| Some((config.name.to_string(), config.value?.to_string()))));
    }
    Ok(found)
}
