//! A consumer that reads the oldest segments from the disk, beside producers to the same partition.
//!
//! The test sees that it is so, and that all that is read is what was written. `OTTLA_COLD_SECONDS` makes it a measurement
//! (`cargo xtask cold`): then the producers' 99th percentile may at most double.

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use ottla_compat_tests::{Broker, needs};
use ottla_model::batch::batches;

use crate::support::*;

const PRODUCERS: usize = 4;
/// Each producer sends one batch of 1 KB in so much time.
const PACE: Duration = Duration::from_millis(2);
/// Rounds without and with the consumer, in turn.
const ROUNDS: u32 = 5;
const FILL_LEN: usize = 900_000;

/// How long, how much to read, and whether it is measured.
struct Plan {
    round: Duration,
    fill_count: i64,
    measured: bool,
}

fn plan() -> Plan {
    let seconds: Option<u32> = std::env::var("OTTLA_COLD_SECONDS").ok().and_then(|text| text.parse().ok());
    match seconds {
        Some(seconds) => {
            let round = Duration::from_secs(seconds.into()) / (2 * ROUNDS);
            Plan { round, fill_count: 1_000, measured: true }
        }
        None => Plan { round: Duration::from_millis(400), fill_count: 80, measured: false },
    }
}

/// All but the active segment leaves the page cache.
fn chill(broker: &Broker) {
    let dir = broker.partition_dir("t", 0);
    let mut paths: Vec<_> =
        dir.read_dir().expect("the partition").map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "log" || kind == "index"));
    paths.sort();
    let active = paths.last().and_then(|path| path.file_stem()).map(ToOwned::to_owned);
    for path in paths.iter().filter(|path| path.file_stem() != active.as_deref()) {
        // Retention may have taken it.
        let Ok(file) = File::open(path) else { continue };
        file.sync_all().expect("sync");
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).expect("drop the cache");
    }
}

/// The times of produces until `stop`, sorted.
fn produce_until(broker: &Broker, stop: &AtomicBool) -> Vec<Duration> {
    std::thread::scope(|scope| {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|_| {
                scope.spawn(|| {
                    let (mut connection, batch) = (connect(broker), batch_of(1_000));
                    let mut times = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let from = Instant::now();
                        assert_eq!(produce(&mut connection, "t", &batch), 0);
                        times.push(from.elapsed());
                        std::thread::sleep(PACE.saturating_sub(from.elapsed()));
                    }
                    times
                })
            })
            .collect();
        let times = producers.into_iter().flat_map(|producer| producer.join().expect("produces"));
        let mut times: Vec<_> = times.collect();
        times.sort_unstable();
        times
    })
}

/// Reads the first `count` records again and again until `stop`, cold each time; counts bytes.
fn consume_until(broker: &Broker, count: i64, stop: &AtomicBool, read: &AtomicU64) {
    let mut connection = connect(broker);
    loop {
        chill(broker);
        let mut offset = 0;
        while offset < count {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            connection.send_frame(&fetch_body_from("t", offset, 1_048_576)).expect("send");
            let answer = connection.read_frame().expect("an answer to Fetch");
            // Correlation id, throttle time, one topic, one partition: index, error, three numbers, length.
            let at = 4 + 4 + 4 + 2 + 1 + 4 + 4;
            assert_eq!(answer[at..at + 2], [0, 0]);
            let records = &answer[at + 2 + 8 + 8 + 4 + 4..];
            let whole = batches(records).map_while(Result::ok).inspect(|(header, bytes)| {
                header.verify(bytes).expect("as it was written");
            });
            let next = whole.last().map(|(header, _)| header.next_offset().get());
            offset = next.expect("at least one batch");
            read.fetch_add(u64::try_from(records.len()).expect("fits"), Ordering::Relaxed);
        }
    }
}

/// A round with or without the consumer.
fn round(broker: &Broker, plan: &Plan, consumes: bool, read: &AtomicU64) -> Vec<Duration> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let producing = scope.spawn(|| produce_until(broker, &stop));
        if consumes {
            scope.spawn(|| consume_until(broker, plan.fill_count, &stop, read));
        }
        std::thread::sleep(plan.round);
        stop.store(true, Ordering::Relaxed);
        producing.join().expect("produces")
    })
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() - 1) * percent / 100]
}

#[test]
fn a_consumer_of_the_oldest_segments_leaves_producers_alone() {
    needs!(Broker);
    let plan = plan();
    let broker = Broker::start_with(&[("log.segment.bytes", "16777216")]);
    let mut connection = connect(&broker);
    // The records are of 1970.
    create_topic(&mut connection, "t", 1, &[("retention.ms", "-1")]);
    let fill = produce_body("t", 0, &batch_of(FILL_LEN));
    for _ in 0..plan.fill_count / 20 {
        pipeline(&mut connection, &fill, 20, |_| {});
    }
    let read = AtomicU64::new(0);
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (consumes, times) in [false, true].into_iter().zip(&mut times) {
            times.extend(round(&broker, &plan, consumes, &read));
        }
    }
    let cold = metric(&broker, "ottla_cold_reads_total");
    times.iter_mut().for_each(|times| times.sort_unstable());
    let [alone, beside] = times.each_ref().map(|times| percentile(times, 99));
    let ratio = beside.as_secs_f64() / alone.as_secs_f64();
    let shown = [50, 99].map(|percent| times.each_ref().map(|times| percentile(times, percent)));
    println!(
        "{} produces alone, {} beside a consumer that read {} MiB in {cold} cold reads; 50%: {:?}, 99%: {:?}, ratio {ratio:.2}",
        times[0].len(),
        times[1].len(),
        read.load(Ordering::Relaxed) / MIB,
        shown[0],
        shown[1],
    );
    assert!(read.load(Ordering::Relaxed) > 0 && cold > 0.0, "nothing was read from the disk");
    assert!(!plan.measured || ratio <= 2.0, "the 99th percentile is {ratio:.2} times as long");
}
