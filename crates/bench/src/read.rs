//! CPU of the path of fetched bytes in one thread, against the same calls without a log: a log's read and a pread (what
//! finding the bytes costs), and both with the write to a socket behind them (the whole path, without the request).

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use ottla_model::{LeaderEpoch, Offset};
use ottla_storage::{AppendOrigin, FileSlice, PartitionLog};

use crate::append::{now, open};
use crate::measure::thread_cpu;
use crate::report::Report;
use crate::requests::{batch, next_offset};
use crate::samples::Turns;
use crate::{Options, Result};

/// Of the path with its write.
const RATIO_MAX: f64 = 1.3;
const LOG_LEN: usize = 64 << 20;
const BATCH_LEN: usize = 16 << 10;
const BUFFER_LEN: usize = 2 << 20;

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<()> {
    for (name, max_bytes) in [("4 KB", 4 << 10), ("64 KB", 64 << 10), ("1 MB", 1 << 20)] {
        let dir = tempfile::tempdir()?;
        let log = filled(dir.path(), BATCH_LEN.min(usize::try_from(max_bytes)?))?;
        let found = turns(&log, max_bytes, options, &mut Out::Nowhere)?;
        report.ratio(&format!("log read {name}"), &found, "us/read", None);
        let sent = turns(&log, max_bytes, options, &mut Out::Socket(sink()?))?;
        report.ratio(&format!("fetch path {name}: find, read, write"), &sent, "us/read", Some(RATIO_MAX));
    }
    Ok(())
}

/// Where bytes go that were read.
enum Out {
    Nowhere,
    Socket(TcpStream),
}

impl Out {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Nowhere => Ok(()),
            Self::Socket(stream) => Ok(stream.write_all(bytes)?),
        }
    }
}

/// A connection whose other end reads and forgets, until it is closed.
fn sink() -> Result<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    stream.set_nodelay(true)?;
    let (mut reader, _) = listener.accept()?;
    std::thread::spawn(move || {
        let mut buffer = vec![0; BUFFER_LEN];
        while reader.read(&mut buffer).is_ok_and(|len| len > 0) {}
    });
    Ok(stream)
}

/// Ours and the bare calls in turns, the first of which does not count.
fn turns(log: &PartitionLog, max_bytes: u32, options: &Options, out: &mut Out) -> Result<Turns> {
    let mut buffer = vec![0; BUFFER_LEN];
    let mut turns = Turns::default();
    for round in 0..=options.rounds {
        let (slices, ours) = read_log(log, max_bytes, &mut buffer, out)?;
        let bare = read_slices(&slices, &mut buffer, out)?;
        let per_read = 1e6 / f64::from(u32::try_from(slices.len())?);
        if round > 0 {
            turns.push(bare * per_read, ours * per_read);
        }
    }
    Ok(turns)
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
fn read_log(
    log: &PartitionLog,
    max_bytes: u32,
    buffer: &mut [u8],
    out: &mut Out,
) -> Result<(Vec<FileSlice>, f64)> {
    let mut slices = Vec::new();
    let (mut from, end) = (Offset(0), log.log_end_offset());
    let start = thread_cpu();
    while from < end {
        let slice = log.read(from, max_bytes, end, true)?.slice.ok_or("the log has a hole")?;
        from = copied_out(&slice, buffer, out)?;
        slices.push(slice);
    }
    Ok((slices, (thread_cpu() - start).as_secs_f64()))
}

fn read_slices(slices: &[FileSlice], buffer: &mut [u8], out: &mut Out) -> Result<f64> {
    let start = thread_cpu();
    for slice in slices {
        copied_out(slice, buffer, out)?;
    }
    Ok((thread_cpu() - start).as_secs_f64())
}

fn copied_out(slice: &FileSlice, buffer: &mut [u8], out: &mut Out) -> Result<Offset> {
    let bytes = &mut buffer[..usize::try_from(slice.length)?];
    slice.read_into(bytes)?;
    out.take(bytes)?;
    Ok(next_offset(bytes).ok_or("a slice without a batch")?)
}
