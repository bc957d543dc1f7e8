//! Raw bytes: whatever arrives, the broker closes or answers, and goes on serving others.

use std::sync::LazyLock;
use std::time::Duration;

use ottla_compat_tests::wire::{Connection, Reaction, request_header};
use ottla_compat_tests::{Broker, needs};

static BROKER: LazyLock<Broker> = LazyLock::new(Broker::start);

/// What is waited for comes at once; the time is for a machine that does something else meanwhile.
const WAIT: Duration = Duration::from_secs(30);

fn connect() -> Connection {
    Connection::open(BROKER.port()).expect("connect")
}

/// The broker still answers on a connection of its own.
#[track_caller]
fn still_serves() {
    connect().api_versions(7).expect("an answer to ApiVersions");
}

#[test]
fn api_versions_v0_is_answered_with_kafkas_ranges() {
    needs!(Broker);
    let apis = connect().api_versions(1).expect("an answer");
    for (key, min, max) in [(0, 0, 13), (1, 4, 18), (3, 0, 13), (18, 0, 5), (68, 0, 1)] {
        assert!(apis.contains(&(key, min, max)), "API {key}: {apis:?}");
    }
}

#[test]
fn unknown_api_versions_version_is_answered_in_version_0() {
    needs!(Broker);
    let mut connection = connect();
    // A version from the future comes with header version 2: the old fields and a count of tagged fields.
    let mut request = request_header(18, 99, 42, "compat");
    request.push(0);
    connection.send_frame(&request).expect("send");
    let body = connection.read_frame().expect("an answer");
    assert_eq!(body[..4], 42_i32.to_be_bytes(), "correlation id");
    assert_eq!(body[4..6], 35_i16.to_be_bytes(), "UNSUPPORTED_VERSION");
    assert_eq!(body[6..10], 1_i32.to_be_bytes(), "one range: ApiVersions' own");
    assert_eq!(body[10..16], [0, 18, 0, 0, 0, 5]);
    assert_eq!(body.len(), 16, "nothing after it");
    connection.api_versions(43).expect("the same connection goes on in version 0");
}

#[test]
fn short_frames_close_the_connection() {
    needs!(Broker);
    for len in 0..8 {
        let mut connection = connect();
        connection.send_frame(&vec![0; len]).expect("send");
        assert_eq!(connection.reaction(WAIT), Reaction::Closed, "{len} bytes");
        still_serves();
    }
}

#[test]
fn negative_length_closes_the_connection() {
    needs!(Broker);
    for len in [-1_i32, i32::MIN] {
        let mut connection = connect();
        connection.send_raw(&len.to_be_bytes()).expect("send");
        assert_eq!(connection.reaction(WAIT), Reaction::Closed, "{len}");
        still_serves();
    }
}

#[test]
fn huge_length_closes_the_connection_before_memory_is_taken() {
    needs!(Broker);
    for len in [100 * 1024 * 1024 + 1_i32, i32::MAX] {
        let mut connection = connect();
        connection.send_raw(&len.to_be_bytes()).expect("send");
        assert_eq!(connection.reaction(WAIT), Reaction::Closed, "{len}");
        still_serves();
    }
}

#[test]
fn garbage_closes_the_connection() {
    needs!(Broker);
    let http = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage".to_vec();
    for bytes in [http, tls, vec![0xff; 64]] {
        let mut connection = connect();
        connection.send_raw(&bytes).expect("send");
        assert_eq!(connection.reaction(WAIT), Reaction::Closed, "{bytes:?}");
        still_serves();
    }
}

#[test]
fn unknown_api_key_closes_the_connection() {
    needs!(Broker);
    for key in [-1_i16, 999, i16::MAX] {
        let mut connection = connect();
        connection.send_frame(&request_header(key, 0, 5, "compat")).expect("send");
        assert_eq!(connection.reaction(WAIT), Reaction::Closed, "API {key}");
        still_serves();
    }
}

#[test]
fn unsupported_version_of_a_known_api_closes_the_connection() {
    needs!(Broker);
    for (key, version) in [(0, 99), (1, 3), (1, 99), (3, 99), (3, -1), (19, 0)] {
        let mut connection = connect();
        connection.send_frame(&request_header(key, version, 5, "compat")).expect("send");
        assert_eq!(connection.reaction(WAIT), Reaction::Closed, "API {key} version {version}");
        still_serves();
    }
}

#[test]
fn truncated_and_overlong_bodies_close_the_connection() {
    needs!(Broker);
    let metadata = |body: &[u8]| {
        let mut request = request_header(3, 1, 5, "compat");
        request.extend_from_slice(body);
        let mut connection = connect();
        connection.send_frame(&request).expect("send");
        connection.reaction(WAIT)
    };
    assert_eq!(metadata(&[]), Reaction::Closed, "no body");
    assert_eq!(metadata(&[0, 0]), Reaction::Closed, "half a length");
    assert_eq!(
        metadata(&[0x7f, 0xff, 0xff, 0xff]),
        Reaction::Closed,
        "an array of two thousand million topics"
    );
    assert_eq!(metadata(&[0, 0, 0, 1, 0x7f, 0xff]), Reaction::Closed, "a name longer than the frame");
    assert!(matches!(metadata(&[0, 0, 0, 0]), Reaction::Answered(_)), "an empty array is no mistake");
    still_serves();
}

#[test]
fn frame_that_arrives_byte_by_byte_is_answered() {
    needs!(Broker);
    let body = request_header(18, 0, 9, "slow");
    let mut connection = connect();
    let len = i32::try_from(body.len()).expect("a small frame");
    for byte in len.to_be_bytes().iter().chain(&body) {
        connection.send_raw(&[*byte]).expect("send");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(matches!(connection.reaction(WAIT), Reaction::Answered(answer) if answer[..4] == [0, 0, 0, 9]));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    needs!(Broker);
    let mut connection = connect();
    let frames: Vec<u8> = (0..3000)
        .flat_map(|id| {
            let body = request_header(18, 0, id, "pipelined");
            [&u32::try_from(body.len()).expect("a small frame").to_be_bytes()[..], &body].concat()
        })
        .collect();
    // One burst, more than any queue of unanswered requests: nothing else arrives that could wake the broker up.
    connection.send_raw(&frames).expect("send");
    for id in 0..3000_i32 {
        let answer = connection.read_frame().expect("an answer");
        assert_eq!(answer[..4], id.to_be_bytes());
    }
}

#[test]
fn connections_that_say_nothing_do_not_stop_others() {
    needs!(Broker);
    let silent: Vec<Connection> = (0..200).map(|_| connect()).collect();
    let mut half = connect();
    half.send_raw(&[0, 0]).expect("send");
    still_serves();
    drop(silent);
    still_serves();
}
