//! What the configs of a resource may be, and whether the resource is there.

use ottla_config::{
    BrokerResource, ConfigError, validate_broker, validate_client_metrics, validate_group, validate_topic,
};
use ottla_metadata::{ConfigOverrides, ConfigResource, ConfigResourceType};
use ottla_model::{BrokerId, check_topic_name};

use super::Context;
use crate::error::ConfigChangeError;

/// `Short.MAX_VALUE`: what a config record's value may be long.
const VALUE_LEN_MAX: usize = 32_767;

/// Refuses a value that is too long, with Kafka's words.
pub(super) fn check_value_len(value: &str) -> Result<(), String> {
    if value.encode_utf16().count() <= VALUE_LEN_MAX {
        return Ok(());
    }
    Err("The configuration value cannot be added because it exceeds the maximum value size of 32767 bytes."
        .to_owned())
}

/// Whether a resource may have these configs (all of them, after the change), and is there.
pub(super) fn check(
    resource: &ConfigResource,
    configs: &ConfigOverrides,
    context: &Context<'_>,
) -> Result<(), ConfigChangeError> {
    for value in configs.values() {
        check_value_len(value).map_err(ConfigChangeError::InvalidConfig)?;
    }
    match resource.kind {
        ConfigResourceType::Topic => check_topic(&resource.name, configs, context),
        ConfigResourceType::Broker => check_broker(&resource.name, configs, context),
        ConfigResourceType::Group => {
            named(&resource.name, "Default group resources are not allowed.")?;
            validate_group(configs, &context.effective_broker_config()).map_err(invalid_config)
        }
        ConfigResourceType::ClientMetrics => {
            named(&resource.name, "Subscription name can't be empty")?;
            validate_client_metrics(configs).map_err(invalid_config)
        }
        ConfigResourceType::BrokerLogger => {
            let why = "Unknown resource type BROKER_LOGGER";
            Err(ConfigChangeError::InvalidRequest(why.to_owned()))
        }
    }
}

fn check_topic(
    name: &str,
    configs: &ConfigOverrides,
    context: &Context<'_>,
) -> Result<(), ConfigChangeError> {
    named(name, "Default topic resources are not allowed.")?;
    check_topic_name(name).map_err(|error| ConfigChangeError::InvalidTopicName(error.to_string()))?;
    validate_topic(configs, &context.effective_broker_config()).map_err(invalid_config)?;
    match context.image.topic(name) {
        Some(_) => Ok(()),
        None => Err(ConfigChangeError::UnknownTopic(name.to_owned())),
    }
}

fn check_broker(
    name: &str,
    configs: &ConfigOverrides,
    context: &Context<'_>,
) -> Result<(), ConfigChangeError> {
    let resource = if name.is_empty() { BrokerResource::All } else { BrokerResource::One };
    validate_broker(configs, resource, &context.effective_broker_config()).map_err(invalid_broker_config)?;
    if name.is_empty() {
        return Ok(());
    }
    let invalid = |why: &str| ConfigChangeError::InvalidRequest(why.to_owned());
    let id: i32 = name.parse().map_err(|_| invalid("Unable to parse broker name as a base 10 number."))?;
    if id < 0 {
        return Err(invalid("Invalid negative broker ID."));
    }
    match context.image.brokers().get(BrokerId(id)) {
        Some(_) => Ok(()),
        None => Err(ConfigChangeError::UnknownBroker(BrokerId(id))),
    }
}

fn named(name: &str, why: &str) -> Result<(), ConfigChangeError> {
    if name.is_empty() { Err(ConfigChangeError::InvalidRequest(why.to_owned())) } else { Ok(()) }
}

fn invalid_config(error: ConfigError) -> ConfigChangeError {
    match error {
        ConfigError::InvalidRequest { message, .. } => ConfigChangeError::InvalidRequest(message),
        error => ConfigChangeError::InvalidConfig(error.to_string()),
    }
}

/// KAFKA-13609: Kafka calls a broker config that is not allowed an invalid request, not an invalid config.
fn invalid_broker_config(error: ConfigError) -> ConfigChangeError {
    match error {
        ConfigError::NotYet { .. } => ConfigChangeError::InvalidConfig(error.to_string()),
        error => ConfigChangeError::InvalidRequest(error.to_string()),
    }
}
