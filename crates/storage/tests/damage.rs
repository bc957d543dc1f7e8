//! Files of a log dir that are gone, cut or flipped, in a dir that was closed and in one whose process was killed: what
//! can be made anew is, the rest is refused with one line that says what to do, and no answer is ever wrong.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::batch::{BatchBuilder, batches};
use ottla_model::{
    LeaderEpoch, MonoMs, Now, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicId, TopicPartition,
};
use ottla_storage::{
    ActiveProducer, AppendOrigin, ClosingLog, Disk, EpochStart, LogConfig, LogDir, MetaProperties,
    OffsetCheckpoint, OpenMode, PartitionLog, SimDisk, StorageError,
};
use uuid::Uuid;

const DIR: &str = "/logs";
const START: Offset = Offset(5);

fn now() -> Now {
    Now { wall: TimestampMs(1_000), mono: MonoMs(0) }
}

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig {
        segment_bytes: 2_048,
        index_interval_bytes: 128,
        retention_ms: -1,
        message_timestamp_after_max_ms: i64::MAX,
        ..LogConfig::default()
    })
}

fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn open_dir(disk: &SimDisk) -> Result<LogDir, StorageError> {
    let identity =
        MetaProperties { cluster_id: "c".to_owned(), node_id: 1, directory_id: Some(Uuid::from_u128(1)) };
    LogDir::open(Arc::new(disk.clone()), PathBuf::from(DIR), &identity)
}

/// All that can be asked of a log.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    start: Offset,
    end: Offset,
    high_watermark: Offset,
    epochs: Vec<EpochStart>,
    producers: Vec<ActiveProducer>,
    /// From the start on, as a consumer reads it.
    values: Vec<(i64, Vec<u8>)>,
    /// Of each offset the first offset that a fetch finds; of each time the offset of it.
    found: Vec<Option<i64>>,
    timed: Vec<Option<i64>>,
}

fn answers(log: &mut PartitionLog, high_watermark: Offset) -> Answers {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    let read = |from: Offset, max: u32| {
        let read = log.read(from, max, end, true).unwrap();
        read.slice.map(|slice| slice.to_vec().unwrap()).unwrap_or_default()
    };
    let (mut values, mut from) = (Vec::new(), start);
    while from < end {
        for batch in batches(&read(from, 4_096)) {
            let (header, bytes) = batch.unwrap();
            header.verify(bytes).unwrap();
            from = header.next_offset();
            if header.base_offset >= start {
                values.push((header.base_offset.get(), bytes.to_vec()));
            }
        }
    }
    let first =
        |offset| batches(&read(Offset(offset), 1)).next().map(|batch| batch.unwrap().0.base_offset.get());
    let found = (start.get()..end.get()).map(first).collect();
    let timed = |time| log.offset_for_timestamp(TimestampMs(time)).unwrap().map(|found| found.offset.get());
    let timed = (1_000..1_060).map(timed).collect();
    Answers {
        start,
        end,
        high_watermark,
        epochs: log.epochs().to_vec(),
        producers: log.active_producers().collect(),
        values,
        found,
        timed,
    }
}

/// A dir with one log of several segments, epochs and producers; closed, or as a kill leaves it.
fn subject(is_closed: bool) -> (SimDisk, Answers) {
    let disk = SimDisk::new();
    let dir = open_dir(&disk).unwrap();
    let mut log = dir.create_partition(&name(), TopicId(Uuid::from_u128(2)), config(), now()).unwrap();
    for number in 0..50_i32 {
        let mut batch = BatchBuilder::new(Offset(0)).producer(
            ProducerId(i64::from(number % 2)),
            ProducerEpoch(0),
            number / 2,
        );
        let value = [b'v'; 200];
        batch.push(TimestampMs(1_000 + i64::from(number)), None, Some(&value), &[]);
        let mut batch = batch.build().unwrap();
        let epoch = LeaderEpoch(number / 20 + 3);
        log.append_as_leader(&mut batch, epoch, AppendOrigin::Client, now()).unwrap();
        if number == 45 {
            log.flush_now(now()).unwrap();
        }
    }
    log.increment_log_start_offset(START);
    let high_watermark = log.log_end_offset();
    let expected = answers(&mut log, high_watermark);
    let one = |offset| [(name(), offset)].into();
    dir.write_checkpoint(OffsetCheckpoint::Cleaner, &one(Offset(9))).unwrap();
    dir.write_checkpoint(OffsetCheckpoint::RecoveryPoint, &one(log.recovery_point())).unwrap();
    dir.write_checkpoint(OffsetCheckpoint::LogStart, &one(START)).unwrap();
    dir.write_checkpoint(OffsetCheckpoint::Replication, &one(high_watermark)).unwrap();
    if is_closed {
        dir.close(vec![ClosingLog { log: &mut log, high_watermark }], 1, 1, now()).unwrap();
    }
    (disk, expected)
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Deleted,
    Emptied,
    Halved,
    /// One bit of the byte at so many thousandths of the file.
    Flipped(usize),
    Garbage,
}

const DAMAGES: [Damage; 14] = [
    Damage::Deleted,
    Damage::Emptied,
    Damage::Halved,
    Damage::Flipped(0),
    Damage::Flipped(100),
    Damage::Flipped(200),
    Damage::Flipped(333),
    Damage::Flipped(500),
    Damage::Flipped(600),
    Damage::Flipped(700),
    Damage::Flipped(800),
    Damage::Flipped(900),
    Damage::Flipped(999),
    Damage::Garbage,
];

fn wound(disk: &SimDisk, path: &Path, damage: Damage) {
    let mut bytes = disk.read(path).unwrap();
    match damage {
        Damage::Deleted => return disk.remove_file(path).unwrap(),
        Damage::Emptied => bytes.clear(),
        Damage::Halved => bytes.truncate(bytes.len() / 2),
        Damage::Flipped(thousandths) => {
            let at = bytes.len() * thousandths / 1_000;
            match bytes.get_mut(at) {
                Some(byte) => *byte ^= 1,
                None => bytes.push(1),
            }
        }
        Damage::Garbage => bytes = b"\xff\x00no file\x80 of ours\n\n".repeat(20),
    }
    disk.open(path, OpenMode::Truncate).unwrap().write_all_at(&bytes, 0).unwrap();
}

/// What becomes of a damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// All answers are as before.
    Same,
    /// All but where the log starts, how far it is committed or who has written: no second copy of it exists.
    SameRecords,
    /// Or the dir, or the log, is refused with a line that names the file.
    Refused,
}

struct Row {
    file: String,
    expected: Expected,
}

/// Every file of the dir. What a flipped digit of a checkpoint says cannot be told from what was written: Kafka's format
/// has no checksum.
fn rows(disk: &SimDisk) -> Vec<Row> {
    let list = |dir: &str| disk.list(Path::new(dir)).unwrap().into_iter();
    let of_dir = list(DIR).filter(|entry| !entry.is_dir && entry.name != ".lock").map(|entry| entry.name);
    let of_log = list("/logs/t-0").map(|entry| format!("t-0/{}", entry.name));
    let rows = of_dir.chain(of_log).filter(|file| !file.ends_with(".log")).map(|file| {
        let expected = match file.as_str() {
            "recovery-point-offset-checkpoint" | "cleaner-offset-checkpoint" | ".kafka_cleanshutdown" => {
                Expected::Same
            }
            "log-start-offset-checkpoint" | "replication-offset-checkpoint" => Expected::SameRecords,
            "meta.properties" | "t-0/partition.metadata" => Expected::Refused,
            file if file.ends_with("index") || file.ends_with("leader-epoch-checkpoint") => Expected::Same,
            file if file.ends_with(".snapshot") => Expected::Same,
            other => panic!("{other}: what of it?"),
        };
        Row { file, expected }
    });
    rows.collect()
}

/// Where the batch at an offset begins in the first segment: there is one record in each.
fn position_of(bytes: &[u8], offset: i64) -> usize {
    let (mut at, mut all) = (0, batches(bytes));
    loop {
        let (header, batch) = all.next().unwrap().unwrap();
        if header.base_offset.get() == offset {
            return at;
        }
        at += batch.len();
    }
}

#[test]
fn a_batch_with_offsets_of_another_place_is_no_answer() {
    // The last one of a segment, and one in the middle of the next.
    for (segment, damaged) in [(0, 6), (7, 9)] {
        for base in [-1, 0, 3, 5, 7, 8, 10, 12, 30, 1_000, i64::MAX] {
            offsets_of_another_place(segment, damaged, base);
        }
    }
}

fn offsets_of_another_place(segment: i64, damaged: i64, base: i64) {
    let (disk, _) = subject(true);
    let path = PathBuf::from(format!("/logs/t-0/{segment:020}.log"));
    let mut bytes = disk.read(&path).unwrap();
    let at = position_of(&bytes, damaged);
    bytes[at..at + 8].copy_from_slice(&base.to_be_bytes());
    disk.open(&path, OpenMode::Truncate).unwrap().write_all_at(&bytes, 0).unwrap();
    let dir = open_dir(&disk).unwrap();
    let log = dir.open_logs(1, &|_, _| config(), now()).unwrap().logs.into_iter().next().unwrap().log;
    let (start, end) = (START.get(), log.log_end_offset().get());
    // Backwards nothing is remembered of the read before; forwards a reader comes back where the last one ended.
    let (backwards, forwards) = ((start..end).rev(), start..end);
    for offset in backwards.chain(forwards.clone()) {
        let what = format!("{damaged} as {base}, read from {offset}");
        match log.read_bytes(Offset(offset), 1) {
            Ok(bytes) => {
                let first = batches(&bytes).next().map(|batch| batch.unwrap().0.base_offset.get());
                assert_eq!(first, Some(offset), "{what}");
                assert!(offset != damaged, "{what}");
            }
            Err(error) => assert!((damaged - 1..=damaged + 1).contains(&offset), "{what}: {error}"),
        }
    }
    // Several batches at once: none among them is given for another.
    for offset in forwards {
        let what = format!("{damaged} as {base}, all from {offset}");
        let Ok(bytes) = log.read_bytes(Offset(offset), 4_096) else {
            assert!((damaged - 1..=damaged + 1).contains(&offset), "{what}");
            continue;
        };
        let bases: Vec<i64> = batches(&bytes).map(|batch| batch.unwrap().0.base_offset.get()).collect();
        let expected: Vec<i64> = (offset..).take(bases.len()).collect();
        assert_eq!(bases, expected, "{what}");
        assert!(!bases.contains(&damaged), "{what}");
    }
}

fn reopened(disk: &SimDisk) -> Result<Answers, StorageError> {
    let dir = open_dir(disk)?;
    let opened = dir.open_logs(1, &|_, _| config(), now())?;
    if let Some((_, error)) = opened.failed.into_iter().next() {
        return Err(error);
    }
    let mut opened = opened.logs.into_iter().next().unwrap();
    Ok(answers(&mut opened.log, opened.high_watermark))
}

fn same_records(found: &Answers, expected: &Answers) -> bool {
    let known = |value: &(i64, Vec<u8>)| expected.values.contains(value) || value.0 < START.get();
    found.end == expected.end && found.values.iter().all(known) && found.high_watermark <= found.end
}

#[test]
fn every_damage_of_every_file_is_mended_or_refused() {
    let mut count = 0;
    for is_closed in [true, false] {
        for row in rows(&subject(is_closed).0) {
            for damage in DAMAGES {
                let context = format!("{} {damage:?}, closed: {is_closed}", row.file);
                let (disk, expected) = subject(is_closed);
                let path = Path::new(DIR).join(&row.file);
                wound(&disk, &path, damage);
                count += 1;
                // A flipped bit may be one that nobody reads; a topic's id, where it is lost, is that of the metadata.
                let is_total = matches!(damage, Damage::Deleted | Damage::Emptied | Damage::Garbage);
                let may_be_new = !is_total || row.file != "meta.properties";
                match (row.expected, reopened(&disk)) {
                    (Expected::Refused, Ok(_)) if !may_be_new => panic!("{context}: taken"),
                    (_, Ok(found)) if found == expected => {}
                    (Expected::SameRecords, Ok(found)) => {
                        assert!(same_records(&found, &expected), "{context}: {found:?}")
                    }
                    (Expected::Refused, Err(error)) => {
                        let line = error.to_string();
                        assert!(
                            line.contains(&*path.to_string_lossy()) && !line.contains('\n'),
                            "{context}: {line}"
                        );
                    }
                    (Expected::Refused, Ok(_)) => panic!("{context}: taken"),
                    (wanted, Ok(found)) => panic!("{context}: {wanted:?}: {found:?}\n{expected:?}"),
                    (wanted, Err(error)) => panic!("{context}: {wanted:?}: {error}"),
                }
                if is_closed && matches!(damage, Damage::Deleted) && row.file.ends_with("index") {
                    // Lookups would do without, but not quickly.
                    let len = |disk: &SimDisk| disk.file_len(&path).unwrap();
                    assert_eq!(len(&disk), len(&subject(true).0), "{context}");
                }
            }
        }
    }
    assert!(count > 500, "{count}");
}

/// An entry that says too early a time for its offset leads a lookup past records, were it believed.
#[test]
fn no_flipped_byte_of_an_index_leads_a_lookup_astray() {
    let names = |disk: &SimDisk| {
        let names = disk.list(Path::new("/logs/t-0")).unwrap().into_iter().map(|entry| entry.name);
        names.filter(|name| name.ends_with("index")).collect::<Vec<_>>()
    };
    let (sound, expected) = subject(true);
    let mut count = 0;
    // The first segment's and the second's.
    for name in names(&sound).iter().take(4) {
        let path = Path::new("/logs/t-0").join(name);
        for at in 0..sound.read(&path).unwrap().len() {
            let (disk, _) = subject(true);
            let mut bytes = disk.read(&path).unwrap();
            bytes[at] ^= 4;
            disk.open(&path, OpenMode::Truncate).unwrap().write_all_at(&bytes, 0).unwrap();
            let found = reopened(&disk).unwrap();
            assert!(found == expected, "{name}, byte {at}: {found:?}\n{expected:?}");
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}
