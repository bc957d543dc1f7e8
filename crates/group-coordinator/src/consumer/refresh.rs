//! Regular expressions: who uses which, and when they are matched against the topics anew.
//!
//! Matching all topics is work, so it is put off to a timer that fires at once, and the group moves to its new epoch
//! then; a member that joins with a new expression gets its partitions with a later heartbeat.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::context::{Context, Outcome};
use super::error::ConsumerGroupError;
use super::group::{ConsumerGroup, MetadataCheck};
use super::member::ConsumerGroupMember;
use super::records;
use super::regex;
use super::subscription;
use super::timer::{TimerCommand, TimerKey};
use super::update::Update;

/// Expressions of a group are matched anew at most this often.
const MIN_REFRESH_INTERVAL_MS: i64 = 10_000;

/// What a heartbeat did to the member's expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RegexStatus {
    Unchanged,
    /// Changed; its topics will be known later.
    Changed,
    /// Changed to one whose topics are known already, or to none.
    ChangedAndResolved,
}

impl Update<'_, '_> {
    pub(super) fn update_regexes(
        &mut self,
        member: &ConsumerGroupMember,
        updated: &ConsumerGroupMember,
    ) -> Result<RegexStatus, ConsumerGroupError> {
        let (old, new) = (member.regex(), updated.regex());
        let mut status = RegexStatus::Unchanged;
        let mut is_new = false;
        if member.subscribed_topic_regex != updated.subscribed_topic_regex {
            status = self.changed(old, new)?;
            is_new = new.is_some_and(|new| self.group.regex_users(new) == 0);
        }
        if is_new || !self.group.subscribed_regexes.is_empty() {
            self.maybe_schedule_refresh(old, new, is_new);
        }
        Ok(status)
    }

    fn changed(
        &mut self,
        old: Option<&Arc<str>>,
        new: Option<&Arc<str>>,
    ) -> Result<RegexStatus, ConsumerGroupError> {
        if let Some(old) = old.filter(|old| self.group.regex_users(old) == 1) {
            self.records.push(records::regex_tombstone(&self.group.group_id, old));
        }
        match new {
            Some(new) if self.group.regex_users(new) == 0 => {
                regex::compile(new)
                    .map_err(|reason| ConsumerGroupError::InvalidRegex { regex: new.to_string(), reason })?;
                Ok(RegexStatus::Changed)
            }
            Some(new) if self.group.resolved_regexes.contains_key(new) => Ok(RegexStatus::ChangedAndResolved),
            None if old.is_some() => Ok(RegexStatus::ChangedAndResolved),
            _ => Ok(RegexStatus::Changed),
        }
    }

    fn maybe_schedule_refresh(&mut self, old: Option<&Arc<str>>, new: Option<&Arc<str>>, is_new: bool) {
        let now = self.ctx.now.wall.get();
        let last = self.group.resolved_regexes.values().next();
        // A clock that has gone back since then, or is behind that of whoever coordinated then, holds nothing back.
        let last_refresh = last.map(|r| r.timestamp_ms).filter(|at| *at <= now).unwrap_or(i64::MIN);
        if now <= last_refresh.saturating_add(MIN_REFRESH_INTERVAL_MS) {
            return;
        }
        let mut users: BTreeMap<Arc<str>, usize> = self.group.subscribed_regexes.clone();
        if let Some(old) = old {
            subscription::decrease(&mut users, old);
        }
        if let Some(new) = new {
            *users.entry(new.clone()).or_default() += 1;
        }
        let interval = i64::from(self.ctx.settings.regex_refresh_interval_ms);
        let due = is_new
            || users.len() != self.group.resolved_regexes.len()
            || last.map_or(0, |r| r.version) < self.ctx.topics.topics_created_version()
            || now > last_refresh.saturating_add(interval);
        if due && !users.is_empty() {
            let key = TimerKey::ResolveRegexes(self.group.group_id.clone());
            self.timers.push(TimerCommand::Schedule { key, after_ms: 0, member_epoch: 0 });
        }
    }
}

/// Matches all of the group's expressions against the topics; bumps the group epoch if that changed anything.
pub(super) fn resolve_regexes(group: &ConsumerGroup, ctx: &mut Context<'_>) -> Outcome<()> {
    let mut out = Outcome::of(());
    let expressions: BTreeSet<Arc<str>> = group.subscribed_regexes.keys().cloned().collect();
    let mut topics = group.subscribed_topics.clone();
    let mut changed = false;
    for (expression, resolved) in regex::resolve(&expressions, ctx.topics, ctx.now.wall.get()) {
        let old = group.resolved_regexes.get(&expression);
        let none = BTreeSet::new();
        let old_topics = old.map_or(&none, |r| &r.topics);
        if *old_topics != resolved.topics {
            changed = true;
            subscription::remove_regex(&mut topics, old_topics);
            subscription::add_regex(&mut topics, &resolved.topics);
        }
        out.records.push(records::regex(&group.group_id, &expression, &resolved));
    }
    let hash = ctx.hashes.group_hash(topics.keys(), ctx.topics);
    if changed || hash != group.metadata_hash {
        let epoch = group.epoch + 1;
        out.records.push(records::epoch(&group.group_id, epoch, hash));
        out.metadata_checked = Some(MetadataCheck { epoch });
    }
    out
}
