//! A log on the simulated disk, its cleaning driven as a broker drives it, and its contents record by record.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_model::batch::{BatchHeader, Records, batches, decompress};
use ottla_model::{MonoMs, Now, Offset, TimestampMs, TopicPartition};
use ottla_storage::{
    CleanError, CleanerSettings, Cleaning, CleaningStep, Disk, LogConfig, LogStart, PartitionLog, SimDisk,
};

pub(crate) const DIR: &str = "/d/t-0";

/// One record as a consumer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub offset: i64,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
    pub timestamp: i64,
}

pub(crate) fn now(ms: i64) -> Now {
    Now { wall: TimestampMs(ms), mono: MonoMs(u64::try_from(ms).unwrap()) }
}

pub(crate) fn open(disk: &SimDisk, config: &Arc<LogConfig>, start: LogStart, ms: i64) -> PartitionLog {
    let partition = TopicPartition { topic: "t".into(), partition: 0 };
    let disk = Arc::new(disk.clone());
    PartitionLog::open(disk, PathBuf::from(DIR), partition, Arc::clone(config), start, now(ms)).unwrap()
}

pub(crate) fn sync_dirs(disk: &SimDisk) {
    for dir in ["/", "/d", DIR] {
        disk.sync_dir(Path::new(dir)).unwrap();
    }
}

/// One step of a cleaning and what it asks of the log; true when it is done.
pub(crate) fn step(log: &mut PartitionLog, cleaning: &mut Cleaning, ms: i64) -> Result<bool, CleanError> {
    match cleaning.step()? {
        CleaningStep::Worked { .. } => {}
        CleaningStep::WantsFiles => log.create_replacement(cleaning, now(ms))?,
        CleaningStep::WantsSwap => {
            if let Some(names) = log.begin_swap(cleaning)? {
                names.run()?;
                if let Some(names) = log.finish_swap(cleaning, now(ms))? {
                    names.run()?;
                }
            }
        }
        CleaningStep::Done => {
            log.finish_cleaning(cleaning)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Compacts what there is up to the high watermark; the cleaning, for its figures.
pub(crate) fn clean(
    log: &mut PartitionLog,
    settings: CleanerSettings,
    ms: i64,
) -> Result<Cleaning, CleanError> {
    let cleanable = log.cleanable(log.log_end_offset(), now(ms))?;
    let mut cleaning = log.begin_cleaning(&cleanable, settings, now(ms))?;
    while !step(log, &mut cleaning, ms)? {}
    Ok(cleaning)
}

/// All batches from the log start on.
pub(crate) fn read_batches(log: &PartitionLog) -> Vec<(BatchHeader, Vec<u8>)> {
    let (mut from, mut all) = (log.log_start_offset(), Vec::new());
    while from < log.log_end_offset() {
        let bytes = log.read_bytes(from, 900).unwrap();
        let whole: Vec<_> = batches(&bytes).map_while(Result::ok).collect();
        let Some((header, _)) = whole.last() else { break };
        from = header.next_offset();
        all.extend(whole.iter().map(|(header, bytes)| (*header, bytes.to_vec())));
    }
    all
}

pub(crate) fn records(header: &BatchHeader, bytes: &[u8]) -> Vec<Seen> {
    header.verify(bytes).unwrap();
    let section = decompress(header, bytes, 1 << 20).unwrap();
    let seen = Records::new(header, &section).map(|record| {
        let record = record.unwrap();
        Seen {
            offset: record.offset.get(),
            key: record.key.unwrap_or_default().to_vec(),
            value: record.value.map(<[u8]>::to_vec),
            timestamp: record.timestamp.get(),
        }
    });
    seen.collect()
}

/// Every offset finds the first batch that reaches it.
pub(crate) fn check_every_offset(log: &PartitionLog, all: &[(BatchHeader, Vec<u8>)]) {
    for offset in log.log_start_offset().get()..log.log_end_offset().get() {
        let wanted = all.iter().find(|(header, _)| header.last_offset() >= Offset(offset));
        let read = log.read_bytes(Offset(offset), 1).unwrap();
        let found = BatchHeader::read(&read).ok().map(|header| header.base_offset);
        assert_eq!(found, wanted.map(|(header, _)| header.base_offset), "at {offset}");
    }
}
