//! ElectLeaders: leadership goes to the preferred replica, or to whoever is left.

use ottla_config::BrokerConfig;
use ottla_metadata::{MetadataRecord, TopicImage};

use super::partition_change::{Election, PartitionChange};
use super::{Context, Decision};
use crate::command::{ElectLeaders, ElectionType, TopicElections};
use crate::error::ElectionError;

/// Elects for each partition on its own.
pub fn elect_leaders(request: &ElectLeaders, context: &Context<'_>) -> Decision<Vec<TopicElections>> {
    let mut records = Vec::new();
    let broker = context.effective_broker_config();
    let mut elect = |topic: &str, partition: i32| {
        elect(topic, partition, request.election, &broker, context).map(|record| records.push(record))
    };
    let answer = match &request.topics {
        Some(topics) => topics
            .iter()
            .map(|(name, partitions)| TopicElections {
                name: name.clone(),
                partitions: partitions
                    .iter()
                    .map(|partition| (*partition, elect(name, *partition)))
                    .collect(),
            })
            .collect(),
        None => context.image.topics().iter().map(|topic| every_partition(topic, &mut elect)).collect(),
    };
    Decision { records, answer }
}

/// What came of it where it was needed.
fn every_partition(
    topic: &TopicImage,
    elect: &mut impl FnMut(&str, i32) -> Result<(), ElectionError>,
) -> TopicElections {
    let elections = topic.partitions().map(|(partition, _)| (partition, elect(&topic.name, partition)));
    let partitions = elections.filter(|(_, answer)| *answer != Err(ElectionError::NotNeeded)).collect();
    TopicElections { name: topic.name.to_string(), partitions }
}

fn elect(
    name: &str,
    partition: i32,
    kind: ElectionType,
    broker: &BrokerConfig,
    context: &Context<'_>,
) -> Result<MetadataRecord, ElectionError> {
    let topic = context.image.topic(name).ok_or_else(|| ElectionError::UnknownTopic(name.to_owned()))?;
    let before = topic
        .partition(partition)
        .ok_or_else(|| ElectionError::UnknownPartition { topic: name.to_owned(), partition })?;
    let needed = match kind {
        ElectionType::Preferred => before.replicas.first() != Some(&before.leader),
        ElectionType::Unclean => !before.has_leader(),
    };
    if !needed {
        return Err(ElectionError::NotNeeded);
    }
    let rules = context.topic_rules(name, broker);
    let mut change = PartitionChange::new(context.image, topic, partition, before, rules);
    change.election = match kind {
        ElectionType::Preferred => Election::Preferred,
        ElectionType::Unclean => Election::Unclean,
    };
    change.build().map(MetadataRecord::PartitionChange).ok_or(match kind {
        ElectionType::Preferred => ElectionError::PreferredNotAvailable,
        ElectionType::Unclean => ElectionError::NobodyAvailable,
    })
}
