//! The memory that a log's idempotent producers take.

use ottla_model::Now;
use ottla_model::batch::BatchHeader;

use super::{Partition, State};
use crate::memory::PRODUCER_LEN;
use crate::partitions::AppendError;

/// Where memory is short a producer is forgotten after this much silence: no client retries a batch for so long
/// (`delivery.timeout.ms` is two minutes), so nothing is taken twice.
const SILENT_MS: i64 = 15 * 60 * 1000;
/// Newcomers have those looked for no more often than this: all producers are looked at, with the lock in hand.
const SEARCH_MS: u64 = 1_000;

impl Partition {
    /// Forgets producers that have been silent for too long; earlier where memory is short.
    pub(in crate::partitions) fn expire_producers(&self, now: Now) {
        let mut state = self.state.lock();
        if state.producers.pool().is_full() {
            state.log.forget_silent_producers(now, SILENT_MS);
        } else {
            state.log.expire_producers(now);
        }
        state.charge_producers();
    }
}

impl State {
    pub(super) fn charge_producers(&mut self) {
        let len = self.log.producer_count() * PRODUCER_LEN;
        if len != self.producers.len() {
            self.producers.set(len);
        }
    }

    /// Where memory is short, refuses a producer that the log does not know, unless silent ones can be forgotten.
    pub(super) fn make_room_for_producer(&mut self, records: &[u8], now: Now) -> Result<(), AppendError> {
        if !self.producers.pool().is_full() {
            return Ok(());
        }
        let newcomer = BatchHeader::read(records)
            .is_ok_and(|header| header.has_producer_id() && !self.log.knows_producer(header.producer_id));
        if !newcomer {
            return Ok(());
        }
        if self.producers_searched.is_none_or(|last| now.mono.since_ms(last) >= SEARCH_MS) {
            self.producers_searched = Some(now.mono);
            self.log.forget_silent_producers(now, SILENT_MS);
            self.charge_producers();
        }
        if self.producers.pool().is_full() {
            self.producers.pool().push_back();
            return Err(AppendError::TooManyProducers);
        }
        Ok(())
    }
}
