//! One group driven by tests: a fake clock, timers, topics, and a log from which the group is always replayed anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::{MonoMs, Now, TimestampMs};

use super::topics::testing::FakeTopics;
use super::*;
use crate::assignor::Assignment;
use crate::records::GroupRecord;
use crate::{GroupId, InstanceId, MemberId};

/// Wall clock at the start; the monotone one starts at 0.
pub(super) const EPOCH_MS: i64 = 1_000_000;

#[derive(Debug, Default)]
pub(super) struct Harness {
    pub(super) group: Option<ConsumerGroup>,
    pub(super) topics: FakeTopics,
    pub(super) settings: ConsumerGroupSettings,
    pub(super) log: Vec<GroupRecord>,
    /// Lengths of the log after each operation: a batch is cleaned whole.
    pub(super) batches: Vec<usize>,
    hashes: TopicHashes,
    now_ms: u64,
    /// The coordinator's clock is so much behind that of whoever coordinated before.
    pub(super) behind_ms: i64,
    timers: BTreeMap<TimerKey, (u64, i32)>,
}

impl Harness {
    /// A group with these topics: name, id, partitions. Target assignments are not spaced out.
    pub(super) fn new(topics: &[(&str, u128, usize)]) -> Self {
        let mut harness = Self::default();
        harness.settings.assignment_interval_ms = 0;
        for (name, id, partitions) in topics {
            harness.add_topic(name, *id, *partitions);
        }
        harness
    }

    pub(super) fn add_topic(&mut self, name: &str, id: u128, partitions: usize) {
        self.topics.add(name, id, partitions);
        self.topic_changed(name);
    }

    pub(super) fn set_topic_racks(&mut self, name: &str, id: ottla_model::TopicId, racks: Vec<Vec<String>>) {
        self.topics.add_with_racks(name, id, racks);
        self.topic_changed(name);
    }

    pub(super) fn remove_topic(&mut self, name: &str) {
        self.topics.remove(name);
        self.topic_changed(name);
    }

    fn topic_changed(&mut self, name: &str) {
        if let Some(group) = self.group.as_mut().filter(|g| g.is_subscribed_to(name)) {
            group.request_metadata_check();
        }
    }

    pub(super) fn group(&self) -> &ConsumerGroup {
        self.group.as_ref().expect("group exists")
    }

    pub(super) fn now(&self) -> Now {
        let wall = EPOCH_MS + i64::try_from(self.now_ms).unwrap() - self.behind_ms;
        Now { wall: TimestampMs(wall), mono: MonoMs(self.now_ms) }
    }

    pub(super) fn heartbeat(
        &mut self,
        request: &HeartbeatRequest,
    ) -> Result<(HeartbeatResponse, Vec<GroupRecord>), ConsumerGroupError> {
        request.validate(&self.settings)?;
        let now = self.now();
        let ctx =
            &mut Context { now, topics: &self.topics, settings: &self.settings, hashes: &mut self.hashes };
        let outcome = heartbeat(self.group.as_ref(), request, ctx)?;
        Ok(self.commit(outcome))
    }

    /// As `heartbeat`, with the records spelled out.
    pub(super) fn beat(&mut self, request: &HeartbeatRequest) -> (HeartbeatResponse, Vec<String>) {
        let (response, records) = self.heartbeat(request).expect("heartbeat is accepted");
        (response, records.iter().map(show).collect())
    }

    /// Moves the clock, fires what is due on the way, and returns the records of that.
    pub(super) fn advance(&mut self, ms: u64) -> Vec<String> {
        self.tick(ms).iter().flatten().map(show).collect()
    }

    /// As `advance`, by timer.
    pub(super) fn tick(&mut self, ms: u64) -> Vec<Vec<GroupRecord>> {
        let end = self.now_ms + ms;
        let mut out = Vec::new();
        while let Some((key, (at, epoch))) = self.due(end) {
            self.timers.remove(&key);
            self.now_ms = self.now_ms.max(at);
            let now = self.now();
            let Some(group) = &self.group else { continue };
            let ctx = &mut Context {
                now,
                topics: &self.topics,
                settings: &self.settings,
                hashes: &mut self.hashes,
            };
            let outcome = timer_fired(group, &key, epoch, ctx);
            let ((), records) = self.commit(outcome);
            out.push(records);
        }
        self.now_ms = end;
        out
    }

    fn due(&self, end: u64) -> Option<(TimerKey, (u64, i32))> {
        let first = self.timers.iter().min_by_key(|(_, (at, _))| *at)?;
        (first.1.0 <= end).then(|| (first.0.clone(), *first.1))
    }

    fn commit<T>(&mut self, outcome: Outcome<T>) -> (T, Vec<GroupRecord>) {
        for record in &outcome.records {
            replay_into(&mut self.group, record);
            self.check();
        }
        if let (Some(group), Some(check)) = (&mut self.group, outcome.metadata_checked) {
            group.set_metadata_checked(check);
        }
        self.log.extend(outcome.records.iter().cloned());
        self.batches.push(self.log.len());
        self.run(outcome.timers);
        (outcome.response, outcome.records)
    }

    fn run(&mut self, timers: Vec<TimerCommand>) {
        for command in timers {
            match command {
                TimerCommand::Schedule { key, after_ms, member_epoch } => {
                    self.timers.insert(key, (self.now_ms + after_ms, member_epoch));
                }
                TimerCommand::ScheduleIfAbsent { key, after_ms } => {
                    self.timers.entry(key).or_insert((self.now_ms + after_ms, 0));
                }
                TimerCommand::Cancel(key) => {
                    self.timers.remove(&key);
                }
            }
        }
    }

    /// Loses all soft state and comes back from the log, as after a crash.
    pub(super) fn restart(&mut self) {
        let before = self.group.take();
        for record in self.log.clone() {
            let bytes = (record.encode_key(), record.encode_value());
            let record = GroupRecord::decode(&bytes.0, bytes.1.as_deref()).unwrap();
            replay_into(&mut self.group, &record);
        }
        if let (Some(before), Some(after)) = (before, &self.group) {
            let mut before = before;
            before.request_metadata_check();
            assert_eq!(&before, after, "state after replay");
        }
        self.timers.clear();
        let timers = self.group.as_ref().map(|g| timers_on_load(g, &self.settings));
        self.run(timers.unwrap_or_default());
    }

    /// What a compacted log gives: of the first `clean` records only the last of each key, of tombstones among these
    /// some or none; then the others.
    pub(super) fn check_compacted(&self, clean: usize, keep_tombstones: bool) {
        let (head, tail) = self.log.split_at(clean);
        let last: BTreeMap<_, _> = head.iter().enumerate().map(|(at, r)| (r.encode_key(), at)).collect();
        let mut group = None;
        for (at, record) in head.iter().enumerate() {
            let kept = last.get(&record.encode_key()) == Some(&at);
            if kept && (keep_tombstones || record.encode_value().is_some()) {
                replay_into(&mut group, record);
            }
        }
        tail.iter().for_each(|record| replay_into(&mut group, record));
        let normal = |group: Option<ConsumerGroup>| {
            group.map(|mut group| {
                group.request_metadata_check();
                // It depends on the order of records of different keys, as Kafka's does.
                group.subscription_type = crate::assignor::SubscriptionType::Homogeneous;
                group
            })
        };
        assert_eq!(normal(group), normal(self.group.clone()), "state after compaction of {clean}");
    }

    /// No partition is with two members, be it assigned or pending revocation.
    pub(super) fn check(&self) {
        let Some(group) = &self.group else { return };
        let mut owners = BTreeMap::new();
        for (member_id, member) in group.members() {
            for (topic_id, partitions) in member.assigned.iter().chain(&member.pending_revocation) {
                for partition in partitions.keys() {
                    let other = owners.insert((*topic_id, *partition), member_id);
                    assert_eq!(other, None, "{topic_id}-{partition} is also with {member_id}");
                }
            }
        }
    }
}

fn replay_into(group: &mut Option<ConsumerGroup>, record: &GroupRecord) {
    if group.is_none() {
        if record.encode_value().is_none() {
            return;
        }
        *group = Some(ConsumerGroup::new(GroupId::from("g")));
    }
    let fate = group.as_mut().map(|g| g.replay(record).expect("legal record"));
    if fate == Some(Fate::Removed) {
        *group = None;
    }
}

/// A joining member with these topics; "" as id lets the coordinator make one.
pub(super) fn join(member_id: &str, topics: &[&str]) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: GroupId::from("g"),
        member_id: MemberId::from(member_id),
        rebalance_timeout_ms: Some(30_000),
        subscribed_topic_names: Some(topics.iter().map(|t| Arc::from(*t)).collect()),
        owned: Some(Assignment::new()),
        client_id: Arc::from("client"),
        client_host: Arc::from("/127.0.0.1"),
        new_member_id: MemberId::from("generated"),
        ..HeartbeatRequest::default()
    }
}

/// A heartbeat that only says that the member is there.
pub(super) fn stay(member_id: &str, member_epoch: i32) -> HeartbeatRequest {
    HeartbeatRequest {
        member_epoch,
        rebalance_timeout_ms: None,
        subscribed_topic_names: None,
        owned: None,
        ..join(member_id, &[])
    }
}

pub(super) fn owning(member_id: &str, member_epoch: i32, owned: &Assignment) -> HeartbeatRequest {
    HeartbeatRequest { owned: Some(owned.clone()), ..stay(member_id, member_epoch) }
}

pub(super) fn with_instance(mut request: HeartbeatRequest, instance_id: &str) -> HeartbeatRequest {
    request.instance_id = Some(InstanceId::from(instance_id));
    request
}

pub(super) fn with_regex(mut request: HeartbeatRequest, regex: &str) -> HeartbeatRequest {
    request.subscribed_topic_names = None;
    request.subscribed_topic_regex = Some(Arc::from(regex));
    request
}

/// `{1:[0,1]}`: topics by number.
pub(super) fn assignment(text: &str) -> Assignment {
    let topics = text.split(' ').filter(|t| !t.is_empty());
    let parse = |topic: &str| {
        let (id, partitions) = topic.split_once(':').unwrap();
        let id = ottla_model::TopicId(uuid::Uuid::from_u128(id.parse().unwrap()));
        (id, partitions.split(',').map(|p| p.parse().unwrap()).collect())
    };
    topics.map(parse).collect()
}

/// One line for a record.
pub(super) fn show(record: &GroupRecord) -> String {
    match record {
        GroupRecord::ConsumerGroupMetadata(_, Some(v)) => format!("epoch {}", v.epoch),
        GroupRecord::ConsumerGroupMetadata(_, None) => "-epoch".to_owned(),
        GroupRecord::ConsumerGroupPartitionMetadata(..) => "-partition_metadata".to_owned(),
        GroupRecord::ConsumerGroupMemberMetadata(k, Some(v)) => format!(
            "member {} {}{}",
            k.member,
            v.subscribed_topic_names.join(","),
            v.subscribed_topic_regex
                .as_deref()
                .filter(|r| !r.is_empty())
                .map_or_else(String::new, |r| format!("/{r}/")),
        ),
        GroupRecord::ConsumerGroupMemberMetadata(k, None) => format!("-member {}", k.member),
        GroupRecord::ConsumerGroupTargetAssignmentMetadata(_, Some(v)) => {
            format!("target_epoch {} @{}", v.assignment_epoch, v.assignment_timestamp)
        }
        GroupRecord::ConsumerGroupTargetAssignmentMetadata(_, None) => "-target_epoch".to_owned(),
        GroupRecord::ConsumerGroupTargetAssignmentMember(k, Some(v)) => {
            let topics = v.topic_partitions.iter().map(|t| (t.topic_id, &t.partitions));
            format!("target {}{}", k.member, show_topics(topics))
        }
        GroupRecord::ConsumerGroupTargetAssignmentMember(k, None) => format!("-target {}", k.member),
        GroupRecord::ConsumerGroupCurrentMemberAssignment(k, Some(v)) => format!(
            "current {} {}<-{} {:?}{} |{}",
            k.member,
            v.member_epoch,
            v.previous_member_epoch,
            MemberState::from_code(v.state),
            show_topics(v.assigned_partitions.iter().map(|t| (t.topic_id, &t.partitions))),
            show_topics(v.partitions_pending_revocation.iter().map(|t| (t.topic_id, &t.partitions))),
        ),
        GroupRecord::ConsumerGroupCurrentMemberAssignment(k, None) => format!("-current {}", k.member),
        GroupRecord::ConsumerGroupRegularExpression(k, Some(v)) => {
            format!("regex {} {}", k.regex, v.topics.join(","))
        }
        GroupRecord::ConsumerGroupRegularExpression(k, None) => format!("-regex {}", k.regex),
        other => format!("{other:?}"),
    }
}

fn show_topics<'a>(topics: impl Iterator<Item = (ottla_model::TopicId, &'a Vec<i32>)>) -> String {
    topics
        .map(|(id, partitions)| {
            let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            format!(" {}:{}", id.0.as_u128(), partitions.join(","))
        })
        .collect()
}
