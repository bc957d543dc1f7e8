//! One partition: what was appended, what was answered, and whether a log bears that out.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::batch::BatchBuilder;
use ottla_model::{
    LeaderEpoch, Now, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicId, TopicPartition,
};
use ottla_storage::{
    AppendError, AppendInfo, AppendOrigin, CleanupPolicy, LogConfig, PartitionLog, Seeded, StorageError,
};
use uuid::Uuid;

use crate::batch::{Seen, Written, read_all};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    /// `flush.messages=1`: what was appended is answered when it is flushed.
    EachFlushed,
    Compacted,
}

impl Kind {
    pub(crate) fn of(name: &TopicPartition) -> Self {
        match name.topic.as_bytes().first() {
            Some(b'p') => Self::Plain,
            Some(b'f') => Self::EachFlushed,
            _ => Self::Compacted,
        }
    }

    pub(crate) fn config(self) -> Arc<LogConfig> {
        Arc::new(LogConfig {
            cleanup_policy: CleanupPolicy {
                delete: self != Self::Compacted,
                compact: self == Self::Compacted,
            },
            delete_retention_ms: i64::MAX / 2,
            file_delete_delay_ms: 40,
            flush_messages: if self == Self::EachFlushed { 1 } else { i64::MAX },
            index_interval_bytes: 150,
            message_timestamp_after_max_ms: i64::MAX,
            producer_id_expiration_ms: i64::MAX,
            retention_ms: -1,
            segment_bytes: 900,
            ..LogConfig::default()
        })
    }
}

pub(crate) struct Part {
    pub name: TopicPartition,
    pub id: TopicId,
    pub kind: Kind,
    pub log: Option<PartitionLog>,
    /// Which log dir it is in.
    pub dir: usize,
    /// All that may be in the log, and what was deleted from its front.
    history: Vec<Written>,
    /// Everything below was answered as durable.
    pub answered: i64,
    /// A log start that was answered as durable, and the highest there may be.
    pub start_answered: i64,
    pub start_max: i64,
    /// The highest start that it ever had.
    deleted_below: i64,
    /// Its directory was made durable.
    pub exists: bool,
    /// A move was begun: of two complete copies the one in the old dir may be found, which was perhaps never flushed.
    pub moved: bool,
    /// Its deletion has begun.
    pub doomed: bool,
    pub epoch: i32,
    /// A cleaning may have removed records below.
    pub touched: i64,
}

impl Part {
    pub(crate) fn new(name: TopicPartition, unique: u128) -> Self {
        Self {
            kind: Kind::of(&name),
            name,
            id: TopicId(Uuid::from_u128(unique)),
            log: None,
            dir: 0,
            history: Vec::new(),
            answered: 0,
            start_answered: 0,
            start_max: 0,
            deleted_below: 0,
            exists: false,
            moved: false,
            doomed: false,
            epoch: 0,
            touched: 0,
        }
    }

    /// `p-0 in 0 [0, 3) flushed to 3, answered 3`: 0 is the first log dir.
    pub(crate) fn told(&self) -> String {
        let Self { name, dir, answered, .. } = self;
        self.log.as_ref().map_or_else(
            || format!("{name} gone"),
            |log| {
                let (start, end) = (log.log_start_offset(), log.log_end_offset());
                format!(
                    "{name} in {dir} [{start}, {end}) flushed to {}, answered {answered}",
                    log.recovery_point()
                )
            },
        )
    }

    /// The log is open whenever an operation runs.
    pub(crate) fn log(&mut self) -> &mut PartitionLog {
        self.log.as_mut().unwrap()
    }

    /// Everything appended so far is answered as durable.
    pub(crate) fn answer(&mut self) {
        self.answered = self.log().log_end_offset().get();
        self.exists = true;
    }

    pub(crate) fn flush(&mut self, now: Now) -> Result<(), StorageError> {
        self.log().flush_now(now)?;
        self.answer();
        Ok(())
    }

    /// Appends a batch of one to three records of what chance gives.
    pub(crate) fn append(&mut self, random: &mut Seeded, ms: i64, now: Now) -> Result<(), AppendError> {
        let mut builder = BatchBuilder::new(Offset(0));
        if random.eighths(4) {
            let producer = ProducerId(i64::try_from(random.below(2)).unwrap());
            let mut active = self.log().active_producers();
            let last =
                active.find(|active| active.producer_id == producer).map(|active| active.last_sequence);
            builder = builder.producer(producer, ProducerEpoch(0), last.map_or(0, |last| last + 1));
        }
        for _ in 0..=random.below(3) {
            let key = [b'a' + u8::try_from(random.below(6)).unwrap()];
            // No two values are the same.
            let mut value = random.bits().to_le_bytes().to_vec();
            value.resize(8 + usize::try_from(random.below(150)).unwrap(), key[0]);
            let is_tombstone = self.kind == Kind::Compacted && random.eighths(1);
            let timestamp = ms - i64::try_from(random.below(5)).unwrap();
            builder.push(TimestampMs(timestamp), Some(&key), (!is_tombstone).then_some(&value), &[]);
        }
        let mut bytes = builder.build().unwrap();
        let epoch = LeaderEpoch(self.epoch);
        let outcome = self.log().append_as_leader(&mut bytes, epoch, AppendOrigin::Client, now);
        // One that failed may have reached the disk, too.
        self.history.push(Written::of(&bytes));
        outcome?;
        if self.kind == Kind::EachFlushed {
            assert!(self.log().flush_due(now), "each append is to be flushed");
            self.flush(now)?;
        }
        Ok(())
    }

    /// Whether the log is what it may be after the power has failed; then the model is what the log is.
    pub(crate) fn check(&mut self, high_watermark: Offset, now: Now) {
        self.deleted_below = self.deleted_below.max(self.start_max);
        let mut log = self.log.take().unwrap();
        let (start, end) = (log.log_start_offset().get(), log.log_end_offset().get());
        let at = format!("{} [{start}, {end})", self.name);
        assert!(end >= self.answered, "{at}: all below {} was answered", self.answered);
        assert!(start >= self.start_answered, "{at}: the start {} was answered", self.start_answered);
        assert!(start <= self.start_max, "{at}: nothing from {} on was deleted", self.start_max);
        let recovery_point = log.recovery_point().get();
        assert!(recovery_point <= end, "{at}: recovery point {recovery_point}");
        assert!((start..=end).contains(&high_watermark.get()), "{at}: high watermark {high_watermark}");
        let there = read_all(&log);
        // The log may begin anew within a lost batch: where a log start lies that was answered.
        self.history.retain(|batch| batch.end() <= end);
        match self.kind {
            Kind::Compacted => self.check_compacted(&at, start, &there),
            Kind::Plain | Kind::EachFlushed => self.check_whole(&at, start, &there),
        }
        check_epochs(&at, &log, &there);
        check_times(&at, &mut log, start, &there);
        self.check_producers(&at, &mut log, &there, now);
        self.log = Some(log);
        // What lies behind it recovery has not flushed: it may go when the power fails again.
        (self.answered, self.start_max) = (self.answered.max(recovery_point), start);
    }

    fn check_whole(&self, at: &str, start: i64, there: &[Written]) {
        let wanted: Vec<_> = self.history.iter().filter(|batch| batch.end() > start).collect();
        for (there, wanted) in there.iter().zip(&wanted) {
            assert_eq!(there.bytes, wanted.bytes, "{at}: {:?} is not {:?}", there.header, wanted.header);
        }
        assert_eq!(there.len(), wanted.len(), "{at}: batches");
    }

    /// What is there was appended, the latest of each key is there, and all that no cleaning has seen.
    fn check_compacted(&self, at: &str, start: i64, there: &[Written]) {
        let mut last_end = i64::MIN;
        for batch in there {
            assert!(batch.header.base_offset.get() >= last_end, "{at}: {:?}", batch.header);
            last_end = batch.end();
        }
        let there: BTreeMap<i64, &Seen> = there.iter().flat_map(by_offset).collect();
        let appended: BTreeMap<i64, &Seen> = self.history.iter().flat_map(by_offset).collect();
        for (offset, record) in &there {
            assert_eq!(appended.get(offset), Some(record), "{at}: {offset}");
        }
        let mut latest = BTreeMap::new();
        latest.extend(appended.values().map(|record| (&record.key, record.offset)));
        // What was deleted from the front may be back in part, as a cleaning that began behind it has left it.
        for (offset, record) in appended.range(start.max(self.deleted_below)..) {
            let must_be = *offset >= self.touched || latest[&record.key] == *offset;
            assert!(
                !must_be || there.contains_key(offset),
                "{at}: {record:?} is gone, touched {}",
                self.touched
            );
        }
    }

    /// The state is that of the last batch that is left or was deleted from the front, no later one; a duplicate of it is
    /// known.
    fn check_producers(&self, at: &str, log: &mut PartitionLog, there: &[Written], now: Now) {
        let by_id = |batches: &[Written]| -> BTreeMap<ProducerId, Written> {
            let with_id = batches.iter().filter(|batch| batch.header.has_producer_id());
            with_id.map(|batch| (batch.header.producer_id, batch.clone())).collect()
        };
        let (appended, there) = (by_id(&self.history), by_id(there));
        let active: BTreeMap<ProducerId, i32> =
            log.active_producers().map(|active| (active.producer_id, active.last_sequence)).collect();
        for (producer, sequence) in &active {
            let last = appended.get(producer).map(|batch| batch.header.last_sequence());
            assert_eq!(Some(*sequence), last, "{at}: producer {producer}");
        }
        for (producer, last) in there {
            assert!(active.contains_key(&producer), "{at}: producer {producer} is unknown");
            // Compaction empties a batch of its records and keeps its sequence. What was deleted from the front may be back
            // without its last batches.
            let known = &appended[&producer];
            let is_last = last.header.last_offset() == known.header.last_offset();
            assert!(is_last || known.end() <= self.deleted_below, "{at}: {:?} is gone", known.header);
            let mut again = known.bytes.clone();
            again[..8].fill(0);
            let info: Result<AppendInfo, _> =
                log.append_as_leader(&mut again, LeaderEpoch(self.epoch), AppendOrigin::Client, now);
            let info = info.unwrap();
            assert!(info.duplicate && info.last_offset == known.header.last_offset(), "{at}: {info:?}");
        }
    }
}

fn by_offset(batch: &Written) -> impl Iterator<Item = (i64, &Seen)> {
    batch.records.iter().map(|record| (record.offset, record))
}

fn check_epochs(at: &str, log: &PartitionLog, there: &[Written]) {
    // One that spans the start is kept where there is no record any more.
    let end = log.log_end_offset().max(log.log_start_offset().plus(1));
    assert!(log.epochs().iter().all(|entry| entry.start_offset < end), "{at}: {:?}", log.epochs());
    for batch in there {
        let offset = batch.header.base_offset.max(log.log_start_offset());
        let epoch = Some(batch.header.partition_leader_epoch);
        assert_eq!(log.epoch_of(offset), epoch, "{at}: {offset} {:?}", log.epochs());
    }
}

fn check_times(at: &str, log: &mut PartitionLog, start: i64, there: &[Written]) {
    let records: Vec<&Seen> =
        there.iter().flat_map(|batch| &batch.records).filter(|record| record.offset >= start).collect();
    let latest = records.last().map_or(0, |record| record.timestamp);
    for timestamp in [0, latest - 60, latest - 9, latest, latest + 10] {
        let wanted = records.iter().find(|record| record.timestamp >= timestamp);
        let found = log.offset_for_timestamp(TimestampMs(timestamp)).unwrap();
        let found = found.map(|found| (found.offset.get(), found.timestamp.get()));
        assert_eq!(found, wanted.map(|record| (record.offset, record.timestamp)), "{at}: time {timestamp}");
    }
}
