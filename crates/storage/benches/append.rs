//! CPU of the append path (validate, CRC, assign, write, index) against a bare CRC32C and pwrite of the same bytes, and
//! of the read path against a bare pread. Prints ratios; both sides take turns within one run.

#![allow(clippy::unwrap_used, reason = "a bench")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ottla_model::batch::{BatchBuilder, crc32c};
use ottla_model::{LeaderEpoch, Now, Offset, ProducerEpoch, ProducerId, TimestampMs, TopicPartition};
use ottla_storage::{AppendOrigin, Disk, LogConfig, LogStart, OpenMode, PartitionLog, RealDisk};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 7;
const ROUND_BYTES: usize = 256 << 20;

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

fn batch(size: usize, sequence: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset(0)).producer(ProducerId(7), ProducerEpoch(0), sequence);
    let value = vec![b'x'; 960];
    while builder.size() + 1000 < size {
        builder.push(TimestampMs(1_700_000_000_000), None, Some(&value), &[]);
    }
    builder.build().unwrap()
}

fn bare(dir: &Path, batches: &[Vec<u8>], count: usize) -> Duration {
    let path = dir.join("bare");
    let file = RealDisk.open(&path, OpenMode::Truncate).unwrap();
    let start = cpu();
    let mut position = 0;
    let mut crcs = 0u64;
    for batch in batches.iter().cycle().take(count) {
        crcs += u64::from(crc32c(&batch[21..]));
        file.write_all_at(batch, position).unwrap();
        position += batch.len() as u64;
    }
    let spent = cpu() - start;
    assert!(crcs > 0);
    std::fs::remove_file(path).unwrap();
    spent
}

fn open(dir: &Path) -> PartitionLog {
    let partition = TopicPartition { topic: "bench".into(), partition: 0 };
    let config = Arc::new(LogConfig { max_message_bytes: 2 << 20, ..LogConfig::default() });
    PartitionLog::open(Arc::new(RealDisk), dir.join("log"), partition, config, LogStart::new_log(), now())
        .unwrap()
}

fn now() -> Now {
    Now { wall: TimestampMs(1_700_000_000_000), ..Now::default() }
}

fn append(dir: &Path, batches: &mut [Vec<u8>], count: usize) -> Duration {
    let mut log = open(dir);
    for batch in &mut *batches {
        batch[0..8].fill(0);
    }
    let mut spent = Duration::ZERO;
    let mut done = 0;
    while done < count {
        let start = cpu();
        for batch in batches.iter_mut().take(count - done) {
            // What the network would have brought: the last append assigned an offset in place.
            batch[0..8].fill(0);
            // Each cycle through the batches starts at the same sequence: as a producer without an id would send.
            let info = log.append_as_leader(batch, LeaderEpoch(1), AppendOrigin::Client, now()).unwrap();
            assert!(!info.duplicate);
            done += 1;
        }
        spent += cpu() - start;
    }
    drop(log);
    std::fs::remove_dir_all(dir.join("log")).unwrap();
    spent
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn compare_appends(dir: &Path, size: usize, name: &str) {
    let count = ROUND_BYTES / size;
    let mut sequence = 0;
    let mut batches: Vec<Vec<u8>> = (0..count)
        .map(|_| {
            let batch = batch(size, sequence);
            sequence += i32::from_be_bytes(batch[57..61].try_into().unwrap());
            batch
        })
        .collect();
    let (mut bare_times, mut append_times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare_times.push(bare(dir, &batches, count));
        append_times.push(append(dir, &mut batches, count));
    }
    report(&format!("append {name}"), median(bare_times), median(append_times), count);
}

fn report(what: &str, bare: Duration, ours: Duration, count: usize) {
    let per = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(u32::try_from(count).unwrap());
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    println!("{what:<16} bare {:8.2} us   ours {:8.2} us   ratio {ratio:.3}", per(bare), per(ours));
}

/// A sequential reader, with the answer copied out, against the same preads without a log.
fn compare_reads(dir: &Path, max_bytes: u32, name: &str) {
    let mut log = open(dir);
    let mut sequence = 0;
    for _ in 0..(64 << 20) / 16_384 {
        let mut batch = batch(16_384, sequence);
        sequence += i32::from_be_bytes(batch[57..61].try_into().unwrap());
        log.append_as_leader(&mut batch, LeaderEpoch(1), AppendOrigin::Client, now()).unwrap();
    }
    let mut buffer = vec![0; 2 << 20];
    let (mut bare_times, mut read_times, mut reads) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let mut slices = Vec::new();
        let (mut from, end) = (Offset(0), log.log_end_offset());
        let start = cpu();
        while from < end {
            let slice = log.read(from, max_bytes, end, true).unwrap().slice.unwrap();
            slice.read_into(&mut buffer).unwrap();
            from = next_offset(&buffer[..slice.length as usize]);
            slices.push(slice);
        }
        read_times.push(cpu() - start);
        reads = slices.len();
        let start = cpu();
        for slice in &slices {
            slice.read_into(&mut buffer).unwrap();
            assert!(next_offset(&buffer[..slice.length as usize]) > Offset(0));
        }
        bare_times.push(cpu() - start);
    }
    drop(log);
    std::fs::remove_dir_all(dir.join("log")).unwrap();
    report(&format!("read {name}"), median(bare_times), median(read_times), reads);
}

fn next_offset(bytes: &[u8]) -> Offset {
    let batches = ottla_model::batch::batches(bytes).map_while(Result::ok);
    batches.last().map_or(Offset(i64::MAX), |(header, _)| header.next_offset())
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    compare_appends(dir.path(), 16 << 10, "16 KB");
    compare_appends(dir.path(), 1 << 20, "1 MB");
    compare_reads(dir.path(), 4 << 10, "4 KB");
    compare_reads(dir.path(), 64 << 10, "64 KB");
    compare_reads(dir.path(), 1 << 20, "1 MB");
}
