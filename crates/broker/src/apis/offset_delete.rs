//! OffsetDelete (KIP-496): offsets of topics that the group is not subscribed to.

use std::sync::Arc;

use ottla_group_coordinator::offsets::{OffsetDeleteRequest as Delete, TopicResults};
use ottla_group_coordinator::{GroupError, GroupResponse};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::offset_delete_request::OffsetDeleteRequestTopic;
use ottla_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use ottla_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse, TopicName};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::groups::{Groups, answer, misplaced, wire};
use crate::metadata_view::MetadataView;

/// Serves administrators.
#[derive(Debug)]
pub(crate) struct OffsetDelete {
    pub groups: Arc<Groups>,
    pub view: Arc<MetadataView>,
}

impl Handler for OffsetDelete {
    type Request = OffsetDeleteRequest;

    fn handle(&self, _: &RequestContext, request: OffsetDeleteRequest) -> Reply<OffsetDeleteResponse> {
        let mut unknown = Vec::new();
        let mut topics = Vec::new();
        for topic in &request.topics {
            let (known, missing) = self.split(topic);
            // A topic that there is not is answered even if none of its partitions is asked for.
            if !missing.is_empty() || self.view.image().topic(&topic.name).is_none() {
                let partitions =
                    missing.into_iter().map(|index| (index, ErrorCode::UnknownTopicOrPartition.code()));
                add(&mut unknown, respond_topic(topic.name.clone(), partitions));
            }
            if !known.is_empty() {
                topics.push((Arc::from(topic.name.as_str()), known));
            }
        }
        let delete = Delete { group: request.group_id.as_str().into(), topics };
        let asked = if request.group_id.is_empty() {
            Err(GroupError::InvalidGroupId)
        } else {
            self.groups
                .ask(&request.group_id, |shard, _, token, out| shard.offset_delete(&delete, token, out))
        };
        answer(asked, move |answer| {
            let result = match answer {
                Ok(GroupResponse::OffsetDelete(result)) => result,
                Ok(_) => Err(misplaced()),
                Err(error) => Err(error),
            };
            match result {
                Err(error) => OffsetDeleteResponse::default().with_error_code(error.code().code()),
                Ok(topics) => {
                    let mut all = unknown;
                    topics.into_iter().for_each(|topic| add(&mut all, deleted(topic)));
                    OffsetDeleteResponse::default().with_topics(all)
                }
            }
        })
    }
}

impl OffsetDelete {
    /// The partitions that exist, and those that do not.
    fn split(&self, topic: &OffsetDeleteRequestTopic) -> (Vec<i32>, Vec<i32>) {
        let image = self.view.image();
        let exists = |index: &i32| image.partition(&topic.name, *index).is_some();
        topic.partitions.iter().map(|partition| partition.partition_index).partition(exists)
    }
}

fn deleted(topic: TopicResults) -> OffsetDeleteResponseTopic {
    let partitions = topic
        .partitions
        .iter()
        .map(|p| (p.partition, p.error.as_ref().map_or(0, |error| error.code().code())));
    respond_topic(TopicName(wire(&topic.name)), partitions)
}

/// A topic has one entry, a partition one for each time that it was named.
fn add(topics: &mut Vec<OffsetDeleteResponseTopic>, topic: OffsetDeleteResponseTopic) {
    match topics.iter_mut().find(|known| known.name == topic.name) {
        Some(known) => known.partitions.extend(topic.partitions),
        None => topics.push(topic),
    }
}

fn respond_topic(name: TopicName, partitions: impl Iterator<Item = (i32, i16)>) -> OffsetDeleteResponseTopic {
    let partitions = partitions.map(|(index, error)| {
        OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(error)
    });
    OffsetDeleteResponseTopic::default().with_name(name).with_partitions(partitions.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_of_which_some_partitions_do_not_exist_has_one_entry() {
        let topic =
            |partitions: &[(i32, i16)]| respond_topic(TopicName(wire("t")), partitions.iter().copied());
        let mut topics = vec![topic(&[(7, 3)])];
        add(&mut topics, topic(&[(0, 0), (0, 0)]));
        assert_eq!(topics, vec![topic(&[(7, 3), (0, 0), (0, 0)])]);
    }
}
