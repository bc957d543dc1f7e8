//! Files of a log and of a log dir that hold something else than what was written.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use ottla_model::batch::{BatchBuilder, batches};
use ottla_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicId, TopicPartition};
use ottla_storage::{
    AppendOrigin, Disk, LogConfig, LogDir, LogStart, MetaProperties, OpenMode, PartitionLog, SimDisk,
};
use uuid::Uuid;

use super::Target;
use super::logs::{NOW, dir, open};

pub(crate) const PARTITION_DIR: Target = Target {
    name: "partition-dir",
    about: "a file of a partition's directory, clean stop or not, its new bytes: refused, or no answer is wrong",
    run: partition_dir,
    quick: 8_000,
    seeds: || seeds(partition_files()),
};

pub(crate) const LOG_DIR: Target = Target {
    name: "log-dir",
    about: "a file of a log dir, its new bytes: refused, or no answer is wrong",
    run: log_dir,
    quick: 3_000,
    seeds: || seeds(log_dir_files()),
};

type Files = Vec<(PathBuf, Vec<u8>)>;

/// Every file as it is: number, the other choices, contents.
fn seeds(files: &Files) -> Vec<Vec<u8>> {
    let of = |(number, (_, contents)): (u8, &(PathBuf, Vec<u8>))| {
        [0, 1].map(|choices| [&[number, choices], &contents[..]].concat())
    };
    (0u8..).zip(files).flat_map(of).collect()
}

fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes: 1_000, index_interval_bytes: 200, ..LogConfig::default() })
}

/// Three segments of an idempotent producer under two leader epochs, closed.
fn partition_files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| {
        let disk = SimDisk::new();
        let mut log = open(&disk, &config(), LogStart::new_log());
        fill(&mut log);
        log.close(true, NOW).unwrap_or_else(|error| panic!("{error}"));
        read_files(&disk, &dir())
    })
}

/// Batches that [`fill`] appends, one record each.
const BATCHES: i32 = 18;

fn fill(log: &mut PartitionLog) {
    for n in 0..BATCHES {
        log.append_as_leader(&mut batch(n), LeaderEpoch(n / 10), AppendOrigin::Client, NOW)
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

fn batch(n: i32) -> Vec<u8> {
    let mut batch = BatchBuilder::new(Offset(0)).producer(ProducerId(5), ProducerEpoch(0), n);
    batch.push(TimestampMs(100 + i64::from(n)), Some(b"k"), Some(&[b'v'; 80]), &[]);
    batch.build().unwrap_or_default()
}

fn read_files(disk: &SimDisk, dir: &Path) -> Files {
    let entries = disk.list(dir).unwrap_or_default();
    let of = |name: String| {
        let path = dir.join(name);
        let contents = disk.read(&path).unwrap_or_default();
        (path, contents)
    };
    entries.into_iter().filter(|entry| !entry.is_dir).map(|entry| of(entry.name)).collect()
}

/// A disk with these files, the `number`th holding `bytes`.
fn damaged(files: &Files, number: usize, bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    for (at, (path, contents)) in files.iter().enumerate() {
        write(&disk, path, if at == number { bytes } else { contents });
    }
    disk
}

fn write(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    let written = disk
        .create_dir(path.parent().unwrap_or(path))
        .and_then(|()| disk.open(path, OpenMode::Truncate))
        .and_then(|file| file.write_all_at(bytes, 0));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn partition_dir(bytes: &[u8]) {
    let [number, choices, bytes @ ..] = bytes else { return };
    let files = partition_files();
    let number = usize::from(*number) % files.len();
    let disk = damaged(files, number, bytes);
    let clean = choices & 1 == 0;
    let start =
        LogStart { recovery_point: if clean { Offset(0) } else { Offset(7) }, clean, ..LogStart::default() };
    let partition = TopicPartition { topic: "t".into(), partition: 0 };
    let opened = PartitionLog::open(Arc::new(disk), dir(), partition, config(), start, NOW);
    let Ok(mut log) = opened else { return };
    // Where the records themselves were replaced, any sound batch may be there.
    let records_are_ours = files[number].0.extension().is_none_or(|suffix| suffix != "log");
    if records_are_ours {
        assert_eq!(log.log_end_offset(), Offset(i64::from(BATCHES)), "{}", files[number].0.display());
    }
    ask(&mut log, records_are_ours);
    let mut next = batch(BATCHES);
    let appended = log.append_as_leader(&mut next, LeaderEpoch(9), AppendOrigin::Coordinator, NOW);
    if let Ok(appended) = appended {
        match log.read_bytes(appended.first_offset, 1_000) {
            Ok(read) => {
                assert!(read.ends_with(&next), "what was appended to the damaged log is not read back")
            }
            // To find it the damaged records are walked over.
            Err(error) => assert!(!records_are_ours, "{error}"),
        }
    }
}

/// Reads at each offset and time. An error is an answer; a batch that is not the one asked for is not.
fn ask(log: &mut PartitionLog, records_are_ours: bool) {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    for offset in (start.get()..end.get()).take(40) {
        let Ok(bytes) = log.read_bytes(Offset(offset), 1) else { continue };
        let Some(Ok((header, batch))) = batches(&bytes).next() else { continue };
        if records_are_ours {
            assert!(
                header.base_offset.get() <= offset && header.next_offset().get() > offset,
                "{header:?} at {offset}"
            );
            assert!(header.verify(batch).is_ok());
        }
    }
    for n in 0..BATCHES {
        let time = TimestampMs(100 + i64::from(n));
        let found = log.offset_for_timestamp(time);
        if let (true, Ok(found)) = (records_are_ours, found) {
            assert_eq!(found.map(|found| found.offset), Some(Offset(i64::from(n))), "at {time}");
        }
    }
}

fn identity() -> MetaProperties {
    MetaProperties { cluster_id: "c".to_owned(), node_id: 1, directory_id: Some(Uuid::from_u128(9)) }
}

/// A log dir with two partitions, closed.
fn log_dir_files() -> &'static Files {
    static FILES: OnceLock<Files> = OnceLock::new();
    FILES.get_or_init(|| make_log_dir().unwrap_or_else(|error| panic!("{error}")))
}

fn make_log_dir() -> Result<Files, ottla_storage::StorageError> {
    let disk = SimDisk::new();
    let path = Path::new("/d");
    let log_dir = LogDir::open(Arc::new(disk.clone()), path.to_owned(), &identity())?;
    let mut logs = Vec::new();
    for partition in 0..2 {
        let name = TopicPartition { topic: "t".into(), partition };
        let mut log = log_dir.create_partition(&name, TopicId(Uuid::from_u128(3)), config(), NOW)?;
        fill(&mut log);
        logs.push(log);
    }
    for log in &mut logs {
        log.flush_now(NOW)?;
    }
    let mut files = read_files(&disk, path);
    files.extend(read_files(&disk, &path.join("t-0")));
    files.extend(read_files(&disk, &path.join("t-1")));
    Ok(files)
}

fn log_dir(bytes: &[u8]) {
    let [number, _, bytes @ ..] = bytes else { return };
    let files = log_dir_files();
    let number = usize::from(*number) % files.len();
    let disk: Arc<dyn Disk> = Arc::new(damaged(files, number, bytes));
    let Ok(log_dir) = LogDir::open(disk, PathBuf::from("/d"), &identity()) else { return };
    let Ok(opened) = log_dir.open_logs(1, &|_, _| config(), NOW) else { return };
    let records_are_ours = files[number].0.extension().is_none_or(|suffix| suffix != "log");
    for mut opened in opened.logs {
        assert!(opened.high_watermark <= opened.log.log_end_offset());
        ask(&mut opened.log, records_are_ours);
    }
}
