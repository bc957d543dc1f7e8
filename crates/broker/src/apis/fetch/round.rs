//! One round of reading: every partition of a fetch once, within its byte limits.

use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_replication::session::{FetchKey, FetchPartition, FetchTopic, SlotId};
use ottla_replication::{FollowerFetch, Ticket};
use ottla_storage::{FileSlice, Reach};
use tokio::sync::Notify;

use super::request::{Neighbourhood, Replica};
use crate::error_map;
use crate::partitions::{
    Absent, Partition, PartitionError, PartitionRead, Partitions, ReadRequest, Reader, TopicKey,
};
use crate::replication::{ReplicationQuotas, Side};

/// What bounds a round.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Bytes of records in the answer; the first batch of the first partition may exceed it (KIP-74). As it was asked for:
    /// a negative number fails.
    pub(super) max_len: i32,
    pub(super) replica: Replica,
    pub(super) read_committed: bool,
    /// How fast followers that are not in sync are served.
    pub(super) quotas: Arc<ReplicationQuotas>,
    /// Where consumers are sent to the closest replica, what is close.
    pub(super) neighbourhood: Option<Neighbourhood>,
}

/// One partition to read, found once for all rounds.
#[derive(Debug)]
pub(super) struct Target {
    /// Its place in the session, if there is one.
    pub(super) slot: Option<SlotId>,
    pub(super) key: FetchKey,
    pub(super) wanted: FetchPartition,
    partition: Result<Arc<Partition>, Absent>,
}

impl Target {
    pub(super) fn find(
        partitions: &Partitions,
        slot: Option<SlotId>,
        key: &FetchKey,
        wanted: FetchPartition,
    ) -> Self {
        Self { slot, key: key.clone(), wanted, partition: look_up(partitions, key) }
    }

    /// Looks again for one whose log was not open.
    pub(super) fn look_again(&mut self, partitions: &Partitions) {
        if self.is_opening() {
            self.partition = look_up(partitions, &self.key);
        }
    }

    pub(super) fn is_opening(&self) -> bool {
        matches!(self.partition, Err(Absent::Opening))
    }

    /// How the registry knows it.
    pub(super) fn name(&self) -> (TopicKey<'_>, i32) {
        let topic = match &self.key.topic {
            FetchTopic::Id(id) => TopicKey::Id(*id),
            FetchTopic::Name(name) => TopicKey::Name(name),
        };
        (topic, self.key.partition)
    }

    /// Where it is read.
    pub(super) fn partition(&self) -> Option<&Arc<Partition>> {
        self.partition.as_ref().ok()
    }

    /// Why there is no such partition here: known before anything is read.
    pub(super) fn absent(&self) -> Option<ErrorCode> {
        self.partition.as_ref().err().map(error_map::absent)
    }
}

fn look_up(partitions: &Partitions, key: &FetchKey) -> Result<Arc<Partition>, Absent> {
    match &key.topic {
        FetchTopic::Id(id) => partitions.by_id(*id, key.partition),
        FetchTopic::Name(name) => partitions.by_name(name, key.partition),
    }
}

/// What each target answered, in the targets' order.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) reads: Vec<Result<PartitionRead, ErrorCode>>,
    /// Bytes of records.
    pub(super) len: usize,
    /// There is an error or a divergence, which must not wait. A log that is not open yet is waited for.
    pub(super) is_urgent: bool,
    /// A follower that is not in sync has to wait with some of it.
    pub(super) is_throttled: bool,
}

/// What a round lacks that must not wait for the disk: what to read before the next one.
#[derive(Debug)]
pub(super) struct Lacks(pub(super) Vec<FileSlice>);

impl Round {
    /// Reads without waiting for the disk.
    pub(super) fn read_in_memory(targets: &[Target], limits: &Limits) -> Result<Self, Lacks> {
        let (round, lacks) = Self::read_within(targets, limits, Reach::Memory);
        if lacks.is_empty() { Ok(round) } else { Err(Lacks(lacks)) }
    }

    /// Reads, however long the disk takes.
    pub(super) fn read(targets: &[Target], limits: &Limits) -> Self {
        Self::read_within(targets, limits, Reach::Disk).0
    }

    fn read_within(targets: &[Target], limits: &Limits, reach: Reach) -> (Self, Vec<FileSlice>) {
        let mut round = Self { reads: Vec::with_capacity(targets.len()), ..Self::default() };
        let mut lacks = Vec::new();
        let mut left = limits.max_len;
        for target in targets {
            let read = match read_one(target, limits, left, round.len == 0, reach) {
                Ok(read) => Ok(read),
                Err(Unread::Refused(error)) => Err(error),
                Err(Unread::OnDisk(slice)) => {
                    lacks.push(slice);
                    continue;
                }
            };
            round.is_urgent |= read.as_ref().map_or(!target.is_opening(), PartitionRead::redirects);
            let len = read.as_ref().map_or(0, PartitionRead::len);
            round.is_throttled |= read.as_ref().is_ok_and(|read| read.held);
            round.len += len;
            if target.absent().is_none() {
                left = left.saturating_sub(i32::try_from(len).unwrap_or(i32::MAX)).max(0);
            }
            round.reads.push(read);
        }
        (round, lacks)
    }

    /// What was read of each of the targets leaves in an answer.
    pub(super) fn count(&self, targets: &[Target]) {
        for (target, read) in targets.iter().zip(&self.reads) {
            if let (Ok(partition), Ok(read)) = (&target.partition, read)
                && read.len() > 0
            {
                partition.traffic.fetched(read.len());
            }
        }
    }
}

/// Why a partition was not read.
enum Unread {
    Refused(ErrorCode),
    /// Not yet: these bytes are on the disk only.
    OnDisk(FileSlice),
}

impl From<ErrorCode> for Unread {
    fn from(error: ErrorCode) -> Self {
        Self::Refused(error)
    }
}

fn read_one(
    target: &Target,
    limits: &Limits,
    left: i32,
    min_one: bool,
    reach: Reach,
) -> Result<PartitionRead, Unread> {
    let partition = target.partition.as_ref().map_err(error_map::absent)?;
    let wanted = &target.wanted;
    let throttled = match limits.replica {
        Replica::Follower(follower) => partition.is_throttled_to(follower.broker),
        Replica::Consumer { .. } | Replica::Debug => false,
    };
    let must_wait = throttled && limits.quotas.due_in(Side::Leader) > Duration::ZERO;
    let max_len = if must_wait { 0 } else { left.min(wanted.max_bytes) };
    let request = ReadRequest {
        offset: wanted.fetch_offset,
        current_leader_epoch: wanted.current_leader_epoch,
        last_fetched_epoch: wanted.last_fetched_epoch,
        max_len: u32::try_from(max_len).unwrap_or(0),
        min_one: (min_one && !must_wait) || max_len < 0,
        reach,
        reader: reader(limits.replica, wanted),
    };
    let read = match partition.read(&request) {
        Ok(read) => PartitionRead { throttled, held: must_wait, ..read },
        Err(PartitionError::OnDisk(slice)) => return Err(Unread::OnDisk(slice)),
        Err(error) => return Err(error_map::partition(&error).into()),
    };
    let closest = limits.neighbourhood.as_ref().filter(|_| read.diverging.is_none());
    let closest =
        closest.and_then(|near| partition.closest_replica(wanted.fetch_offset, |broker| near.has(broker)));
    if let Some(preferred) = closest {
        return Ok(read.elsewhere(preferred));
    }
    // Kafka fails where it would read a negative number of bytes, and does not where there is nothing to read.
    if max_len < 0 && read.len() > 0 { Err(ErrorCode::UnknownServerError.into()) } else { Ok(read) }
}

fn reader(replica: Replica, wanted: &FetchPartition) -> Reader {
    let follower = match replica {
        Replica::Consumer { leader_only } => return Reader::Consumer { leader_only },
        Replica::Debug => return Reader::Debug,
        Replica::Follower(follower) => follower,
    };
    let fetch = FollowerFetch {
        broker: follower.broker,
        broker_epoch: follower.broker_epoch,
        standing: follower.standing,
        leader_epoch: wanted.current_leader_epoch,
        fetch_offset: wanted.fetch_offset,
        log_start: wanted.log_start,
    };
    Reader::Follower { fetch, news: follower.is_news, now: follower.now }
}

/// A fetch's places in the wait lists of its partitions, given back when dropped.
#[derive(Debug)]
pub(super) struct Parked<'a> {
    places: Vec<(&'a Partition, Ticket)>,
    complete: bool,
    /// Followers wait for the end of the log, consumers for the high watermark.
    of_follower: bool,
}

impl<'a> Parked<'a> {
    pub(super) fn park(targets: &'a [Target], waiter: &Arc<Notify>, of_follower: bool) -> Self {
        let mut parked = Self { places: Vec::with_capacity(targets.len()), complete: true, of_follower };
        for target in targets {
            let Ok(partition) = &target.partition else { continue };
            let (offset, waiter) = (target.wanted.fetch_offset, Arc::clone(waiter));
            let place = if of_follower {
                partition.park_follower(offset, waiter)
            } else {
                partition.park_fetch(offset, waiter)
            };
            match place {
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
            if self.of_follower {
                partition.cancel_follower(ticket);
            } else {
                partition.cancel_fetch(ticket);
            }
        }
    }
}
