//! Leader hints (KIP-951): who leads a partition that this broker does not, so that a client need not ask for metadata.

use std::collections::BTreeMap;

use ottla_metadata::{MetadataImage, PartitionRegistration};
use ottla_model::{BrokerId, LeaderEpoch, TopicId};
use ottla_protocol::fetch::NodeEndpoint;
use ottla_protocol::messages::StrBytes;
use uuid::Uuid;

/// The hints of one answer, and where the leaders they name are reached.
pub(crate) struct LeaderHints<'a> {
    image: &'a MetadataImage,
    listener: &'a str,
    endpoints: BTreeMap<BrokerId, NodeEndpoint>,
}

impl<'a> LeaderHints<'a> {
    /// `listener`: the one that the request came in on.
    pub(crate) fn new(image: &'a MetadataImage, listener: &'a str) -> Self {
        Self { image, listener, endpoints: BTreeMap::new() }
    }

    /// Who leads a partition, by its topic's id or else its name; nobody, in no epoch, if it is not known.
    pub(crate) fn leader(&mut self, topic_id: Uuid, topic: &str, partition: i32) -> (BrokerId, LeaderEpoch) {
        let found = match TopicId(topic_id) {
            TopicId::ZERO => self.image.partition(topic, partition),
            id => self.image.topic_by_id(id).and_then(|topic| topic.partition(partition)),
        };
        found.map_or((BrokerId::NONE, LeaderEpoch::NONE), |found| self.of(found))
    }

    /// Each leader that was named and can be reached, once.
    pub(crate) fn into_endpoints(self) -> Vec<NodeEndpoint> {
        self.endpoints.into_values().collect()
    }

    fn of(&mut self, partition: &PartitionRegistration) -> (BrokerId, LeaderEpoch) {
        let leader = self.image.brokers().get(partition.leader).filter(|broker| !broker.fenced);
        if let Some(leader) = leader
            && let Some(endpoint) = leader.endpoint(self.listener)
        {
            let node = || NodeEndpoint {
                node_id: leader.id.get().into(),
                host: StrBytes::from_string(endpoint.host.clone()),
                port: i32::from(endpoint.port),
                rack: leader.rack.clone().map(StrBytes::from_string),
            };
            self.endpoints.entry(leader.id).or_insert_with(node);
        }
        (partition.leader, partition.leader_epoch)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ottla_metadata::{
        BrokerEndpoint, DirectoryId, LeaderRecoveryState, MetadataRecord, RegisterBrokerRecord,
        SecurityProtocol, TopicRecord,
    };
    use ottla_model::PartitionEpoch;

    use super::*;

    pub(crate) const TOPIC_ID: Uuid = Uuid::from_u128(7);

    /// Partition 0 of topic `t` is led by broker 2, in epoch 5.
    pub(crate) fn image_led_by_another() -> MetadataImage {
        let mut image = MetadataImage::new("c");
        let endpoint = BrokerEndpoint {
            name: "PLAINTEXT".to_owned(),
            host: "other".to_owned(),
            port: 9092,
            security_protocol: SecurityProtocol::Plaintext,
        };
        let broker = RegisterBrokerRecord {
            broker_id: BrokerId(2),
            incarnation_id: Uuid::nil(),
            broker_epoch: 1,
            endpoints: vec![endpoint],
            features: Vec::new(),
            rack: None,
            fenced: false,
            in_controlled_shutdown: false,
            log_dirs: Vec::new(),
            cordoned_log_dirs: None,
        };
        let topic_id = TopicId(TOPIC_ID);
        let partition = PartitionRegistration {
            replicas: vec![BrokerId(2)],
            directories: vec![DirectoryId::UNASSIGNED],
            isr: vec![BrokerId(2)],
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            elr: Vec::new(),
            last_known_elr: Vec::new(),
            leader: BrokerId(2),
            leader_recovery_state: LeaderRecoveryState::Recovered,
            leader_epoch: LeaderEpoch(5),
            partition_epoch: PartitionEpoch(5),
        };
        for record in [
            MetadataRecord::RegisterBroker(broker),
            MetadataRecord::Topic(TopicRecord { name: "t".to_owned(), topic_id }),
            MetadataRecord::Partition(partition.to_record(topic_id, 0)),
        ] {
            image.replay(&record).unwrap();
        }
        image
    }

    #[test]
    fn a_leader_is_named_by_topic_id_and_by_name() {
        let image = image_led_by_another();
        let mut hints = LeaderHints::new(&image, "PLAINTEXT");
        let led = (BrokerId(2), LeaderEpoch(5));
        assert_eq!(hints.leader(Uuid::nil(), "t", 0), led);
        assert_eq!(hints.leader(TOPIC_ID, "", 0), led);
        let nobody = (BrokerId::NONE, LeaderEpoch::NONE);
        assert_eq!(hints.leader(TOPIC_ID, "", 1), nobody);
        assert_eq!(hints.leader(Uuid::from_u128(8), "t", 0), nobody);
        assert_eq!(hints.into_endpoints().len(), 1, "named twice, listed once");
    }
}
