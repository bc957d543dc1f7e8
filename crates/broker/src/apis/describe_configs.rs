//! DescribeConfigs: effective settings of topics, this broker, the cluster's default, groups and client metrics.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_config::{
    BrokerConfig, ConfigEntry, ConfigMap, Scope, describe_broker, describe_client_metrics,
    describe_cluster_default, describe_group, describe_topic,
};
use ottla_metadata::{ConfigResourceType, MetadataImage};
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use ottla_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse, StrBytes};

use crate::configs::{self, Refused};
use crate::dispatch::{AnswerLimit, Handler, Reply, RequestContext};
use crate::identity::Identity;
use crate::metadata_view::MetadataView;
use crate::telemetry::{LogLevel, Loggers};

/// `DYNAMIC_BROKER_LOGGER_CONFIG`.
const LOGGER_SOURCE: i8 = 6;

/// Answers from the published image and this broker's file.
#[derive(Debug)]
pub(crate) struct DescribeConfigs {
    pub view: Arc<MetadataView>,
    pub config: Arc<ArcSwap<BrokerConfig>>,
    pub identity: Arc<Identity>,
    pub loggers: Arc<Loggers>,
}

impl Handler for DescribeConfigs {
    type Request = DescribeConfigsRequest;

    fn handle(&self, _: &RequestContext, request: DescribeConfigsRequest) -> Reply<DescribeConfigsResponse> {
        let image = self.view.image_arc();
        let broker = effective(&self.config.load(), &image, self.identity.node_id);
        let describer = Describer {
            image: &image,
            broker: &broker,
            node_id: self.identity.node_id,
            loggers: &self.loggers,
        };
        // Kafka judges a request as a whole by its resources' types.
        let known = |resource: &DescribeConfigsResource| {
            ConfigResourceType::from_id(resource.resource_type).is_some()
        };
        let malformed = !request.resources.iter().all(known);
        let mut limit = AnswerLimit::new();
        let results = request.resources.iter().map(|resource| {
            if malformed {
                return malformed_result(resource);
            }
            if limit.is_reached() {
                return too_much(resource);
            }
            let result = describer.result(resource, &request);
            limit.take(result.configs.len(), CONFIG_LEN);
            result
        });
        Reply::Ready(DescribeConfigsResponse::default().with_results(results.collect()))
    }
}

/// A setting in the answer, with its synonyms, as it is in memory.
const CONFIG_LEN: usize = 512;

/// The answer has become so large that the rest is to be asked for anew.
fn too_much(resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    DescribeConfigsResult::default()
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
        .with_error_code(ErrorCode::InvalidRequest.code())
        .with_error_message(Some(StrBytes::from_static_str(
            "The answer would be too large: ask for fewer resources at once.",
        )))
}

/// The file's settings under the dynamic ones of the image.
fn effective(config: &BrokerConfig, image: &MetadataImage, node_id: BrokerId) -> BrokerConfig {
    let dynamic = |name: &str| overrides(image, ConfigResourceType::Broker, name);
    let effective = config.with_dynamic(dynamic(""), dynamic(&node_id.to_string()));
    effective.unwrap_or_else(|_| config.clone())
}

fn overrides(image: &MetadataImage, kind: ConfigResourceType, name: &str) -> ConfigMap {
    let overrides = image.configs().overrides(kind, name);
    overrides.map(|overrides| overrides.as_ref().clone()).unwrap_or_default()
}

struct Describer<'a> {
    image: &'a MetadataImage,
    broker: &'a BrokerConfig,
    node_id: BrokerId,
    loggers: &'a Loggers,
}

impl Describer<'_> {
    fn result(
        &self,
        resource: &DescribeConfigsResource,
        request: &DescribeConfigsRequest,
    ) -> DescribeConfigsResult {
        let answer = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone())
            .with_error_message(Some(StrBytes::default()));
        match self.entries(resource) {
            Ok(Described::Loggers(levels)) => {
                let asked = levels.into_iter().filter(|(name, _)| is_asked(resource, name));
                answer.with_configs(asked.map(|(name, level)| logger(name, level)).collect())
            }
            Ok(Described::Configs(scope, entries)) => {
                let asked = entries.into_iter().filter(|entry| is_asked(resource, &entry.name));
                answer.with_configs(asked.map(|entry| described(entry, scope, request)).collect())
            }
            Err(Refused { code, message }) => {
                let message = Some(configs::text(message));
                answer.with_error_code(code.code()).with_error_message(message)
            }
        }
    }

    fn entries(&self, resource: &DescribeConfigsResource) -> Result<Described, Refused> {
        let name = resource.resource_name.as_str();
        let overrides = |kind| overrides(self.image, kind, name);
        match ConfigResourceType::from_id(resource.resource_type) {
            Some(kind @ ConfigResourceType::Topic) => {
                self.check_topic(name)?;
                Ok(Described::Configs(Scope::Topic, describe_topic(&overrides(kind), self.broker)))
            }
            Some(ConfigResourceType::Broker) if name.is_empty() => {
                Ok(Described::Configs(Scope::Broker, describe_cluster_default(self.broker)))
            }
            Some(ConfigResourceType::Broker) => {
                self.check_broker(name, " or empty string,")?;
                Ok(Described::Configs(Scope::Broker, describe_broker(self.broker)))
            }
            Some(kind @ ConfigResourceType::Group) => {
                named(name, "Group name must not be empty")?;
                Ok(Described::Configs(Scope::Group, describe_group(&overrides(kind), self.broker)))
            }
            Some(kind @ ConfigResourceType::ClientMetrics) => {
                named(name, "Client metrics subscription name must not be empty")?;
                Ok(Described::Configs(Scope::ClientMetrics, describe_client_metrics(&overrides(kind))))
            }
            Some(ConfigResourceType::BrokerLogger) => {
                named(name, "Broker id must not be empty")?;
                self.check_broker(name, "")?;
                Ok(Described::Loggers(self.loggers.all()))
            }
            None => Err(Refused::invalid_request(MALFORMED)),
        }
    }

    fn check_topic(&self, name: &str) -> Result<(), Refused> {
        ottla_model::check_topic_name(name).map_err(|error| Refused {
            code: ErrorCode::InvalidTopicException,
            message: error.to_string(),
        })?;
        match self.image.topic(name) {
            Some(_) => Ok(()),
            None => Err(Refused { code: ErrorCode::UnknownTopicOrPartition, message: String::new() }),
        }
    }

    /// `others`: what else than its id the resource may be named.
    fn check_broker(&self, name: &str, others: &str) -> Result<(), Refused> {
        let id: i32 = name.parse().map_err(|_| {
            Refused::invalid_request(format!("Broker id must be an integer, but it is: {name}"))
        })?;
        if id == self.node_id.get() {
            return Ok(());
        }
        let expected = self.node_id;
        let message = format!("Unexpected broker id, expected {expected}{others} but received {name}");
        Err(Refused::invalid_request(message))
    }
}

/// What there is to say of a resource.
enum Described {
    Configs(Scope, Vec<ConfigEntry>),
    Loggers(Vec<(&'static str, LogLevel)>),
}

fn logger(name: &'static str, level: LogLevel) -> DescribeConfigsResourceResult {
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(name))
        .with_value(Some(StrBytes::from_static_str(level.name())))
        .with_config_source(LOGGER_SOURCE)
        .with_documentation(Some(StrBytes::default()))
}

/// Kafka's text of INVALID_REQUEST where nothing more is known.
const MALFORMED: &str = "This most likely occurs because of a request being malformed by the client library or the \
                         message was sent to an incompatible broker. See the broker logs for more details.";

fn malformed_result(resource: &DescribeConfigsResource) -> DescribeConfigsResult {
    DescribeConfigsResult::default()
        .with_error_code(ErrorCode::InvalidRequest.code())
        .with_error_message(Some(StrBytes::from_static_str(MALFORMED)))
        .with_resource_type(resource.resource_type)
        .with_resource_name(resource.resource_name.clone())
}

fn named(name: &str, otherwise: &str) -> Result<(), Refused> {
    if name.is_empty() { Err(Refused::invalid_request(otherwise)) } else { Ok(()) }
}

/// No keys, or an empty list of them, ask for all.
fn is_asked(resource: &DescribeConfigsResource, name: &str) -> bool {
    let keys = resource.configuration_keys.as_deref().unwrap_or_default();
    keys.is_empty() || keys.iter().any(|key| key.as_str() == name)
}

fn described(
    entry: ConfigEntry,
    scope: Scope,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResourceResult {
    let documentation =
        request.include_documentation.then(|| StrBytes::from_string(entry.documentation(scope)));
    let synonyms = entry.synonyms.into_iter().filter(|_| request.include_synonyms).map(|synonym| {
        DescribeConfigsSynonym::default()
            .with_name(StrBytes::from_string(synonym.name))
            .with_value(synonym.value.map(StrBytes::from_string))
            .with_source(synonym.source.code())
    });
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_string(entry.name))
        .with_value(entry.value.map(StrBytes::from_string))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source.code())
        .with_is_sensitive(entry.sensitive)
        .with_synonyms(synonyms.collect())
        .with_config_type(entry.config_type.map_or(0, |kind| kind.code()))
        .with_documentation(documentation)
}
