//! Everything at once for a while, much faster than life: memory, descriptors, threads and tasks stay as they are.
//!
//! `OTTLA_SOAK_SECONDS` makes it longer (`cargo xtask soak`). Whatever happens once in so many minutes or hours by default
//! happens at least 144 times as often: ten minutes have as much of it as a day.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ottla_compat_tests::differential::{Value, batch};
use ottla_compat_tests::wire::{Connection, Reaction};
use ottla_compat_tests::{Broker, needs};

use crate::support::*;

/// In the first third of them the allocator comes to hold what it will.
const SECONDS: u64 = 48;
const SAMPLE: Duration = Duration::from_millis(500);
/// Lines of the series that is printed.
const SHOWN: usize = 24;

/// Everything expires quickly. Offsets cannot within less than a minute.
const SETTINGS: [(&str, &str); 25] = [
    ("log.initial.task.delay.ms", "100"),
    ("log.retention.check.interval.ms", "500"),
    ("log.retention.ms", "2000"),
    ("log.segment.bytes", "1048576"),
    ("log.segment.delete.delay.ms", "200"),
    ("log.cleaner.backoff.ms", "300"),
    // Else the offsets of every group that ever was leave a tombstone for a day.
    ("log.cleaner.delete.retention.ms", "1000"),
    ("producer.id.expiration.ms", "2000"),
    ("producer.id.expiration.check.interval.ms", "500"),
    ("max.incremental.fetch.session.cache.slots", "200"),
    ("metadata.log.max.record.bytes.between.snapshots", "200000"),
    ("offsets.topic.segment.bytes", "1048576"),
    ("offsets.retention.minutes", "1"),
    ("offsets.retention.check.interval.ms", "1000"),
    ("group.min.session.timeout.ms", "100"),
    ("group.consumer.min.session.timeout.ms", "300"),
    ("group.consumer.session.timeout.ms", "300"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    ("group.consumer.heartbeat.interval.ms", "100"),
    ("connections.max.idle.ms", "6000"),
    ("log.flush.offset.checkpoint.interval.ms", "400"),
    ("log.flush.start.offset.checkpoint.interval.ms", "400"),
    ("replica.high.watermark.checkpoint.interval.ms", "30"),
    ("metadata.log.max.snapshot.interval.ms", "20000"),
    ("log.roll.ms", "4000"),
];

/// One moment of the process.
#[derive(Clone, Copy, Debug)]
struct Sample {
    resident: u64,
    descriptors: u64,
    threads: u64,
    /// What serves connections and waits for something.
    tasks: u64,
    /// Segments of all logs.
    segments: u64,
}

impl Sample {
    fn take(broker: &Broker) -> Self {
        let pid = broker.pid().expect("runs");
        let count = |dir: &str| {
            let entries = fs::read_dir(format!("/proc/{pid}/{dir}")).expect("a directory of /proc");
            u64::try_from(entries.count()).expect("fits")
        };
        let gauge = |name| Duration::from_secs_f64(metric(broker, name)).as_secs();
        Self {
            resident: resident(broker).0,
            descriptors: count("fd"),
            threads: count("task"),
            tasks: gauge("ottla_tasks"),
            segments: gauge("ottla_log_segments"),
        }
    }
}

/// Does something again and again on a connection until it is told to stop; counts.
type Worker = fn(&Broker, u64);

const WORKERS: [(&str, Worker); 11] = [
    ("produces", |broker, n| {
        let mut connection = connect(broker);
        for _ in 0..20 {
            assert_eq!(produce(&mut connection, "kept", &batch_of(1_000 + 37 * usize_of(n % 50))), 0);
        }
    }),
    ("produces to a compacted topic", |broker, n| {
        let mut connection = connect(broker);
        for _ in 0..20 {
            assert_eq!(produce(&mut connection, "compacted", &keyed_batch(n % 10)), 0);
        }
    }),
    ("idempotent producers", |broker, n| {
        let mut connection = connect(broker);
        for sequence in 0..5 {
            assert_eq!(produce(&mut connection, "kept", &producer_batch(n, sequence)), 0);
        }
    }),
    ("fetches with sessions", |broker, _| {
        let mut connection = connect(broker);
        pipeline(&mut connection, &session_fetch("kept"), 20, |answer| assert!(answer.len() > 14));
    }),
    ("long polls that nobody waits for", |broker, _| {
        let mut connection = connect(broker);
        connection.send_frame(&fetch_body_from("quiet", 0, 1_000)).expect("send");
        connection.send_frame(&fetch_body("quiet", 100, 1, 1_000)).expect("send");
        connection.read_frame().expect("the answer that does not wait");
    }),
    ("groups", |broker, n| {
        let mut connection = connect(broker);
        let group = format!("classic-{}", n % 20);
        let member = join(&mut connection, &group);
        leave(&mut connection, &group, &member);
        consumer_heartbeats(&mut connection, &format!("consumer-{}", n % 20));
        commit(&mut connection, &format!("simple-{}", n % 200));
    }),
    ("topics and configs", |broker, n| {
        let mut connection = connect(broker);
        let name = format!("comes-and-goes-{n}");
        create_topic(&mut connection, &name, 3, &[("retention.ms", "1000")]);
        assert_eq!(produce(&mut connection, &name, &batch_of(100)), 0);
        alter_retention(&mut connection, "kept", 1_000 + n % 1_000);
        let deletion = Body::new(20, 1).i32(1).text(&name).i32(30_000);
        connection.send_frame(&deletion.0).expect("send");
        connection.read_frame().expect("an answer");
    }),
    ("members that vanish", |broker, n| {
        let group = format!("left-{}", n % 20);
        join_for(&mut connect(broker), &group, 300);
        consumer_joins(&mut connect(broker), &format!("gone-{}", n % 20));
    }),
    ("connections that fall silent", |broker, _| {
        let mut silent = connect_many(broker, 20);
        for connection in &mut silent {
            // Where the machine has other things to do, it is closed by now.
            let _ = connection.api_versions(1);
        }
        for connection in &mut silent {
            assert_eq!(connection.reaction(Duration::from_secs(20)), Reaction::Closed);
        }
    }),
    ("lookups by time", |broker, n| {
        let mut connection = connect(broker);
        for topic in ["kept", "compacted"] {
            let timestamp = now_ms() - i64::try_from(n % 2_000).expect("fits");
            let body = Body::new(2, 1).i32(-1).i32(1).text(topic).i32(1).i32(0).i64(timestamp);
            connection.send_frame(&body.0).expect("send");
            connection.read_frame().expect("an answer to ListOffsets");
        }
    }),
    ("bad connections", |broker, _| {
        for bytes in [&[0_u8, 0][..], &[0xff; 8], &[6, 0x3f, 0xff, 0xff, 0, 1], b"GET / HTTP/1.1\r\n\r\n"] {
            let mut connection = connect(broker);
            let _ = connection.send_raw(bytes);
        }
    }),
];

fn usize_of(n: u64) -> usize {
    usize::try_from(n).expect("fits")
}

fn int(name: &str, value: i64) -> (String, Value) {
    (name.to_owned(), Value::Int(value))
}

fn keyed_batch(key: u64) -> Vec<u8> {
    let record = Value::Struct(vec![
        ("Key".to_owned(), Value::text(format!("key-{key}"))),
        ("Value".to_owned(), Value::Bytes(vec![b'v'; 2_000])),
    ]);
    let settings = vec![("Records".to_owned(), Value::List(vec![record])), int("BaseTimestamp", now_ms())];
    batch::build(&Value::Struct(settings)).expect("a batch")
}

fn producer_batch(id: u64, sequence: i64) -> Vec<u8> {
    let id = i64::try_from(id).expect("fits");
    let settings = vec![
        int("ProducerId", 1_000_000 + id),
        int("ProducerEpoch", 0),
        int("BaseSequence", sequence),
        int("BaseTimestamp", now_ms()),
    ];
    batch::build(&Value::Struct(settings)).expect("a batch")
}

fn join(connection: &mut Connection, group: &str) -> String {
    join_for(connection, group, 6_000)
}

/// JoinGroup v1; the member's id.
fn join_for(connection: &mut Connection, group: &str, session_ms: i32) -> String {
    let head = Body::new(11, 1).text(group).i32(session_ms).i32(session_ms).text("").text("opaque");
    connection.send_frame(&head.i32(1).text("p").bytes(b"metadata").0).expect("send");
    let answer = connection.read_frame().expect("an answer to JoinGroup");
    // Correlation id, error, generation, protocol, leader, member.
    let mut at = 10;
    let mut text = || {
        let len = usize::from(u16::from_be_bytes([answer[at], answer[at + 1]]));
        let text = String::from_utf8_lossy(&answer[at + 2..at + 2 + len]).into_owned();
        at += 2 + len;
        text
    };
    let (_protocol, _leader) = (text(), text());
    text()
}

fn leave(connection: &mut Connection, group: &str, member: &str) {
    connection.send_frame(&Body::new(13, 0).text(group).text(member).0).expect("send");
    connection.read_frame().expect("an answer to LeaveGroup");
}

/// ConsumerGroupHeartbeat v0.
fn beat(group: &str, member: &[u8], epoch: i32, joins: bool) -> Vec<u8> {
    let mut body = Body::new(68, 0).0;
    body.push(0);
    compact(&mut body, group.as_bytes());
    compact(&mut body, member);
    body.extend_from_slice(&epoch.to_be_bytes());
    body.extend_from_slice(&[0, 0]);
    body.extend_from_slice(&10_000_i32.to_be_bytes());
    if joins {
        body.push(2);
        compact(&mut body, b"kept");
        body.extend_from_slice(&[0, 1]);
    } else {
        body.extend_from_slice(&[0, 0, 0]);
    }
    body.push(0);
    body
}

/// A member that comes and goes.
fn consumer_heartbeats(connection: &mut Connection, group: &str) {
    let member = consumer_joins(connection, group);
    connection.send_frame(&beat(group, &member, -1, false)).expect("send");
    connection.read_frame().expect("an answer to ConsumerGroupHeartbeat");
}

/// A new member's id: it stands in the answer behind throttle time, error and message.
fn consumer_joins(connection: &mut Connection, group: &str) -> Vec<u8> {
    connection.send_frame(&beat(group, b"", 0, true)).expect("send");
    let answer = connection.read_frame().expect("an answer to ConsumerGroupHeartbeat");
    // Correlation id, tags, throttle time, error, message (null), member id.
    assert_eq!(answer[9..11], [0, 0], "{answer:?}");
    let len = usize::from(answer[12] - 1);
    answer[13..13 + len].to_vec()
}

fn compact(body: &mut Vec<u8>, text: &[u8]) {
    body.push(u8::try_from(text.len() + 1).expect("a short text"));
    body.extend_from_slice(text);
}

/// OffsetCommit v2 of nobody's.
fn commit(connection: &mut Connection, group: &str) {
    let head = Body::new(8, 2).text(group).i32(-1).text("").i64(-1).i32(1).text("kept").i32(1);
    connection.send_frame(&head.i32(0).i64(5).text("metadata").0).expect("send");
    connection.read_frame().expect("an answer to OffsetCommit");
}

/// IncrementalAlterConfigs v0.
fn alter_retention(connection: &mut Connection, topic: &str, ms: u64) {
    let head = Body::new(44, 0).i32(1).i8(2).text(topic).i32(1).text("retention.ms").i8(0);
    connection.send_frame(&head.text(&ms.to_string()).i8(0).0).expect("send");
    connection.read_frame().expect("an answer to IncrementalAlterConfigs");
}

#[test]
fn a_day_of_everything_in_seconds_leaves_memory_descriptors_and_tasks_as_they_are() {
    needs!(Broker);
    let seconds = std::env::var("OTTLA_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let duration = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let broker = Broker::start_with(&SETTINGS);
    let mut connection = connect(&broker);
    create_topic(&mut connection, "kept", 1, &[]);
    create_topic(&mut connection, "quiet", 1, &[]);
    let compaction = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.1")];
    create_topic(&mut connection, "compacted", 1, &compaction);
    connection.send_frame(&Body::new(10, 0).text("g").0).expect("send");
    connection.read_frame().expect("an answer to FindCoordinator");

    let (stop, counts) = (AtomicBool::new(false), [(); WORKERS.len()].map(|()| AtomicU64::new(0)));
    let mut samples = Vec::new();
    std::thread::scope(|scope| {
        for ((_, work), count) in WORKERS.iter().zip(&counts) {
            let (broker, stop) = (&broker, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    work(broker, count.fetch_add(1, Ordering::Relaxed));
                }
            });
        }
        let from = Instant::now();
        while from.elapsed() < duration {
            std::thread::sleep(SAMPLE);
            samples.push(Sample::take(&broker));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let done: Vec<String> = WORKERS
        .iter()
        .zip(&counts)
        .map(|((name, _), count)| format!("{name} {}", count.load(Ordering::Relaxed)))
        .collect();
    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) > 2), "{done:?}");
    // The first third warms up; the last one is held against the one before.
    let third = samples.len() / 3;
    let (before, after) = (&samples[third..2 * third], &samples[2 * third..]);
    let told = format!(
        "{} s: {}\nbefore {:?}\nafter  {:?}",
        duration.as_secs(),
        done.join(", "),
        settled(before),
        settled(after)
    );
    println!("{told}");
    for sample in samples.iter().step_by(samples.len().div_ceil(SHOWN)) {
        println!("{sample:?}");
    }
    let (before, after) = (settled(before), settled(after));
    assert!(after.resident <= before.resident + before.resident / 10 + 4 * MIB, "{told}");
    assert!(after.descriptors <= before.descriptors + 40, "{told}");
    assert!(after.threads <= before.threads + 4, "{told}");
    assert!(after.tasks <= before.tasks + 40, "{told}");
    assert!(after.segments <= before.segments + before.segments / 4 + 20, "{told}");
}

/// The median of the memory, and the least of the others: what is kept shows at the quietest moment, what comes and goes does
/// not.
fn settled(samples: &[Sample]) -> Sample {
    let mut resident: Vec<u64> = samples.iter().map(|sample| sample.resident).collect();
    resident.sort_unstable();
    let least = |field: fn(&Sample) -> u64| samples.iter().map(field).min().unwrap_or_default();
    Sample {
        resident: resident[resident.len() / 2],
        descriptors: least(|sample| sample.descriptors),
        threads: least(|sample| sample.threads),
        tasks: least(|sample| sample.tasks),
        segments: least(|sample| sample.segments),
    }
}
