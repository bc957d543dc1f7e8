//! The offsets by group, topic and partition.

use ottla_coordinator::{TimelineMap, WriteId};
use ottla_model::TopicPartition;

use crate::ids::GroupId;
use crate::records::{OffsetCommitKey, OffsetCommitValue};

/// Which versions a read sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// What is below the high watermark.
    Committed,
    /// What has been replayed; the answer must wait for the outstanding writes.
    Latest,
}

#[derive(Debug, Default)]
pub(crate) struct Offsets {
    by_key: TimelineMap<(GroupId, TopicPartition), OffsetCommitValue>,
}

type Entry<'a> = (&'a TopicPartition, &'a OffsetCommitValue);

impl Offsets {
    pub(crate) fn begin(&mut self, write: WriteId) {
        self.by_key.begin(write);
    }

    pub(crate) fn commit(&mut self, write: WriteId) {
        self.by_key.commit(write);
    }

    pub(crate) fn revert(&mut self, write: WriteId) {
        self.by_key.revert(write);
    }

    pub(crate) fn replay(&mut self, key: OffsetCommitKey, value: Option<OffsetCommitValue>) {
        let key = (key.group, key.topic_partition);
        match value {
            Some(value) => self.by_key.insert(key, value),
            None => drop(self.by_key.remove(&key)),
        }
    }

    pub(crate) fn get(&self, group: &GroupId, at: TopicPartition, view: View) -> Option<&OffsetCommitValue> {
        let key = (group.clone(), at);
        match view {
            View::Committed => self.by_key.get_committed(&key),
            View::Latest => self.by_key.get(&key),
        }
    }

    /// The group's offsets, sorted by topic and partition.
    pub(crate) fn of_group<'a>(
        &'a self,
        group: &'a GroupId,
        view: View,
    ) -> Box<dyn Iterator<Item = Entry<'a>> + 'a> {
        let first = (group.clone(), TopicPartition::new("", i32::MIN));
        let of_group = move |((found, at), value): (&'a (GroupId, TopicPartition), &'a OffsetCommitValue)| {
            (found == group).then_some((at, value))
        };
        match view {
            View::Committed => Box::new(self.by_key.range_committed(first..).map_while(of_group)),
            View::Latest => Box::new(self.by_key.range(first..).map_while(of_group)),
        }
    }

    pub(crate) fn iter_committed(
        &self,
    ) -> impl Iterator<Item = (&GroupId, &TopicPartition, &OffsetCommitValue)> {
        self.by_key.iter_committed().map(|((group, at), value)| (group, at, value))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&GroupId, &TopicPartition, &OffsetCommitValue)> {
        self.by_key.iter().map(|((group, at), value)| (group, at, value))
    }
}
