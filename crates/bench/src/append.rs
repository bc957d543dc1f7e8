//! CPU of the append path (validate, CRC, assign, write, index) against a bare CRC32C and pwrite of the same bytes, in
//! this thread.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ottla_model::batch::{BatchHeader, crc32c};
use ottla_model::{LeaderEpoch, MonoMs, Now, TopicPartition};
use ottla_storage::{AppendOrigin, Disk, LogConfig, LogStart, OpenMode, PartitionLog, RealDisk};

use crate::measure::thread_cpu;
use crate::report::Report;
use crate::requests::{idempotent_batch, wall_clock};
use crate::samples::Turns;
use crate::{Options, Result};

const RATIO_MAX: f64 = 1.3;
const ROUND_LEN: usize = 256 << 20;
/// Bytes of a batch before what its CRC covers.
const CRC_FROM: usize = 21;

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let dir = tempfile::tempdir()?;
    for (name, len) in [("16 KB", 16 << 10), ("1 MB", 1 << 20)] {
        let mut batches = batches(len)?;
        let per_gb = 1e9 / f64::from(u32::try_from(batches.iter().map(Vec::len).sum::<usize>())?);
        let mut turns = Turns::default();
        for round in 0..=options.rounds {
            let bare = bare(dir.path(), &batches)?.as_secs_f64() * per_gb;
            let ours = append(dir.path(), &mut batches)?.as_secs_f64() * per_gb;
            // The first round finds memory that nobody has used lately.
            if round > 0 {
                turns.push(bare, ours);
            }
        }
        report.ratio(&format!("append {name}"), &turns, "CPU-s/GB", Some(RATIO_MAX));
    }
    Ok(())
}

/// A round's batches, of one idempotent producer.
fn batches(len: usize) -> Result<Vec<Vec<u8>>> {
    let mut sequence = 0;
    let batches = (0..ROUND_LEN / len).map(|_| {
        let batch = idempotent_batch(len, sequence)?;
        sequence += BatchHeader::read(&batch)?.record_count;
        Ok(batch)
    });
    batches.collect()
}

fn bare(dir: &Path, batches: &[Vec<u8>]) -> Result<Duration> {
    let path = dir.join("bare");
    let file = RealDisk.open(&path, OpenMode::Truncate)?;
    let start = thread_cpu();
    let mut position = 0;
    let mut crcs = 0u64;
    for batch in batches {
        crcs = crcs.wrapping_add(u64::from(crc32c(&batch[CRC_FROM..])));
        file.write_all_at(batch, position)?;
        position += u64::try_from(batch.len())?;
    }
    std::hint::black_box(crcs);
    let spent = thread_cpu() - start;
    std::fs::remove_file(path)?;
    Ok(spent)
}

fn append(dir: &Path, batches: &mut [Vec<u8>]) -> Result<Duration> {
    let mut log = open(dir)?;
    let (start, now) = (thread_cpu(), now());
    for batch in batches {
        // What the network would have brought: the last round's append has assigned an offset in place.
        batch[..8].fill(0);
        let info = log.append_as_leader(batch, LeaderEpoch(1), AppendOrigin::Client, now)?;
        if info.duplicate {
            return Err("a batch was taken for a duplicate".into());
        }
    }
    let spent = thread_cpu() - start;
    drop(log);
    std::fs::remove_dir_all(dir.join("log"))?;
    Ok(spent)
}

/// A new log below `dir`.
pub(crate) fn open(dir: &Path) -> Result<PartitionLog> {
    let partition = TopicPartition { topic: "bench".into(), partition: 0 };
    let config = Arc::new(LogConfig { max_message_bytes: 2 << 20, ..LogConfig::default() });
    let disk = Arc::new(RealDisk);
    Ok(PartitionLog::open(disk, dir.join("log"), partition, config, LogStart::new_log(), now())?)
}

pub(crate) fn now() -> Now {
    Now { wall: wall_clock(), mono: MonoMs(0) }
}
