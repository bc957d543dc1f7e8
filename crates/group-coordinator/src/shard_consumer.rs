//! The requests and timers of consumer groups (KIP-848), led to [`consumer`].

use std::fmt::Debug;
use std::sync::Arc;

use ottla_coordinator::Outcome;
use ottla_model::Now;

use crate::consumer::{self, ConsumerGroup, ConsumerGroupError, MetadataCheck, TimerCommand, Upgrade};
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
        let result = self.run_heartbeat(now, request, out).map_err(Into::into);
        out.reply(token, GroupResponse::ConsumerHeartbeat(result));
    }

    fn run_heartbeat(
        &mut self,
        now: Now,
        request: &consumer::HeartbeatRequest,
        out: &mut Outcome<Self>,
    ) -> Result<consumer::HeartbeatResponse, ConsumerGroupError> {
        let id = &request.group_id;
        request.validate(self.consumer_settings.of(id))?;
        match self.groups.get(id) {
            None => self.run_heartbeat_of(now, None, request, out),
            Some(Group::Consumer(group)) => {
                let group = Arc::clone(group);
                self.run_heartbeat_of(now, Some(&group), request, out)
            }
            Some(Group::Simple | Group::Classic(_)) if request.member_epoch != consumer::JOIN_EPOCH => {
                Err(ConsumerGroupError::NotAConsumerGroup(id.clone()))
            }
            Some(Group::Simple | Group::Classic(_)) if self.is_group_empty(id) => {
                self.run_converting_heartbeat(now, None, request, out)
            }
            Some(Group::Simple | Group::Classic(_)) => {
                let upgrade = self.upgrade(now, id, out)?;
                self.run_converting_heartbeat(now, Some(upgrade), request, out)
            }
        }
    }

    fn run_heartbeat_of(
        &mut self,
        now: Now,
        group: Option<&ConsumerGroup>,
        request: &consumer::HeartbeatRequest,
        out: &mut Outcome<Self>,
    ) -> Result<consumer::HeartbeatResponse, ConsumerGroupError> {
        let outcome = consumer::heartbeat(group, request, &mut self.context(now, &request.group_id))?;
        let response = outcome.response.clone();
        self.apply_consumer(now, &request.group_id, outcome, out)?;
        Ok(response)
    }

    /// The heartbeat that makes a classic group a consumer group: an empty one goes, one with members is upgraded.
    fn run_converting_heartbeat(
        &mut self,
        now: Now,
        upgrade: Option<Upgrade>,
        request: &consumer::HeartbeatRequest,
        out: &mut Outcome<Self>,
    ) -> Result<consumer::HeartbeatResponse, ConsumerGroupError> {
        let id = &request.group_id;
        let group = upgrade.as_ref().map(|upgrade| &upgrade.group);
        let outcome = consumer::heartbeat(group, request, &mut self.context(now, id))?;
        let response = outcome.response.clone();
        let tombstones = self.group_tombstones(id);
        out.records(tombstones);
        if let Some(upgrade) = upgrade {
            self.schedule_classic_sessions(now, &upgrade.group);
            out.records(upgrade.records);
        }
        self.apply_consumer(now, id, outcome, out)?;
        Ok(response)
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
        let outcome = consumer::timer_fired(&group, key, epoch, &mut self.context(now, key.group_id()));
        // A group that cannot be downgraded, for what a member says cannot be read, stays as it is.
        let _ = self.apply_consumer(now, key.group_id(), outcome, out);
    }

    /// Carries an outcome out; the only thing that can fail is a downgrade, and then nothing has happened.
    pub(crate) fn apply_consumer<R>(
        &mut self,
        now: Now,
        group: &GroupId,
        outcome: consumer::Outcome<R>,
        out: &mut Outcome<Self>,
    ) -> Result<(), ConsumerGroupError> {
        let downgraded = self.downgrade(now, group, outcome.downgrade.as_ref())?;
        self.apply_timers(now, group, outcome, out);
        if let Some(downgraded) = downgraded {
            self.apply_downgrade(now, downgraded, out);
        }
        Ok(())
    }

    /// Carries out an outcome that downgrades nothing.
    pub(crate) fn apply_timers<R>(
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
        if outcome.metadata_checked.is_some() || !outcome.timers_once_stored.is_empty() {
            let (check, timers) = (outcome.metadata_checked, outcome.timers_once_stored);
            out.on_completion(Completion::Consumer { group: group.clone(), check, timers });
        }
    }

    pub(crate) fn command_timer(&mut self, now: Now, command: TimerCommand) {
        match command {
            TimerCommand::Schedule { key, after_ms, member_epoch } => {
                if matches!(key, consumer::TimerKey::Rebalance(..)) {
                    self.timer_epochs.insert(key.clone(), member_epoch);
                }
                self.timers.schedule(TimerKey::Consumer(key), now.mono.plus_ms(after_ms));
            }
            TimerCommand::ScheduleIfAbsent { key, after_ms } => {
                let key = TimerKey::Consumer(key);
                if self.timers.deadline(&key).is_none() {
                    self.timers.schedule(key, now.mono.plus_ms(after_ms));
                }
            }
            TimerCommand::Cancel(key) => {
                self.timer_epochs.remove(&key);
                self.timers.cancel(&TimerKey::Consumer(key));
            }
        }
    }

    /// A deadline whose consequence could not be stored, or that went with what was taken back, comes again.
    pub(crate) fn rearm_consumer_timers(&mut self, now: Now) {
        let mut commands = self.all_consumer_timers();
        commands.retain(|command| match command {
            TimerCommand::Schedule { key, .. } => {
                self.timers.deadline(&TimerKey::Consumer(key.clone())).is_none()
            }
            _ => false,
        });
        for command in commands {
            self.command_timer(now, command);
        }
    }

    pub(crate) fn schedule_consumer_timers(&mut self, now: Now) {
        for command in self.all_consumer_timers() {
            self.command_timer(now, command);
        }
    }

    fn all_consumer_timers(&self) -> Vec<TimerCommand> {
        let mut commands = Vec::new();
        for (id, group) in self.groups.iter() {
            if let Group::Consumer(group) = group {
                commands.extend(consumer::timers_on_load(group, self.consumer_settings.of(id)));
            }
        }
        commands
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
