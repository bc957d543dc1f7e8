//! The groups' coordinators that are led here: as `broker/src/groups/registry.rs`, `load.rs` and `coordinator.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ottla_coordinator::{CoreConfig, NotActive, ShardCore, ShardState, WriteError};
use ottla_group_coordinator::consumer::ConsumerGroupSettings;
use ottla_group_coordinator::{GroupConfig, GroupError, GroupResponse, GroupShard};
use ottla_metadata::{MetadataDelta, MetadataImage};
use ottla_model::{LeaderEpoch, Now, Offset, TopicIdPartition};

use super::process::Process;
use super::replica::Replica;
use super::shell::Shell;
use super::topics::Topics;
use crate::groups::{CONSUMER_SESSION_MS, GroupAsk, GroupSettings, OFFSETS_TOPIC};
use crate::message::{Address, Body, broker};

/// Longer than clients wait.
const WRITE_TIMEOUT_MS: u64 = 700;

/// The client, and its request.
pub(crate) type Token = (Address, u64);
pub(crate) type Shard = GroupShard<Token>;
type Replicas = BTreeMap<TopicIdPartition, Replica>;

/// By partition of `__consumer_offsets`.
#[derive(Debug, Default)]
pub(crate) struct Coordinators {
    settings: Option<GroupSettings>,
    led: BTreeMap<i32, Coordinator>,
    /// What the replicas know already, oldest first.
    news: VecDeque<News>,
}

#[derive(Debug)]
struct News {
    due: u64,
    image: MetadataImage,
    delta: MetadataDelta,
}

/// For one leadership.
#[derive(Debug)]
struct Coordinator {
    id: TopicIdPartition,
    index: i32,
    leader_epoch: LeaderEpoch,
    core: ShardCore<Shard>,
    loading: Option<Loading>,
    /// When it began to serve.
    since: u64,
}

/// What is there when the leadership begins is replayed once all of it is committed.
#[derive(Clone, Copy, Debug)]
struct Loading {
    at: Option<Offset>,
    end: Offset,
}

impl Coordinators {
    pub(crate) fn new(settings: Option<GroupSettings>) -> Self {
        Self { settings, ..Self::default() }
    }

    /// The replicas have followed `image`.
    pub(crate) fn hear(&mut self, image: &MetadataImage, delta: &MetadataDelta, now: Now) {
        if let Some(settings) = self.settings {
            let due = now.mono.0 + settings.apply_ms;
            self.news.push_back(News { due, image: image.clone(), delta: delta.clone() });
        }
    }

    /// Those that serve: the partition, in which epoch, and since when.
    pub(crate) fn at_work(&self) -> impl Iterator<Item = (i32, LeaderEpoch, u64)> {
        let serving = self.led.values().filter(|coordinator| coordinator.core.read().is_ok());
        serving.map(|coordinator| (coordinator.index, coordinator.leader_epoch, coordinator.since))
    }

    /// The committed state of one that serves, and its epoch.
    pub(crate) fn serving(&self, index: i32) -> Option<(LeaderEpoch, &Shard)> {
        let coordinator = self.led.get(&index)?;
        Some((coordinator.leader_epoch, coordinator.core.read().ok()?))
    }
}

impl Process {
    pub(crate) fn serve_group(&mut self, from: Address, request: u64, index: i32, ask: &GroupAsk, now: Now) {
        let (shell, replicas) = (&mut self.shell, &mut self.replicas);
        let (epoch, since, refusal) = match self.coordinators.led.get_mut(&index) {
            Some(coordinator) => {
                let asked = coordinator.ask(ask, (from, request), replicas, shell, now);
                (coordinator.leader_epoch, coordinator.since, asked.err())
            }
            None => {
                let topic = self.image.topic(OFFSETS_TOPIC);
                let leader = topic.and_then(|topic| topic.partition(index)).map(|partition| partition.leader);
                let is_here = leader == Some(broker(self.own));
                (LeaderEpoch::NONE, 0, Some(if is_here { NotActive::Loading } else { NotActive::Closed }))
            }
        };
        if let Some(refusal) = refusal {
            let outcome = Err(GroupError::NotActive(refusal));
            shell.answer(from, Body::GroupTold { request, index, leader_epoch: epoch, since, outcome });
        }
    }

    /// What time, metadata and the high watermark have brought to the coordinators.
    pub(crate) fn coordinate(&mut self, now: Now) {
        while self.coordinators.news.front().is_some_and(|news| news.due <= now.mono.0) {
            let Some(news) = self.coordinators.news.pop_front() else { break };
            self.follow_groups(&news.image, &news.delta, now);
        }
        for coordinator in self.coordinators.led.values_mut() {
            coordinator.go_on(&mut self.replicas, &mut self.shell, now);
        }
    }

    /// As often as the broker ticks.
    pub(crate) fn load_groups(&mut self, now: Now) {
        let reads = self.coordinators.settings.map_or(0, |settings| settings.load_reads);
        let image = &self.image;
        for coordinator in self.coordinators.led.values_mut() {
            for _ in 0..reads {
                if coordinator.loading.is_none() {
                    break;
                }
                coordinator.load(image, &mut self.replicas, &mut self.shell, now);
            }
        }
    }

    fn follow_groups(&mut self, image: &MetadataImage, delta: &MetadataDelta, now: Now) {
        if !delta.topics.is_empty() {
            let topics = Arc::new(Topics::of(image));
            for coordinator in self.coordinators.led.values_mut() {
                let topics = Arc::clone(&topics);
                coordinator.drive(&mut self.replicas, &mut self.shell, now, |core| {
                    let _ = core.write(now, |shard, _| shard.set_topics(topics));
                });
            }
        }
        let Some(settings) = self.coordinators.settings else { return };
        let offsets = image.topic(OFFSETS_TOPIC);
        let changed = offsets.and_then(|topic| delta.topics.get(&topic.id));
        let (Some(topic), Some(changed)) = (offsets, changed) else { return };
        for index in &changed.partitions {
            let partition = topic.partition(*index);
            let leader_epoch = partition
                .filter(|partition| partition.leader == broker(self.own))
                .map(|partition| partition.leader_epoch);
            let known = self.coordinators.led.get(index).map(|coordinator| coordinator.leader_epoch);
            if known == leader_epoch {
                continue;
            }
            if let Some(mut coordinator) = self.coordinators.led.remove(index) {
                self.shell.count("group coordinator resigns");
                coordinator.close(&mut self.replicas, &mut self.shell, now);
            }
            let id = TopicIdPartition { topic_id: topic.id, partition: *index };
            let (Some(leader_epoch), Some(replica)) = (leader_epoch, self.replicas.get(&id)) else {
                continue;
            };
            let (start, end) = (replica.log.log_start_offset(), replica.log.log_end_offset());
            let mut coordinator = Coordinator::new(id, leader_epoch, end, settings, image);
            self.shell.count("group coordinator elected");
            if start >= end {
                coordinator.load(image, &mut self.replicas, &mut self.shell, now);
            }
            self.coordinators.led.insert(*index, coordinator);
        }
    }
}

impl Coordinator {
    fn new(
        id: TopicIdPartition,
        leader_epoch: LeaderEpoch,
        end: Offset,
        settings: GroupSettings,
        image: &MetadataImage,
    ) -> Self {
        let config = GroupConfig {
            min_session_timeout_ms: 1,
            initial_rebalance_delay_ms: 40,
            new_member_join_timeout_ms: 2_000,
            ..GroupConfig::default()
        };
        let consumers = ConsumerGroupSettings {
            session_timeout_ms: u32::try_from(CONSUMER_SESSION_MS).unwrap_or(0),
            heartbeat_interval_ms: 100,
            assignment_interval_ms: settings.assignment_ms,
            ..ConsumerGroupSettings::default()
        };
        let shard = GroupShard::new(config, consumers, Arc::new(Topics::of(image)));
        let config = CoreConfig { write_timeout_ms: WRITE_TIMEOUT_MS, ..CoreConfig::default() };
        let core = ShardCore::new(shard, config);
        let loading = Some(Loading { at: None, end });
        Self { id, index: id.partition, leader_epoch, core, loading, since: 0 }
    }

    /// Does something with the engine, then what the engine wants.
    fn drive(
        &mut self,
        replicas: &mut Replicas,
        shell: &mut Shell,
        now: Now,
        act: impl FnOnce(&mut ShardCore<Shard>),
    ) {
        act(&mut self.core);
        while let Some(append) = self.core.poll_append() {
            let Some(replica) = replicas.get_mut(&self.id) else {
                self.core.appended(append.write, Err(WriteError::NotLeader), now);
                continue;
            };
            let outcome = replica.append_for_coordinator(self.leader_epoch, &append.batch, now, shell);
            self.core.appended(append.write, outcome, now);
            if let Some(high_watermark) = replica.machine.high_watermark_in(self.leader_epoch) {
                self.core.high_watermark(high_watermark, now);
            }
        }
        while let Some(((client, request), response)) = self.core.poll_reply() {
            shell.answer(client, self.told(request, response));
        }
    }

    fn told(&self, request: u64, response: GroupResponse) -> Body {
        let (index, leader_epoch, since) = (self.index, self.leader_epoch, self.since);
        Body::GroupTold { request, index, leader_epoch, since, outcome: Ok(response) }
    }

    fn ask(
        &mut self,
        ask: &GroupAsk,
        token: Token,
        replicas: &mut Replicas,
        shell: &mut Shell,
        now: Now,
    ) -> Result<(), NotActive> {
        if let GroupAsk::Fetch(request) = ask {
            let response = GroupResponse::OffsetFetch(self.core.read()?.offset_fetch(request));
            shell.answer(token.0, self.told(token.1, response));
            return Ok(());
        }
        let mut asked = Ok(());
        self.drive(replicas, shell, now, |core| {
            asked = core.write(now, |shard, out| match ask {
                GroupAsk::Commit(request) => shard.offset_commit(now, request, token, out),
                GroupAsk::Delete(request) => shard.offset_delete(request, token, out),
                GroupAsk::Fetch(request) | GroupAsk::FetchStable(request) => {
                    shard.offset_fetch_stable(request, token, out);
                }
                GroupAsk::Join(request) => shard.join_group(now, request.clone(), token, out),
                GroupAsk::Sync(request) => shard.sync_group(now, request.clone(), token, out),
                GroupAsk::Beat(request) => shard.heartbeat(now, request, token, out),
                GroupAsk::Leave(request) => shard.leave_group(now, request.clone(), token, out),
                GroupAsk::ConsumerBeat(request) => shard.consumer_group_heartbeat(now, request, token, out),
            });
        });
        asked
    }

    /// The high watermark, and what is due.
    fn go_on(&mut self, replicas: &mut Replicas, shell: &mut Shell, now: Now) {
        let Some(replica) = replicas.get(&self.id) else { return };
        let high_watermark = replica.machine.high_watermark_in(self.leader_epoch);
        self.drive(replicas, shell, now, |core| {
            if let Some(high_watermark) = high_watermark {
                core.high_watermark(high_watermark, now);
            }
            if core.next_deadline().is_some_and(|deadline| deadline <= now.mono) {
                core.tick(now);
            }
        });
    }

    /// One step: waits until all that an earlier leader has written is committed, or reads a piece of it.
    fn load(&mut self, image: &MetadataImage, replicas: &mut Replicas, shell: &mut Shell, now: Now) {
        let Some(loading) = self.loading else { return };
        let step = match replicas.get(&self.id) {
            Some(replica) => self.load_from(replica, loading),
            None => Step::Closed,
        };
        match step {
            Step::Waits => {}
            Step::At(at) => self.loading = Some(Loading { at: Some(at), ..loading }),
            Step::Loaded => {
                (self.loading, self.since) = (None, now.mono.0);
                shell.count("group coordinator loaded");
                let topics = Arc::new(Topics::of(image));
                self.drive(replicas, shell, now, |core| {
                    core.loaded(loading.end, now);
                    let _ = core.write(now, |shard, _| shard.set_topics(topics));
                });
            }
            Step::Closed => self.close(replicas, shell, now),
            Step::Broken(what) => {
                shell.complain("a coordinator can be loaded", what);
                self.close(replicas, shell, now);
            }
        }
    }

    fn load_from(&mut self, replica: &Replica, loading: Loading) -> Step {
        let Some(at) = loading.at else {
            return match replica.machine.acknowledged(loading.end) {
                None => Step::Waits,
                Some(Err(ottla_replication::AcksError::NotLeader)) => Step::Closed,
                Some(_) => Step::At(replica.log.log_start_offset()),
            };
        };
        if at >= loading.end {
            return Step::Loaded;
        }
        if replica.machine.check_epoch(Some(self.leader_epoch), true).is_err() {
            return Step::Closed;
        }
        match replica.read_records(at, replica.machine.high_watermark()) {
            Err(refusal) if replica.log.is_offline() => {
                let _ = refusal;
                Step::Closed
            }
            Err(refusal) => Step::Broken(format!("{} at {at}: {refusal:?}", replica.name)),
            Ok(bytes) => match self.core.load(whole_batches(&bytes)) {
                Ok(Some(next)) => Step::At(next),
                Ok(None) => Step::Loaded,
                Err(error) => Step::Broken(format!("{} at {at}: {error}", replica.name)),
            },
        }
    }

    fn close(&mut self, replicas: &mut Replicas, shell: &mut Shell, now: Now) {
        self.loading = None;
        self.drive(replicas, shell, now, ShardCore::close);
        debug_assert_eq!(self.core.state(), ShardState::Closed);
    }
}

enum Step {
    Waits,
    At(Offset),
    Loaded,
    Closed,
    Broken(String),
}

/// The whole batches at the front.
fn whole_batches(bytes: &[u8]) -> &[u8] {
    let whole = ottla_model::batch::batches(bytes).map_while(Result::ok).map(|(_, batch)| batch.len()).sum();
    bytes.get(..whole).unwrap_or_default()
}
