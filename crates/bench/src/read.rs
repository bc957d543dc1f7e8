//! CPU of a log's read, its bytes copied out, against the same preads without a log, in this thread: what finding the
//! bytes costs.

use ottla_model::{LeaderEpoch, Offset};
use ottla_storage::{AppendOrigin, FileSlice, PartitionLog};

use crate::append::{now, open};
use crate::measure::thread_cpu;
use crate::report::Report;
use crate::requests::{batch, next_offset};
use crate::samples::Turns;
use crate::{Options, Result};

const LOG_LEN: usize = 64 << 20;
const BATCH_LEN: usize = 16 << 10;
const BUFFER_LEN: usize = 2 << 20;

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<()> {
    for (name, max_bytes) in [("4 KB", 4 << 10), ("64 KB", 64 << 10), ("1 MB", 1 << 20)] {
        let dir = tempfile::tempdir()?;
        let log = filled(dir.path(), BATCH_LEN.min(usize::try_from(max_bytes)?))?;
        let mut buffer = vec![0; BUFFER_LEN];
        let mut turns = Turns::default();
        for round in 0..=options.rounds {
            let (slices, ours) = read_log(&log, max_bytes, &mut buffer)?;
            let bare = read_slices(&slices, &mut buffer)?;
            let per_read = 1e6 / f64::from(u32::try_from(slices.len())?);
            if round > 0 {
                turns.push(bare * per_read, ours * per_read);
            }
        }
        report.ratio(&format!("log read {name}"), &turns, "us/read", None);
    }
    Ok(())
}

fn filled(dir: &std::path::Path, batch_len: usize) -> Result<PartitionLog> {
    let mut log = open(dir)?;
    let made = batch(batch_len)?;
    for _ in 0..LOG_LEN / made.len() {
        log.append_as_leader(&mut made.clone(), LeaderEpoch(1), AppendOrigin::Client, now())?;
    }
    Ok(log)
}

/// Reads the whole log in order; gives the slices, and the CPU in seconds.
fn read_log(log: &PartitionLog, max_bytes: u32, buffer: &mut [u8]) -> Result<(Vec<FileSlice>, f64)> {
    let mut slices = Vec::new();
    let (mut from, end) = (Offset(0), log.log_end_offset());
    let start = thread_cpu();
    while from < end {
        let slice = log.read(from, max_bytes, end, true)?.slice.ok_or("the log has a hole")?;
        from = copied_out(&slice, buffer)?;
        slices.push(slice);
    }
    Ok((slices, (thread_cpu() - start).as_secs_f64()))
}

fn read_slices(slices: &[FileSlice], buffer: &mut [u8]) -> Result<f64> {
    let start = thread_cpu();
    for slice in slices {
        copied_out(slice, buffer)?;
    }
    Ok((thread_cpu() - start).as_secs_f64())
}

fn copied_out(slice: &FileSlice, buffer: &mut [u8]) -> Result<Offset> {
    let bytes = &mut buffer[..usize::try_from(slice.length)?];
    slice.read_into(bytes)?;
    Ok(next_offset(bytes).ok_or("a slice without a batch")?)
}
