//! Offsets that nobody wants any more: expired ones, and those of deleted topics.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use ottla_coordinator::Outcome;
use ottla_model::{TimestampMs, TopicId};

use super::commit::offset_tombstone;
use super::store::View;
use crate::classic::{ClassicGroup, ClassicState};
use crate::ids::GroupId;
use crate::records::{GroupRecord, OffsetCommitValue};
use crate::shard::{Group, GroupShard};

/// From when an offset's retention counts.
#[derive(Clone, Copy, Debug)]
enum Since {
    Commit,
    /// The group is empty since then.
    Empty(TimestampMs),
}

impl<T: Debug> GroupShard<T> {
    /// Removes what has expired, and empty groups that have no offsets left.
    pub(crate) fn expire_offsets(&mut self, now: TimestampMs, out: &mut Outcome<Self>) {
        out.divisible();
        let groups: Vec<GroupId> = self.groups.iter().map(|(id, _)| id.clone()).collect();
        for id in groups {
            let mut records = Vec::new();
            if self.expire_group_offsets(&id, now, &mut records) && self.is_group_empty(&id) {
                records.extend(self.group_tombstones(&id));
            }
            out.records(records);
        }
    }

    /// Whether the group has no offsets left.
    fn expire_group_offsets(&self, id: &GroupId, now: TimestampMs, records: &mut Vec<GroupRecord>) -> bool {
        let mut offsets = self.offsets.of_group(id, View::Latest).peekable();
        if offsets.peek().is_none() {
            return true;
        }
        let Some(since) = self.expires_since(id) else { return false };
        let mut all = true;
        for (at, value) in offsets {
            if !self.is_subscribed(id, &at.topic) && self.is_expired(value, since, now) {
                records.push(offset_tombstone(id, at.clone()));
            } else {
                all = false;
            }
        }
        all
    }

    fn is_expired(&self, value: &OffsetCommitValue, since: Since, now: TimestampMs) -> bool {
        if let Some(expire) = value.expire_timestamp {
            return now >= expire;
        }
        let since = match since {
            Since::Commit => value.commit_timestamp,
            Since::Empty(since) => since,
        };
        now.get().saturating_sub(since.get()) >= self.config.offsets_retention_ms
    }

    /// `None`: none of the group's offsets expires now.
    fn expires_since(&self, id: &GroupId) -> Option<Since> {
        match self.groups.get(id)? {
            Group::Consumer(_) => Some(Since::Commit),
            Group::Simple | Group::Classic(_) => self.classic.get(id).and_then(classic_expires_since),
        }
    }

    /// Tombstones for the offsets of deleted topics; an offset of another topic of the same name stays.
    pub fn topics_deleted(&mut self, deleted: &BTreeMap<Arc<str>, TopicId>, out: &mut Outcome<Self>) {
        let gone = |topic: &Arc<str>, id: TopicId| {
            deleted.get(topic).is_some_and(|deleted| id == TopicId::ZERO || id == *deleted)
        };
        let offsets = self.offsets.iter().filter(|(_, at, value)| gone(&at.topic, value.topic_id));
        let records: Vec<GroupRecord> = offsets.map(|(id, at, _)| offset_tombstone(id, at.clone())).collect();
        out.divisible();
        out.records(records);
    }
}

fn classic_expires_since<T>(group: &ClassicGroup<T>) -> Option<Since> {
    if group.protocol_type().is_none() {
        return Some(Since::Commit);
    }
    match group.state() {
        ClassicState::Empty => Some(group.state_timestamp().map_or(Since::Commit, Since::Empty)),
        // The topics that are not subscribed to any more.
        ClassicState::Stable if group.knows_subscribed_topics() => Some(Since::Commit),
        _ => None,
    }
}
