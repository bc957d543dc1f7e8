//! A controller that never fails, and elects only from the ISR.

use ottla_model::{BrokerId, LeaderEpoch, PartitionEpoch};
use ottla_replication::{AlterPartitionAnswer, BrokerStanding, IsrProposal, Registration};

#[derive(Debug)]
pub(crate) struct Controller {
    pub(crate) registration: Registration,
    brokers: Vec<(BrokerId, BrokerStanding)>,
    next_broker_epoch: i64,
}

impl Controller {
    pub(crate) const ID: BrokerId = BrokerId(99);
    pub(crate) const UNKNOWN: BrokerStanding =
        BrokerStanding { epoch: None, fenced: true, in_controlled_shutdown: false };

    pub(crate) fn new(replicas: Vec<BrokerId>) -> Self {
        let standing = BrokerStanding { epoch: Some(0), fenced: false, in_controlled_shutdown: false };
        let brokers = replicas.iter().map(|broker| (*broker, standing)).collect();
        let registration = Registration {
            leader: replicas.first().copied(),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            isr: replicas.clone(),
            replicas,
        };
        Self { registration, brokers, next_broker_epoch: 1 }
    }

    pub(crate) fn standing(&self, broker: BrokerId) -> BrokerStanding {
        let known = self.brokers.iter().find(|(id, _)| *id == broker);
        known.map_or(Self::UNKNOWN, |(_, standing)| *standing)
    }

    /// The broker's session has ended: it leaves the ISR, unless it is the last that has everything.
    pub(crate) fn fence(&mut self, broker: BrokerId) {
        if self.standing(broker).fenced {
            return;
        }
        self.set(broker, |standing| standing.fenced = true);
        let before = self.registration.clone();
        if self.registration.isr.len() > 1 {
            self.registration.isr.retain(|member| *member != broker);
        }
        self.elect(before);
    }

    /// The broker's heartbeats come again.
    pub(crate) fn unfence(&mut self, broker: BrokerId, broker_epoch: i64) {
        let standing = self.standing(broker);
        if standing.fenced && standing.epoch == Some(broker_epoch) {
            self.set(broker, |standing| standing.fenced = false);
            self.elect(self.registration.clone());
        }
    }

    /// A new incarnation registers; whatever the old one was in the middle of is over. Returns its broker epoch.
    pub(crate) fn register(&mut self, broker: BrokerId) -> i64 {
        self.fence(broker);
        let epoch = self.next_broker_epoch;
        self.next_broker_epoch += 1;
        self.set(broker, |standing| {
            standing.epoch = Some(epoch);
            standing.fenced = false;
        });
        self.elect(self.registration.clone());
        epoch
    }

    pub(crate) fn alter_partition(
        &mut self,
        from: BrokerId,
        broker_epoch: i64,
        proposal: &IsrProposal,
    ) -> AlterPartitionAnswer {
        let current = &self.registration;
        let stale = current.leader != Some(from)
            || self.standing(from).epoch != Some(broker_epoch)
            || current.leader_epoch != proposal.leader_epoch
            || current.partition_epoch != proposal.partition_epoch;
        if stale {
            return AlterPartitionAnswer::Stale;
        }
        let eligible = proposal.isr.iter().all(|member| {
            let standing = self.standing(member.broker);
            !standing.fenced && member.broker_epoch.is_none_or(|epoch| standing.epoch == Some(epoch))
        });
        if !eligible {
            return AlterPartitionAnswer::Rejected;
        }
        self.registration.isr = proposal.isr.iter().map(|member| member.broker).collect();
        self.registration.partition_epoch.0 += 1;
        AlterPartitionAnswer::Committed {
            leader_epoch: self.registration.leader_epoch,
            partition_epoch: self.registration.partition_epoch,
            isr: self.registration.isr.clone(),
        }
    }

    fn elect(&mut self, before: Registration) {
        let alive = |broker: &BrokerId| !self.standing(*broker).fenced;
        let isr = &self.registration.isr;
        let keeps = self.registration.leader.filter(|leader| isr.contains(leader) && alive(leader));
        let leader = keeps.or_else(|| isr.iter().copied().find(alive));
        self.registration.leader = leader;
        if leader != before.leader {
            self.registration.leader_epoch.0 += 1;
        }
        if self.registration != before {
            self.registration.partition_epoch.0 += 1;
        }
    }

    fn set(&mut self, broker: BrokerId, change: impl Fn(&mut BrokerStanding)) {
        for (id, standing) in &mut self.brokers {
            if *id == broker {
                change(standing);
            }
        }
    }
}
