//! Where two logs part: by the end offsets of leader epochs (KIP-101, KIP-279, KIP-595's diverging epoch), never by the
//! high watermark, which lags one fetch behind what is committed.

use ottla_model::{LeaderEpoch, Offset};
use ottla_planted::planted;

/// A leader epoch and its end offset (exclusive): the start of the next epoch, or the LEO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    pub epoch: LeaderEpoch,
    pub end_offset: Offset,
}

impl EpochEnd {
    /// Whether a log whose last record before `fetch_offset` is of `last_fetched_epoch` parts from the one that has answered
    /// this about that epoch (KIP-595).
    #[must_use]
    pub fn diverges(&self, last_fetched_epoch: LeaderEpoch, fetch_offset: Offset) -> bool {
        (self.epoch < last_fetched_epoch && !planted!("divergence_by_offset_only"))
            || self.end_offset < fetch_offset
    }
}

/// A log's leader epochs (`leader-epoch-checkpoint`).
pub trait EpochHistory {
    /// As Kafka's `LeaderEpochFileCache.endOffsetFor` (KIP-279): the largest known epoch that is at most `epoch`, and
    /// where the next one starts; for the latest epoch, the LEO. An `epoch` from before the first known one keeps its
    /// name and ends where that starts: its records have been deleted. `None` if it is later than any known epoch.
    fn end_of(&self, epoch: LeaderEpoch) -> Option<EpochEnd>;
}

/// A leader cannot say where a follower's log parts from its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DivergenceError {
    /// Kafka answers `OFFSET_OUT_OF_RANGE`.
    #[error("epoch {0} is later than any in the log")]
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
    Ok(own.diverges(last_fetched_epoch, fetch_offset).then_some(own))
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
        // All of this log is older than what the leader named.
        None => Truncation { offset: leader.end_offset.min(leo), complete: true },
        Some(own) if own.epoch == leader.epoch => {
            Truncation { offset: own.end_offset.min(leader.end_offset).min(leo), complete: true }
        }
        Some(_) if planted!("truncation_without_fallback") => {
            Truncation { offset: leader.end_offset.min(leo), complete: true }
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
            let latest = self.0.last()?;
            let after = self.0.iter().position(|(known, _)| *known > epoch.get());
            match after {
                None if latest.0 == epoch.get() => Some(end(latest.0, self.1)),
                None => None,
                Some(0) => Some(end(epoch.get(), self.0[0].1)),
                Some(at) => Some(end(self.0[at - 1].0, self.0[at].1)),
            }
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
        assert_eq!(ask(4, 15), Err(DivergenceError::UnknownEpoch(LeaderEpoch(4))));
        let below = DivergenceError::BelowLogStart { requested: Offset(1), log_start: Offset(2) };
        assert_eq!(ask(1, 1), Err(below));
    }

    #[test]
    fn a_deleted_epoch_ends_where_the_log_starts() {
        let leader = Log(vec![(3, 10)], 15);
        let ask = |offset| diverging_epoch(&leader, LeaderEpoch(1), Offset(offset), Offset(10));
        assert_eq!(ask(10), Ok(None), "everything of epoch 1 was read before it was deleted");
        assert_eq!(ask(12), Ok(Some(end(1, 10))));
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
    fn follower_whose_log_is_all_later_drops_it() {
        let follower = Log(vec![(5, 4)], 20);
        let cut = Truncation { offset: Offset(4), complete: true };
        assert_eq!(truncate_to(&follower, end(3, 7), Offset(20)), cut);
    }

    #[test]
    fn follower_whose_log_is_all_earlier_takes_the_leaders_end() {
        let follower = Log(vec![(1, 0)], 20);
        let cut = Truncation { offset: Offset(7), complete: true };
        assert_eq!(truncate_to(&follower, end(3, 7), Offset(20)), cut);
    }
}
