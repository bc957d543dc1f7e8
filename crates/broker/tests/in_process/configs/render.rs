//! Answers as the conversations write them.

use ottla_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use ottla_protocol::messages::{CreateTopicsResponse, DescribeConfigsResponse, StrBytes};

pub(super) fn created(response: &CreateTopicsResponse) -> Vec<String> {
    let topics = response.topics.iter();
    topics.map(|topic| result(topic.error_code, &topic.name, topic.error_message.as_ref())).collect()
}

pub(super) fn result(code: i16, name: &str, message: Option<&StrBytes>) -> String {
    let message = message.map(|message| format!(" {}", message.as_str())).unwrap_or_default();
    format!("{name}: {code}{message}").replace('\n', "\\n")
}

/// Configs by name: Kafka's order is a hash map's.
pub(super) fn described(response: &DescribeConfigsResponse) -> Vec<String> {
    let mut lines = Vec::new();
    for answer in &response.results {
        lines.push(result(answer.error_code, &answer.resource_name, answer.error_message.as_ref()));
        let mut configs: Vec<String> = answer.configs.iter().map(config).collect();
        configs.sort();
        lines.extend(configs);
    }
    lines
}

fn config(config: &DescribeConfigsResourceResult) -> String {
    let mut line = format!(
        "  {}={} source={} type={}",
        config.name.as_str(),
        value(config.value.as_ref()),
        config.config_source,
        config.config_type
    );
    if config.read_only {
        line.push_str(" ro");
    }
    if config.is_sensitive {
        line.push_str(" sensitive");
    }
    if let Some(text) = &config.documentation {
        line.push_str(if text.is_empty() { " nodoc" } else { " doc" });
    }
    for synonym in &config.synonyms {
        let (name, value) = (synonym.name.as_str(), value(synonym.value.as_ref()));
        line.push_str(&format!(" [{}:{name}={value}]", synonym.source));
    }
    line
}

fn value(value: Option<&StrBytes>) -> &str {
    value.map_or("(null)", StrBytes::as_str)
}
