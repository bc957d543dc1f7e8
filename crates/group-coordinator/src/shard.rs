//! All groups and offsets of one partition of `__consumer_offsets`.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use ottla_coordinator::{
    Outcome, Record, RecordBytesError, ReplayError, Shard, TimelineMap, Timers, WriteError, WriteId,
};
use ottla_model::{MonoMs, Now};

use crate::classic::{self, ClassicGroup, Rebalance};
use crate::config::GroupConfig;
use crate::consumer::{
    self, ConsumerGroup, ConsumerGroupSettings, MetadataCheck, TimerCommand, TopicDirectory, TopicHashes,
};
use crate::error::GroupError;
use crate::ids::{GroupId, MemberId};
use crate::offsets::Offsets;
use crate::records::{GroupMetadataValue, GroupRecord};
use crate::response::GroupResponse;

/// What the records say of a group.
#[derive(Clone, Debug)]
pub enum Group {
    /// Offsets were committed under this id, nothing else is known: a classic group without members.
    Simple,
    /// A classic group; what happens between its generations is in its [`ClassicGroup`].
    Classic(Arc<GroupMetadataValue>),
    /// A KIP-848 group.
    Consumer(Arc<ConsumerGroup>),
}

/// Names of the shard's deadlines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKey {
    /// A member, pending or not, has not been heard of.
    ClassicSession(GroupId, MemberId),
    /// The join phase ends.
    ClassicJoin(GroupId),
    /// All members must have synced.
    ClassicSync(GroupId),
    Consumer(consumer::TimerKey),
    /// Look for expired offsets.
    OffsetExpiration,
}

impl TimerKey {
    const fn group_id(&self) -> Option<&GroupId> {
        match self {
            Self::ClassicSession(group, _) | Self::ClassicJoin(group) | Self::ClassicSync(group) => {
                Some(group)
            }
            Self::Consumer(key) => Some(key.group_id()),
            Self::OffsetExpiration => None,
        }
    }
}

/// Settings of consumer groups.
#[derive(Debug)]
pub(crate) struct ConsumerSettings {
    all: ConsumerGroupSettings,
    /// Groups with settings of their own (the config resource GROUP).
    own: BTreeMap<GroupId, ConsumerGroupSettings>,
}

impl ConsumerSettings {
    pub(crate) fn of(&self, group: &GroupId) -> &ConsumerGroupSettings {
        self.own.get(group).unwrap_or(&self.all)
    }
}

/// What is to be done once a write is stored, or was not.
#[derive(Debug)]
pub enum Completion<T> {
    Classic(classic::Completion<T>),
    /// Soft state that goes with the records of a consumer group.
    Consumer {
        group: GroupId,
        check: Option<MetadataCheck>,
        timers: Vec<TimerCommand>,
    },
}

/// The state machine. `T` names waiting requests.
#[derive(Debug)]
pub struct GroupShard<T> {
    pub(crate) config: GroupConfig,
    pub(crate) consumer_settings: ConsumerSettings,
    pub(crate) topics: Arc<dyn TopicDirectory + Send + Sync>,
    pub(crate) hashes: TopicHashes,
    /// Hard state.
    pub(crate) groups: TimelineMap<GroupId, Group>,
    pub(crate) offsets: Offsets,
    /// Soft state: one for each group that is [`Group::Simple`] or [`Group::Classic`], once loaded.
    pub(crate) classic: BTreeMap<GroupId, ClassicGroup<T>>,
    pub(crate) timers: Timers<TimerKey>,
    /// The member epoch that a rebalance timer of a consumer group was set in.
    pub(crate) timer_epochs: BTreeMap<consumer::TimerKey, i32>,
}

impl<T: Debug> GroupShard<T> {
    #[must_use]
    pub fn new(
        config: GroupConfig,
        consumer_settings: ConsumerGroupSettings,
        topics: Arc<dyn TopicDirectory + Send + Sync>,
    ) -> Self {
        Self {
            config,
            consumer_settings: ConsumerSettings { all: consumer_settings, own: BTreeMap::new() },
            topics,
            hashes: TopicHashes::default(),
            groups: TimelineMap::new(),
            offsets: Offsets::default(),
            classic: BTreeMap::new(),
            timers: Timers::new(),
            timer_epochs: BTreeMap::new(),
        }
    }

    /// Settings of consumer groups have changed: those of all, and of each that has its own the whole of it. Timers that
    /// run go on.
    pub fn set_consumer_settings(
        &mut self,
        all: ConsumerGroupSettings,
        own: BTreeMap<GroupId, ConsumerGroupSettings>,
    ) {
        self.consumer_settings = ConsumerSettings { all, own };
    }

    /// The cluster's topics have changed: groups that subscribe to one of those that did look at them with their next
    /// heartbeat.
    pub fn set_topics(&mut self, topics: Arc<dyn TopicDirectory + Send + Sync>) {
        let mut hashes = TopicHashes::default();
        let mut touched = Vec::new();
        for (id, group) in self.groups.iter() {
            let Group::Consumer(group) = group else { continue };
            let (old, new) = ((&*self.topics as _, &mut self.hashes), (&*topics as _, &mut hashes));
            if group.topics_changed(old, new) {
                touched.push(id.clone());
            }
        }
        for id in touched {
            if let Some(Group::Consumer(group)) = self.groups.get_mut(&id) {
                Arc::make_mut(group).request_metadata_check();
            }
        }
        self.topics = topics;
        self.hashes = hashes;
    }

    /// Members of classic and consumer groups, for metrics.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.iter().count()
    }

    /// A classic group with what an operation on it needs.
    pub(crate) fn rebalance<'a>(
        &'a mut self,
        now: Now,
        group: &GroupId,
        out: &'a mut Outcome<Self>,
    ) -> Option<Rebalance<'a, T>> {
        let group = self.classic.get_mut(group)?;
        Some(Rebalance { group, timers: &mut self.timers, config: &self.config, now, out })
    }

    /// Those of the classic group alone: it may have been a consumer group before, and be one again.
    fn cancel_classic_timers(&mut self, id: &GroupId) {
        self.timers.cancel_where(|key| !matches!(key, TimerKey::Consumer(_)) && key.group_id() == Some(id));
    }

    pub(crate) fn cancel_group_timers(&mut self, id: &GroupId) {
        self.timers.cancel_where(|key| key.group_id() == Some(id));
    }

    fn replay_group_metadata(&mut self, id: GroupId, value: Option<GroupMetadataValue>) {
        match value {
            Some(value) => self.groups.insert(id, Group::Classic(Arc::new(value))),
            None => {
                // A group that has become a consumer group is not this tombstone's.
                if !matches!(self.groups.get(&id), Some(Group::Consumer(_))) {
                    self.groups.remove(&id);
                    self.classic.remove(&id);
                }
            }
        }
    }

    fn replay_consumer(&mut self, id: &GroupId, record: &GroupRecord) -> Result<(), ReplayError> {
        let mut group = match self.groups.get(id) {
            Some(Group::Consumer(group)) => group.clone(),
            _ if record.is_tombstone() => return Ok(()),
            _ => {
                self.classic.remove(id);
                Arc::new(ConsumerGroup::new(id.clone()))
            }
        };
        let fate = Arc::make_mut(&mut group).replay(record).map_err(|e| ReplayError(format!("{id}: {e}")))?;
        match fate {
            consumer::Fate::Lives => self.groups.insert(id.clone(), Group::Consumer(group)),
            consumer::Fate::Removed => drop(self.groups.remove(id)),
        }
        Ok(())
    }

    /// Soft state after hard state: a classic group for each that the records know, and no other.
    fn follow_groups(&mut self, error: &WriteError, now: Now, out: &mut Outcome<Self>) {
        let known = |groups: &TimelineMap<GroupId, Group>, id: &GroupId| {
            matches!(groups.get(id), Some(Group::Simple | Group::Classic(_)))
        };
        let gone = self.classic.keys().filter(|id| !known(&self.groups, id));
        for id in gone.cloned().collect::<Vec<_>>() {
            self.cancel_classic_timers(&id);
            if let Some(mut group) = self.classic.remove(&id) {
                group.answer_all(&GroupError::Write(error.clone()), out);
            }
        }
        self.build_classic(now, out);
    }

    /// Builds the classic groups that are missing, with a full session for each member.
    fn build_classic(&mut self, now: Now, out: &mut Outcome<Self>) {
        let mut built = Vec::new();
        for (id, group) in self.groups.iter().filter(|(id, _)| !self.classic.contains_key(*id)) {
            match group {
                Group::Simple => built.push(ClassicGroup::new(id.clone(), None)),
                Group::Classic(value) => built.push(ClassicGroup::from_record(id.clone(), value)),
                Group::Consumer(_) => {}
            }
        }
        for group in built {
            let id = group.id().clone();
            self.classic.insert(id.clone(), group);
            if let Some(mut group) = self.rebalance(now, &id, out) {
                group.loaded();
            }
        }
    }
}

impl<T: Debug> Shard for GroupShard<T> {
    type Record = GroupRecord;
    type Token = T;
    type Response = GroupResponse;
    type Completion = Completion<T>;

    fn replay(&mut self, record: GroupRecord) -> Result<(), ReplayError> {
        match record {
            GroupRecord::OffsetCommit(key, value) => {
                if value.is_some() && !self.groups.contains_key(&key.group) {
                    self.groups.insert(key.group.clone(), Group::Simple);
                    let group = ClassicGroup::new(key.group.clone(), None);
                    self.classic.entry(key.group.clone()).or_insert(group);
                }
                self.offsets.replay(key, value);
            }
            GroupRecord::GroupMetadata(id, value) => self.replay_group_metadata(id, value),
            GroupRecord::Unknown { .. } => {}
            record => {
                if let Some(id) = record.group().cloned() {
                    self.replay_consumer(&id, &record)?;
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, write: WriteId) {
        self.groups.begin(write);
        self.offsets.begin(write);
    }

    fn commit(&mut self, write: WriteId) {
        self.groups.commit(write);
        self.offsets.commit(write);
    }

    fn revert(&mut self, write: WriteId) {
        self.groups.revert(write);
        self.offsets.revert(write);
    }

    fn loaded(&mut self, now: Now, out: &mut Outcome<Self>) {
        // Replay makes a machine for offsets without a group; what came later in the log counts.
        self.classic.clear();
        self.build_classic(now, out);
        self.schedule_consumer_timers(now);
        let check = now.mono.plus_ms(self.config.offsets_retention_check_interval_ms);
        self.timers.schedule(TimerKey::OffsetExpiration, check);
    }

    fn reverted(&mut self, error: &WriteError, now: Now, out: &mut Outcome<Self>) {
        self.follow_groups(error, now, out);
        self.rearm_consumer_timers(now);
    }

    fn completed(
        &mut self,
        completion: Completion<T>,
        result: Result<(), WriteError>,
        now: Now,
        out: &mut Outcome<Self>,
    ) {
        match completion {
            Completion::Classic(completion) => self.classic_completed(completion, result, now, out),
            Completion::Consumer { group, check, timers } if result.is_ok() => {
                if let Some(check) = check {
                    self.set_metadata_checked(&group, check);
                }
                timers.into_iter().for_each(|command| self.command_timer(now, command));
            }
            Completion::Consumer { .. } => {}
        }
    }

    fn next_deadline(&self) -> Option<MonoMs> {
        self.timers.next_deadline()
    }

    fn tick(&mut self, now: Now, out: &mut Outcome<Self>) -> bool {
        let Some(key) = self.timers.pop_due(now.mono) else { return false };
        match key {
            TimerKey::ClassicSession(group, member) => {
                if let Some(mut group) = self.rebalance(now, &group, out) {
                    group.session_expired(&member);
                }
            }
            TimerKey::ClassicJoin(group) => {
                if let Some(mut group) = self.rebalance(now, &group, out) {
                    group.join_timer_fired();
                }
            }
            TimerKey::ClassicSync(group) => {
                if let Some(mut group) = self.rebalance(now, &group, out) {
                    group.sync_timer_fired();
                }
            }
            TimerKey::Consumer(key) => self.consumer_timer_fired(&key, now, out),
            TimerKey::OffsetExpiration => {
                self.expire_offsets(now.wall, out);
                let check = now.mono.plus_ms(self.config.offsets_retention_check_interval_ms);
                self.timers.schedule(TimerKey::OffsetExpiration, check);
            }
        }
        true
    }

    fn close(&mut self, out: &mut Outcome<Self>) {
        for group in self.classic.values_mut() {
            group.answer_all(&GroupError::Write(WriteError::Closed), out);
        }
    }

    fn failed(response: GroupResponse, error: &WriteError) -> GroupResponse {
        response.failed(error)
    }
}

impl Record for GroupRecord {
    fn encode_key(&self) -> Vec<u8> {
        self.encode_key()
    }

    fn encode_value(&self) -> Option<Vec<u8>> {
        self.encode_value()
    }

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, RecordBytesError> {
        Self::decode(key, value).map_err(|error| RecordBytesError(error.to_string()))
    }
}
