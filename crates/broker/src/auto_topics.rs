//! Topics that are made because somebody asked for them: by a Metadata request, or by the broker for its own state.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_controller::NewTopic;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::{CreateTopicsRequest, StrBytes, TopicName};
use ottla_protocol::{ApiKey, ErrorCode};

use crate::cluster::{ControllerChannel, version};
use crate::groups::offsets_topic;
use crate::internal_topics::CONSUMER_OFFSETS;
use crate::metadata_view::MetadataView;

/// How long a client waits for a topic that is made for it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Creates missing topics and waits until this broker serves them.
#[derive(Debug)]
pub(crate) struct AutoTopics {
    pub channel: ControllerChannel,
    pub view: Arc<MetadataView>,
    pub config: Arc<ArcSwap<BrokerConfig>>,
    /// `auto.create.topics.enable`.
    pub enable: bool,
}

impl AutoTopics {
    pub(crate) fn enabled(&self) -> bool {
        self.enable
    }

    /// Creates topics with the broker's defaults, or its own as it needs them; gives those that could not be, with their error.
    pub(crate) async fn create(&self, names: Vec<String>) -> Vec<(String, ErrorCode)> {
        let topics: Vec<NewTopic> = names.iter().map(|name| self.described(name)).collect();
        let answers = self.create_all(topics).await;
        let failed = names.into_iter().zip(answers).filter_map(|(name, answer)| match answer {
            // Somebody else was quicker: it is there.
            Ok(()) | Err(ErrorCode::TopicAlreadyExists) => None,
            Err(error) => Some((name, error)),
        });
        failed.collect()
    }

    fn described(&self, name: &str) -> NewTopic {
        if name == CONSUMER_OFFSETS { self.offsets_topic() } else { NewTopic::named(name) }
    }

    /// `__consumer_offsets` for as many brokers as belong to the cluster: while one is missing that its voters name, the
    /// topic is not made with fewer replicas for good.
    pub(crate) fn offsets_topic(&self) -> NewTopic {
        let config = self.config.load();
        let brokers = self.view.image().brokers().len().max(config.controller.voters.len());
        offsets_topic(&config, brokers)
    }

    /// Creates topics as described; one answer each, in order, when they are served here.
    pub(crate) async fn create_all(&self, topics: Vec<NewTopic>) -> Vec<Result<(), ErrorCode>> {
        let names: Vec<String> = topics.iter().map(|topic| topic.name.clone()).collect();
        let request = CreateTopicsRequest::default()
            .with_topics(topics.into_iter().map(wire).collect())
            .with_timeout_ms(i32::try_from(TIMEOUT.as_millis()).unwrap_or(i32::MAX));
        let answer = match self.channel.ask(&request, version(ApiKey::CreateTopics), TIMEOUT).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, "topics could not be created");
                return vec![Err(ErrorCode::RequestTimedOut); names.len()];
            }
        };
        let answer_of = |name: &String| {
            let topic = answer.topics.iter().find(|topic| topic.name.as_str() == name)?;
            ErrorCode::from_code(topic.error_code)
        };
        let codes: Vec<ErrorCode> =
            names.iter().map(|name| answer_of(name).unwrap_or(ErrorCode::UnknownServerError)).collect();
        let there = names
            .iter()
            .zip(&codes)
            .filter(|(_, code)| matches!(code, ErrorCode::None | ErrorCode::TopicAlreadyExists));
        self.view.until(|image| there.clone().all(|(name, _)| image.topic(name).is_some()), TIMEOUT).await;
        codes.into_iter().map(|code| if code == ErrorCode::None { Ok(()) } else { Err(code) }).collect()
    }
}

fn wire(topic: NewTopic) -> CreatableTopic {
    let text = StrBytes::from_string;
    let configs = topic.configs.into_iter().map(|(name, value)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(value.map(text))
    });
    CreatableTopic::default()
        .with_name(TopicName(text(topic.name)))
        .with_num_partitions(topic.partition_count)
        .with_replication_factor(topic.replication_factor)
        .with_configs(configs.collect())
}
