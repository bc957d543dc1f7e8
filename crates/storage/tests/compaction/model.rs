//! The naive model.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottla_model::batch::{BatchBuilder, BatchHeader, Compression};
use ottla_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};
use ottla_storage::{
    AppendOrigin, CleanError, Cleanable, CleanerSettings, CleanupPolicy, Disk, LogConfig, LogStart,
    PartitionLog, SimDisk,
};

use crate::bench::{DIR, Seen, check_every_offset, clean, now, open, read_batches, records, step, sync_dirs};

const DELETE_RETENTION_MS: i64 = 1000;
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

#[derive(Clone, Debug)]
pub(crate) struct RecordSpec {
    pub key: u8,
    /// `None`: a tombstone.
    pub value_len: Option<u16>,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Append {
        records: Vec<RecordSpec>,
        codec: u8,
        producer: Option<u8>,
    },
    Roll,
    Flush,
    Clean(CleanerSettings),
    /// The power fails, or the process is killed, after so many changes of the disk.
    CleanUntilCut {
        settings: CleanerSettings,
        changes: u64,
        kill: bool,
    },
    /// DeleteRecords and retention after so many steps of a cleaning, which then goes on.
    DeleteWhileCleaning {
        settings: CleanerSettings,
        steps: u8,
        at: u16,
    },
    DeleteBefore {
        at: u16,
    },
    Wait {
        ms: u16,
    },
    NewEpoch,
    Restart {
        snapshots: bool,
    },
    Crash {
        kill: bool,
    },
    MinLag {
        ms: i64,
    },
}

struct Appended {
    seen: Seen,
    /// When a cleaning first looked at it, and when one that ended well did.
    touched: Option<i64>,
    cleaned: Option<i64>,
}

pub(crate) struct Pair {
    disk: SimDisk,
    log: Option<PartitionLog>,
    config: Arc<LogConfig>,
    records: Vec<Appended>,
    headers: Vec<BatchHeader>,
    epoch: i32,
    ms: i64,
    /// A cleaning may have removed records below.
    touched_to: i64,
    /// The last cleaning that ended well: up to where, and when.
    cleaned: Option<(i64, i64)>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let config = Arc::new(LogConfig {
            cleanup_policy: CleanupPolicy { delete: false, compact: true },
            delete_retention_ms: DELETE_RETENTION_MS,
            segment_bytes: 1500,
            index_interval_bytes: 200,
            message_timestamp_after_max_ms: i64::MAX,
            file_delete_delay_ms: 0,
            producer_id_expiration_ms: i64::MAX,
            ..LogConfig::default()
        });
        let disk = SimDisk::new();
        let log = open(&disk, &config, LogStart::new_log(), 1000);
        sync_dirs(&disk);
        Self {
            disk,
            log: Some(log),
            config,
            records: Vec::new(),
            headers: Vec::new(),
            epoch: 0,
            ms: 1000,
            touched_to: 0,
            cleaned: None,
        }
    }

    fn log(&mut self) -> &mut PartitionLog {
        self.log.as_mut().unwrap()
    }

    pub(crate) fn run(&mut self, op: &Op) {
        self.ms += 1;
        let ms = self.ms;
        match op {
            Op::Append { records, codec, producer } => self.append(records, *codec, *producer),
            Op::Roll => self.log().roll(now(ms)).unwrap(),
            Op::Flush => self.log().flush_now(now(ms)).unwrap(),
            Op::Clean(settings) => self.clean(*settings),
            Op::CleanUntilCut { settings, changes, kill } => self.clean_until_cut(*settings, *changes, *kill),
            Op::DeleteWhileCleaning { settings, steps, at } => {
                self.delete_while_cleaning(*settings, *steps, *at);
            }
            Op::DeleteBefore { at } => self.delete_before(*at),
            Op::Wait { ms } => self.ms += i64::from(*ms),
            Op::NewEpoch => {
                self.epoch += 1;
                let epoch = LeaderEpoch(self.epoch);
                self.log().assign_epoch(epoch);
            }
            Op::Restart { snapshots } => self.restart(*snapshots),
            Op::Crash { kill } => self.crash(*kill),
            Op::MinLag { ms } => {
                self.config = Arc::new(LogConfig { min_compaction_lag_ms: *ms, ..(*self.config).clone() });
                let config = Arc::clone(&self.config);
                self.log().set_config(config);
            }
        }
        self.check();
    }

    /// In the end everything closed is compacted, and little is left.
    pub(crate) fn clean_all(&mut self) {
        self.run(&Op::MinLag { ms: 0 });
        self.run(&Op::Roll);
        self.run(&Op::Flush);
        let settings =
            CleanerSettings { dedupe_buffer_bytes: 1 << 20, dedupe_load_factor: 0.9, io_buffer_bytes: 4096 };
        self.run(&Op::Clean(settings));
        let log = self.log();
        assert!(log.is_offline() || log.cleaned_to() == Some(log.log_end_offset()));
    }

    fn append(&mut self, specs: &[RecordSpec], codec: u8, producer: Option<u8>) {
        let mut builder = BatchBuilder::new(Offset(0)).compression(CODECS[usize::from(codec)], None);
        if let Some(producer) = producer.map(|producer| ProducerId(i64::from(producer))) {
            let active = self.log().active_producers().find(|active| active.producer_id == producer);
            let sequence = active.map_or(0, |active| active.last_sequence + 1);
            builder = builder.producer(producer, ProducerEpoch(0), sequence);
        }
        let base = self.log().log_end_offset().get();
        let (ms, epoch) = (self.ms, LeaderEpoch(self.epoch));
        for (spec, delta) in specs.iter().zip(0..) {
            let seen = Seen {
                offset: base + delta,
                key: vec![spec.key],
                value: spec.value_len.map(|len| vec![spec.key; usize::from(len)]),
                timestamp: ms - delta * 3,
            };
            builder.push(
                TimestampMs(seen.timestamp),
                Some(&seen.key),
                seen.value.as_deref(),
                &[(b"h", None)],
            );
            self.records.push(Appended { seen, touched: None, cleaned: None });
        }
        let mut bytes = builder.build().unwrap();
        self.log().append_as_leader(&mut bytes, epoch, AppendOrigin::Client, now(ms)).unwrap();
        self.headers.push(BatchHeader::read(&bytes).unwrap());
    }

    /// Notes that a cleaning is about to look at everything below its border.
    fn touch(&mut self) -> Cleanable {
        let ms = self.ms;
        let log = self.log();
        let cleanable = log.cleanable(log.log_end_offset(), now(ms)).unwrap();
        let end = cleanable.first_uncleanable_offset.get();
        self.touched_to = self.touched_to.max(end);
        for record in self.records.iter_mut().filter(|record| record.seen.offset < end) {
            record.touched.get_or_insert(ms);
        }
        cleanable
    }

    fn ended(&mut self, was: Cleanable) {
        let ms = self.ms;
        let log = self.log();
        let to = log.cleaned_to().unwrap();
        let (dirty, end) = (was.first_dirty_offset, was.first_uncleanable_offset);
        assert!(to > dirty || end <= dirty, "no progress: {to} after {was:?}");
        assert!(to <= end.max(dirty).max(log.log_start_offset()), "{to} is beyond {was:?}");
        let to = to.get();
        self.cleaned = Some((to, ms));
        for record in self.records.iter_mut().filter(|record| record.seen.offset < to) {
            record.cleaned.get_or_insert(ms);
        }
    }

    fn clean(&mut self, settings: CleanerSettings) {
        let was = self.touch();
        let ms = self.ms;
        clean(self.log(), settings, ms).unwrap();
        self.ended(was);
    }

    fn clean_until_cut(&mut self, settings: CleanerSettings, changes: u64, kill: bool) {
        let was = self.touch();
        let (ms, disk) = (self.ms, self.disk.clone());
        disk.fail_after(changes);
        let ended = clean(self.log(), settings, ms).is_ok();
        if ended {
            self.ended(was);
        }
        self.crash(kill);
    }

    fn delete_while_cleaning(&mut self, settings: CleanerSettings, steps: u8, at: u16) {
        let was = self.touch();
        let ms = self.ms;
        let log = self.log();
        let mut cleaning = log.begin_cleaning(&was, settings, now(ms)).unwrap();
        let mut done = false;
        for _ in 0..steps {
            done = done || step(log, &mut cleaning, ms).unwrap();
        }
        self.delete_before(at);
        let log = self.log();
        let outcome = loop {
            if done {
                break Ok(());
            }
            match step(log, &mut cleaning, ms) {
                Ok(ended) => done = ended,
                Err(error) => break Err(error),
            }
        };
        log.abandon_cleaning(&mut cleaning).unwrap();
        match outcome {
            Ok(()) => self.ended(was),
            Err(CleanError::Aborted) => {}
            Err(error) => panic!("{error}"),
        }
        let names = self.disk.list(Path::new(DIR)).unwrap();
        assert!(!names.iter().any(|entry| entry.name.ends_with(".cleaned") || entry.name.ends_with(".swap")));
    }

    fn log_start(&mut self) -> i64 {
        self.log().log_start_offset().get()
    }

    fn delete_before(&mut self, thousandths: u16) {
        let ms = self.ms;
        let log = self.log();
        let (start, end) = (log.log_start_offset().get(), log.log_end_offset().get());
        let offset = start + (end - start) * i64::from(thousandths) / 1000;
        log.increment_log_start_offset(Offset(offset));
        log.apply_retention(now(ms), Offset(end)).unwrap();
        log.remove_deleted_files(now(ms)).unwrap();
    }

    fn start(&mut self, clean: bool) -> LogStart {
        let log = self.log();
        LogStart {
            recovery_point: log.recovery_point(),
            log_start_offset: log.log_start_offset(),
            clean,
            cleaned_to: log.cleaned_to(),
        }
    }

    fn restart(&mut self, snapshots: bool) {
        let ms = self.ms;
        self.log().close(true, now(ms)).unwrap();
        let start = self.start(true);
        self.log = None;
        self.disk.crash();
        let names = self.disk.list(Path::new(DIR)).unwrap();
        for entry in names.iter().filter(|entry| !snapshots && entry.name.ends_with(".snapshot")) {
            self.disk.remove_file(&Path::new(DIR).join(&entry.name)).unwrap();
        }
        self.log = Some(open(&self.disk, &self.config, start, ms));
    }

    /// What was not flushed may be gone.
    fn crash(&mut self, kill: bool) {
        let (start, ms) = (self.start(false), self.ms);
        let end_before = self.log().log_end_offset();
        self.log = None;
        if kill {
            self.disk.kill()
        } else {
            self.disk.crash()
        }
        self.log = Some(open(&self.disk, &self.config, start, ms));
        let end = self.log().log_end_offset();
        assert!(
            end >= start.recovery_point && (!kill || end == end_before),
            "{end} of {start:?} {end_before}"
        );
        // A compacted log may have gaps, so one that the crash has torn stays, too.
        let there: Vec<Offset> =
            read_batches(self.log()).iter().map(|(header, _)| header.base_offset).collect();
        let flushed = if kill { end } else { start.recovery_point };
        self.headers.retain(|header| header.next_offset() <= flushed || there.contains(&header.base_offset));
        let left = |offset| {
            self.headers.iter().any(|header| (header.base_offset..=header.last_offset()).contains(&offset))
        };
        self.records.retain(|record| left(Offset(record.seen.offset)));
    }

    fn check(&mut self) {
        let (start, ms) = (self.log_start(), self.ms);
        let all = read_batches(self.log());
        self.check_batches(&all);
        let mut seen: Vec<Seen> = all.iter().flat_map(|(header, bytes)| records(header, bytes)).collect();
        seen.retain(|record| record.offset >= start);
        assert!(seen.windows(2).all(|pair| pair[0].offset < pair[1].offset));
        let there: BTreeMap<i64, &Seen> = seen.iter().map(|record| (record.offset, record)).collect();
        let appended: BTreeMap<i64, &Appended> =
            self.records.iter().map(|record| (record.seen.offset, record)).collect();
        for record in &seen {
            assert_eq!(appended.get(&record.offset).map(|appended| &appended.seen), Some(record));
        }
        let mut latest: BTreeMap<&[u8], i64> = BTreeMap::new();
        for record in self.records.iter().filter(|record| record.seen.offset >= start).rev() {
            let offset = record.seen.offset;
            let superseded_at = latest.get(record.seen.key.as_slice()).copied();
            let is_there = there.contains_key(&offset);
            self.check_record(record, superseded_at, is_there, ms);
            latest.entry(&record.seen.key).or_insert(offset);
        }
        self.check_producers(&all);
        check_every_offset(self.log(), &all);
    }

    /// `superseded_at`: the offset of the key's last record.
    fn check_record(&self, record: &Appended, superseded_at: Option<i64>, is_there: bool, ms: i64) {
        let offset = record.seen.offset;
        let may_be_expired = record.seen.value.is_none()
            && record.touched.is_some_and(|touched| ms >= touched + DELETE_RETENTION_MS);
        // What superseded it is looked at by the same or an earlier cleaning.
        let may_be_gone = match superseded_at {
            Some(_) => offset < self.touched_to,
            None => may_be_expired && offset < self.touched_to,
        };
        assert!(is_there || may_be_gone, "{record:?} is gone, superseded at {superseded_at:?}, {ms}");
        let Some((cleaned_to, cleaned_at)) = self.cleaned else { return };
        let next_below = self.records.iter().any(|other| {
            other.seen.key == record.seen.key && other.seen.offset > offset && other.seen.offset < cleaned_to
        });
        let is_expired = record.seen.value.is_none()
            && offset < cleaned_to
            && record.cleaned.is_some_and(|cleaned| cleaned_at >= cleaned + DELETE_RETENTION_MS);
        assert!(!is_there || !(next_below || is_expired), "{record:?} is still there, clean to {cleaned_to}");
    }

    /// Every batch is one that was appended, with the same place, epoch and producer.
    fn check_batches(&self, all: &[(BatchHeader, Vec<u8>)]) {
        for (header, _) in all {
            let original = self.headers.iter().find(|original| original.base_offset == header.base_offset);
            let original = original.unwrap();
            assert_eq!(header.last_offset_delta, original.last_offset_delta);
            assert_eq!(header.partition_leader_epoch, original.partition_leader_epoch);
            let producer =
                |header: &BatchHeader| (header.producer_id, header.producer_epoch, header.base_sequence);
            assert_eq!(producer(header), producer(original));
            let codec = if header.record_count == 0 { Ok(Compression::None) } else { original.compression() };
            assert_eq!(header.compression(), codec);
            assert!(header.max_timestamp <= original.max_timestamp);
        }
    }

    /// The log knows the last sequence of every producer that has a batch left, and each has one.
    fn check_producers(&mut self, all: &[(BatchHeader, Vec<u8>)]) {
        let start = self.log_start();
        let active: BTreeMap<ProducerId, i32> =
            self.log().active_producers().map(|active| (active.producer_id, active.last_sequence)).collect();
        let mut last = BTreeMap::new();
        for header in self.headers.iter().filter(|header| header.has_producer_id()) {
            last.insert(header.producer_id, *header);
        }
        for (producer, header) in last.into_iter().filter(|(_, header)| header.last_offset().get() >= start) {
            assert_eq!(active.get(&producer), Some(&header.last_sequence()), "producer {producer}");
            assert!(all.iter().any(|(left, _)| left.base_offset == header.base_offset), "{header:?} is gone");
        }
    }
}

impl std::fmt::Debug for Appended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Seen { offset, key, value, timestamp } = &self.seen;
        let len = value.as_ref().map(Vec::len);
        write!(f, "{offset} key {key:?} len {len:?} at {timestamp} {:?} {:?}", self.touched, self.cleaned)
    }
}
