//! Topics that are made because somebody asked for them: by a Metadata request, or by the broker for its own state.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_controller::{Controller, ControllerError, CreateTopics, NewTopic, TopicError};
use ottla_protocol::ErrorCode;

use crate::error_map;
use crate::groups::offsets_topic;
use crate::internal_topics::CONSUMER_OFFSETS;
use crate::metadata_view::MetadataView;

/// Creates missing topics and waits until this broker serves them.
#[derive(Debug)]
pub(crate) struct AutoTopics {
    pub controller: Controller,
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
        match self.create_all(topics).await {
            Ok(answers) => {
                let failed = names.into_iter().zip(answers).filter_map(|(name, answer)| match answer {
                    // Somebody else was quicker: it is there.
                    Ok(()) | Err(TopicError::AlreadyExists { .. }) => None,
                    Err(error) => Some((name, error_map::topic(&error))),
                });
                failed.collect()
            }
            Err(error) => names.into_iter().map(|name| (name, error_map::controller(&error))).collect(),
        }
    }

    fn described(&self, name: &str) -> NewTopic {
        if name == CONSUMER_OFFSETS { self.offsets_topic() } else { NewTopic::named(name) }
    }

    /// `__consumer_offsets` for as many brokers as there are.
    pub(crate) fn offsets_topic(&self) -> NewTopic {
        offsets_topic(&self.config.load(), self.view.image().brokers().unfenced().count())
    }

    /// Creates topics as described; one answer each, in order, when they are served here.
    pub(crate) async fn create_all(
        &self,
        topics: Vec<NewTopic>,
    ) -> Result<Vec<Result<(), TopicError>>, ControllerError> {
        let request = CreateTopics { topics, validate_only: false };
        let answers = self.controller.create_topics(request).await?;
        self.view.catch_up(&self.controller).await;
        Ok(answers.into_iter().map(|answer| answer.map(|_| ())).collect())
    }
}
