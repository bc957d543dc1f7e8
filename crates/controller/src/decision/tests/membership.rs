//! Brokers that come and go, and leaders that say who is in sync.

use ottla_metadata::LeaderRecoveryState;
use ottla_model::{LeaderEpoch, Offset, PartitionEpoch};

use std::collections::BTreeSet;

use super::*;
use crate::command::{AlterPartition, BrokerHeartbeat, HeartbeatAnswer, IsrChange};
use crate::error::AlterPartitionError;

impl Cluster {
    fn epoch(&self, id: i32) -> i64 {
        self.image.brokers().get(BrokerId(id)).unwrap().epoch
    }

    fn beat(&mut self, id: i32, offset: i64, want_shut_down: bool) -> HeartbeatAnswer {
        let beat = BrokerHeartbeat {
            broker_id: BrokerId(id),
            broker_epoch: self.epoch(id),
            current_metadata_offset: Offset(offset),
            want_fence: false,
            want_shut_down,
        };
        self.decide(|context| broker_heartbeat(&beat, context)).unwrap()
    }

    fn now(&self) -> i64 {
        self.image.provenance().offset.get()
    }

    /// Partition 0 of `topic` shall have this ISR; `change` spoils the request.
    fn alter_isr(
        &mut self,
        topic: &str,
        isr: &[i32],
        change: impl FnOnce(&mut IsrChange),
    ) -> Result<Vec<BrokerId>, AlterPartitionError> {
        let before = self.image.partition(topic, 0).unwrap().as_ref().clone();
        let topic_id = self.image.topic(topic).unwrap().id;
        let mut wanted = IsrChange {
            id: TopicIdPartition { topic_id, partition: 0 },
            leader_epoch: before.leader_epoch,
            partition_epoch: before.partition_epoch,
            isr: isr.iter().map(|id| (BrokerId(*id), self.epoch(*id))).collect(),
            leader_recovery_state: before.leader_recovery_state,
        };
        change(&mut wanted);
        let (broker_id, broker_epoch) = (before.leader, self.epoch(before.leader.get()));
        let request = AlterPartition { broker_id, broker_epoch, partitions: vec![wanted] };
        let answer = self.decide(|context| alter_partition(&request, context)).unwrap().remove(0);
        answer.map(|after| {
            assert_eq!(
                after,
                *self.image.partition(topic, 0).unwrap().as_ref(),
                "the answer is what is replayed"
            );
            after.isr
        })
    }
}

#[test]
fn a_broker_is_let_in_once_it_knows_of_its_registration() {
    let mut cluster = Cluster::new();
    let epoch = cluster.register(1, None, true).unwrap();
    let behind = cluster.beat(1, epoch - 1, false);
    assert_eq!(behind, HeartbeatAnswer { is_caught_up: false, is_fenced: true, should_shut_down: false });
    let there = cluster.beat(1, epoch, false);
    assert_eq!(there, HeartbeatAnswer { is_caught_up: true, is_fenced: false, should_shut_down: false });
    assert!(cluster.image.brokers().is_active(BrokerId(1)));
    let stale = BrokerHeartbeat {
        broker_id: BrokerId(1),
        broker_epoch: epoch - 1,
        current_metadata_offset: Offset(epoch),
        want_fence: false,
        want_shut_down: false,
    };
    let refused = cluster.decide(|context| broker_heartbeat(&stale, context));
    assert_eq!(refused, Err(BrokerError::StaleEpoch { current: epoch, given: epoch - 1 }));
}

#[test]
fn another_process_is_refused_while_the_registered_one_is_there() {
    let mut cluster = Cluster::new();
    let epoch = cluster.register(1, None, true).unwrap();
    let other = registration(1, None, true, cluster.random.uuid());
    let asked = |expected: i64| move |given: i64| given == expected;
    let late = cluster.decide(|context| register_broker(&other, asked(epoch), context));
    assert_eq!(late, Err(BrokerError::Duplicate(BrokerId(1))), "fenced, it may be a dead one's all the same");
    cluster.beat(1, epoch, false);
    let late = cluster.decide(|context| register_broker(&other, asked(epoch), context));
    assert_eq!(late, Err(BrokerError::Duplicate(BrokerId(1))));
    assert_eq!(cluster.epoch(1), epoch, "nothing has changed");
    // Gone, or about to go, it stands in nobody's way.
    let next = cluster.decide(|context| register_broker(&other, |_| false, context)).unwrap();
    assert!(next > epoch);
    let again = cluster.decide(|context| register_broker(&other, |_| true, context));
    assert_eq!(again, Ok(next), "the same process asks again");
    cluster.decide(|context| controlled_shutdown(BrokerId(1), next, context)).unwrap();
    let successor = registration(1, None, true, cluster.random.uuid());
    let registered = cluster.decide(|context| register_broker(&successor, |_| true, context));
    assert!(registered.unwrap() > next);
}

#[test]
fn a_broker_that_goes_hands_over_what_others_can_lead() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None)]);
    cluster.create(assigned("two", &[(0, &[1, 2])])).unwrap();
    cluster.create(assigned("one", &[(0, &[1])])).unwrap();
    let now = cluster.now();
    let leaving = cluster.beat(1, now, true);
    assert!(!leaving.should_shut_down && !leaving.is_fenced, "{leaving:?}");
    assert_eq!(cluster.image.partition("two", 0).unwrap().leader, BrokerId(2));
    assert_eq!(cluster.image.partition("two", 0).unwrap().isr, brokers(&[2]));
    assert_eq!(cluster.image.partition("one", 0).unwrap().leader, BrokerId(1), "nobody else has it");
    let now = cluster.now();
    let gone = cluster.beat(1, now, true);
    assert!(gone.should_shut_down && gone.is_fenced, "{gone:?}");
    assert!(!cluster.image.partition("one", 0).unwrap().has_leader());
}

#[test]
fn a_leader_shrinks_and_expands_its_isr() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None), (3, None)]);
    cluster.create(assigned("t", &[(0, &[1, 2, 3])])).unwrap();
    assert_eq!(cluster.alter_isr("t", &[1, 3], |_| {}), Ok(brokers(&[1, 3])));
    assert_eq!(cluster.alter_isr("t", &[1, 2, 3], |_| {}), Ok(brokers(&[1, 2, 3])));
    let epoch = cluster.image.partition("t", 0).unwrap().partition_epoch;
    assert_eq!(cluster.alter_isr("t", &[1, 2, 3], |_| {}), Ok(brokers(&[1, 2, 3])));
    assert_eq!(cluster.image.partition("t", 0).unwrap().partition_epoch, epoch, "nothing has changed");
}

#[test]
fn a_leader_that_leaves_itself_out_hands_over() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None), (3, None)]);
    cluster.create(assigned("t", &[(0, &[1, 2, 3])])).unwrap();
    assert_eq!(cluster.alter_isr("t", &[2, 3], |_| {}), Err(AlterPartitionError::NewLeaderElected));
    let after = cluster.image.partition("t", 0).unwrap().as_ref().clone();
    assert_eq!((after.leader, after.isr, after.leader_epoch.get()), (BrokerId(2), brokers(&[2, 3]), 1));
}

#[test]
fn what_a_leader_may_not_change_is_refused() {
    use AlterPartitionError::{
        FencedLeaderEpoch, IneligibleReplica, InvalidRequest, InvalidUpdateVersion, NotController,
        UnknownPartition, UnknownTopicId,
    };
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None), (3, None)]);
    cluster.create(assigned("t", &[(0, &[1, 2])])).unwrap();
    cluster.alter_isr("t", &[1], |_| {}).unwrap();
    let leader_epoch = |by: i32| {
        move |change: &mut IsrChange| {
            change.leader_epoch = LeaderEpoch(change.leader_epoch.get() + by);
        }
    };
    let partition_epoch = |by: i32| {
        move |change: &mut IsrChange| {
            change.partition_epoch = PartitionEpoch(change.partition_epoch.get() + by);
        }
    };
    assert_eq!(cluster.alter_isr("t", &[1, 2], leader_epoch(1)), Err(NotController));
    assert_eq!(cluster.alter_isr("t", &[1, 2], leader_epoch(-1)), Err(FencedLeaderEpoch));
    assert_eq!(cluster.alter_isr("t", &[1, 2], partition_epoch(1)), Err(NotController));
    assert_eq!(cluster.alter_isr("t", &[1, 2], partition_epoch(-1)), Err(InvalidUpdateVersion));
    assert_eq!(cluster.alter_isr("t", &[1, 3], |_| {}), Err(InvalidRequest), "3 has no replica");
    assert_eq!(cluster.alter_isr("t", &[], |_| {}), Err(InvalidRequest), "nobody is in it");
    assert_eq!(cluster.alter_isr("t", &[1, 1], |_| {}), Err(InvalidRequest));
    let recovering = |change: &mut IsrChange| change.leader_recovery_state = LeaderRecoveryState::Recovering;
    assert_eq!(cluster.alter_isr("t", &[1], recovering), Err(InvalidRequest));
    let other_process = |change: &mut IsrChange| change.isr[1].1 -= 1;
    assert_eq!(cluster.alter_isr("t", &[1, 2], other_process), Err(IneligibleReplica));
    assert_eq!(cluster.alter_isr("t", &[1], |change| change.id.partition = 9), Err(UnknownPartition));
    assert_eq!(
        cluster.alter_isr("t", &[1], |change| change.id.topic_id = TopicId::ZERO),
        Err(UnknownTopicId)
    );
    let epoch = cluster.epoch(2);
    cluster.decide(|context| fence_broker(BrokerId(2), epoch, context)).unwrap();
    assert_eq!(cluster.alter_isr("t", &[1, 2], |_| {}), Err(IneligibleReplica), "it is fenced");
    // Where the epoch in which it has caught up is not known, it is not looked at.
    cluster.decide(|context| unfence_broker(BrokerId(2), epoch, context)).unwrap();
    assert_eq!(cluster.alter_isr("t", &[1, 2], |change| change.isr[1].1 = -1), Ok(brokers(&[1, 2])));
}

#[test]
fn no_two_that_join_are_given_one_id() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (4, None)]);
    let others = BTreeSet::from([BrokerId(7)]);
    let give = |cluster: &mut Cluster, wish: u128| {
        cluster.decide(|context| give_broker_id(Uuid::from_u128(wish), &others, context)).get()
    };
    assert_eq!(give(&mut cluster, 1), 8, "controllers have ids, too");
    assert_eq!(give(&mut cluster, 2), 9, "what is given is taken before its broker has registered");
    assert_eq!(give(&mut cluster, 1), 8, "an answer may have got lost");

    // Nothing is kept for it where replicas are wanted.
    let mut topic = NewTopic::named("wide");
    topic.replication_factor = 3;
    assert!(matches!(cluster.create(topic.clone()), Err(TopicError::InvalidReplicationFactor(_))));
    let reserved = cluster.epoch(8);
    assert!(cluster.register(8, None, true).unwrap() > reserved);
    assert!(!cluster.image.brokers().get(BrokerId(8)).unwrap().is_reserved());
    cluster.create(topic).unwrap();
    assert_eq!(give(&mut cluster, 1), 10, "its wish was fulfilled: who asks now is somebody else");
}
