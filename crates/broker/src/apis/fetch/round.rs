//! One round of reading: every partition of a fetch once, within its byte limits.

use std::sync::Arc;

use ottla_protocol::ErrorCode;
use ottla_replication::Ticket;
use ottla_replication::session::{FetchKey, FetchPartition, FetchTopic, SlotId};
use tokio::sync::Notify;

use super::request::Replica;
use crate::error_map;
use crate::partitions::{Partition, PartitionRead, Partitions, ReadRequest};

/// What bounds a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of records in the answer; the first batch of the first partition may exceed it (KIP-74).
    pub(super) max_len: usize,
    pub(super) replica: Replica,
    pub(super) read_committed: bool,
}

/// One partition to read, found once for all rounds.
#[derive(Debug)]
pub(super) struct Target {
    /// Its place in the session, if there is one.
    pub(super) slot: Option<SlotId>,
    pub(super) key: FetchKey,
    pub(super) wanted: FetchPartition,
    partition: Result<Arc<Partition>, ErrorCode>,
}

impl Target {
    pub(super) fn find(
        partitions: &Partitions,
        slot: Option<SlotId>,
        key: &FetchKey,
        wanted: FetchPartition,
    ) -> Self {
        let partition = match &key.topic {
            FetchTopic::Id(id) => partitions.by_id(*id, key.partition),
            FetchTopic::Name(name) => partitions.by_name(name, key.partition),
        };
        Self {
            slot,
            key: key.clone(),
            wanted,
            partition: partition.map_err(|error| error_map::absent(&error)),
        }
    }

    /// There is no such partition here: known before anything is read.
    pub(super) fn is_absent(&self) -> bool {
        self.partition.is_err()
    }
}

/// What each target answered, in the targets' order.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) reads: Vec<Result<PartitionRead, ErrorCode>>,
    /// Bytes of records.
    pub(super) len: usize,
    /// There is an error or a divergence, which must not wait.
    pub(super) is_urgent: bool,
}

impl Round {
    pub(super) fn read(targets: &[Target], limits: &Limits) -> Self {
        let mut round = Self { reads: Vec::with_capacity(targets.len()), ..Self::default() };
        for target in targets {
            let left = limits.max_len.saturating_sub(round.len);
            let read = read_one(target, limits, left, round.len == 0);
            round.is_urgent |= read.as_ref().map_or(true, |read| read.diverging.is_some());
            round.len += read.as_ref().map_or(0, PartitionRead::len);
            round.reads.push(read);
        }
        round
    }
}

fn read_one(
    target: &Target,
    limits: &Limits,
    left: usize,
    min_one: bool,
) -> Result<PartitionRead, ErrorCode> {
    let partition = target.partition.as_ref().map_err(|error| *error)?;
    if limits.replica.is_follower() {
        // A partition of one broker has no followers.
        return Err(ErrorCode::NotLeaderOrFollower);
    }
    let wanted = &target.wanted;
    let request = ReadRequest {
        offset: wanted.fetch_offset,
        current_leader_epoch: wanted.current_leader_epoch,
        last_fetched_epoch: wanted.last_fetched_epoch,
        max_len: u32::try_from(left).unwrap_or(u32::MAX).min(u32::try_from(wanted.max_bytes).unwrap_or(0)),
        min_one,
        debug_replica: limits.replica == Replica::Debug,
    };
    partition.read(&request).map_err(|error| error_map::partition(&error))
}

/// A fetch's places in the wait lists of its partitions, given back when dropped.
#[derive(Debug)]
pub(super) struct Parked<'a> {
    places: Vec<(&'a Partition, Ticket)>,
    complete: bool,
}

impl<'a> Parked<'a> {
    pub(super) fn park(targets: &'a [Target], waiter: &Arc<Notify>) -> Self {
        let mut parked = Self { places: Vec::with_capacity(targets.len()), complete: true };
        for target in targets {
            let Ok(partition) = &target.partition else { continue };
            match partition.park_fetch(target.wanted.fetch_offset, Arc::clone(waiter)) {
                Some(ticket) => parked.places.push((partition, ticket)),
                None => parked.complete = false,
            }
        }
        parked
    }

    /// Whether every partition had room for one more.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        for (partition, ticket) in self.places.drain(..) {
            partition.cancel_fetch(ticket);
        }
    }
}
