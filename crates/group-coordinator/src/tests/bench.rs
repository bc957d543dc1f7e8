//! The workbench of the scripts: an engine, its log, a clock, and short ways to say a request.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ottla_coordinator::{CoreConfig, Outcome, ShardCore, WriteError};
use ottla_model::batch::BatchHeader;
use ottla_model::wire::Writer;
use ottla_model::{LeaderEpoch, MonoMs, Now, Offset, TimestampMs, TopicId};

use crate::classic::{
    HeartbeatRequest, JoinRequest, JoinResponse, LeaveRequest, LeavingMember, LeftMember, Protocol,
    SyncRequest, SyncResponse,
};
use crate::consumer::{ConsumerGroupSettings, TopicDirectory, TopicInfo};
use crate::offsets::{OffsetCommitRequest, OffsetCommitTopic, OffsetFetchRequest, OffsetToCommit};
use crate::records::GroupRecord;
use crate::{GroupConfig, GroupError, GroupId, GroupResponse, GroupShard, InstanceId, MemberId};

pub(super) const GROUP: &str = "g";
/// Milliseconds since the epoch at the clock's zero.
pub(super) const START: i64 = 1_700_000_000_000;

#[derive(Debug)]
pub(super) struct NoTopics;

impl TopicDirectory for NoTopics {
    fn version(&self) -> i64 {
        0
    }

    fn topics_created_version(&self) -> i64 {
        0
    }

    fn topic(&self, _: &str) -> Option<TopicInfo> {
        None
    }

    fn topic_by_id(&self, _: TopicId) -> Option<TopicInfo> {
        None
    }

    fn racks(&self, _: TopicId, _: i32) -> Vec<String> {
        Vec::new()
    }

    fn for_each_name(&self, _: &mut dyn FnMut(&str)) {}
}

pub(super) type Shard = GroupShard<u32>;

#[derive(Debug)]
pub(super) struct Bench {
    pub(super) core: ShardCore<Shard>,
    pub(super) log: Vec<u8>,
    /// Every record written, decoded from the log's bytes.
    pub(super) records: Vec<GroupRecord>,
    pub(super) answers: BTreeMap<u32, GroupResponse>,
    /// What the next appends answer; then they succeed.
    pub(super) failures: Vec<WriteError>,
    /// The high watermark stays where it is.
    pub(super) stuck: bool,
    end: i64,
    /// The wall clock at the monotone clock's zero.
    pub(super) wall_start: i64,
    now_ms: u64,
    next_token: u32,
    config: GroupConfig,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(GroupConfig::default())
    }

    pub(super) fn with(config: GroupConfig) -> Self {
        let mut bench = Self {
            core: engine(&config),
            log: Vec::new(),
            records: Vec::new(),
            answers: BTreeMap::new(),
            failures: Vec::new(),
            stuck: false,
            end: 0,
            wall_start: START,
            now_ms: 1_000,
            next_token: 0,
            config,
        };
        bench.core.loaded(Offset::ZERO, bench.now());
        bench
    }

    /// A shard that found this log.
    pub(super) fn found(log: &[u8]) -> Self {
        let mut bench = Self { log: log.to_vec(), ..Self::new() };
        let last = ottla_model::batch::batches(log).last().unwrap().unwrap();
        bench.end = last.0.next_offset().get();
        bench.restarted()
    }

    /// The shard as it comes back from its log.
    pub(super) fn restarted(&self) -> Self {
        let mut core = engine(&self.config);
        core.load(&self.log).unwrap();
        core.loaded(Offset(self.end), self.now());
        Self {
            core,
            log: self.log.clone(),
            records: Vec::new(),
            answers: BTreeMap::new(),
            failures: Vec::new(),
            stuck: false,
            end: self.end,
            wall_start: self.wall_start,
            now_ms: self.now_ms,
            next_token: self.next_token,
            config: self.config.clone(),
        }
    }

    pub(super) fn now(&self) -> Now {
        let wall = self.wall_start + i64::try_from(self.now_ms).unwrap();
        Now { wall: TimestampMs(wall), mono: MonoMs(self.now_ms) }
    }

    pub(super) fn shard(&self) -> &Shard {
        self.core.read().unwrap()
    }

    /// Runs an operation; the token it was given.
    pub(super) fn run(&mut self, op: impl FnOnce(&mut Shard, Now, u32, &mut Outcome<Shard>)) -> u32 {
        let token = self.next_token;
        self.next_token += 1;
        let now = self.now();
        self.core.write(now, |shard, out| op(shard, now, token, out)).unwrap();
        self.settle();
        token
    }

    /// Lets time pass, stopping at each deadline.
    pub(super) fn pass(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while let Some(deadline) = self.core.next_deadline().filter(|d| d.0 <= until) {
            self.now_ms = self.now_ms.max(deadline.0);
            self.core.tick(self.now());
            self.settle();
        }
        self.now_ms = until;
    }

    fn settle(&mut self) {
        while let Some(mut append) = self.core.poll_append() {
            let now = self.now();
            if !self.failures.is_empty() {
                let error = self.failures.remove(0);
                self.core.appended(append.write, Err(error), now);
                continue;
            }
            BatchHeader::assign(&mut append.batch, Offset(self.end), LeaderEpoch(0));
            let header = BatchHeader::read(&append.batch).unwrap();
            for record in ottla_model::batch::Records::new(&header, &append.batch[61..]) {
                let record = record.unwrap();
                self.records.push(GroupRecord::decode(record.key.unwrap(), record.value).unwrap());
            }
            self.end = header.next_offset().get();
            self.log.extend(append.batch);
            self.core.appended(append.write, Ok(header.last_offset()), now);
            if !self.stuck {
                self.core.high_watermark(Offset(self.end), now);
            }
        }
        while let Some((token, response)) = self.core.poll_reply() {
            assert!(self.answers.insert(token, response).is_none(), "two answers for {token}");
        }
    }

    /// The high watermark catches up.
    pub(super) fn unstick(&mut self) {
        self.stuck = false;
        let now = self.now();
        self.core.high_watermark(Offset(self.end), now);
        self.settle();
    }

    pub(super) fn join(&mut self, request: JoinRequest) -> u32 {
        self.run(|shard, now, token, out| shard.join_group(now, request, token, out))
    }

    pub(super) fn joined(&mut self, token: u32) -> JoinResponse {
        match self.answers.remove(&token) {
            Some(GroupResponse::Join(response)) => response,
            other => panic!("{token} has {other:?}"),
        }
    }

    pub(super) fn sync(&mut self, member: &MemberId, generation: i32, assign: &[(&MemberId, &str)]) -> u32 {
        let assignments = assign.iter().map(|(m, a)| ((*m).clone(), Bytes::from((*a).to_string())));
        let request = SyncRequest {
            group: GROUP.into(),
            generation,
            member_id: member.clone(),
            instance_id: None,
            protocol_type: None,
            protocol: None,
            assignments: assignments.collect(),
        };
        self.run(|shard, now, token, out| shard.sync_group(now, request, token, out))
    }

    pub(super) fn synced(&mut self, token: u32) -> SyncResponse {
        match self.answers.remove(&token) {
            Some(GroupResponse::Sync(response)) => response,
            other => panic!("{token} has {other:?}"),
        }
    }

    pub(super) fn heartbeat(&mut self, member: &MemberId, generation: i32) -> Result<(), GroupError> {
        let request = HeartbeatRequest {
            group: GROUP.into(),
            generation,
            member_id: member.clone(),
            instance_id: None,
        };
        let token = self.run(|shard, now, token, out| shard.heartbeat(now, &request, token, out));
        match self.answers.remove(&token) {
            Some(GroupResponse::Heartbeat(result)) => result,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Vec<LeftMember> {
        let member = |(id, instance): &(&str, Option<&str>)| LeavingMember {
            member_id: (*id).into(),
            instance_id: instance.map(InstanceId::from),
        };
        let request = LeaveRequest { group: GROUP.into(), members: members.iter().map(member).collect() };
        let token = self.run(|shard, now, token, out| shard.leave_group(now, request, token, out));
        match self.answers.remove(&token) {
            Some(GroupResponse::Leave(response)) => response.0.unwrap_or_default(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn commit(&mut self, request: &OffsetCommitRequest) -> u32 {
        self.run(|shard, now, token, out| shard.offset_commit(now, request, token, out))
    }

    /// Errors of a commit, one a partition.
    pub(super) fn committed(&mut self, token: u32) -> Result<Vec<Option<GroupError>>, GroupError> {
        match self.answers.remove(&token) {
            Some(GroupResponse::OffsetCommit(result)) => {
                result.map(|topics| topics.into_iter().flat_map(|t| t.partitions).map(|p| p.error).collect())
            }
            other => panic!("{token} has {other:?}"),
        }
    }

    /// All committed offsets of the group, `topic-partition` to offset.
    pub(super) fn offsets(&self) -> BTreeMap<String, i64> {
        let request =
            OffsetFetchRequest { group: GROUP.into(), member_id: None, member_epoch: -1, topics: None };
        let topics = self.shard().offset_fetch(&request).unwrap();
        let partitions = topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p)));
        partitions.map(|(t, p)| (format!("{}-{}", t.name, p.partition), p.offset.get())).collect()
    }

    pub(super) fn state(&self) -> &'static str {
        self.shard().describe_group(&GROUP.into()).map_or("-", |group| group.state)
    }

    /// A stable group of dynamic consumers; their ids, the leader first.
    pub(super) fn stable_group(&mut self, members: usize) -> Vec<MemberId> {
        let tokens: Vec<u32> = (0..members).map(|_| self.join(old_join())).collect();
        self.pass(10_000);
        let joined: Vec<JoinResponse> = tokens.into_iter().map(|token| self.joined(token)).collect();
        let mut ids: Vec<MemberId> = joined.iter().map(|j| j.member_id.clone()).collect();
        let leader = joined[0].leader.clone();
        ids.sort_by_key(|id| *id != leader);
        let generation = joined[0].generation;
        for id in ids.iter().rev() {
            let assign: Vec<(&MemberId, &str)> = ids.iter().map(|id| (id, "assigned")).collect();
            self.sync(id, generation, if *id == leader { &assign } else { &[] });
        }
        self.answers.clear();
        assert_eq!(self.state(), "Stable");
        ids
    }
}

fn engine(config: &GroupConfig) -> ShardCore<Shard> {
    let shard = GroupShard::new(config.clone(), ConsumerGroupSettings::default(), Arc::new(NoTopics));
    ShardCore::new(shard, CoreConfig::default())
}

thread_local! {
    static UUIDS: std::cell::Cell<u128> = const { std::cell::Cell::new(0) };
}

/// A join of a new dynamic consumer that supports `range`.
pub(super) fn new_join() -> JoinRequest {
    let uuid = UUIDS.with(|next| {
        next.set(next.get() + 1);
        uuid::Uuid::from_u128(next.get())
    });
    JoinRequest {
        group: GROUP.into(),
        member_id: MemberId::default(),
        instance_id: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range", &["t"])],
        requires_known_member_id: true,
        supports_skipping_assignment: true,
        uuid,
    }
}

/// The same from a client that gets its id with the answer (before KIP-394).
pub(super) fn old_join() -> JoinRequest {
    JoinRequest { requires_known_member_id: false, ..new_join() }
}

pub(super) fn rejoin(member: &MemberId) -> JoinRequest {
    JoinRequest { member_id: member.clone(), ..new_join() }
}

pub(super) fn static_join(instance: &str) -> JoinRequest {
    JoinRequest { instance_id: Some(instance.into()), ..new_join() }
}

/// A protocol of the given name with a consumer's subscription.
pub(super) fn protocol(name: &str, topics: &[&str]) -> Protocol {
    let mut out = Writer::new();
    out.i16(0);
    out.array_len(Some(topics.len()));
    for topic in topics {
        out.string(topic);
    }
    out.nullable_bytes(None);
    Protocol { name: name.into(), metadata: out.into_vec().into() }
}

/// A commit of offset `offset` in partition 0 of `topic`.
pub(super) fn commit_of(member: &str, generation: i32, topic: &str, offset: i64) -> OffsetCommitRequest {
    let partition =
        OffsetToCommit { partition: 0, offset: Offset(offset), leader_epoch: LeaderEpoch(3), metadata: None };
    OffsetCommitRequest {
        group: GroupId::from(GROUP),
        member_id: member.into(),
        instance_id: None,
        generation,
        knows_epochs: true,
        retention_ms: None,
        topics: vec![OffsetCommitTopic {
            name: topic.into(),
            topic_id: TopicId::ZERO,
            partitions: vec![partition],
        }],
    }
}

impl Bench {
    /// This bench's settings on the other's log.
    pub(super) fn restarted_with_end_of(&self, other: &Self) -> Self {
        Self { config: self.config.clone(), ..other.copied() }.restarted()
    }

    fn copied(&self) -> Self {
        Self { end: self.end, now_ms: self.now_ms, log: self.log.clone(), ..Self::with(self.config.clone()) }
    }
}
