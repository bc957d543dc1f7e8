//! What clients leave behind: sessions, producers, groups, requests that wait.

use std::time::Duration;

use ottla_compat_tests::differential::{Value, batch};
use ottla_compat_tests::process::eventually;
use ottla_compat_tests::wire::{Connection, Reaction};
use ottla_compat_tests::{Broker, needs};

use crate::support::*;

#[test]
fn a_hundred_thousand_fetch_sessions_take_what_they_may_and_the_rest_goes_without() {
    needs!(Broker);
    let settings = [
        ("max.incremental.fetch.session.cache.slots", "1000000"),
        ("ottla.memory.fetch.sessions.max.bytes", "8320000"),
    ];
    let broker = Broker::start_with(&settings);
    let mut connection = connect(&broker);
    create_topic(&mut connection, "t", 1, &[]);
    let before = reset_peak(&broker);
    let request = session_fetch("t");
    let (mut with, mut without) = (0, 0);
    for _ in 0..1_000 {
        pipeline(&mut connection, &request, 100, |answer| {
            // Correlation id, throttle time, error, session id.
            assert_eq!(answer[8..10], [0, 0]);
            if answer[10..14] == [0, 0, 0, 0] { without += 1 } else { with += 1 }
        });
    }
    assert_eq!((with, without), (10_000, 90_000));
    assert!(metric(&broker, "ottla_fetch_sessions") <= 10_000.0);
    assert!(pushed_back(&broker, "fetch_sessions") >= 90_000.0);
    let grown = resident(&broker).1.saturating_sub(before);
    // A session of one partition has maps of its own: 1.6 KiB in all.
    assert!(grown <= 10_000 * 960 + 8 * MIB, "{grown} bytes");
}

#[test]
fn a_fetch_that_may_not_wait_here_is_answered_and_asked_to_wait_itself() {
    needs!(Broker);
    let broker = Broker::start_with(&[("ottla.memory.parked.max.bytes", "20000")]);
    create_topic(&mut connect(&broker), "t", 1, &[]);
    let mut readers = connect_many(&broker, 40);
    for reader in &mut readers {
        reader.send_frame(&fetch_body("t", 30_000, 1, 1_000)).expect("send");
    }
    eventually("some may not wait", WAIT, || (pushed_back(&broker, "parked") >= 30.0).then_some(()));
    let mut answered = 0;
    for reader in &mut readers {
        match reader.reaction(Duration::from_millis(200)) {
            // Correlation id, then the throttle time.
            Reaction::Answered(answer) => {
                assert_eq!(answer[4..8], 1_000_i32.to_be_bytes());
                answered += 1;
            }
            reaction => assert_eq!(reaction, Reaction::Silent),
        }
    }
    assert!((30..40).contains(&answered), "{answered} of 40 did not wait");
    let throttled = metric(&broker, "ottla_request_phase_seconds_sum{api=\"Fetch\",phase=\"throttle\"}");
    assert!(
        (throttled - f64::from(answered)).abs() < 1e-6,
        "{throttled} s for {answered} that shall wait 1 s"
    );
    // Those that wait are woken as ever, though there is no room for more.
    assert_eq!(produce(&mut connect(&broker), "t", &batch_of(10)), 0);
    eventually("none waits", WAIT, || {
        (metric(&broker, "ottla_memory_used_bytes{pool=\"parked\"}") < 1.0).then_some(())
    });
}

/// A batch of an idempotent producer.
fn batch_of_producer(producer_id: i64, sequence: i64) -> Vec<u8> {
    let field = |name: &str, value| (name.to_owned(), Value::Int(value));
    let settings = Value::Struct(vec![
        field("ProducerId", producer_id),
        field("ProducerEpoch", 0),
        field("BaseSequence", sequence),
        // Not silent for long.
        field("BaseTimestamp", now_ms()),
    ]);
    batch::build(&settings).expect("a batch")
}

/// `OTTLA_PRODUCERS` makes them more.
fn producers() -> i64 {
    std::env::var("OTTLA_PRODUCERS").ok().and_then(|text| text.parse().ok()).unwrap_or(40_000)
}

#[test]
fn producers_beyond_what_there_is_memory_for_try_again_and_those_that_are_known_go_on() {
    needs!(Broker);
    // 256 bytes each.
    let producers = producers();
    let known = producers / 2;
    let limit = 256 * known;
    let broker = Broker::start_with(&[("ottla.memory.producers.max.bytes", &limit.to_string())]);
    let mut connection = connect(&broker);
    create_topic(&mut connection, "t", 1, &[]);
    let before = reset_peak(&broker);
    let mut codes = Vec::new();
    for first in (0..producers).step_by(1_000) {
        let ids = first..first + 1_000;
        let frames = ids.flat_map(|id| framed(&produce_body("t", 0, &batch_of_producer(id, 0))));
        connection.send_raw(&frames.collect::<Vec<_>>()).expect("send");
        codes.extend((0..1_000).map(|_| produced(&connection.read_frame().expect("an answer"), "t")));
    }
    const NOT_ENOUGH_REPLICAS: i16 = 19;
    let known = usize::try_from(known).expect("fits");
    assert!(codes[..known].iter().all(|code| *code == 0));
    assert!(codes[known..].iter().all(|code| *code == NOT_ENOUGH_REPLICAS));
    assert_eq!(produce(&mut connection, "t", &batch_of_producer(5, 1)), 0, "a known one");
    assert_eq!(produce(&mut connection, "t", &batch_of(10)), 0, "one that is not idempotent");
    assert!(pushed_back(&broker, "producers") >= known as f64);
    let grown = resident(&broker).1.saturating_sub(before);
    let limit = u64::try_from(limit).expect("fits");
    println!("{producers} producers, {limit} bytes for half of them: {grown} bytes");
    assert!(grown <= limit * 2 + 16 * MIB, "{grown} bytes");
    connection = connect(&broker);
    let mut deletion = Body::new(20, 1).i32(1).text("t").i32(30_000);
    connection.send_frame(&std::mem::take(&mut deletion.0)).expect("send");
    connection.read_frame().expect("an answer");
    eventually("the topic's producers are forgotten with it", WAIT, || {
        (metric(&broker, "ottla_memory_used_bytes{pool=\"producers\"}") < 1.0).then_some(())
    });
}

/// JoinGroup v1 of a new member: its answer's error code.
fn join(connection: &mut Connection, group: &str, metadata: &[u8]) -> i16 {
    let head = Body::new(11, 1).text(group).i32(6_000).i32(6_000).text("").text("opaque");
    connection.send_frame(&head.i32(1).text("p").bytes(metadata).0).expect("send");
    let answer = connection.read_frame().expect("an answer to JoinGroup");
    i16::from_be_bytes([answer[4], answer[5]])
}

#[test]
fn groups_beyond_what_there_is_memory_for_try_again_until_members_have_gone() {
    needs!(Broker);
    let broker = Broker::start_with(&[("ottla.memory.groups.max.bytes", "4000000")]);
    let mut connection = connect(&broker);
    connection.send_frame(&Body::new(10, 0).text("g0").0).expect("send");
    connection.read_frame().expect("an answer to FindCoordinator");
    let metadata = vec![b'm'; 200_000];
    const COORDINATOR_NOT_AVAILABLE: i16 = 15;
    eventually("the coordinators are there", WAIT, || (join(&mut connection, "g", b"m") == 0).then_some(()));
    let before = reset_peak(&broker);
    let codes: Vec<i16> = (0..100).map(|n| join(&mut connection, &format!("g{n}"), &metadata)).collect();
    let refused = codes.iter().filter(|code| **code == COORDINATOR_NOT_AVAILABLE).count();
    assert!(refused >= 70, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 100 - refused);
    let grown = resident(&broker).1.saturating_sub(before);
    assert!(grown <= 4_000_000 * 3 + 16 * MIB, "{grown} bytes");
    // Nobody beats: the members are missed after six seconds, and their memory is free.
    eventually("there is room again", WAIT, || (join(&mut connection, "late", &metadata) == 0).then_some(()));
}
