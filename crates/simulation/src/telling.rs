//! Metadata records as sentences of a story.

use ottla_metadata::{MetadataDelta, MetadataImage, MetadataRecord};

/// `None`: nothing to tell.
pub(crate) fn sentence(record: &MetadataRecord) -> Option<String> {
    match record {
        MetadataRecord::RegisterBroker(r) => {
            Some(format!("broker {} registers with epoch {}", r.broker_id, r.broker_epoch))
        }
        MetadataRecord::BrokerRegistrationChange(r) => match r.fenced {
            Some(true) => Some(format!("broker {} is fenced", r.broker_id)),
            Some(false) => Some(format!("broker {} is let in", r.broker_id)),
            None => Some(format!("broker {} is about to stop", r.broker_id)),
        },
        MetadataRecord::Topic(r) => Some(format!("topic {} is {:.8}", r.name, r.topic_id.0.to_string())),
        MetadataRecord::PartitionChange(r) => {
            let mut line = format!("partition {} of {:.8}:", r.partition_id, r.topic_id.0.to_string());
            let mut say = |what: &str, ids: Option<Vec<i32>>| {
                line.extend(ids.map(|ids| format!(" {what} {ids:?}")));
            };
            let ids = |ids: &Option<Vec<ottla_model::BrokerId>>| {
                ids.as_ref().map(|ids| ids.iter().map(|id| id.get()).collect())
            };
            say("leader", r.leader.map(|id| vec![id.get()]));
            say("in sync", ids(&r.isr));
            say("eligible", ids(&r.elr));
            say("last known", ids(&r.last_known_elr));
            say("replicas", ids(&r.replicas));
            say("removing", ids(&r.removing_replicas));
            say("adding", ids(&r.adding_replicas));
            Some(line)
        }
        MetadataRecord::RemoveTopic(r) => Some(format!("topic {:.8} is deleted", r.topic_id.0.to_string())),
        _ => None,
    }
}

/// What differs between two images, as sentences of a story.
pub(crate) fn difference(before: &MetadataImage, after: &MetadataImage) -> Vec<String> {
    let delta = MetadataDelta::between(before, after);
    let offset = after.provenance().offset;
    let brokers = delta.brokers.iter().filter_map(|id| after.brokers().get(*id)).map(|broker| {
        let standing = if broker.fenced { "fenced" } else { "let in" };
        format!("at {offset} broker {} of epoch {} is {standing}", broker.id, broker.epoch)
    });
    let topics = delta.topics.iter().flat_map(|(id, changed)| {
        let topic = after.topic_by_id(*id);
        let gone = topic.is_none().then(|| format!("at {offset} topic {} is gone", changed.name));
        let partitions = changed.partitions.iter().filter_map(move |index| {
            let partition = topic?.partition(*index)?;
            let ids = |ids: &[ottla_model::BrokerId]| ids.iter().map(|id| id.get()).collect::<Vec<_>>();
            Some(format!(
                "at {offset} partition {index} of {}: leader {} in epoch {}, in sync {:?}, eligible {:?}, replicas {:?}, adding {:?}",
                changed.name,
                partition.leader,
                partition.leader_epoch,
                ids(&partition.isr),
                ids(&partition.elr),
                ids(&partition.replicas),
                ids(&partition.adding_replicas)
            ))
        });
        gone.into_iter().chain(partitions)
    });
    brokers.chain(topics).collect()
}
