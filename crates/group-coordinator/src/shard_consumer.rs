//! The requests and timers of consumer groups (KIP-848), led to [`consumer`].

use std::fmt::Debug;
use std::sync::Arc;

use ottla_coordinator::Outcome;
use ottla_model::Now;

use crate::consumer::{self, ConsumerGroup, ConsumerGroupError, MetadataCheck, TimerCommand};
use crate::ids::GroupId;
use crate::response::GroupResponse;
use crate::shard::{Completion, Group, GroupShard, TimerKey};

impl<T: Debug> GroupShard<T> {
    pub fn consumer_group_heartbeat(
        &mut self,
        now: Now,
        request: &consumer::HeartbeatRequest,
        token: T,
        out: &mut Outcome<Self>,
    ) {
        match self.run_heartbeat(now, request) {
            Ok(outcome) => {
                let group = self.groups.get(&request.group_id);
                if group.is_some_and(|group| !matches!(group, Group::Consumer(_))) {
                    // An empty classic group becomes a consumer group.
                    let tombstones = self.group_tombstones(&request.group_id);
                    out.records(tombstones);
                }
                let response = GroupResponse::ConsumerHeartbeat(Ok(outcome.response.clone()));
                self.apply_consumer(now, &request.group_id, outcome, out);
                out.reply(token, response);
            }
            Err(error) => out.reply(token, GroupResponse::ConsumerHeartbeat(Err(error.into()))),
        }
    }

    fn run_heartbeat(
        &mut self,
        now: Now,
        request: &consumer::HeartbeatRequest,
    ) -> Result<consumer::Outcome<consumer::HeartbeatResponse>, ConsumerGroupError> {
        let id = &request.group_id;
        let group = match self.groups.get(id) {
            None => None,
            Some(Group::Consumer(group)) => Some(group.clone()),
            Some(Group::Simple | Group::Classic(_)) => {
                if request.member_epoch != consumer::JOIN_EPOCH {
                    return Err(ConsumerGroupError::NotAConsumerGroup(id.clone()));
                }
                if !self.is_group_empty(id) {
                    return Err(ConsumerGroupError::UpgradeDisabled(id.clone()));
                }
                None
            }
        };
        let mut context = consumer::Context {
            now,
            topics: &*self.topics,
            settings: self.consumer_settings.of(id),
            hashes: &mut self.hashes,
        };
        consumer::heartbeat(group.as_deref(), request, &mut context)
    }

    pub(crate) fn consumer_timer_fired(
        &mut self,
        key: &consumer::TimerKey,
        now: Now,
        out: &mut Outcome<Self>,
    ) {
        let epoch = self.timer_epochs.remove(key).unwrap_or(0);
        let Some(Group::Consumer(group)) = self.groups.get(key.group_id()) else { return };
        let group = group.clone();
        let mut context = consumer::Context {
            now,
            topics: &*self.topics,
            settings: self.consumer_settings.of(key.group_id()),
            hashes: &mut self.hashes,
        };
        let outcome = consumer::timer_fired(&group, key, epoch, &mut context);
        self.apply_consumer(now, key.group_id(), outcome, out);
    }

    fn apply_consumer<R>(
        &mut self,
        now: Now,
        group: &GroupId,
        outcome: consumer::Outcome<R>,
        out: &mut Outcome<Self>,
    ) {
        out.records(outcome.records);
        for command in outcome.timers {
            self.command_timer(now, command);
        }
        if let Some(check) = outcome.metadata_checked {
            out.on_completion(Completion::ConsumerChecked(group.clone(), check));
        }
    }

    fn command_timer(&mut self, now: Now, command: TimerCommand) {
        match command {
            TimerCommand::Schedule { key, after_ms, member_epoch } => {
                if matches!(key, consumer::TimerKey::Rebalance(..)) {
                    self.timer_epochs.insert(key.clone(), member_epoch);
                }
                self.timers.schedule(TimerKey::Consumer(key), now.mono.plus_ms(after_ms));
            }
            TimerCommand::Cancel(key) => {
                self.timer_epochs.remove(&key);
                self.timers.cancel(&TimerKey::Consumer(key));
            }
        }
    }

    pub(crate) fn schedule_consumer_timers(&mut self, now: Now) {
        let mut commands = Vec::new();
        for (id, group) in self.groups.iter() {
            if let Group::Consumer(group) = group {
                commands.extend(consumer::timers_on_load(group, self.consumer_settings.of(id)));
            }
        }
        for command in commands {
            self.command_timer(now, command);
        }
    }

    pub(crate) fn set_metadata_checked(&mut self, id: &GroupId, check: MetadataCheck) {
        if let Some(Group::Consumer(group)) = self.groups.get_mut(id) {
            Arc::make_mut(group).set_metadata_checked(check);
        }
    }

    /// The group as of its latest record.
    #[must_use]
    pub fn consumer_group(&self, id: &GroupId) -> Option<&ConsumerGroup> {
        match self.groups.get(id)? {
            Group::Consumer(group) => Some(group),
            Group::Simple | Group::Classic(_) => None,
        }
    }
}
