//! What a partition answers to readers: file slices for Fetch, offsets for ListOffsets and OffsetForLeaderEpoch.

use std::path::{Path, PathBuf};

use ottla_model::batch::{BatchHeader, HEADER_LEN};
use ottla_model::{BrokerId, LeaderEpoch, MonoMs, Offset, TimestampMs};
use ottla_replication::FollowerFetch;
use ottla_replication::truncation::EpochEnd;
use ottla_storage::{
    ActiveProducer, CopyRead, FileSlice, InMemory, OrderLook, PartitionLog, Reach, StorageError, TimedBatch,
    TimestampOffset,
};

use super::error::PartitionError;
use super::partition::{Partition, State, Woken};

/// A lookup by time goes through so many pieces of indexes and segments, each of which may have to be read first; only
/// where memory does not keep what was read are there more.
const COLD_STEPS_MAX: usize = 10_000;

/// One partition of a Fetch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadRequest {
    pub offset: Offset,
    /// Of the leader, as the reader knows it (KIP-320).
    pub current_leader_epoch: Option<LeaderEpoch>,
    /// Of the last record that the reader has (KIP-595): answered with where its log diverges.
    pub last_fetched_epoch: Option<LeaderEpoch>,
    pub max_len: u32,
    /// Give the first batch even if it is longer than `max_len` (KIP-74).
    pub min_one: bool,
    /// What is beyond it fails with [`PartitionError::OnDisk`].
    pub reach: Reach,
    pub reader: Reader,
}

/// Who reads, which decides how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Up to the high watermark; from the leader, or from whoever has a replica (KIP-392).
    Consumer { leader_only: bool },
    /// Up to the end of the log. `news`: what its fetch says of its own log, unless that was said by an earlier round.
    Follower { fetch: FollowerFetch, news: bool, now: MonoMs },
    /// Replica -2 (the verification tool) reads from followers too, and up to the end.
    Debug,
}

/// What was read, under one lock: bytes and offsets belong together.
#[derive(Debug)]
pub(crate) struct PartitionRead {
    pub slice: Option<FileSlice>,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start_offset: Offset,
    /// The reader's log diverges from ours at the end of this epoch.
    pub diverging: Option<(LeaderEpoch, Offset)>,
    /// The replica to read from instead (KIP-392).
    pub preferred: Option<BrokerId>,
    /// It counts for what may be copied to followers that are not in sync.
    pub throttled: bool,
    /// Nothing was read because enough was, of what counts.
    pub held: bool,
}

impl Reader {
    fn wants_leader(self) -> bool {
        match self {
            Self::Consumer { leader_only } => leader_only,
            Self::Follower { .. } => true,
            Self::Debug => false,
        }
    }
}

impl PartitionRead {
    /// Whether it says to go on elsewhere: at another offset, or on another broker.
    pub(crate) fn redirects(&self) -> bool {
        self.diverging.is_some() || self.preferred.is_some()
    }

    /// Nothing but where to read instead.
    pub(crate) fn elsewhere(self, preferred: BrokerId) -> Self {
        Self { slice: None, preferred: Some(preferred), ..self }
    }

    pub(crate) fn len(&self) -> usize {
        self.slice.as_ref().map_or(0, |slice| usize::try_from(slice.length).unwrap_or(usize::MAX))
    }
}

/// A replica's offsets and sizes at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Census {
    pub log_start: Offset,
    pub log_end: Offset,
    pub high_watermark: Offset,
    pub bytes: u64,
    pub segments: usize,
    /// Led here, with fewer in-sync replicas than `min.insync.replicas`.
    pub is_under_min_isr: bool,
    /// Followed here: records that its leader has committed and this replica lacks.
    pub lag: u64,
}

/// Which end of the log is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    Uncommitted,
    Committed,
    /// Of all that is there: a follower asks.
    LogEnd,
}

impl Partition {
    /// Reads batches from `request.offset` on, as far as the reader may see.
    pub(crate) fn read(&self, request: &ReadRequest) -> Result<PartitionRead, PartitionError> {
        let mut state = self.lock();
        state.machine.check_epoch(request.current_leader_epoch, request.reader.wants_leader())?;
        if let Reader::Follower { fetch, .. } = &request.reader {
            state.machine.check_replica(fetch)?;
        }
        let diverging = match request.last_fetched_epoch {
            Some(epoch) => state.divergence(epoch, request.offset)?,
            None => None,
        };
        let mut woken = Woken::default();
        // Said before the read, so that the answer has the high watermark that follows.
        if let Reader::Follower { fetch, news: true, now } = &request.reader
            && diverging.is_none()
        {
            woken = state.follower_fetched(fetch, *now)?;
        }
        let read = state.read(request, diverging);
        drop(state);
        woken.wake();
        let (mut read, look) = read?;
        if let (Some(look), Some(slice)) = (look, &mut read.slice) {
            match look.run(request.reach).map_err(|error| self.lock().failed_read(error.into()))? {
                InMemory::Found(length) => slice.length = length,
                InMemory::Lacks(slice) => return Err(PartitionError::OnDisk(slice)),
            }
        }
        Ok(read)
    }

    /// First offset, checked as ListOffsets does.
    pub(crate) fn log_start_offset(
        &self,
        epoch: Option<LeaderEpoch>,
    ) -> Result<TimestampOffset, PartitionError> {
        let state = self.lock();
        state.machine.check_epoch(epoch, true)?;
        let offset = state.log.log_start_offset();
        Ok(TimestampOffset { timestamp: TimestampMs::NONE, offset, leader_epoch: state.epoch_at(offset) })
    }

    /// The log's start, whoever leads the partition.
    pub(crate) fn log_start(&self) -> Offset {
        self.lock().log.log_start_offset()
    }

    /// The offset after the last one that readers of `isolation` may see.
    pub(crate) fn latest_offset(
        &self,
        epoch: Option<LeaderEpoch>,
        isolation: Isolation,
    ) -> Result<TimestampOffset, PartitionError> {
        let state = self.lock();
        state.machine.check_epoch(epoch, true)?;
        let offset = match isolation {
            Isolation::Uncommitted | Isolation::Committed => state.machine.high_watermark(),
            Isolation::LogEnd => state.log.log_end_offset(),
        };
        Ok(TimestampOffset {
            timestamp: TimestampMs::NONE,
            offset,
            leader_epoch: state.machine.leader_epoch(),
        })
    }

    /// The first record at or after a time, below the high watermark.
    pub(crate) fn offset_for_timestamp(
        &self,
        epoch: Option<LeaderEpoch>,
        timestamp: TimestampMs,
    ) -> Result<Option<TimestampOffset>, PartitionError> {
        let mut from = Offset::ZERO;
        while let Some(batch) =
            self.timed_batch(epoch, |log, reach| log.batch_for_timestamp(timestamp, from, reach))?
        {
            if let Some(found) = self.look_into(&batch)? {
                return Ok(Some(found).filter(|found| found.offset < self.high_watermark()));
            }
            from = batch.next_offset();
        }
        Ok(None)
    }

    /// The record with the largest timestamp (KIP-734); none while it is not below the high watermark.
    pub(crate) fn max_timestamp(
        &self,
        epoch: Option<LeaderEpoch>,
    ) -> Result<Option<TimestampOffset>, PartitionError> {
        let Some(batch) = self.timed_batch(epoch, PartitionLog::batch_of_max_timestamp)? else {
            return Ok(None);
        };
        let found = self.look_into(&batch)?;
        Ok(found.filter(|found| found.offset < self.high_watermark()))
    }

    /// What `ask` finds, again and again until all that it needs is in memory: nobody waits for the disk with the lock in
    /// hand. The caller may wait.
    fn timed_batch(
        &self,
        epoch: Option<LeaderEpoch>,
        mut ask: impl FnMut(&mut PartitionLog, Reach) -> Result<InMemory<Option<TimedBatch>>, StorageError>,
    ) -> Result<Option<TimedBatch>, PartitionError> {
        let mut steps = 0;
        loop {
            let reach = if steps < COLD_STEPS_MAX { Reach::Memory } else { Reach::Disk };
            let lacks = {
                let mut state = self.lock();
                state.machine.check_epoch(epoch, true)?;
                match ask(&mut state.log, reach).map_err(|error| state.failed_read(error.into()))? {
                    InMemory::Found(batch) => return Ok(batch),
                    InMemory::Lacks(slice) => slice,
                }
            };
            // What cannot be read fails again where it is told.
            steps = if lacks.warm().is_ok() { steps + 1 } else { COLD_STEPS_MAX };
        }
    }

    /// Without the lock: unpacking takes its time.
    fn look_into(&self, batch: &TimedBatch) -> Result<Option<TimestampOffset>, PartitionError> {
        batch.find().map_err(|error| self.lock().failed_read(error.into()))
    }

    /// The producers that the leader's log remembers.
    pub(crate) fn active_producers(&self) -> Result<Vec<ActiveProducer>, PartitionError> {
        let state = self.lock();
        state.machine.check_epoch(None, true)?;
        Ok(state.log.active_producers().collect())
    }

    /// Bytes of the log, and the directory it is in. May wait for the disk.
    pub(crate) fn log_size(&self) -> (u64, PathBuf) {
        self.learn_sizes();
        let state = self.lock();
        (state.size_bytes(), state.log.dir().to_path_buf())
    }

    /// Has the file system look up the sizes of segments that nobody has asked for since the start, without the lock.
    pub(crate) fn learn_sizes(&self) {
        let lookup = self.lock().log.size_lookup();
        if let Some(lookup) = lookup {
            lookup.run();
            let state = self.lock();
            if !state.is_closed() {
                state.size_bytes();
            }
        }
    }

    /// The log dir that the replica is in; `None` once it is no longer this broker's.
    pub(crate) fn log_dir(&self) -> Option<PathBuf> {
        let state = self.lock();
        if state.is_closed() { None } else { state.log.dir().parent().map(Path::to_path_buf) }
    }

    pub(crate) fn log_end_offset(&self) -> Offset {
        self.lock().log.log_end_offset()
    }

    /// Whole batches for a copy in another log dir, up to the log's end.
    pub(super) fn read_to_copy(&self, from: Offset, max_bytes: u32) -> Result<CopyRead, StorageError> {
        self.lock().log.read_to_copy(from, max_bytes)
    }

    /// What a scrape shows of it, under one lock. May wait for the disk.
    pub(crate) fn census(&self) -> Census {
        self.learn_sizes();
        let state = self.lock();
        Census {
            log_start: state.log.log_start_offset(),
            log_end: state.log.log_end_offset(),
            high_watermark: state.machine.high_watermark(),
            bytes: state.size_bytes(),
            segments: state.log.segment_count(),
            is_under_min_isr: state.machine.is_leader() && state.machine.is_under_min_isr(),
            lag: state.lag(),
        }
    }

    /// The base timestamp of the batch that holds `offset`, or of the first one after it.
    pub(crate) fn batch_timestamp(&self, offset: Offset) -> Option<TimestampMs> {
        let mut found = {
            let state = self.lock();
            let found = state.log.read(offset, 1, state.machine.high_watermark(), true).ok()?;
            found.slice?
        };
        found.length = found.length.min(u32::try_from(HEADER_LEN).ok()?);
        let mut header = [0; HEADER_LEN];
        found.read_into(&mut header).ok()?;
        Some(BatchHeader::read(&header).ok()?.base_timestamp)
    }

    /// Where an epoch ends (KIP-279): the largest epoch at or below the one asked for, and its exclusive end offset.
    pub(crate) fn end_offset_for_epoch(
        &self,
        current: Option<LeaderEpoch>,
        asked: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, PartitionError> {
        let state = self.lock();
        state.machine.check_epoch(current, true)?;
        Ok(state.end_of_epoch(asked))
    }
}

impl State {
    /// Nothing, where the disk does not say: then it is looked at, as after every failed read.
    fn size_bytes(&self) -> u64 {
        match self.log.size_bytes() {
            Ok(bytes) => bytes,
            Err(error) => {
                self.failed_read(error.into());
                0
            }
        }
    }

    fn read(
        &self,
        request: &ReadRequest,
        diverging: Option<(LeaderEpoch, Offset)>,
    ) -> Result<(PartitionRead, Option<OrderLook>), PartitionError> {
        let (high_watermark, mut look) = (self.machine.high_watermark(), None);
        let mut read = PartitionRead {
            slice: None,
            high_watermark,
            // Without transactions everything committed is stable.
            last_stable_offset: high_watermark,
            log_start_offset: self.log.log_start_offset(),
            diverging,
            preferred: None,
            throttled: false,
            held: false,
        };
        if read.diverging.is_none() {
            let upper = match request.reader {
                Reader::Consumer { .. } => high_watermark,
                Reader::Follower { .. } | Reader::Debug => self.log.log_end_offset(),
            };
            let ReadRequest { offset, max_len, min_one, reach, .. } = *request;
            let found = self.log.read_within(offset, max_len, upper, min_one, reach);
            let found = match found.map_err(|error| self.failed_read(error.into()))? {
                InMemory::Found(found) => found,
                InMemory::Lacks(slice) => return Err(PartitionError::OnDisk(slice)),
            };
            (read.slice, look) = (found.slice, found.look);
            if let Some(check) = found.check {
                self.failures.checks().push(self.log.dir().to_path_buf(), check);
            }
        }
        Ok((read, look))
    }

    fn end_of_epoch(&self, asked: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.log.end_offset_for_epoch(asked).map(|end| (end.epoch, end.end_offset))
    }

    /// KIP-595: the reader's last record is of an epoch that ends before it here. Of an epoch that is not known here
    /// nobody can say where it ends: as if the offset were out of range.
    fn divergence(
        &self,
        last_fetched_epoch: LeaderEpoch,
        offset: Offset,
    ) -> Result<Option<(LeaderEpoch, Offset)>, PartitionError> {
        let end = self.end_of_epoch(last_fetched_epoch).ok_or(PartitionError::OffsetOutOfRange)?;
        let own = EpochEnd { epoch: end.0, end_offset: end.1 };
        Ok(own.diverges(last_fetched_epoch, offset).then_some(end))
    }

    fn epoch_at(&self, offset: Offset) -> LeaderEpoch {
        self.log.epoch_of(offset).unwrap_or(LeaderEpoch::NONE)
    }
}
