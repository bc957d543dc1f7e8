//! What of an answer is no behaviour: ids, times, ports and paths become placeholders that keep their equality.

use std::collections::{HashMap, HashSet};

use super::batch;
use super::codec::UNKNOWN_TAGS;
use super::schema::{Api, Field, Kind, Scalar, ZERO_UUID};
use super::{Value, value};

/// Lists that Kafka gives in the order of a hash map or of an unordered set, as `API.Field.Field`.
const UNORDERED: [&str; 29] = [
    "ApiVersions.SupportedFeatures",
    "ApiVersions.FinalizedFeatures",
    "Produce.Responses",
    "Produce.Responses.PartitionResponses",
    "ListOffsets.Topics",
    "ListOffsets.Topics.Partitions",
    "Metadata.Topics",
    "JoinGroup.Members",
    "DescribeGroups.Groups",
    "DescribeGroups.Groups.Members",
    "ListGroups.Groups",
    "ConsumerGroupDescribe.Groups",
    "DeleteGroups.Results",
    "CreateTopics.Topics",
    "CreateTopics.Topics.Configs",
    "DeleteTopics.Responses",
    "CreatePartitions.Results",
    "DeleteRecords.Topics",
    "DeleteRecords.Topics.Partitions",
    "DescribeConfigs.Results.Configs",
    "DescribeLogDirs.Results.Topics",
    "DescribeLogDirs.Results.Topics.Partitions",
    "AlterReplicaLogDirs.Results",
    "AlterReplicaLogDirs.Results.Partitions",
    "DescribeUserScramCredentials.Results",
    "OffsetDelete.Topics",
    "OffsetDelete.Topics.Partitions",
    "IncrementalAlterConfigs.Responses",
    "ListConfigResources.ConfigResources",
];

/// Lists of everything the broker has, and the field that tells whose an entry is: other conversations' are left out.
const SHARED: [(&str, &str); 6] = [
    ("Metadata.Topics", "Name"),
    ("ListGroups.Groups", "GroupId"),
    ("DescribeLogDirs.Results.Topics", "Name"),
    ("DescribeTopicPartitions.Topics", "Name"),
    ("ListConfigResources.ConfigResources", "ResourceName"),
    ("ElectLeaders.ReplicaElectionResults", "Topic"),
];

/// Numbers that say how much happened before, or how large the disk is, and the API or `""` for all: their sign is compared.
const SIGN_ONLY: [(&str, &str); 6] = [
    ("", "FinalizedFeaturesEpoch"),
    ("", "TotalBytes"),
    ("", "UsableBytes"),
    ("DescribeQuorum.", "LeaderEpoch"),
    ("DescribeQuorum.", "HighWatermark"),
    ("DescribeQuorum.", "LogEndOffset"),
];

/// Fields by which the entries of a list are told apart: they are sorted by these first, by the rest next.
const IDENTITY: [&str; 9] = [
    "User",
    "Name",
    "Topic",
    "TopicName",
    "ResourceName",
    "ResourceType",
    "GroupId",
    "PartitionIndex",
    "Index",
];

/// Strings and numbers that a broker makes up.
const IDS: [(&str, &str); 4] =
    [("MemberId", "member"), ("Leader", "member"), ("ProducerId", "producer"), ("SessionId", "session")];

/// Broker-made times lie this close to now, in milliseconds.
const NOW: u64 = 24 * 3600 * 1000;

/// What is particular to a broker and not to its behaviour.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Text and what stands for it, longest first.
    pub texts: Vec<(String, String)>,
    pub port: u16,
    pub second_port: u16,
    pub now_ms: i64,
}

/// The placeholders of one conversation.
#[derive(Debug)]
pub struct Normaliser<'a> {
    surroundings: &'a Surroundings,
    namespace: String,
    /// What the conversation itself wrote where ids stand, and as what: never made up by the broker.
    given: HashSet<(&'static str, String)>,
    ids: HashMap<String, String>,
    counts: HashMap<&'static str, usize>,
}

impl<'a> Normaliser<'a> {
    pub fn new(surroundings: &'a Surroundings, namespace: &str) -> Self {
        Self {
            surroundings,
            namespace: namespace.to_owned(),
            given: HashSet::new(),
            ids: HashMap::new(),
            counts: HashMap::new(),
        }
    }

    /// Notes what a request says of itself.
    pub fn sent(&mut self, body: &Value) {
        self.sent_as("", body);
    }

    fn sent_as(&mut self, name: &str, body: &Value) {
        match body {
            Value::Text(_) | Value::Int(_) => {
                let text = plain(body);
                if !self.ids.contains_key(&text) {
                    self.given.insert((kind_of(name), text));
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.sent_as(name, item)),
            Value::Struct(fields) => fields.iter().for_each(|(name, value)| self.sent_as(name, value)),
            _ => {}
        }
    }

    /// An answer as it is compared; fields at their default are left out.
    pub fn answer(&mut self, api: &Api, body: &Value) -> Value {
        self.fields(&api.name, &api.response, body)
    }

    fn fields(&mut self, path: &str, fields: &[Field], value: &Value) -> Value {
        let Value::Struct(given) = value else { return value.clone() };
        let mut out = Vec::new();
        for (name, value) in given {
            let Some(field) = fields.iter().find(|field| field.name == *name) else {
                out.push((UNKNOWN_TAGS.to_owned(), value.clone()));
                continue;
            };
            if field.tag.is_none() && *value == field.default {
                continue;
            }
            let shown = self.kind(&format!("{path}.{name}"), name, &field.kind, value);
            // Of other conversations' entries nothing is left.
            let is_foreign = shown == Value::List(Vec::new()) && *value != shown && field.default == shown;
            if !is_foreign {
                out.push((name.clone(), shown));
            }
        }
        Value::Struct(out)
    }

    fn kind(&mut self, path: &str, name: &str, kind: &Kind, value: &Value) -> Value {
        match (kind, value) {
            (_, Value::Null) => Value::Null,
            (Kind::Struct(fields), _) => self.fields(path, fields, value),
            (Kind::List(item), Value::List(items)) => {
                let items = self.ordered(path, self.own(path, items));
                Value::List(items.iter().map(|value| self.kind(path, name, item, value)).collect())
            }
            (Kind::Scalar(Scalar::Uuid), Value::Text(text)) if text != ZERO_UUID => self.id("uuid", value),
            (Kind::Scalar(Scalar::Records), Value::Bytes(records)) => self.plain_tree(&batch::shown(records)),
            _ => self.scalar(path, name, value),
        }
    }

    fn scalar(&mut self, path: &str, name: &str, value: &Value) -> Value {
        if let Some((_, kind)) = IDS.iter().find(|(field, _)| *field == name)
            && !matches!(value, Value::Int(-1 | 0))
            && *value != Value::text("")
            && !(*kind == "producer" && matches!(value, Value::Text(_)))
        {
            return self.id(kind, value);
        }
        match value {
            // Kafka's own prose, which is nobody's behaviour.
            Value::Text(text) if name == "Documentation" && !text.is_empty() => Value::text("<text>"),
            Value::Int(int)
                if *int > 0
                    && SIGN_ONLY.iter().any(|(api, field)| path.starts_with(api) && *field == name) =>
            {
                Value::text("<positive>")
            }
            Value::Int(int) if name == "Port" && *int == i64::from(self.surroundings.port) => {
                Value::text("<port>")
            }
            Value::Int(int) if name == "Port" && *int == i64::from(self.surroundings.second_port) => {
                Value::text("<second port>")
            }
            _ => self.plain_tree(value),
        }
    }

    /// Times and texts, wherever they stand.
    fn plain_tree(&self, value: &Value) -> Value {
        match value {
            Value::Int(int) if int.abs_diff(self.surroundings.now_ms) < NOW => Value::text("<now>"),
            Value::Text(text) => Value::Text(self.text(text)),
            Value::List(items) => Value::List(items.iter().map(|item| self.plain_tree(item)).collect()),
            Value::Struct(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.clone(), self.plain_tree(value)));
                Value::Struct(fields.collect())
            }
            _ => value.clone(),
        }
    }

    fn text(&self, text: &str) -> String {
        let mut text = text.replace(&self.namespace, "~");
        for (from, to) in &self.surroundings.texts {
            text = text.replace(from, to);
        }
        for (id, placeholder) in self.ids.iter().filter(|(id, _)| id.len() > 8) {
            text = text.replace(id, placeholder);
        }
        without_times(&text)
    }

    fn id(&mut self, kind: &'static str, value: &Value) -> Value {
        let actual = plain(value);
        if self.given.contains(&(kind, actual.clone())) {
            return self.plain_tree(value);
        }
        let counts = &mut self.counts;
        let placeholder = self.ids.entry(actual).or_insert_with(|| {
            let count = counts.entry(kind).or_default();
            *count += 1;
            format!("<{kind} {count}>")
        });
        Value::text(placeholder.clone())
    }

    /// Leaves out what belongs to other conversations.
    fn own(&self, path: &str, items: &[Value]) -> Vec<Value> {
        let Some((_, owner)) = SHARED.iter().find(|(list, _)| *list == path) else { return items.to_vec() };
        let foreign = |item: &Value| {
            let name = item.field(owner).and_then(Value::as_text).unwrap_or_default();
            super::session::is_namespaced(name) && !name.starts_with(&self.namespace)
        };
        items.iter().filter(|item| !foreign(item)).cloned().collect()
    }

    fn ordered(&self, path: &str, mut items: Vec<Value>) -> Vec<Value> {
        if UNORDERED.contains(&path) {
            items.sort_by_cached_key(|item| {
                let identity = IDENTITY.map(|name| item.field(name).map(ToString::to_string));
                (identity, self.without_ids(item).to_string())
            });
        }
        items
    }

    /// What an entry is sorted by: ids differ from run to run.
    fn without_ids(&self, value: &value::Value) -> Value {
        match value {
            Value::Text(text) if text.len() == ZERO_UUID.len() && !text.starts_with(&self.namespace) => {
                Value::text("id")
            }
            Value::List(items) => Value::List(items.iter().map(|item| self.without_ids(item)).collect()),
            Value::Struct(fields) => {
                let named = |name: &str| IDS.iter().any(|(field, _)| *field == name);
                let fields = fields.iter().filter(|(name, _)| !named(name));
                Value::Struct(fields.map(|(name, value)| (name.clone(), self.without_ids(value))).collect())
            }
            other => self.plain_tree(other),
        }
    }
}

/// What an id in a field of this name is an id of.
fn kind_of(name: &str) -> &'static str {
    IDS.iter().find(|(field, _)| *field == name).map_or("uuid", |(_, kind)| kind)
}

/// Numbers of 13 digits and more are times, or what is computed from them.
fn without_times(text: &str) -> String {
    let (mut out, mut digits) = (String::new(), String::new());
    for c in text.chars().map(Some).chain([None]) {
        if let Some(digit) = c.filter(char::is_ascii_digit) {
            digits.push(digit);
            continue;
        }
        if digits.len() >= 13 {
            digits = "<number>".to_owned();
        }
        out.push_str(&std::mem::take(&mut digits));
        out.extend(c);
    }
    out
}

fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::value;
    use super::super::schema::SCHEMA;
    use super::*;

    fn surroundings() -> Surroundings {
        Surroundings { texts: Vec::new(), port: 9092, second_port: 1, now_ms: 1_800_000_000_000 }
    }

    #[test]
    fn equal_ids_stay_equal_and_given_ones_stay_as_they_are() {
        let surroundings = surroundings();
        let mut normaliser = Normaliser::new(&surroundings, "d00000000-");
        let api = SCHEMA.api("JoinGroup").expect("JoinGroup");
        let mut told = |text: &str| normaliser.answer(api, &value(text).expect("a value")).to_string();
        assert_eq!(
            told(r#"{Leader: "x-1", MemberId: "x-1"}"#),
            r#"{Leader: "<member 1>", MemberId: "<member 1>"}"#
        );
        assert_eq!(
            told(r#"{Leader: "x-1", MemberId: "x-2"}"#),
            r#"{Leader: "<member 1>", MemberId: "<member 2>"}"#
        );
        normaliser.sent(&value(r#"{MemberId: "mine"}"#).expect("a value"));
        let answer = normaliser.answer(api, &value(r#"{MemberId: "mine"}"#).expect("a value"));
        assert_eq!(answer.to_string(), r#"{MemberId: "mine"}"#);
    }

    #[test]
    fn other_conversations_topics_are_left_out() {
        let surroundings = surroundings();
        let mut normaliser = Normaliser::new(&surroundings, "d00000000-");
        let api = SCHEMA.api("Metadata").expect("Metadata");
        let body =
            r#"{Topics: [{Name: "d11111111-t"}, {Name: "d00000000-t"}, {Name: "__consumer_offsets"}]}"#;
        let answer = normaliser.answer(api, &value(body).expect("a value"));
        assert_eq!(answer.to_string(), r#"{Topics: [{Name: "__consumer_offsets"}, {Name: "~t"}]}"#);
    }
}
