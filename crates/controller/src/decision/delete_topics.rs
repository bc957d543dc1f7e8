//! DeleteTopics, by name and by id.

use std::collections::BTreeMap;

use ottla_metadata::{MetadataRecord, RemoveTopicRecord};
use ottla_model::TopicId;

use super::duplicates::duplicates;
use super::{Context, Decision};
use crate::command::{DeleteTopics, DeletedTopic, TopicAnswers, TopicRef};
use crate::error::TopicError;

/// Deletes topics; one answer each.
pub fn delete_topics(request: &DeleteTopics, context: &Context<'_>) -> Decision<TopicAnswers<DeletedTopic>> {
    let repeated = duplicates(request.topics.iter());
    let found: Vec<Result<DeletedTopic, TopicError>> = request
        .topics
        .iter()
        .map(|topic| if repeated.contains(topic) { Err(repeated_error(topic)) } else { find(topic, context) })
        .collect();

    let mut named = BTreeMap::<TopicId, usize>::new();
    for topic in found.iter().flatten() {
        *named.entry(topic.topic_id).or_default() += 1;
    }
    let mut records = Vec::new();
    let answer = found.into_iter().map(|topic| {
        let topic = topic?;
        if named.get(&topic.topic_id) != Some(&1) {
            return Err(TopicError::NameAndId { name: topic.name, topic_id: topic.topic_id });
        }
        records.push(MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: topic.topic_id }));
        Ok(topic)
    });
    let answer = answer.collect();
    Decision { records, answer }
}

fn repeated_error(topic: &TopicRef) -> TopicError {
    let why = match topic {
        TopicRef::Name(_) => "Duplicate topic name.",
        TopicRef::Id(_) => "Duplicate topic id.",
    };
    TopicError::InvalidRequest(why.to_owned())
}

fn find(topic: &TopicRef, context: &Context<'_>) -> Result<DeletedTopic, TopicError> {
    let found = match topic {
        TopicRef::Name(name) => context.image.topic(name).ok_or(TopicError::UnknownName)?,
        TopicRef::Id(id) => context.image.topic_by_id(*id).ok_or(TopicError::UnknownId(*id))?,
    };
    Ok(DeletedTopic { name: found.name.clone(), topic_id: found.id })
}
