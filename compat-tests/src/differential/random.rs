//! Conversations that a seed makes: any API in any version, with fields from pools of likely and unlikely values.
//!
//! What would be no comparison is left out: waits longer than a moment, what all conversations share (the broker's own
//! configs and features), and partitions by the thousand.

use super::Value;
use super::excluded::is_excluded;
use super::parse::Expr;
use super::schema::{Api, Field, Kind, SCHEMA, Scalar};
use super::script::{Case, Statement, Wait, statements_of};
use crate::rng::Rng;

pub const FILE: &str = "random";
/// Requests of a conversation, after those that prepare it.
pub const LENGTH: usize = 25;

/// What each conversation begins with; the pools below name what it binds.
const PREPARED: &str = "
topic $t1 2
topic $t2 1
name $nope
name $g1
name $g2
name $g3
do written $t1 3
do joined $g1 [$t1]
do joined_consumer $g2 $t1
> InitProducerId:4 {TransactionalId: null, TransactionTimeoutMs: 1000}
let $pid = $answer.ProducerId
";

/// Not asked at random: what would change what other conversations see, or list it, or is answered with what they did.
const SHARED: [&str; 10] = [
    "AddRaftVoter",
    "RemoveRaftVoter",
    "UpdateFeatures",
    "UnregisterBroker",
    "UnregisterController",
    "ListConfigResources",
    "DescribeQuorum",
    "DescribeClientQuotas",
    "GetTelemetrySubscriptions",
    "PushTelemetry",
];

/// The conversation of a seed: the same for ever.
pub fn case(seed: u64) -> Case {
    let mut statements = statements_of(PREPARED).unwrap_or_else(|error| panic!("{error}"));
    let mut random = Random(Rng::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x0077_1a00));
    let apis: Vec<&Api> = SCHEMA
        .apis()
        .iter()
        .filter(|api| !is_excluded(&api.name) && !SHARED.contains(&api.name.as_str()))
        .collect();
    for _ in 0..LENGTH {
        let api = *random.one_of(&apis);
        // Before version 4 Metadata cannot but make a topic that there is not, see below.
        let first = if api.name == "Metadata" { 4 } else { api.versions.0 };
        let versions: Vec<i16> = (first..=api.versions.1).collect();
        let version = *random.one_of(&versions);
        let body = Maker { random: &mut random, api, version, within: String::new() }.fields(&api.request);
        statements.push(Statement::Send {
            connection: "1".into(),
            api: api.name.clone(),
            version: Some(Expr::Literal(Value::Int(version.into()))),
            body,
            wait: Wait::Compared,
        });
    }
    Case {
        file: FILE.into(),
        name: format!("seed {seed}"),
        versions: None,
        parameters: Vec::new(),
        statements,
    }
}

/// Choices among what lies in memory.
struct Random(Rng);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.0.below(end as u64)).expect("below a usize")
    }

    fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

struct Maker<'a> {
    random: &'a mut Random,
    api: &'a Api,
    version: i16,
    /// The field that is being made up: a list or a struct; empty at the top.
    within: String,
}

impl Maker<'_> {
    fn fields(&mut self, fields: &[Field]) -> Expr {
        let version = self.version;
        let mut out = Vec::new();
        for field in fields.iter().filter(|field| field.is_in(version)) {
            // Tagged fields, and now and then others, are left to their defaults.
            let left_out = if field.tag.is_some() { 2 } else { 12 };
            let is_kept = ["Topics", "AllowAutoTopicCreation"].contains(&field.name.as_str());
            if self.random.below(left_out) != 0
                || is_kept
                || pool(&self.api.name, &self.within, &field.name).is_some()
            {
                out.push((field.name.clone(), self.field(field)));
            }
        }
        Expr::Struct(out)
    }

    fn field(&mut self, field: &Field) -> Expr {
        // Null asks for everything there is, which is what all conversations share; null records are never answered.
        let everything = matches!(field.kind, Kind::List(_)) && self.api.name != "OffsetFetch";
        let never = everything || field.name == "Records";
        if field.may_be_null(self.version) && !never && self.random.below(4) == 0 {
            return Expr::Literal(Value::Null);
        }
        self.kind(&field.name, &field.kind)
    }

    fn kind(&mut self, name: &str, kind: &Kind) -> Expr {
        match kind {
            Kind::Struct(fields) => {
                let outer = std::mem::replace(&mut self.within, name.to_owned());
                let made = self.fields(fields);
                self.within = outer;
                made
            }
            Kind::List(item) => {
                let lens: &[usize] = match (self.api.name.as_str(), name) {
                    // None means all there are, of all conversations.
                    ("DescribeTopicPartitions", "Topics") => &[1, 1, 2, 3],
                    // Kafka never answers what it asks for twice.
                    ("AlterConfigs", "Resources") => &[0, 1],
                    _ => &[0, 1, 1, 1, 1, 2, 2, 3],
                };
                let len = *self.random.one_of(lens);
                Expr::List((0..len).map(|_| self.kind(name, item)).collect())
            }
            Kind::Scalar(scalar) => self.scalar(name, *scalar),
        }
    }

    fn scalar(&mut self, name: &str, scalar: Scalar) -> Expr {
        if let Some(pool) = pool(&self.api.name, &self.within, name) {
            return parsed(self.random.one_of(&pool));
        }
        let pool: &[&str] = match scalar {
            Scalar::Bool => &["true", "false"],
            Scalar::Int8 => &["0", "1", "2", "-1", "127", "-128"],
            Scalar::Int16 => &["0", "1", "-1", "2", "32767", "-32768"],
            Scalar::Uint16 | Scalar::Uint32 => &["0", "1", "65535"],
            Scalar::Int32 => &["0", "1", "-1", "2", "5", "2147483647", "-2147483648"],
            Scalar::Int64 => &["0", "1", "-1", "2", "3", "5", "9223372036854775807", "-9223372036854775808"],
            Scalar::Float64 => &["0.0", "1.5", "-1.0"],
            Scalar::Uuid => &["\"AAAAAAAAAAAAAAAAAAAAAA\"", "\"ABEiM0RVZneImaq7zN3u_w\""],
            Scalar::Text => &["\"\"", "\"a\"", "\"a b\"", "\"ä\""],
            Scalar::Bytes | Scalar::Records => &["x\"\"", "x\"00\"", "x\"0001020304\""],
        };
        parsed(self.random.one_of(pool))
    }
}

fn parsed(text: &&str) -> Expr {
    super::parse::Reader::new(text).expr().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What a field of this name, in a list of that name, may say; none: anything of its type.
fn pool(api: &str, within: &str, field: &str) -> Option<Vec<&'static str>> {
    const TOPICS: [&str; 6] = ["$t1", "$t1", "$t1", "$t2", "$nope", "\"a b\""];
    const GROUPS: [&str; 6] = ["$g1", "$g1", "$g2", "$g2", "$g3", "\"${ns}\""];
    const CONFIGS: [&str; 4] = ["\"retention.ms\"", "\"cleanup.policy\"", "\"nonsense\"", "\"segment.ms\""];
    const PARTITIONS: [&str; 6] = ["0", "0", "0", "1", "2", "-1"];
    let acl = api.ends_with("Acls");
    let configs = api.ends_with("Configs") || api == "CreateTopics";
    Some(match field {
        "Name" if within == "Configs" => CONFIGS.to_vec(),
        "Name" if api == "CreateTopics" => {
            vec!["$t1", "$nope", "$nope", "\"${ns}a b\"", "\"\"", "\"retention.ms\""]
        }
        "Name" if api == "JoinGroup" => vec!["\"range\"", "\"roundrobin\""],
        "Value" if configs => vec!["\"1000\"", "\"delete\"", "\"\"", "\"x\"", "null"],
        "ResourceName" if acl => vec!["\"t\"", "\"\""],
        "ResourceName" => vec!["$t1", "$t2", "$nope", "$g1"],
        // Of what is no topic Kafka never answers here.
        "ResourceType" if api == "AlterConfigs" => vec!["2", "32"],
        // Topics, and what is none; never the broker.
        "ResourceType" if !acl => vec!["2", "2", "2", "32", "0", "1", "99"],
        "ConfigurationKeys" => CONFIGS.to_vec(),
        "Name" | "Topic" | "TopicName" | "TopicNames" | "SubscribedTopicNames" => TOPICS.to_vec(),
        "TopicId" => {
            vec!["$topic_id", "$topic_id", "\"AAAAAAAAAAAAAAAAAAAAAA\"", "\"ABEiM0RVZneImaq7zN3u_w\""]
        }
        "GroupId" | "GroupsNames" | "Groups" | "GroupIds" | "CoordinatorKeys" | "Key" => GROUPS.to_vec(),
        "KeyType" => vec!["0", "0", "0", "3", "-1"],
        "MemberId" => vec!["$member", "\"m1\"", "\"\"", "\"unknown\""],
        "GenerationId" | "MemberEpoch" | "GenerationIdOrMemberEpoch" => vec!["1", "1", "0", "2", "-1", "-2"],
        "GroupInstanceId" | "InstanceId" => vec!["null", "null", "null", "\"i1\""],
        "ProtocolType" => vec!["\"consumer\"", "\"consumer\"", "\"connect\"", "\"\""],
        "ProtocolName" => vec!["\"range\"", "\"range\"", "\"other\""],
        "ServerAssignor" => vec!["null", "\"range\"", "\"uniform\"", "\"other\""],
        "SubscribedTopicRegex" => vec!["null", "null", "\"(\""],
        "PartitionIndex" | "Partition" | "Index" | "PartitionIndexes" => PARTITIONS.to_vec(),
        "Partitions" => PARTITIONS.to_vec(),
        "BrokerIds" | "Replicas" => vec!["1", "1", "2", "-1"],
        "NumPartitions" | "Count" => vec!["-1", "0", "1", "2", "3"],
        "ReplicationFactor" => vec!["-1", "1", "1", "0", "2"],
        "SessionTimeoutMs" => vec!["60000", "60000", "1"],
        "RebalanceTimeoutMs" => vec!["100", "300"],
        "MaxWaitMs" => vec!["0", "1", "10"],
        "MinBytes" => vec!["0", "1"],
        "MaxBytes" | "PartitionMaxBytes" => vec!["100000", "100000", "1", "0"],
        "TimeoutMs" | "TransactionTimeoutMs" => vec!["5000", "5000", "1000"],
        "TransactionalId" => vec!["null"],
        "Acks" => vec!["-1", "-1", "1", "0", "2"],
        "ProducerId" => vec!["-1", "-1", "987654"],
        "FetchOffset" | "Offset" | "CommittedOffset" => {
            vec!["0", "1", "2", "3", "4", "-1", "9223372036854775807"]
        }
        "Timestamp" => {
            vec!["-1", "-2", "-3", "-4", "-5", "-6", "-7", "0", "1700000000001", "9223372036854775807"]
        }
        "CurrentLeaderEpoch" | "LeaderEpoch" | "LastFetchedEpoch" => vec!["-1", "-1", "0", "0", "1"],
        "ReplicaId" => vec!["-1", "-1", "-1", "-2"],
        // When a topic is made by being asked for differs; there are scripted conversations for it, and for levels and
        // operations that there are not.
        "AllowAutoTopicCreation" => vec!["false"],
        "IsolationLevel" => vec!["0", "1"],
        "ConfigOperation" => vec!["0", "1", "2", "3"],
        "SessionId" => vec!["0", "0", "123456"],
        "SessionEpoch" => vec!["-1", "-1", "0", "1"],
        "EndpointType" => vec!["1", "1", "2", "3"],
        "Path" => vec!["\"/nowhere\"", "\"relative\"", "\"\""],
        "ClientSoftwareName" | "ClientSoftwareVersion" => vec!["\"a\"", "\"1.0\"", "\"\"", "\"-\""],
        "ClusterId" => vec!["null", "\"x\""],
        "Records" => vec![
            "batch({})",
            "batch({Records: 3})",
            "batch({ProducerId: $pid, ProducerEpoch: 0, BaseSequence: 0})",
            "batch({ProducerId: $pid, ProducerEpoch: 0, BaseSequence: 1})",
            "batch({ProducerId: $pid, ProducerEpoch: 1, BaseSequence: 0})",
            "batch({Crc: 5})",
            "batch({Count: 7})",
            "x\"\"",
        ],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_conversation_again() {
        assert_eq!(format!("{:?}", case(7).statements), format!("{:?}", case(7).statements));
        assert_ne!(format!("{:?}", case(7).statements), format!("{:?}", case(8).statements));
    }

    #[test]
    fn every_api_that_is_not_excluded_is_asked_by_some_seed() {
        let mut asked = std::collections::BTreeSet::new();
        for seed in 1..=60 {
            for statement in case(seed).statements {
                if let Statement::Send { api, .. } = statement {
                    asked.insert(api);
                }
            }
        }
        let expected = SCHEMA.apis().iter().filter(|api| !is_excluded(&api.name)).count() - SHARED.len();
        assert_eq!(asked.len(), expected, "{asked:?}");
    }
}
