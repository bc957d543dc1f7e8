//! More than the broker can bear for a while: when it ends, all is as before.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ottla_compat_tests::process::eventually;
use ottla_compat_tests::wire::Connection;
use ottla_compat_tests::{Broker, needs};

use crate::support::*;

const SENDERS: usize = 16;
/// `OTTLA_OVERLOAD_SECONDS` makes it longer.
const OVERLOAD_SECONDS: u64 = 4;

/// Requests of one connection that are not answered: the broker takes on 100, its buffer holds some, the sockets the rest.
const UNANSWERED_MAX: usize = 200;
const SEND_BUFFER_LEN: usize = 64 * 1024;
/// A sender that measures what is born has so many in flight.
const IN_FLIGHT: usize = 20;

/// What the senders and readers of the overload share.
#[derive(Default)]
struct Tally {
    stop: AtomicBool,
    sent: AtomicU64,
    answered: AtomicU64,
}

impl Tally {
    fn waiting(&self) -> u64 {
        self.sent.load(Ordering::Relaxed).saturating_sub(self.answered.load(Ordering::Relaxed))
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Whatever happens, senders and readers end.
struct StopAtLast<'a>(&'a Tally);

impl Drop for StopAtLast<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Sends each `pause`, whether answers come or not.
fn send_on(mut sender: Connection, frame: &[u8], pause: Duration, tally: &Tally) {
    let from = Instant::now();
    for turn in 0.. {
        if tally.is_stopped() {
            return;
        }
        std::thread::sleep((pause * turn).saturating_sub(from.elapsed()));
        sender.send_raw(frame).expect("send");
        tally.sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// Reads until all that was sent is answered; gives up after a while in which nothing came.
fn read_on(mut reader: Connection, tally: &Tally) {
    let mut last = Instant::now();
    while !(tally.is_stopped() && (tally.waiting() == 0 || last.elapsed() > WAIT)) {
        if reader.read_frame_within(Duration::from_millis(100)).expect("the connection stays").is_some() {
            tally.answered.fetch_add(1, Ordering::Relaxed);
            last = Instant::now();
        }
    }
}

/// Every produce waits for a flush, while the next are taken on: here a queue would grow if there were no limit to it.
#[test]
fn twice_what_it_bears_leaves_no_queue_behind() {
    needs!(Broker);
    let seconds = std::env::var("OTTLA_OVERLOAD_SECONDS").ok().and_then(|text| text.parse().ok());
    let overload = Duration::from_secs(seconds.unwrap_or(OVERLOAD_SECONDS));
    let broker = Broker::start_with(&[
        ("ottla.memory.max.bytes", "64000000"),
        ("log.retention.bytes", "100000000"),
        ("socket.receive.buffer.bytes", "65536"),
    ]);
    create_topic(&mut connect(&broker), "t", 1, &[("flush.messages", "1")]);
    let frame = framed(&produce_body("t", 0, &batch_of(10_000)));
    let many = frame.repeat(IN_FLIGHT);
    let born = IN_FLIGHT as u64
        * for_a_while(&broker, Duration::from_secs(1), |connection| {
            connection.send_raw(&many).expect("send");
            (0..IN_FLIGHT).for_each(|_| drop(connection.read_frame().expect("an answer")));
        });
    let pause = Duration::from_secs(1).mul_f64(SENDERS as f64 / (2.0 * born as f64));
    // What the broker has answered: how quick the readers here are is another question.
    let answered = || metric(&broker, "ottla_requests_total{api=\"Produce\"}");
    let before = answered();
    let (tally, mut most) = (Tally::default(), 0.0_f64);
    let quiet_after = std::thread::scope(|scope| {
        let stop = StopAtLast(&tally);
        for _ in 0..SENDERS {
            let connection = connect(&broker);
            connection.set_send_buffer_len(SEND_BUFFER_LEN).expect("a small buffer");
            let (sender, reader) = connection.split().expect("two handles");
            let (tally, frame) = (&tally, &frame);
            scope.spawn(move || send_on(sender, frame, pause, tally));
            scope.spawn(move || read_on(reader, tally));
        }
        let from = Instant::now();
        while from.elapsed() < overload {
            std::thread::sleep(Duration::from_millis(100));
            let sent = tally.sent.load(Ordering::Relaxed) as f64;
            most = most.max(sent - (answered() - before));
            let held = metric(&broker, "ottla_memory_used_bytes{pool=\"requests\"}");
            assert!(held <= 16_000_000.0 + 1_000_000.0, "{held} bytes of requests");
        }
        drop(stop);
        let ended = Instant::now();
        // As quick as one alone is: well below what a queue of seconds would make of it.
        eventually("a produce within 100 ms", Duration::from_secs(20), || {
            let from = Instant::now();
            assert_eq!(produce(&mut connect(&broker), "t", &batch_of(10_000)), 0);
            (from.elapsed() < Duration::from_millis(100)).then_some(())
        });
        ended.elapsed()
    });
    let sent = tally.sent.load(Ordering::Relaxed);
    println!("bears {born}/s, {sent} sent, at most {most} unanswered, quick again after {quiet_after:?}");
    assert_eq!(tally.waiting(), 0, "all are answered");
    assert!(most <= (SENDERS * UNANSWERED_MAX) as f64, "{most} waited");
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
fn for_a_while(broker: &Broker, duration: Duration, work: impl Fn(&mut Connection) + Sync) -> u64 {
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
