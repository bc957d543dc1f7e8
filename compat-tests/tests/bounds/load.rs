//! More than the broker can bear for a while: when it ends, all is as before.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ottla_compat_tests::process::eventually;
use ottla_compat_tests::{Broker, needs};

use crate::support::*;

const SENDERS: usize = 16;
/// `OTTLA_OVERLOAD_SECONDS` makes it longer.
const OVERLOAD_SECONDS: u64 = 4;

#[test]
fn twice_what_it_bears_leaves_no_queue_behind() {
    needs!(Broker);
    let seconds = std::env::var("OTTLA_OVERLOAD_SECONDS").ok().and_then(|text| text.parse().ok());
    let overload = Duration::from_secs(seconds.unwrap_or(OVERLOAD_SECONDS));
    let broker =
        Broker::start_with(&[("ottla.memory.max.bytes", "64000000"), ("log.retention.bytes", "100000000")]);
    create_topic(&mut connect(&broker), "t", 1, &[]);
    let frame = framed(&produce_body("t", 0, &batch_of(10_000)));

    // What it bears: every sender waits for its answer.
    let born = for_a_while(&broker, Duration::from_secs(1), |connection| {
        connection.send_raw(&frame).expect("send");
        connection.read_frame().expect("an answer");
    });
    // Open loop: twice that, whether answers come or not; a second thread of each connection reads them.
    let pause = Duration::from_secs(1).mul_f64(SENDERS as f64 / (2.0 * born as f64));
    let (stop, sent, answered) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let mut most = 0.0_f64;
    let quiet_after = std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            let (mut sender, mut reader) = connect(&broker).split().expect("two handles");
            let (stop, sent, answered, frame) = (&stop, &sent, &answered, &frame);
            scope.spawn(move || {
                let from = Instant::now();
                for turn in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    std::thread::sleep((pause * turn).saturating_sub(from.elapsed()));
                    sender.send_raw(frame).expect("send");
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
            scope.spawn(move || {
                loop {
                    let done = answered.load(Ordering::Relaxed) >= sent.load(Ordering::Relaxed);
                    if stop.load(Ordering::Relaxed) && done {
                        return;
                    }
                    if reader.read_frame_within(Duration::from_millis(100)).is_some() {
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let from = Instant::now();
        while from.elapsed() < overload {
            std::thread::sleep(Duration::from_millis(100));
            let waiting = sent.load(Ordering::Relaxed).saturating_sub(answered.load(Ordering::Relaxed));
            most = most.max(waiting as f64);
            let held = metric(&broker, "ottla_memory_used_bytes{pool=\"requests\"}");
            assert!(held <= 16_000_000.0 + 1_000_000.0, "{held} bytes of requests");
        }
        stop.store(true, Ordering::Relaxed);
        let ended = Instant::now();
        // As quick as one alone is: well below what a queue of seconds would make of it.
        eventually("a produce within 100 ms", Duration::from_secs(20), || {
            let from = Instant::now();
            assert_eq!(produce(&mut connect(&broker), "t", &batch_of(10_000)), 0);
            (from.elapsed() < Duration::from_millis(100)).then_some(())
        });
        ended.elapsed()
    });
    println!("bears {born}/s, at most {most} unanswered, quick again after {quiet_after:?}");
    assert_eq!(sent.load(Ordering::Relaxed), answered.load(Ordering::Relaxed), "all are answered");
    // Sockets hold some, the broker a bounded number beside: no queue that grows with the overload's length.
    assert!(most <= SENDERS as f64 * 800.0, "{most} waited");
    assert!(quiet_after < Duration::from_secs(5), "{quiet_after:?}");
}

#[test]
fn two_thousand_connections_that_come_back_at_once_are_served() {
    needs!(Broker);
    let broker = Broker::start();
    create_topic(&mut connect(&broker), "t", 1, &[]);
    for _ in 0..2 {
        let connections = connect_many(&broker, 2_000);
        let from = Instant::now();
        let threads: Vec<_> = chunks(connections, 20)
            .into_iter()
            .map(|mut chunk| {
                std::thread::spawn(move || {
                    for connection in &mut chunk {
                        connection.api_versions(1).expect("an answer");
                    }
                    chunk
                })
            })
            .collect();
        let connections: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("served")).collect();
        assert!(from.elapsed() < Duration::from_secs(20), "{:?}", from.elapsed());
        // All at once they go, and come again.
        drop(connections);
    }
    let from = Instant::now();
    assert_eq!(produce(&mut connect(&broker), "t", &batch_of(1_000)), 0);
    assert!(from.elapsed() < Duration::from_secs(5), "{:?}", from.elapsed());
    eventually("all are gone", WAIT, || (metric(&broker, "ottla_connections") < 100.0).then_some(()));
}

fn chunks<T>(all: Vec<T>, count: usize) -> Vec<Vec<T>> {
    let mut chunks: Vec<Vec<T>> = (0..count).map(|_| Vec::new()).collect();
    for (at, one) in all.into_iter().enumerate() {
        chunks[at % count].push(one);
    }
    chunks
}

/// How often `work` is done in a second, by all senders together.
fn for_a_while(
    broker: &Broker,
    duration: Duration,
    work: impl Fn(&mut ottla_compat_tests::wire::Connection) + Sync,
) -> u64 {
    let count = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                let mut connection = connect(broker);
                let from = Instant::now();
                while from.elapsed() < duration {
                    work(&mut connection);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    count.into_inner()
}
