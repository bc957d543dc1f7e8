//! Where two logs part: by the end offsets of leader epochs (KIP-101, KIP-279, KIP-595's diverging epoch), never by the
//! high watermark, which lags one fetch behind what is committed.

use ottla_model::{LeaderEpoch, Offset};

/// A leader epoch and its end offset (exclusive): the start of the next epoch, or the LEO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    pub epoch: LeaderEpoch,
    pub end_offset: Offset,
}

/// A log's leader epochs (`leader-epoch-checkpoint`).
pub trait EpochHistory {
    /// The largest epoch that is at most `epoch`, and its end; `None` if the log has no such epoch (KIP-279). Asked for
    /// the current epoch, the LEO.
    fn end_of(&self, epoch: LeaderEpoch) -> Option<EpochEnd>;
}

/// A leader cannot say where a follower's log parts from its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DivergenceError {
    /// Kafka answers `OFFSET_OUT_OF_RANGE`.
    #[error("no epoch up to {0} is in the log")]
    UnknownEpoch(LeaderEpoch),
    /// Kafka answers `OFFSET_OUT_OF_RANGE`.
    #[error("offset {requested} is before the log start {log_start}")]
    BelowLogStart { requested: Offset, log_start: Offset },
}

/// Leader: compares a follower's (or a KIP-320 consumer's) position with its own log. `Some` is the diverging epoch to
/// answer instead of records; `None` means the fetch may be served.
pub fn diverging_epoch(
    history: &impl EpochHistory,
    last_fetched_epoch: LeaderEpoch,
    fetch_offset: Offset,
    log_start: Offset,
) -> Result<Option<EpochEnd>, DivergenceError> {
    let own = history.end_of(last_fetched_epoch).ok_or(DivergenceError::UnknownEpoch(last_fetched_epoch))?;
    if fetch_offset < log_start {
        return Err(DivergenceError::BelowLogStart { requested: fetch_offset, log_start });
    }
    let diverges = own.epoch < last_fetched_epoch || own.end_offset < fetch_offset;
    Ok(diverges.then_some(own))
}

/// A follower's next step after a leader has named an epoch's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// Cut the log to end here.
    pub offset: Offset,
    /// Whether the logs agree below; if not, ask the leader again, about the epoch that is now last.
    pub complete: bool,
}

/// Follower: how far to cut after the leader has answered with a diverging epoch (or with an OffsetForLeaderEpoch end).
#[must_use]
pub fn truncate_to(history: &impl EpochHistory, leader: EpochEnd, leo: Offset) -> Truncation {
    match history.end_of(leader.epoch) {
        // Nothing here is as old as what the leader named: all of it came later.
        None => Truncation { offset: leader.end_offset.min(leo), complete: true },
        Some(own) if own.epoch == leader.epoch => {
            Truncation { offset: own.end_offset.min(leader.end_offset).min(leo), complete: true }
        }
        // KIP-279: the leader's epoch was never seen here; fall back to the largest one before it and ask again.
        Some(own) => Truncation { offset: own.end_offset.min(leo), complete: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Epochs as (epoch, start offset), then the LEO.
    struct Log(Vec<(i32, i64)>, i64);

    impl EpochHistory for Log {
        fn end_of(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
            let at = self.0.iter().rposition(|(start_epoch, _)| *start_epoch <= epoch.get())?;
            let end = self.0.get(at + 1).map_or(self.1, |(_, start)| *start);
            Some(EpochEnd { epoch: LeaderEpoch(self.0[at].0), end_offset: Offset(end) })
        }
    }

    fn end(epoch: i32, end_offset: i64) -> EpochEnd {
        EpochEnd { epoch: LeaderEpoch(epoch), end_offset: Offset(end_offset) }
    }

    #[test]
    fn leader_finds_divergence_by_epoch_and_offset() {
        let leader = Log(vec![(1, 0), (3, 10)], 15);
        let ask = |epoch, offset| diverging_epoch(&leader, LeaderEpoch(epoch), Offset(offset), Offset(2));
        assert_eq!(ask(3, 15), Ok(None));
        assert_eq!(ask(1, 10), Ok(None));
        assert_eq!(ask(1, 11), Ok(Some(end(1, 10))), "the follower has more of epoch 1");
        assert_eq!(ask(2, 9), Ok(Some(end(1, 10))), "epoch 2 never was here");
        assert_eq!(ask(4, 15), Ok(Some(end(3, 15))));
        assert_eq!(ask(0, 5), Err(DivergenceError::UnknownEpoch(LeaderEpoch(0))));
        let below = DivergenceError::BelowLogStart { requested: Offset(1), log_start: Offset(2) };
        assert_eq!(ask(1, 1), Err(below));
    }

    #[test]
    fn follower_truncates_within_the_shared_epoch() {
        let follower = Log(vec![(1, 0)], 20);
        let cut = Truncation { offset: Offset(10), complete: true };
        assert_eq!(truncate_to(&follower, end(1, 10), Offset(20)), cut);
    }

    #[test]
    fn kip_279_follower_falls_back_one_epoch_and_asks_again() {
        let follower = Log(vec![(1, 0), (4, 10), (6, 12)], 20);
        let cut = Truncation { offset: Offset(10), complete: false };
        assert_eq!(truncate_to(&follower, end(3, 15), Offset(20)), cut);
    }

    #[test]
    fn follower_without_older_epochs_takes_the_leaders_end() {
        let follower = Log(vec![(5, 0)], 20);
        let cut = Truncation { offset: Offset(7), complete: true };
        assert_eq!(truncate_to(&follower, end(3, 7), Offset(20)), cut);
    }
}
