//! What clients leave behind: sessions, producers, groups, requests that wait.

use std::time::Duration;

use ottla_compat_tests::process::eventually;
use ottla_compat_tests::wire::Reaction;
use ottla_compat_tests::{Broker, needs};

use crate::support::*;

/// Fetch v7 that asks for a session.
fn session_fetch(topic: &str) -> Vec<u8> {
    let head = Body::new(1, 7).i32(-1).i32(0).i32(0).i32(1_000).i8(0).i32(0).i32(0);
    head.i32(1).text(topic).i32(1).i32(0).i64(0).i64(-1).i32(1_000).i32(0).0
}

#[test]
fn a_hundred_thousand_fetch_sessions_take_what_they_may_and_the_rest_goes_without() {
    needs!(Broker);
    let settings = [
        ("max.incremental.fetch.session.cache.slots", "1000000"),
        ("ottla.memory.fetch.sessions.max.bytes", "3200000"),
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
    assert!(grown <= 3_200_000 * 3 + 8 * MIB, "{grown} bytes");
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
    // Those that wait are woken as ever, though there is no room for more.
    assert_eq!(produce(&mut connect(&broker), "t", &batch_of(10)), 0);
    eventually("none waits", WAIT, || {
        (metric(&broker, "ottla_memory_used_bytes{pool=\"parked\"}") < 1.0).then_some(())
    });
}
