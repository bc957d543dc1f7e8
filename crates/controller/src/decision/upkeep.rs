//! What the active controller does of its own accord, at intervals: preferred leaders lead again, and where a topic would rather
//! lose records than have no leader, whoever is there leads.

use ottla_metadata::{MetadataRecord, PartitionRegistration, TopicImage};

use super::partition_change::{Election, PartitionChange};
use super::{Context, Decision};

/// Elections of one decision (`QuorumController`'s `MAX_ELECTIONS_PER_IMBALANCE`); what is left is for the next, at once.
pub const ELECTIONS_MAX: usize = 1_000;

/// Gives leadership back to preferred replicas that may lead. Answers whether there may be more.
pub fn balance_leaders(context: &Context<'_>) -> Decision<bool> {
    let broker = context.effective_broker_config();
    let elect = |topic: &TopicImage, partition: i32, before: &PartitionRegistration| {
        if before.replicas.first() == Some(&before.leader) {
            return None;
        }
        let rules = context.topic_rules(&topic.name, &broker);
        let mut change = PartitionChange::new(context.image, topic, partition, before, rules);
        change.election = Election::Preferred;
        // Whoever leads though it is about to stop, for nobody else may, leads on.
        change.build().filter(|record| record.leader.as_ref() == before.replicas.first())
    };
    at_most(context, elect)
}

/// Elects leaders from outside the in-sync and the eligible replicas, where nobody leads and the topic allows it. Answers
/// whether there may be more.
pub fn elect_uncleanly(context: &Context<'_>) -> Decision<bool> {
    let broker = context.effective_broker_config();
    let elect = |topic: &TopicImage, partition: i32, before: &PartitionRegistration| {
        if before.has_leader() {
            return None;
        }
        let rules = context.topic_rules(&topic.name, &broker);
        if !rules.unclean_leader_election {
            return None;
        }
        let mut change = PartitionChange::new(context.image, topic, partition, before, rules);
        change.election = Election::Unclean;
        change.build()
    };
    at_most(context, elect)
}

fn at_most(
    context: &Context<'_>,
    elect: impl Fn(&TopicImage, i32, &PartitionRegistration) -> Option<ottla_metadata::PartitionChangeRecord>,
) -> Decision<bool> {
    let partitions = context
        .image
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions().map(move |(partition, before)| (topic, partition, before)));
    let records = partitions.filter_map(|(topic, partition, before)| elect(topic, partition, before));
    let records: Vec<_> = records.take(ELECTIONS_MAX).map(MetadataRecord::PartitionChange).collect();
    let may_be_more = records.len() == ELECTIONS_MAX;
    Decision { records, answer: may_be_more }
}
