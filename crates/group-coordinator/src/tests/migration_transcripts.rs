//! Transcripts of Kafka's own coordinator with members of both protocols (`testdata/MigrationTranscripts.java`),
//! replayed against the whole shard: the same answers, errors, records and group states at each step.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_model::TopicId;

use super::bench::{Bench, GROUP, new_join};
use crate::assignor::Assignor;
use crate::classic::{HeartbeatRequest, JoinRequest, LeaveRequest, LeavingMember, Protocol, SyncRequest};
use crate::consumer::transcripts::{answer, full, request};
use crate::consumer::{ConsumerGroupSettings, FakeTopics, MigrationPolicy};
use crate::error::GroupError;
use crate::records::{ClassicMemberMetadata, GroupRecord};
use crate::response::ConsumerHeartbeatError;
use crate::shard::Group;
use crate::{GroupConfig, GroupResponse, MemberId, embedded};

const TRANSCRIPTS: &str = include_str!("../../testdata/migration_transcripts.txt");

/// Nothing as `-`.
fn given(field: &str) -> Option<&str> {
    (field != "-").then_some(field)
}

fn or(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Bytes {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect::<Vec<u8>>().into()
}

/// The random part of an id that Kafka made: behind a name, or alone.
fn uuid_of(id: &str) -> uuid::Uuid {
    let tail = id.len().checked_sub(36).and_then(|at| id.get(at..));
    let classic = tail.and_then(|tail| tail.parse().ok());
    classic.or_else(|| TopicId::from_base64(id).map(|id| id.0)).unwrap_or_default()
}

fn code(error: Option<&GroupError>) -> String {
    error.map_or_else(|| "NONE".to_owned(), |error| error.code().to_string())
}

/// One script: the shard, and which join and sync tokens of the script are which of the bench.
struct Script {
    bench: Bench,
    topics: FakeTopics,
    tokens: BTreeMap<u32, u32>,
    seen: usize,
}

impl Script {
    /// `interval policy classic_size consumer_size`
    fn new(header: &str) -> Self {
        let fields: Vec<&str> = header.split(' ').collect();
        let classic_max_size = fields[2].parse().unwrap();
        let settings = ConsumerGroupSettings {
            assignors: vec![Assignor::Range],
            assignment_interval_ms: fields[0].parse().unwrap(),
            migration: match fields[1] {
                "bidirectional" => MigrationPolicy::Bidirectional,
                "upgrade" => MigrationPolicy::Upgrade,
                "downgrade" => MigrationPolicy::Downgrade,
                _ => MigrationPolicy::Disabled,
            },
            max_size: fields[3].parse().unwrap(),
            classic_max_size,
            ..ConsumerGroupSettings::default()
        };
        let mut bench = Bench::with(GroupConfig { max_size: classic_max_size, ..GroupConfig::default() });
        bench.wall_start = 999_000;
        bench.run(|shard, _, _, _| shard.set_consumer_settings(settings, BTreeMap::new()));
        Self { bench, topics: FakeTopics::default(), tokens: BTreeMap::new(), seen: 0 }
    }

    /// Plays one input line; its outputs as a transcript has them.
    fn play(&mut self, line: &str) -> Vec<String> {
        let fields: Vec<&str> = line.split(['|', ' ']).collect();
        let before = fields[0] == "beat" || fields[0] == "heartbeat" || fields[0] == "leave";
        let said = match fields[0] {
            "beat" => Some(self.beat(line)),
            "heartbeat" => Some(self.heartbeat(&fields)),
            "leave" => Some(self.leave(&fields)),
            "join" => {
                self.join(&fields);
                None
            }
            "sync" => {
                self.sync(&fields);
                None
            }
            "tick" => {
                self.bench.pass(fields[1].parse().unwrap());
                None
            }
            "topic" => {
                self.topics.add(fields[1], fields[2].parse().unwrap(), fields[3].parse().unwrap());
                let topics = Arc::new(self.topics.clone());
                self.bench.run(|shard, _, _, _| shard.set_topics(topics));
                None
            }
            _ => panic!("{line}"),
        };
        let mut out = self.records();
        debug_assert_eq!(said.is_some(), before);
        out.extend(said);
        out
    }

    fn beat(&mut self, line: &str) -> String {
        let request = request(line);
        let token = self
            .bench
            .run(|shard, now, token, out| shard.consumer_group_heartbeat(now, &request, token, out));
        match self.bench.answers.remove(&token) {
            Some(GroupResponse::ConsumerHeartbeat(Ok(response))) => answer(&response),
            Some(GroupResponse::ConsumerHeartbeat(Err(ConsumerHeartbeatError::Group(error)))) => {
                match error.code() {
                    ottla_protocol::ErrorCode::UnknownServerError => "! UNKNOWN_SERVER_ERROR".to_owned(),
                    code => format!("! {code} {error}"),
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// `join|token|member|instance|version|given|protocols|metadata`
    fn join(&mut self, fields: &[&str]) {
        let version: i16 = fields[4].parse().unwrap();
        let metadata = bytes(fields[7]);
        let protocols =
            fields[6].split(',').map(|name| Protocol { name: name.into(), metadata: metadata.clone() });
        let request = JoinRequest {
            member_id: given(fields[2]).unwrap_or_default().into(),
            instance_id: given(fields[3]).map(Into::into),
            session_timeout_ms: 12_000,
            rebalance_timeout_ms: 20_000,
            protocols: protocols.collect(),
            requires_known_member_id: version >= 4,
            supports_skipping_assignment: version >= 9,
            uuid: uuid_of(fields[5]),
            ..new_join()
        };
        let token = self.bench.join(request);
        self.tokens.insert(fields[1].parse().unwrap(), token);
    }

    /// `sync|token|member|instance|generation|assignments`
    fn sync(&mut self, fields: &[&str]) {
        let assignments = fields[5].split(';').filter_map(|one| one.split_once('='));
        let request = SyncRequest {
            group: GROUP.into(),
            generation: fields[4].parse().unwrap(),
            member_id: given(fields[2]).unwrap_or_default().into(),
            instance_id: given(fields[3]).map(Into::into),
            protocol_type: Some("consumer".into()),
            protocol: Some("range".into()),
            assignments: assignments.map(|(id, hex)| (MemberId::from(id), bytes(hex))).collect(),
        };
        let token = self.bench.run(|shard, now, token, out| shard.sync_group(now, request, token, out));
        self.tokens.insert(fields[1].parse().unwrap(), token);
    }

    /// `heartbeat|member|instance|generation`
    fn heartbeat(&mut self, fields: &[&str]) -> String {
        let request = HeartbeatRequest {
            group: GROUP.into(),
            generation: fields[3].parse().unwrap(),
            member_id: given(fields[1]).unwrap_or_default().into(),
            instance_id: given(fields[2]).map(Into::into),
        };
        let token = self.bench.run(|shard, now, token, out| shard.heartbeat(now, &request, token, out));
        match self.bench.answers.remove(&token) {
            Some(GroupResponse::Heartbeat(result)) => format!("~ heartbeat {}", code(result.err().as_ref())),
            other => panic!("{other:?}"),
        }
    }

    /// `leave|member|instance`
    fn leave(&mut self, fields: &[&str]) -> String {
        let member = LeavingMember {
            member_id: given(fields[1]).unwrap_or_default().into(),
            instance_id: given(fields[2]).map(Into::into),
        };
        let request = LeaveRequest { group: GROUP.into(), members: vec![member] };
        let token = self.bench.run(|shard, now, token, out| shard.leave_group(now, request, token, out));
        match self.bench.answers.remove(&token) {
            Some(GroupResponse::Leave(response)) => {
                let error = response.0.map_or_else(Some, |members| members[0].error.clone());
                format!("~ leave {}", code(error.as_ref()))
            }
            other => panic!("{other:?}"),
        }
    }

    /// What was written since the last look; runs of records of one kind are sorted, as in the transcripts.
    fn records(&mut self) -> Vec<String> {
        let mut lines: Vec<String> = self.bench.records[self.seen..].iter().map(show).collect();
        self.seen = self.bench.records.len();
        let kind = |line: &String| line.split(' ').next().unwrap().to_owned();
        lines.chunk_by_mut(|a, b| kind(a) == kind(b)).for_each(<[String]>::sort);
        lines.into_iter().map(|line| format!("> {line}")).collect()
    }

    /// The answers to joins and syncs that have come, and where the group stands but for its leader.
    fn finished(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        let tokens: Vec<(u32, u32)> = self.tokens.iter().map(|(theirs, ours)| (*theirs, *ours)).collect();
        for (theirs, ours) in tokens {
            let Some(response) = self.bench.answers.remove(&ours) else { continue };
            self.tokens.remove(&theirs);
            out.push(finished(theirs, &response));
        }
        out.push(self.state());
        out
    }

    fn state(&self) -> String {
        let shard = self.bench.shard();
        match shard.groups.get(&GROUP.into()) {
            None => "# none".to_owned(),
            Some(Group::Consumer(group)) => format!("# consumer {}", group.state().name()),
            Some(Group::Simple | Group::Classic(_)) => {
                let group = &shard.classic[GROUP];
                format!("# classic {} {}", group.state().name(), group.generation())
            }
        }
    }

    /// Kafka has taken this leader from its hash map.
    fn lead(&mut self, leader: &str) {
        let leader = given(leader).map(MemberId::from);
        self.bench.run(|shard, _, _, _| {
            let group = shard.classic.get_mut(GROUP).unwrap();
            assert!(leader.as_ref().is_none_or(|leader| group.members().contains_key(leader)));
            group.set_leader(leader);
        });
    }
}

fn finished(token: u32, response: &GroupResponse) -> String {
    match response {
        GroupResponse::Join(join) => format!(
            "~ join {token} {} {} {} {} {} {}",
            code(join.error.as_ref()),
            or(&join.member_id),
            join.generation,
            join.protocol_type.as_deref().unwrap_or("null"),
            or(join.protocol.as_deref().unwrap_or_default()),
            join.skip_assignment,
        ),
        GroupResponse::Sync(sync) => format!(
            "~ sync {token} {} {} {} {}",
            code(sync.error.as_ref()),
            sync.protocol_type.as_deref().unwrap_or("null"),
            sync.protocol.as_deref().unwrap_or("null"),
            show_assignment(&sync.assignment),
        ),
        other => panic!("{other:?}"),
    }
}

fn show(record: &GroupRecord) -> String {
    match record {
        GroupRecord::ConsumerGroupMemberMetadata(_, Some(value)) => {
            let classic = value.classic_member_metadata.as_ref();
            let classic = classic.map_or_else(String::new, |classic| {
                let instance = value.instance_id.as_deref().unwrap_or("-");
                let rack = value.rack_id.as_deref().unwrap_or("-");
                show_classic(instance, rack, value.rebalance_timeout_ms, classic)
            });
            format!("{}{classic}", full(record))
        }
        GroupRecord::GroupMetadata(_, None) => "-group".to_owned(),
        GroupRecord::GroupMetadata(_, Some(value)) => {
            let mut members: Vec<_> = value.members.iter().collect();
            members.sort_by_key(|member| member.member_id.clone());
            let members = members.into_iter().map(|member| {
                format!(
                    " {} {} {} {} {} {}",
                    member.member_id,
                    member.instance_id.as_deref().unwrap_or("-"),
                    member.session_timeout_ms,
                    member.rebalance_timeout_ms,
                    hex(&member.subscription),
                    show_assignment(&member.assignment),
                )
            });
            format!(
                "group {} {} {} @{}{}",
                or(&value.protocol_type),
                value.generation,
                value.protocol.as_deref().unwrap_or("-"),
                value.current_state_timestamp,
                members.collect::<String>(),
            )
        }
        other => full(other),
    }
}

fn show_classic(
    instance: &str,
    rack: &str,
    rebalance_timeout_ms: i32,
    classic: &ClassicMemberMetadata,
) -> String {
    let protocols = classic.supported_protocols.iter().map(|p| format!("{}={}", p.name, hex(&p.metadata)));
    let protocols: Vec<String> = protocols.collect();
    format!(
        " classic {instance} {rack} {rebalance_timeout_ms} {} {}",
        classic.session_timeout_ms,
        protocols.join(",")
    )
}

fn show_assignment(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "[]".to_owned();
    }
    let version = embedded::version_of(bytes).unwrap();
    let mut topics = embedded::read_assignment(bytes).unwrap().partitions;
    topics.sort();
    let topics = topics.into_iter().map(|(topic, mut partitions)| {
        partitions.sort_unstable();
        let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        format!(";{topic}:{}", partitions.join(","))
    });
    format!("[v{version}{}]", topics.collect::<String>())
}

#[test]
fn answers_and_records_are_those_of_kafka() {
    let (mut upgrades, mut downgrades) = (0, 0);
    for script in TRANSCRIPTS.split("script ").skip(1) {
        let mut lines = script.lines().peekable();
        let mut script = Script::new(lines.next().unwrap());
        let (mut past, mut before) = (Vec::new(), "none");
        while let Some(line) = lines.next() {
            past.push(line);
            let (mut expected, mut actual) = (Vec::new(), Vec::new());
            if line.starts_with('~') || line.starts_with('#') {
                let mut state = line;
                while !state.starts_with('#') {
                    expected.push(state.to_owned());
                    state = lines.next().unwrap();
                    past.push(state);
                }
                let fields: Vec<&str> = state.splitn(5, ' ').collect();
                expected.push(fields[..fields.len().min(4)].join(" "));
                actual.extend(script.finished());
                if let Some(leader) = fields.get(4).filter(|_| actual == expected) {
                    script.lead(leader);
                }
                upgrades += i32::from(before == "classic" && fields[1] == "consumer");
                downgrades += i32::from(before == "consumer" && fields[1] == "classic");
                before = fields[1];
            } else {
                while let Some(output) = lines.next_if(|l| is_output(line, l)) {
                    past.push(output);
                    expected.push(output.to_owned());
                }
                actual = script.play(line);
            }
            let recent = &past[past.len().saturating_sub(30)..];
            assert_eq!(actual, expected, "after {recent:#?}");
        }
        let again = script.bench.restarted();
        let group = |bench: &Bench| {
            bench.shard().consumer_group(&GROUP.into()).cloned().map(|mut group| {
                group.request_metadata_check();
                group
            })
        };
        assert_eq!(group(&again), group(&script.bench), "state after replay");
    }
    assert!(upgrades > 20 && downgrades > 20, "{upgrades} upgrades, {downgrades} downgrades");
}

/// Whether a line is what the input before it has brought, and not what is told of the group afterwards.
fn is_output(input: &str, line: &str) -> bool {
    let own = [("heartbeat|", "~ heartbeat"), ("leave|", "~ leave")];
    line.starts_with(['>', '=', '!'])
        || own.iter().any(|(start, answer)| input.starts_with(start) && line.starts_with(answer))
}
