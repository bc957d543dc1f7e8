//! OffsetFetch.

use std::fmt::Debug;
use std::sync::Arc;

use ottla_coordinator::Outcome;
use ottla_model::{LeaderEpoch, Offset, TopicId, TopicPartition};
use ottla_planted::planted;

use super::request::{
    CommittedPartition, CommittedTopic, OffsetFetchRequest, OffsetFetchResponse, OffsetFetchTopic,
};
use super::store::View;
use crate::error::GroupError;
use crate::ids::GroupId;
use crate::records::OffsetCommitValue;
use crate::response::GroupResponse;
use crate::shard::{Group, GroupShard};

/// What one partition takes in an answer, as it is in memory, beside its metadata.
const PARTITION_LEN: usize = 192;

impl<T: Debug> GroupShard<T> {
    /// Committed offsets.
    ///
    /// # Errors
    /// A member of a consumer group that is unknown or behind; a group that does not exist has no offsets.
    pub fn offset_fetch(&self, request: &OffsetFetchRequest) -> Result<OffsetFetchResponse, GroupError> {
        let view = if planted!("uncommitted_offset_shown") { View::Latest } else { View::Committed };
        self.fetch_offsets(request, view)
    }

    /// About how many bytes an answer to `request` takes: what a client asks for twice counts twice.
    #[must_use]
    pub fn offset_fetch_len(&self, request: &OffsetFetchRequest) -> usize {
        let len = |value: Option<&OffsetCommitValue>| {
            PARTITION_LEN + value.map_or(0, |value| 2 * value.metadata.len())
        };
        match &request.topics {
            None => {
                self.offsets.of_group(&request.group, View::Latest).map(|(_, value)| len(Some(value))).sum()
            }
            Some(topics) => {
                let asked =
                    topics.iter().flat_map(|topic| topic.partitions.iter().map(move |index| (topic, *index)));
                let value = |(topic, index): (&OffsetFetchTopic, i32)| {
                    let at = TopicPartition::new(topic.name.clone(), index);
                    self.offsets.get(&request.group, at, View::Latest)
                };
                asked.map(|asked| len(value(asked))).sum()
            }
        }
    }

    /// Offsets as of now (`require_stable`, KIP-447): answered once all outstanding writes are committed.
    pub fn offset_fetch_stable(&mut self, request: &OffsetFetchRequest, token: T, out: &mut Outcome<Self>) {
        let result = self.fetch_offsets(request, View::Latest);
        out.reply(token, GroupResponse::OffsetFetch(result));
    }

    fn fetch_offsets(
        &self,
        request: &OffsetFetchRequest,
        view: View,
    ) -> Result<OffsetFetchResponse, GroupError> {
        let known = self.check_fetch(request, view)?;
        match &request.topics {
            None if !known => Ok(Vec::new()),
            None => Ok(self.fetch_all(&request.group, view)),
            Some(topics) => {
                let fetch = |topic: &OffsetFetchTopic| self.fetch_topic(&request.group, topic, view, known);
                Ok(topics.iter().map(fetch).collect())
            }
        }
    }

    /// Whether the group exists; a member of a consumer group must name its epoch.
    fn check_fetch(&self, request: &OffsetFetchRequest, view: View) -> Result<bool, GroupError> {
        let group = match view {
            View::Committed => self.groups.get_committed(&request.group),
            View::Latest => self.groups.get(&request.group),
        };
        if let Some(Group::Consumer(group)) = group {
            group.check_fetch(request.member_id.as_ref(), request.member_epoch)?;
        }
        Ok(group.is_some())
    }

    fn fetch_topic(
        &self,
        group: &GroupId,
        topic: &OffsetFetchTopic,
        view: View,
        known: bool,
    ) -> CommittedTopic {
        let fetch = |partition: &i32| {
            let at = TopicPartition::new(topic.name.clone(), *partition);
            let value = self.offsets.get(group, at, view);
            let value = value.filter(|value| known && !is_of_other_topic(value, topic.topic_id));
            committed(*partition, value)
        };
        CommittedTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(fetch).collect(),
        }
    }

    fn fetch_all(&self, group: &GroupId, view: View) -> Vec<CommittedTopic> {
        let mut topics: Vec<CommittedTopic> = Vec::new();
        for (at, value) in self.offsets.of_group(group, view) {
            let partition = committed(at.partition, Some(value));
            match topics.last_mut() {
                Some(topic) if topic.name == at.topic => topic.partitions.push(partition),
                _ => topics.push(CommittedTopic {
                    name: at.topic.clone(),
                    topic_id: TopicId::ZERO,
                    partitions: vec![partition],
                }),
            }
        }
        topics
    }
}

/// The topic was deleted and made anew since.
fn is_of_other_topic(value: &OffsetCommitValue, expected: TopicId) -> bool {
    value.topic_id != TopicId::ZERO && expected != TopicId::ZERO && value.topic_id != expected
}

fn committed(partition: i32, value: Option<&OffsetCommitValue>) -> CommittedPartition {
    match value {
        None => CommittedPartition {
            partition,
            offset: Offset::NONE,
            leader_epoch: LeaderEpoch::NONE,
            metadata: Arc::from(""),
        },
        Some(value) => CommittedPartition {
            partition,
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.clone(),
        },
    }
}
