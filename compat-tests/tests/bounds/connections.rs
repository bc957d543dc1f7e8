//! Silent, half-open, slow and greedy connections.

use std::sync::RwLock;
use std::time::{Duration, Instant};

use ottla_compat_tests::process::eventually;
use ottla_compat_tests::wire::Reaction;
use ottla_compat_tests::{Broker, needs};

use crate::support::*;

/// Of frames that are each larger than the pool.
const SENDERS: usize = 8;

#[test]
fn five_thousand_silent_connections_cost_little_each() {
    needs!(Broker);
    let broker = Broker::start();
    let before = reset_peak(&broker);
    let mut silent = connect_many(&broker, 5_000);
    for connection in &mut silent {
        // Half a length: the broker has to keep it, and must not keep a whole receive buffer for it.
        connection.send_raw(&[0, 0]).expect("send");
    }
    still_serves(&broker);
    let open = || (metric(&broker, "ottla_connections") >= 5_000.0).then_some(());
    eventually("all are accepted", WAIT, open);
    still_serves(&broker);
    let each = (resident(&broker).1.saturating_sub(before)) / 5_000;
    assert!(each <= 16 * 1024, "{each} bytes a connection");
    drop(silent);
    eventually("all are gone", WAIT, || (metric(&broker, "ottla_connections") < 100.0).then_some(()));
    still_serves(&broker);
}

#[test]
fn five_hundred_frames_of_100_mb_that_come_a_byte_a_second_cost_what_has_come() {
    needs!(Broker);
    let broker = Broker::start();
    create_topic(&mut connect(&broker), "t", 1, &[]);
    let before = reset_peak(&broker);
    let mut slow = connect_many(&broker, 500);
    for _ in 0..4 {
        for connection in &mut slow {
            // The first bytes are the length: 100 MB.
            connection.send_raw(&[6, 0x3f, 0xff, 0xff]).expect("send");
        }
        assert_eq!(produce(&mut connect(&broker), "t", &batch_of(900_000)), 0, "who sends is served");
    }
    let grown = resident(&broker).1.saturating_sub(before);
    // The produced frames are in it, too.
    assert!(grown <= 500 * 64 * 1024 + 16 * MIB, "{grown} bytes");
    let held = metric(&broker, "ottla_memory_used_bytes{pool=\"requests\"}");
    assert!(held <= 500.0 * 64.0 * 1024.0, "{held} bytes charged");
}

#[test]
fn who_fills_the_memory_for_requests_and_stands_still_is_sent_away_and_others_are_served() {
    needs!(Broker);
    let settings = [
        ("socket.request.max.bytes", "4000000"),
        ("queued.max.request.bytes", "4000000"),
        ("ottla.memory.stall.timeout.ms", "300"),
    ];
    let broker = Broker::start_with(&settings);
    create_topic(&mut connect(&broker), "t", 1, &[]);
    let before = reset_peak(&broker);
    let greedy = connect_many(&broker, 40).into_iter().map(|mut connection| {
        std::thread::spawn(move || {
            let mut part = 3_999_999_i32.to_be_bytes().to_vec();
            part.resize(500_000, 0);
            // The broker stops reading, so this may wait, and closes, so it may fail.
            let _ = connection.send_raw(&part);
            connection.reaction(Duration::from_secs(16))
        })
    });
    let greedy: Vec<_> = greedy.collect();
    eventually("the pool is full", WAIT, || (pushed_back(&broker, "requests") > 0.0).then_some(()));
    assert_eq!(produce(&mut connect(&broker), "t", &batch_of(500_000)), 0, "who sends is served");
    let reactions = greedy.into_iter().map(|one| one.join().expect("no panic"));
    let closed = reactions.filter(|reaction| *reaction == Reaction::Closed).count();
    // What fits may stay, with one beyond.
    assert!((24..40).contains(&closed), "{closed} of 40 were sent away");
    let grown = resident(&broker).1.saturating_sub(before);
    assert!(grown <= 24 * MIB, "{grown} bytes");
    still_serves(&broker);
}

#[test]
fn a_request_larger_than_the_pool_passes_alone() {
    needs!(Broker);
    // The share of a machine with 4 MB: a quarter is for requests.
    let broker = Broker::start_with(&[("ottla.memory.max.bytes", "2000000")]);
    create_topic(&mut connect(&broker), "t", 1, &[]);
    let frame = framed(&produce_body("t", 0, &batch_of(900_000)));
    let (first, rest) = frame.split_at(frame.len() / 2);
    let stands_still = RwLock::new(());
    std::thread::scope(|scope| {
        let still = stands_still.write();
        for mut connection in connect_many(&broker, SENDERS) {
            let (frame, stands_still) = (&frame, &stands_still);
            scope.spawn(move || {
                connection.send_raw(first).expect("send");
                drop(stands_still.read());
                connection.send_raw(rest).expect("send");
                for _ in 0..4 {
                    assert_eq!(produced(&connection.read_frame().expect("an answer"), "t"), 0);
                    connection.send_raw(frame).expect("send");
                }
                assert_eq!(produced(&connection.read_frame().expect("an answer"), "t"), 0);
            });
        }
        // One of them has what is left of the pool and may go beyond it; all others wait until its frame is whole.
        let waits = || (pushed_back(&broker, "requests") >= (SENDERS - 1) as f64).then_some(());
        eventually("all but one wait", WAIT, waits);
        let held = metric(&broker, "ottla_memory_used_bytes{pool=\"requests\"}");
        drop(still);
        assert!(held <= 500_000.0 + frame.len() as f64, "{held} bytes of requests");
    });
    assert!(metric(&broker, "ottla_memory_used_bytes{pool=\"requests\"}") < 1.0, "all is given back");
}

#[test]
fn two_thousand_readers_that_never_read_pin_no_more_than_the_pool() {
    needs!(Broker);
    let settings = [("ottla.memory.answers.max.bytes", "8000000"), ("ottla.memory.stall.timeout.ms", "500")];
    let broker = Broker::start_with(&settings);
    let mut connection = connect(&broker);
    create_topic(&mut connection, "t", 1, &[]);
    for _ in 0..24 {
        assert_eq!(produce(&mut connection, "t", &batch_of(900_000)), 0);
    }
    for _ in 0..200 {
        assert_eq!(produce(&mut connection, "t", &batch_of(20_000)), 0);
    }
    let before = reset_peak(&broker);
    let mut readers = connect_many(&broker, 2_000);
    // Small slices are copied, large ones leave by sendfile: both are asked for, and more answers than sockets take. It
    // is the copies that stay in memory, a quarter of a megabyte for each reader, if nobody counts them; half of the
    // readers ask for some, as it takes a while until so many sockets are full.
    let small = framed(&fetch_body_from("t", 24, 200_000)).repeat(30);
    let large = framed(&fetch_body_from("t", 0, 50_000_000)).repeat(10);
    let both = [small, large.clone()].concat();
    for (number, reader) in readers.iter_mut().enumerate() {
        // Some may be sent away already.
        let _ = reader.send_raw(if number % 2 == 0 { &both } else { &large });
    }
    let from = Instant::now();
    for _ in 0..5 {
        assert_eq!(produce(&mut connect(&broker), "t", &batch_of(1_000)), 0, "who reads is served");
    }
    assert!(from.elapsed() < Duration::from_secs(20), "{:?}", from.elapsed());
    assert!(pushed_back(&broker, "answers") > 0.0);
    let grown = resident(&broker).1.saturating_sub(before);
    // 16 KiB a connection, the pool, and what the workers have in hand.
    assert!(grown <= 2_000 * 16 * 1024 + 8_000_000 + 24 * MIB, "{grown} bytes");
}

#[test]
fn answers_behind_a_request_that_waits_count_too() {
    needs!(Broker);
    let settings = [("ottla.memory.answers.max.bytes", "4000000"), ("ottla.memory.stall.timeout.ms", "500")];
    let broker = Broker::start_with(&settings);
    let mut connection = connect(&broker);
    create_topic(&mut connection, "t", 1, &[]);
    create_topic(&mut connection, "many", 1_000, &[]);
    let before = reset_peak(&broker);
    let mut parkers = connect_many(&broker, 200);
    for parker in &mut parkers {
        // A fetch that waits for an hour, and 90 requests for metadata behind it: 30 KB an answer.
        parker.send_frame(&fetch_body("t", 3_600_000, 1, 1_000)).expect("send");
        for _ in 0..90 {
            if parker.send_frame(&Body::new(3, 1).i32(-1).0).is_err() {
                break;
            }
        }
    }
    eventually("the pool is full", WAIT, || (pushed_back(&broker, "answers") > 0.0).then_some(()));
    still_serves(&broker);
    let grown = resident(&broker).1.saturating_sub(before);
    assert!(grown <= 32 * MIB, "{grown} bytes");
    // Who is in the way is gone in the end, and all is well again.
    let low = || (metric(&broker, "ottla_memory_used_bytes{pool=\"answers\"}") < 4_000_000.0).then_some(());
    eventually("there is room", WAIT, low);
    still_serves(&broker);
}
