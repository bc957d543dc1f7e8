//! What a restart costs, in calls and bytes: behind the last flush everything is read, in front of it next to nothing.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ottla_model::batch::BatchBuilder;
use ottla_model::{LeaderEpoch, MonoMs, Now, Offset, TimestampMs, TopicPartition};
use ottla_storage::{
    AppendOrigin, Disk, DiskFile, DiskLock, DiskSpace, LogConfig, LogStart, OpenMode, PartitionLog, SimDisk,
};

#[derive(Debug, Default)]
struct Counts {
    lists: AtomicU64,
    opens: AtomicU64,
    /// Files asked for their length or time.
    stats: AtomicU64,
    read_bytes: AtomicU64,
    syncs: AtomicU64,
}

/// Counts what is asked of another disk.
#[derive(Debug)]
struct Counting {
    disk: Arc<dyn Disk>,
    counts: Arc<Counts>,
    /// A file that is longer than a segment can be.
    too_long: Option<PathBuf>,
}

#[derive(Debug)]
struct CountingFile {
    file: Arc<dyn DiskFile>,
    counts: Arc<Counts>,
}

fn one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Disk for Counting {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        one(&self.counts.opens);
        let (file, counts) = (self.disk.open(path, mode)?, Arc::clone(&self.counts));
        Ok(Arc::new(CountingFile { file, counts }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        one(&self.counts.syncs);
        self.disk.sync_dir(path)
    }
    fn sync_fs(&self, path: &Path) -> io::Result<()> {
        one(&self.counts.syncs);
        self.disk.sync_fs(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<ottla_storage::DirEntry>> {
        one(&self.counts.lists);
        self.disk.list(path)
    }
    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        one(&self.counts.stats);
        if self.too_long.as_deref() == Some(path) {
            return Ok(Some(1 << 33));
        }
        self.disk.file_len(path)
    }
    fn modified_ms(&self, path: &Path) -> io::Result<Option<i64>> {
        one(&self.counts.stats);
        self.disk.modified_ms(path)
    }
    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        self.disk.space(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn DiskLock>>> {
        self.disk.lock(path)
    }
}

impl DiskFile for CountingFile {
    fn read_at(&self, buf: &mut [u8], pos: u64) -> io::Result<usize> {
        let read = self.file.read_at(buf, pos)?;
        self.counts.read_bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
    fn write_at(&self, buf: &[u8], pos: u64) -> io::Result<usize> {
        self.file.write_at(buf, pos)
    }
    fn writev_at(&self, bufs: &[IoSlice<'_>], pos: u64) -> io::Result<usize> {
        self.file.writev_at(bufs, pos)
    }
    fn sync_data(&self) -> io::Result<()> {
        one(&self.counts.syncs);
        self.file.sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        one(&self.counts.syncs);
        self.file.sync_all()
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn set_modified_ms(&self, ms: i64) -> io::Result<()> {
        self.file.set_modified_ms(ms)
    }
    fn allocate(&self, pos: u64, len: u64) -> io::Result<()> {
        self.file.allocate(pos, len)
    }
    fn start_writeback(&self, pos: u64, len: u64) -> io::Result<()> {
        self.file.start_writeback(pos, len)
    }
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_fd()
    }
}

const BATCH: usize = 16_000;

fn now(ms: u64) -> Now {
    Now { wall: TimestampMs(1_000_000 + i64::try_from(ms).unwrap_or(0)), mono: MonoMs(ms) }
}

fn open(disk: &Arc<dyn Disk>, config: &Arc<LogConfig>, start: LogStart) -> PartitionLog {
    let partition = TopicPartition::new("t", 0);
    let (disk, dir) = (Arc::clone(disk), "/data/t-0".into());
    PartitionLog::open(disk, dir, partition, Arc::clone(config), start, now(1_000_000))
        .expect("the simulated disk works")
}

fn append(log: &mut PartitionLog, count: u64, from: u64) {
    for n in from..from + count {
        let mut builder = BatchBuilder::new(Offset::ZERO);
        builder.push(now(n).wall, None, Some(&[b'x'; BATCH]), &[]);
        let mut batch = builder.build().expect("the simulated disk works");
        log.append_as_leader(&mut batch, LeaderEpoch(0), AppendOrigin::Client, now(n))
            .expect("the simulated disk works");
    }
}

/// A log of 20 MB in segments of `segment_bytes`, flushed every megabyte, then killed with `unflushed` batches behind.
fn restarted(segment_bytes: u32, unflushed: u64) -> (Counts, PartitionLog) {
    let config = Arc::new(LogConfig { segment_bytes, ..LogConfig::default() });
    let sim: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let mut log = open(&sim, &config, LogStart::new_log());
    for megabyte in 0..20 {
        append(&mut log, 66, megabyte * 66);
        log.flush_now(now(megabyte * 66)).expect("the simulated disk works");
    }
    let recovery_point = log.recovery_point();
    append(&mut log, unflushed, 20 * 66);
    let end = log.log_end_offset();
    drop(log);
    let (taken, log) = counted(sim, &config, recovery_point);
    assert_eq!(log.log_end_offset(), end, "nothing is lost");
    (taken, log)
}

/// Opens the log after a kill.
fn counted(disk: Arc<dyn Disk>, config: &Arc<LogConfig>, recovery_point: Offset) -> (Counts, PartitionLog) {
    let counts = Arc::<Counts>::default();
    let counting: Arc<dyn Disk> = Arc::new(Counting { disk, counts: Arc::clone(&counts), too_long: None });
    let start = LogStart { recovery_point, ..LogStart::default() };
    let log = open(&counting, config, start);
    let taken = Counts {
        lists: counts.lists.load(Ordering::Relaxed).into(),
        opens: counts.opens.load(Ordering::Relaxed).into(),
        stats: counts.stats.load(Ordering::Relaxed).into(),
        read_bytes: counts.read_bytes.load(Ordering::Relaxed).into(),
        syncs: counts.syncs.load(Ordering::Relaxed).into(),
    };
    (taken, log)
}

#[test]
fn recovery_reads_what_lies_behind_the_last_megabyte_flushed() {
    let (counts, _log) = restarted(1 << 30, 10);
    let read = counts.read_bytes.into_inner();
    assert!(read < 2_500_000, "{read} bytes of 20 MB");
}

#[test]
fn number_of_segments_changes_neither_opened_files_nor_bytes() {
    let (few, _few) = restarted(10 << 20, 10);
    let (many, _many) = restarted(100_000, 10);
    assert_eq!(many.lists.into_inner(), 1, "the directory is listed once");
    let (few_opens, many_opens) = (few.opens.into_inner(), many.opens.into_inner());
    assert!(many_opens <= few_opens + 8, "{many_opens} files of 200 segments, {few_opens} of 2");
    let (few_stats, many_stats) = (few.stats.into_inner(), many.stats.into_inner());
    assert!(many_stats <= few_stats + 8, "{many_stats} files of 200 segments looked at, {few_stats} of 2");
    let read = many.read_bytes.into_inner();
    assert!(read < 1_000_000, "{read} bytes of 20 MB in 200 segments");
}

#[test]
fn only_a_log_that_was_cut_is_synced() {
    for unflushed in [0, 1, 10] {
        let (counts, log) = restarted(1 << 30, unflushed);
        assert_eq!(counts.syncs.into_inner(), 0, "{unflushed} batches");
        assert_eq!(
            log.unflushed_count(),
            i64::try_from(unflushed).unwrap_or(0),
            "it is not said to be flushed"
        );
    }
    let (config, sim) = (Arc::new(LogConfig::default()), Arc::new(SimDisk::new()));
    let disk: Arc<dyn Disk> = sim;
    let mut log = open(&disk, &config, LogStart::new_log());
    append(&mut log, 3, 0);
    drop(log);
    let path = Path::new("/data/t-0/00000000000000000000.log");
    let file = disk.open(path, OpenMode::Write).expect("the simulated disk works");
    let len = file.len().expect("the simulated disk works");
    file.set_len(len - 1).expect("the simulated disk works");
    let (counts, log) = counted(disk, &config, Offset::ZERO);
    assert_eq!((log.log_end_offset(), log.recovery_point()), (Offset(2), Offset(2)));
    assert_ne!(counts.syncs.into_inner(), 0);
}

/// 66 batches in each of so many segments, closed cleanly; where it begins and ends.
fn closed_log(disk: &Arc<dyn Disk>, config: &Arc<LogConfig>) -> (LogStart, u64) {
    let mut log = open(disk, config, LogStart::new_log());
    append(&mut log, 66, 0);
    let size = log.size_bytes().expect("the simulated disk works");
    log.close(true, now(66)).expect("the simulated disk works");
    let start = LogStart { recovery_point: log.log_end_offset(), clean: true, ..LogStart::default() };
    (start, size)
}

#[test]
fn what_nobody_has_looked_at_is_as_large_and_as_old_as_before() {
    let config = Arc::new(LogConfig { segment_bytes: 100_000, ..LogConfig::default() });
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let (start, size) = closed_log(&disk, &config);
    let log = open(&disk, &config, start);
    let lookup = log.size_lookup().expect("sizes of closed segments are not known");
    lookup.run();
    assert_eq!(log.size_bytes().expect("the simulated disk works"), size);
    assert!(log.size_lookup().is_none(), "they are now");
    // Times are those of the records: half of them are too old, or half of the bytes too many.
    let by_time = LogConfig { retention_ms: 33, ..(*config).clone() };
    let by_size = LogConfig { retention_bytes: i64::try_from(size / 2).unwrap_or(0), ..(*config).clone() };
    for config in [by_time, by_size] {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        let (start, _) = closed_log(&disk, &Arc::new(config.clone()));
        let mut log = open(&disk, &Arc::new(config), start);
        let segments = log.segment_count();
        let end = log.log_end_offset();
        let run = log.apply_retention(now(66), end).expect("the simulated disk works");
        assert!(
            (segments / 2 - 1..=segments / 2 + 1).contains(&run.segments_deleted),
            "{run:?} of {segments}"
        );
        assert_eq!(log.size_bytes().expect("the simulated disk works"), size - run.bytes_deleted);
    }
}

#[test]
fn a_closed_segment_that_is_too_long_is_refused_to_its_readers_alone() {
    let config = Arc::new(LogConfig { segment_bytes: 100_000, ..LogConfig::default() });
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let (start, _) = closed_log(&disk, &config);
    let names = disk.list(Path::new("/data/t-0")).expect("the simulated disk works").into_iter();
    let logs: Vec<String> = names.map(|entry| entry.name).filter(|name| name.ends_with(".log")).collect();
    let (damaged, next) = (Path::new("/data/t-0").join(&logs[1]), logs[2].clone());
    let first = |name: &str| name.trim_end_matches(".log").parse::<i64>().map(Offset).expect("an offset");
    let (from, to) = (first(&logs[1]), first(&next));
    let disk: Arc<dyn Disk> =
        Arc::new(Counting { disk, counts: Arc::default(), too_long: Some(damaged.clone()) });
    let log = open(&disk, &config, start);
    for offset in 0..log.log_end_offset().get() {
        let offset = Offset(offset);
        match log.read_bytes(offset, 1) {
            Ok(bytes) => assert!(!bytes.is_empty() && !(from..to).contains(&offset), "{offset}"),
            Err(error) => {
                assert!((from..to).contains(&offset), "{offset}: {error}");
                assert!(error.to_string().contains(&*damaged.to_string_lossy()), "{error}");
            }
        }
    }
    assert!(log.size_bytes().is_err(), "nobody knows");
}
