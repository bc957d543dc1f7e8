//! The invariants of a [`PartitionMachine`](super::PartitionMachine).

use ottla_model::{BrokerId, Offset};

use super::machine::{PartitionMachine, Role};

/// An invariant that does not hold: a bug here, or a shell that reported what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invariant {
    #[error("HW {high_watermark} is above LEO {leo}")]
    HwAboveLeo { high_watermark: Offset, leo: Offset },
    #[error("log start {log_start} is above HW {high_watermark}")]
    StartAboveHw { log_start: Offset, high_watermark: Offset },
    #[error("flushed {flushed} is above LEO {leo}")]
    FlushedAboveLeo { flushed: Offset, leo: Offset },
    #[error("HW {high_watermark} is above the LEO {leo} of {broker}, which is in the maximal ISR")]
    HwAboveIsr { high_watermark: Offset, broker: BrokerId, leo: Offset },
    #[error("broker {0} is in the ISR but no replica")]
    IsrNotReplica(BrokerId),
    #[error("the leader is not in the ISR")]
    LeaderNotInIsr,
    #[error("a replica that is no leader keeps a leader's state")]
    LeaderStateLeft,
}

impl PartitionMachine {
    /// Every invariant, at any time between steps.
    pub fn check(&self) -> Result<(), Invariant> {
        self.check_log()?;
        match self.role {
            Role::Leader { .. } => self.check_leader(),
            _ if self.followers.is_empty() && self.isr.committed.is_empty() => Ok(()),
            _ => Err(Invariant::LeaderStateLeft),
        }
    }

    pub(super) fn debug_check(&self) {
        debug_assert_eq!(self.check(), Ok(()), "{self:?}");
    }

    fn check_log(&self) -> Result<(), Invariant> {
        let log = self.log;
        if log.high_watermark > log.leo {
            return Err(Invariant::HwAboveLeo { high_watermark: log.high_watermark, leo: log.leo });
        }
        if log.log_start > log.high_watermark {
            let (log_start, high_watermark) = (log.log_start, log.high_watermark);
            return Err(Invariant::StartAboveHw { log_start, high_watermark });
        }
        if log.flushed > log.leo {
            return Err(Invariant::FlushedAboveLeo { flushed: log.flushed, leo: log.leo });
        }
        Ok(())
    }

    fn check_leader(&self) -> Result<(), Invariant> {
        if let Some(stranger) = self.isr.committed.iter().find(|member| !self.replicas.contains(member)) {
            return Err(Invariant::IsrNotReplica(*stranger));
        }
        if !self.isr.contains(self.local) {
            return Err(Invariant::LeaderNotInIsr);
        }
        let high_watermark = self.log.high_watermark;
        for follower in &self.followers {
            let (broker, leo) = (follower.id, follower.leo);
            // A follower that has not fetched in this epoch is known only to hold what was committed before it.
            let known = leo != Offset::NONE && !follower.regressed;
            if follower.in_maximal_isr && known && leo < high_watermark {
                return Err(Invariant::HwAboveIsr { high_watermark, broker, leo });
            }
        }
        Ok(())
    }
}
