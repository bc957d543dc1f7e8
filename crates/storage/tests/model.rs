//! A log on the simulated disk against a naive model: a list of batches. Crashes of the machine may lose what lies
//! beyond the recovery point, and nothing else; a killed process loses nothing.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::batch::{BatchBuilder, BatchHeader, batches};
use ottla_model::{LeaderEpoch, MonoMs, Now, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicPartition};
use ottla_storage::{
    AppendOrigin, Disk, LogConfig, LogStart, PartitionLog, ReadError, SimDisk, StorageError,
};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Append {
        records: u8,
        value_len: u16,
        timestamp: u16,
        producer: Option<u8>,
    },
    AppendSeveral {
        batches: u8,
        value_len: u16,
    },
    NewEpoch,
    Roll,
    /// Where, in thousandths of the log, and how much.
    Read {
        at: u16,
        max_bytes: u16,
        upper: u16,
    },
    FindTime {
        timestamp: u16,
    },
    Truncate {
        at: u16,
    },
    DeleteBefore {
        at: u16,
    },
    Retain {
        bytes: u16,
    },
    Flush,
    CloseIdleFiles,
    Crash,
    Kill,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (1..5u8, 0..900u16, 0..2000u16, proptest::option::of(0..3u8)).prop_map(
            |(records, value_len, timestamp, producer)| Op::Append { records, value_len, timestamp, producer }
        ),
        3 => (2..4u8, 0..300u16).prop_map(|(batches, value_len)| Op::AppendSeveral { batches, value_len }),
        1 => Just(Op::NewEpoch),
        1 => Just(Op::Roll),
        8 => (0..1000u16, 0..3000u16, 0..1200u16).prop_map(|(at, max_bytes, upper)| Op::Read { at, max_bytes, upper }),
        3 => (0..2100u16).prop_map(|timestamp| Op::FindTime { timestamp }),
        1 => (0..1000u16).prop_map(|at| Op::Truncate { at }),
        1 => (0..1000u16).prop_map(|at| Op::DeleteBefore { at }),
        1 => (0..9000u16).prop_map(|bytes| Op::Retain { bytes }),
        2 => Just(Op::Flush),
        1 => Just(Op::CloseIdleFiles),
        1 => Just(Op::Crash),
        1 => Just(Op::Kill),
        1 => Just(Op::Restart),
    ]
}

#[derive(Clone, Debug)]
struct Batch {
    header: BatchHeader,
    bytes: Vec<u8>,
    timestamps: Vec<i64>,
}

/// The naive log, with the real one beside it.
struct Pair {
    disk: SimDisk,
    log: Option<PartitionLog>,
    config: Arc<LogConfig>,
    batches: Vec<Batch>,
    log_start: i64,
    /// The end of a log without batches.
    floor: i64,
    epoch: i32,
    mono: u64,
}

fn at(thousandths: u16, from: i64, to: i64) -> i64 {
    from + (to - from) * i64::from(thousandths) / 1000
}

impl Pair {
    fn new() -> Self {
        let config = LogConfig {
            segment_bytes: 4096,
            index_interval_bytes: 256,
            retention_ms: -1,
            message_timestamp_after_max_ms: i64::MAX,
            file_delete_delay_ms: 0,
            ..LogConfig::default()
        };
        let mut pair = Self {
            disk: SimDisk::new(),
            log: None,
            config: Arc::new(config),
            batches: Vec::new(),
            log_start: 0,
            floor: 0,
            epoch: 0,
            mono: 0,
        };
        pair.open(LogStart::new_log());
        pair.disk.sync_dir(Path::new("/")).unwrap();
        pair.disk.sync_dir(Path::new("/d")).unwrap();
        pair.disk.sync_dir(Path::new("/d/t-0")).unwrap();
        pair
    }

    fn now(&self) -> Now {
        Now { wall: TimestampMs(1000), mono: MonoMs(self.mono) }
    }

    fn open(&mut self, start: LogStart) {
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        let dir = PathBuf::from("/d/t-0");
        let disk = Arc::new(self.disk.clone());
        let log = PartitionLog::open(disk, dir, partition, Arc::clone(&self.config), start, self.now());
        self.log = Some(log.unwrap());
    }

    fn log(&mut self) -> &mut PartitionLog {
        self.log.as_mut().unwrap()
    }

    fn end(&self) -> i64 {
        self.batches.last().map_or(self.floor, |batch| batch.header.next_offset().get())
    }

    /// The log may remember producers whose records are deleted; [`Pair::check`] compares the others.
    fn next_sequence(&self, producer: ProducerId) -> i32 {
        let mut active = self.log.iter().flat_map(PartitionLog::active_producers);
        active.find(|active| active.producer_id == producer).map_or(0, |active| active.last_sequence + 1)
    }

    fn build(&self, records: u8, value_len: u16, timestamp: i64, producer: Option<u8>) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Offset(0));
        if let Some(producer) = producer {
            let producer = ProducerId(i64::from(producer));
            builder = builder.producer(producer, ProducerEpoch(0), self.next_sequence(producer));
        }
        for n in 0..i64::from(records) {
            let value = vec![b'v'; usize::from(value_len)];
            builder.push(TimestampMs(timestamp - n * 7), Some(b"k"), Some(&value), &[]);
        }
        builder.build().unwrap()
    }

    fn append(&mut self, mut bytes: Vec<u8>, origin: AppendOrigin, timestamps: &[Vec<i64>]) {
        let (epoch, now, end) = (self.epoch, self.now(), self.end());
        let info = self.log().append_as_leader(&mut bytes, LeaderEpoch(epoch), origin, now).unwrap();
        assert_eq!(info.first_offset, Offset(end));
        for (batch, timestamps) in batches(&bytes).zip(timestamps) {
            let (header, bytes) = batch.unwrap();
            assert_eq!(header.base_offset.get(), self.end());
            self.batches.push(Batch { header, bytes: bytes.to_vec(), timestamps: timestamps.clone() });
        }
        assert_eq!(info.log_end_offset.get(), self.end());
    }

    fn run(&mut self, op: &Op) {
        self.mono += 10;
        let (start, end, now) = (self.log_start, self.end(), self.now());
        match *op {
            Op::Append { records, value_len, timestamp, producer } => {
                let timestamp = i64::from(timestamp) + 100;
                let bytes = self.build(records, value_len, timestamp, producer);
                let timestamps = (0..i64::from(records)).map(|n| timestamp - n * 7).collect();
                self.append(bytes, AppendOrigin::Client, &[timestamps]);
            }
            Op::AppendSeveral { batches, value_len } => {
                let bytes: Vec<u8> =
                    (0..batches).flat_map(|n| self.build(n + 1, value_len, 500, None)).collect();
                let timestamps: Vec<Vec<i64>> =
                    (0..batches).map(|n| (0..=i64::from(n)).map(|n| 500 - n * 7).collect()).collect();
                self.append(bytes, AppendOrigin::Coordinator, &timestamps);
            }
            Op::NewEpoch => {
                self.epoch += 1;
                let epoch = LeaderEpoch(self.epoch);
                self.log().assign_epoch(epoch);
            }
            Op::Roll => self.log().roll(now).unwrap(),
            Op::Read { at: from, max_bytes, upper } => {
                let from = at(from, start, end + 1);
                // A high watermark always lies between two batches.
                let number = self.batches.len() * usize::from(upper) / 1000;
                let upper = self.batches.get(number).map_or(end, |batch| batch.header.base_offset.get());
                self.check_read(from, u32::from(max_bytes), upper);
            }
            Op::FindTime { timestamp } => self.check_time(i64::from(timestamp)),
            Op::Truncate { at: offset } => {
                let offset = at(offset, start, end + 1);
                self.log().truncate_to(Offset(offset), now).unwrap();
                let cut = self.batches.iter().find(|batch| batch.header.last_offset().get() >= offset);
                self.floor = cut.map_or(self.floor, |batch| batch.header.base_offset.get());
                self.batches.retain(|batch| batch.header.last_offset().get() < offset);
                self.log_start = self.log_start.min(self.end());
            }
            Op::DeleteBefore { at: offset } => {
                let offset = at(offset, start, end);
                self.log().increment_log_start_offset(Offset(offset));
                self.log_start = self.log_start.max(offset);
                self.log().apply_retention(now, Offset(end)).unwrap();
                self.log().remove_deleted_files(now).unwrap();
            }
            Op::Retain { bytes } => {
                let config = LogConfig { retention_bytes: i64::from(bytes), ..(*self.config).clone() };
                let config = Arc::new(config);
                self.log().set_config(config);
                self.log().apply_retention(now, Offset(end)).unwrap();
                let config = Arc::clone(&self.config);
                self.log().set_config(config);
                let size = self.log().size_bytes().unwrap();
                assert!(size <= u64::from(bytes) + 4096, "{size} bytes are kept of {bytes}");
                self.log_start = self.log().log_start_offset().get();
            }
            Op::Flush => {
                self.log().flush_now(now).unwrap();
                let log = self.log();
                assert_eq!(log.recovery_point(), log.log_end_offset());
            }
            Op::CloseIdleFiles => self.log().close_idle_files(),
            Op::Crash => self.crash(),
            Op::Kill => {
                let start = self.start(false);
                self.log = None;
                self.disk.kill();
                self.open(start);
            }
            Op::Restart => {
                self.log().close(true, now).unwrap();
                let start = self.start(true);
                self.log = None;
                self.disk.crash();
                self.open(start);
            }
        }
        self.check();
    }

    fn start(&mut self, clean: bool) -> LogStart {
        let log = self.log();
        LogStart {
            recovery_point: log.recovery_point(),
            log_start_offset: log.log_start_offset(),
            clean,
            ..LogStart::default()
        }
    }

    /// The machine loses power: the model is cut to what came back, which must reach the recovery point.
    fn crash(&mut self) {
        let start = self.start(false);
        self.log = None;
        self.disk.crash();
        self.open(start);
        let recovered = self.log().log_end_offset();
        assert!(recovered >= start.recovery_point, "{recovered} < {}", start.recovery_point);
        // What was cut off may come back, if the cut was not flushed: then the log is the model from here on.
        let bytes = self.read_all().unwrap();
        let kept: Vec<Batch> = batches(&bytes)
            .map(|batch| {
                let (header, bytes) = batch.unwrap();
                let known = self.batches.iter().find(|batch| batch.bytes == bytes);
                assert!(known.is_some() || header.last_offset() >= start.recovery_point);
                let timestamps = known.map_or(Vec::new(), |batch| batch.timestamps.clone());
                Batch { header, bytes: bytes.to_vec(), timestamps }
            })
            .collect();
        let upto = start.recovery_point.get();
        let wanted: Vec<_> =
            self.readable().filter(|batch| batch.header.next_offset().get() <= upto).collect();
        for (kept, wanted) in kept.iter().zip(&wanted) {
            assert_eq!(kept.bytes, wanted.bytes);
        }
        assert!(kept.len() >= wanted.len());
        self.log_start = self.log().log_start_offset().get();
        self.batches = kept;
        self.floor = recovered.get();
    }

    fn readable(&self) -> impl Iterator<Item = &Batch> {
        self.batches.iter().filter(|batch| batch.header.last_offset().get() >= self.log_start)
    }

    fn read_all(&mut self) -> Result<Vec<u8>, StorageError> {
        let log = self.log();
        let (mut from, mut all) = (log.log_start_offset(), Vec::new());
        while from < log.log_end_offset() {
            let bytes = log.read_bytes(from, 700).unwrap();
            let whole: Vec<_> = batches(&bytes).map_while(Result::ok).collect();
            let Some((header, _)) = whole.last() else { break };
            from = header.next_offset();
            all.extend(whole.iter().flat_map(|(_, bytes)| bytes.iter().copied()));
        }
        Ok(all)
    }

    fn check(&mut self) {
        let (start, end) = (self.log_start, self.end());
        let log = self.log();
        assert_eq!((log.log_start_offset().get(), log.log_end_offset().get()), (start, end));
        assert!(log.recovery_point().get() <= end);
        let active: BTreeMap<ProducerId, i32> =
            log.active_producers().map(|producer| (producer.producer_id, producer.last_sequence)).collect();
        let mut wanted = BTreeMap::new();
        for batch in self.readable().filter(|batch| batch.header.has_producer_id()) {
            wanted.insert(batch.header.producer_id, batch.header.last_sequence());
        }
        for (producer, sequence) in wanted {
            assert_eq!(active.get(&producer), Some(&sequence), "producer {producer}");
        }
    }

    fn check_read(&mut self, from: i64, max_bytes: u32, upper: i64) {
        let (start, end) = (self.log_start, self.end());
        let result = self.log().read(Offset(from), max_bytes, Offset(upper), true);
        if from < start || from > end {
            assert!(matches!(result, Err(ReadError::OffsetOutOfRange { .. })));
            return;
        }
        let wanted: Vec<u8> = self
            .readable()
            .filter(|batch| {
                batch.header.last_offset().get() >= from && batch.header.next_offset().get() <= upper
            })
            .flat_map(|batch| batch.bytes.iter().copied())
            .collect();
        let read = result.unwrap().slice.map_or(Vec::new(), |slice| slice.to_vec().unwrap());
        assert!(wanted.starts_with(&read), "from {from} upper {upper}");
        assert_eq!(read.is_empty(), wanted.is_empty(), "from {from} upper {upper}");
        if let Some(Ok((first, _))) = batches(&wanted).next() {
            assert!(read.len() >= first.size());
            assert!(read.len() <= first.size().max(max_bytes as usize));
        }
    }

    fn check_time(&mut self, timestamp: i64) {
        let known = self.readable().all(|batch| !batch.timestamps.is_empty());
        let start = self.log_start;
        let wanted = self.readable().find_map(|batch| {
            let base = batch.header.base_offset.get();
            let offsets = (base..).zip(&batch.timestamps);
            offsets
                .filter(|(offset, _)| *offset >= start)
                .find(|(_, t)| **t >= timestamp)
                .map(|(o, t)| (o, *t))
        });
        let found = self.log().offset_for_timestamp(TimestampMs(timestamp)).unwrap();
        if known {
            assert_eq!(found.map(|found| (found.offset.get(), found.timestamp.get())), wanted);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn log_and_model_agree(ops in vec(op(), 1..80)) {
        let mut pair = Pair::new();
        for op in &ops {
            pair.run(op);
        }
        let all = pair.read_all().unwrap();
        let wanted: Vec<u8> = pair.readable().flat_map(|batch| batch.bytes.iter().copied()).collect();
        prop_assert!(all == wanted);
    }
}
