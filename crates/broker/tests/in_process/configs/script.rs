//! Requests of a conversation about configs, one a line; `README.md` beside the conversations has the language.

use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::{
    AlterConfigsRequest, CreateTopicsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
    StrBytes, alter_configs_request as replace, incremental_alter_configs_request as incremental,
};

use crate::support::topic_name;

/// A request and the version that it is sent in.
pub(super) enum Request {
    Create(CreateTopicsRequest, i16),
    Describe(DescribeConfigsRequest, i16),
    Alter(AlterConfigsRequest, i16),
    Incremental(IncrementalAlterConfigsRequest, i16),
}

/// Reads `verb vN flag... resource config ; config | resource ...`.
pub(super) fn parse(line: &str) -> Request {
    let mut words = line.splitn(3, ' ');
    let (verb, version, rest) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or(""));
    let version = version.strip_prefix('v').unwrap().parse().unwrap();
    let (flags, rest) = flags(rest);
    let resources = rest.split(" | ").map(str::trim).filter(|resource| !resource.is_empty());
    let validate_only = flags.contains(&"validate");
    match verb {
        "create" => {
            let topics = resources.map(new_topic).collect();
            let request = CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(10_000);
            Request::Create(request.with_validate_only(validate_only), version)
        }
        "describe" => {
            let request = DescribeConfigsRequest::default()
                .with_resources(resources.map(described).collect())
                .with_include_synonyms(flags.contains(&"synonyms"))
                .with_include_documentation(flags.contains(&"docs"));
            Request::Describe(request, version)
        }
        "alter" => {
            let resources = resources.map(replacement).collect();
            let request = AlterConfigsRequest::default().with_resources(resources);
            Request::Alter(request.with_validate_only(validate_only), version)
        }
        "incremental" => {
            let resources = resources.map(alteration).collect();
            let request = IncrementalAlterConfigsRequest::default().with_resources(resources);
            Request::Incremental(request.with_validate_only(validate_only), version)
        }
        other => panic!("{other}: {line}"),
    }
}

fn flags(mut rest: &str) -> (Vec<&str>, &str) {
    let mut flags = Vec::new();
    while let Some((word, tail)) = rest.split_once(' ')
        && ["validate", "synonyms", "docs"].contains(&word)
    {
        flags.push(word);
        rest = tail;
    }
    (flags, rest)
}

fn new_topic(text: &str) -> CreatableTopic {
    let (name, configs) = text.split_once(' ').unwrap_or((text, ""));
    let configs = pairs(configs).map(|(name, value)| {
        CreatableTopicConfig::default().with_name(text_of(name)).with_value(value.map(text_of))
    });
    CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(configs.collect())
}

fn described(text: &str) -> DescribeConfigsResource {
    let (resource, keys) = text.split_once(' ').unwrap_or((text, ""));
    let (kind, name) = resource_of(resource);
    let keys = keys.strip_prefix("keys=").map(|keys| keys.split(',').filter(|key| !key.is_empty()));
    DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text_of(name))
        .with_configuration_keys(keys.map(|keys| keys.map(text_of).collect()))
}

fn replacement(text: &str) -> replace::AlterConfigsResource {
    let (resource, configs) = text.split_once(' ').unwrap_or((text, ""));
    let (kind, name) = resource_of(resource);
    let configs = pairs(configs).map(|(name, value)| {
        replace::AlterableConfig::default().with_name(text_of(name)).with_value(value.map(text_of))
    });
    replace::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text_of(name))
        .with_configs(configs.collect())
}

fn alteration(text: &str) -> incremental::AlterConfigsResource {
    let (resource, ops) = text.split_once(' ').unwrap_or((text, ""));
    let (kind, name) = resource_of(resource);
    let ops = ops.split(" ; ").filter(|op| !op.is_empty()).map(|op| {
        let (verb, pair) = op.split_once(' ').unwrap();
        let code = match verb {
            "set" => 0,
            "delete" => 1,
            "append" => 2,
            "subtract" => 3,
            other => other.strip_prefix("op").unwrap().parse().unwrap(),
        };
        let (name, value) = pair_of(pair);
        incremental::AlterableConfig::default()
            .with_name(text_of(name))
            .with_config_operation(code)
            .with_value(value.map(text_of))
    });
    incremental::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text_of(name))
        .with_configs(ops.collect())
}

fn resource_of(text: &str) -> (i8, &str) {
    let (kind, name) = text.split_once(':').unwrap();
    let kind = match kind {
        "topic" => 2,
        "broker" => 4,
        "logger" => 8,
        "metrics" => 16,
        "group" => 32,
        other => other.strip_prefix("type").unwrap().parse().unwrap(),
    };
    (kind, name)
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split(" ; ").filter(|pair| !pair.is_empty()).map(pair_of)
}

/// `name=value`; a name alone has a null value.
fn pair_of(text: &str) -> (&str, Option<&str>) {
    text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)))
}

/// `\s` is a blank, `\N` stands for a value of N characters.
fn text_of(text: &str) -> StrBytes {
    let text = match text.strip_prefix('\\').and_then(|len| len.parse().ok()) {
        Some(len) => "x".repeat(len),
        None => text.replace("\\s", " "),
    };
    StrBytes::from_string(text)
}
