//! The ISR: what is committed, and a change on its way to the controller.

use ottla_model::{BrokerId, LeaderEpoch, PartitionEpoch};
use ottla_planted::planted;

/// The committed ISR plus at most one change in flight (KIP-497).
#[derive(Clone, Debug, Default)]
pub(super) struct Isr {
    pub(super) committed: Vec<BrokerId>,
    pub(super) pending: Option<Pending>,
}

/// A change that the controller has not answered.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) partition_epoch: PartitionEpoch,
    pub(super) change: Change,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Expand(BrokerId),
    Shrink(Vec<BrokerId>),
}

impl Isr {
    pub(super) fn contains(&self, broker: BrokerId) -> bool {
        self.committed.contains(&broker)
    }

    /// The widest ISR that the controller may have committed: HW must wait for all of it. A shrink in flight may fail,
    /// an expansion may have succeeded.
    pub(super) fn maximal_contains(&self, broker: BrokerId) -> bool {
        (self.contains(broker) && !(self.shrinks(broker) && planted!("hw_trusts_shrink")))
            || (self.expanding() == Some(broker) && !planted!("hw_ignores_expansion"))
    }

    pub(super) fn maximal_len(&self) -> usize {
        self.committed.len() + usize::from(self.expanding().is_some())
    }

    /// The members after the change in flight.
    pub(super) fn proposed(&self) -> Vec<BrokerId> {
        let mut isr = self.committed.clone();
        match self.pending.as_ref().map(|pending| &pending.change) {
            Some(Change::Expand(broker)) => isr.push(*broker),
            Some(Change::Shrink(out)) => isr.retain(|broker| !out.contains(broker)),
            None => {}
        }
        isr
    }

    fn shrinks(&self, broker: BrokerId) -> bool {
        matches!(&self.pending, Some(Pending { change: Change::Shrink(out), .. }) if out.contains(&broker))
    }

    fn expanding(&self) -> Option<BrokerId> {
        match self.pending {
            Some(Pending { change: Change::Expand(broker), .. }) => Some(broker),
            _ => None,
        }
    }
}
