//! Batches that blow up a thousandfold, wherever a broker has to open them: what the process grows by is bounded by a
//! batch's limit, not by what came in, nor by how many do it at once.

use std::time::Duration;

use ottla_compat_tests::process::eventually;
use ottla_compat_tests::wire::Connection;
use ottla_compat_tests::{Broker, needs};
use ottla_model::batch::{BatchBuilder, Compression};
use ottla_model::{Offset, TimestampMs};

use crate::support::*;

const MAX_MESSAGE_BYTES: usize = 65_536;
/// Of one batch's records, when they are unpacked: less than the 128 times `max.message.bytes` that a batch may unpack to,
/// and more.
const BORNE: usize = 100 * MAX_MESSAGE_BYTES;
const REFUSED: usize = 200 * MAX_MESSAGE_BYTES;
const SENDERS: usize = 3;
/// Told apart from a batch that cannot be unpacked, which Kafka answers with UNKNOWN_SERVER_ERROR.
const INVALID_RECORD: i16 = 87;

/// A record whose value is nothing but zeros, and a short one that is 5 ms later.
fn bomb(codec: Compression, unpacked: usize, time: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset::ZERO).compression(codec, None);
    builder.push(TimestampMs(time), Some(b"k"), Some(&vec![0; unpacked]), &[]);
    builder.push(TimestampMs(time + 5), Some(b"k"), Some(b"v"), &[]);
    builder.build().expect("a batch")
}

/// One of each codec, each small enough for a broker to take. Snappy packs a twentieth at best.
fn bombs(unpacked: usize, time: i64) -> Vec<Vec<u8>> {
    let codecs = [Compression::Gzip, Compression::Lz4, Compression::Zstd].map(|codec| (codec, unpacked));
    let codecs = codecs.into_iter().chain([(Compression::Snappy, unpacked.min(15 * MAX_MESSAGE_BYTES))]);
    codecs
        .map(|(codec, unpacked)| bomb(codec, unpacked, time))
        .inspect(|batch| assert!(batch.len() < MAX_MESSAGE_BYTES, "{} bytes", batch.len()))
        .collect()
}

/// All of them to one topic by several senders at once; the error codes that came.
fn send_all(broker: &Broker, topic: &str, bombs: &[Vec<u8>]) -> Vec<i16> {
    std::thread::scope(|scope| {
        let senders = connect_many(broker, SENDERS).into_iter().map(|mut connection| {
            let send =
                move || bombs.iter().map(|batch| produce(&mut connection, topic, batch)).collect::<Vec<_>>();
            scope.spawn(send)
        });
        let senders: Vec<_> = senders.collect();
        senders.into_iter().flat_map(|sender| sender.join().expect("answered")).collect()
    })
}

/// What one batch may unpack to, once as it is and once in another form, each in a buffer that grew up to twice as long, for
/// each thread that opens some at once: the workers, and one that compacts.
fn most() -> u64 {
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    (u64::try_from(workers).expect("fits") + 1)
        * 2
        * 2
        * 128
        * u64::try_from(MAX_MESSAGE_BYTES).expect("fits")
        + 16 * MIB
}

fn start() -> Broker {
    let max = MAX_MESSAGE_BYTES.to_string();
    let settings = [
        ("message.max.bytes", max.as_str()),
        ("log.cleaner.backoff.ms", "100"),
        ("log.initial.task.delay.ms", "100"),
        ("log.segment.bytes", "2000000"),
    ];
    Broker::start_with(&settings)
}

#[test]
fn bombs_that_are_checked_compacted_and_packed_anew_cost_a_batch_each() {
    needs!(Broker);
    let broker = start();
    let mut connection = connect(&broker);
    create_topic(&mut connection, "plain", 1, &[("message.timestamp.before.max.ms", "3600000")]);
    let compaction =
        [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01"), ("segment.ms", "100")];
    create_topic(&mut connection, "compacted", 1, &compaction);
    create_topic(&mut connection, "packed-anew", 1, &[("compression.type", "zstd")]);
    let (borne, refused) = (bombs(BORNE, now_ms()), bombs(REFUSED, now_ms()));
    let before = reset_peak(&broker);
    for topic in ["plain", "compacted", "packed-anew"] {
        let codes = send_all(&broker, topic, &borne);
        assert!(codes.iter().all(|code| *code == 0), "{topic}: {codes:?}");
        let codes = send_all(&broker, topic, &refused[..3]);
        assert!(codes.iter().all(|code| *code == INVALID_RECORD), "{topic}: {codes:?}");
    }
    // The segment that they are in is closed by what is later than it may hold.
    assert_eq!(produce(&mut connection, "compacted", &bomb(Compression::Gzip, BORNE, now_ms() + 1_000)), 0);
    let cleaned = || (metric(&broker, "ottla_cleaner_cleanings_total") >= 1.0).then_some(());
    eventually("it is compacted", WAIT, cleaned);
    let grown = resident(&broker).1.saturating_sub(before);
    println!("{} MiB", grown / MIB);
    assert!(grown <= most(), "{} MiB", grown / MIB);
    still_serves(&broker);
}

#[test]
fn lookups_by_time_in_bombs_cost_next_to_nothing() {
    needs!(Broker);
    let broker = start();
    let time = now_ms();
    for (number, batch) in bombs(BORNE, time).iter().enumerate() {
        let topic = format!("t{number}");
        create_topic(&mut connect(&broker), &topic, 1, &[]);
        assert_eq!(produce(&mut connect(&broker), &topic, batch), 0);
        // What checking it took is given back.
        std::thread::sleep(Duration::from_secs(1));
        let before = reset_peak(&broker);
        std::thread::scope(|scope| {
            for mut connection in connect_many(&broker, 16) {
                let topic = &topic;
                scope.spawn(move || assert_eq!(offset_at(&mut connection, topic, time + 5), 1));
            }
        });
        let grown = resident(&broker).1.saturating_sub(before);
        println!("{number}: {} KiB", grown / 1024);
        assert!(grown <= 16 * MIB, "{} MiB", grown / MIB);
    }
}

/// ListOffsets v1: the offset of the first record at or after a time.
fn offset_at(connection: &mut Connection, topic: &str, timestamp: i64) -> i64 {
    let body = Body::new(2, 1).i32(-1).i32(1).text(topic).i32(1).i32(0).i64(timestamp);
    connection.send_frame(&body.0).expect("send");
    let answer = connection.read_frame().expect("an answer to ListOffsets");
    // Correlation id, one topic, one partition: index, error, timestamp, offset.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(answer[at..at + 2], [0, 0]);
    i64::from_be_bytes(answer[at + 10..at + 18].try_into().expect("eight bytes"))
}
