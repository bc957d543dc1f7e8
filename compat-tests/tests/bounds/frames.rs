//! What a frame may cost: at most 320 bytes of memory for each of its own and 320 MiB in all, its answer included. So much
//! only where it is full of elements of one byte that are each answered with a struct; records cost what they are.

use ottla_compat_tests::{Broker, needs};

use crate::support::*;

const FACTOR: u64 = 320;
const MOST: u64 = 320 * MIB;
/// What a process grows by in any case.
const SLACK: u64 = 16 * MIB;

/// The most that a fresh broker grows by for one frame, and the frame's length.
fn cost(frame: &[u8]) -> (u64, u64) {
    let broker = Broker::start();
    still_serves(&broker);
    let before = reset_peak(&broker);
    let mut connection = connect(&broker);
    connection.send_frame(frame).expect("send");
    // An answer or the connection's end: both are right.
    let _ = connection.reaction(WAIT);
    still_serves(&broker);
    (resident(&broker).1.saturating_sub(before), u64::try_from(frame.len()).expect("fits"))
}

#[track_caller]
fn assert_cheap(name: &str, frame: &[u8]) {
    let (grown, len) = cost(frame);
    println!("{name}: {len} bytes cost {grown}, {} each", grown / len);
    assert!(grown <= len * FACTOR + SLACK, "{name}: {len} bytes cost {grown}");
    assert!(grown <= MOST, "{name}: {len} bytes cost {grown}");
}

/// A flexible request's header and what comes before its elements.
fn flexible(key: i16, version: i16, head: &[u8]) -> Vec<u8> {
    let mut body = Body::new(key, version).0;
    body.push(0);
    body.extend_from_slice(head);
    body
}

fn unsigned_varint(out: &mut Vec<u8>, mut value: u32) {
    while value > 0x7f {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// So many of an element.
fn elements(mut body: Vec<u8>, count: u32, element: &[u8], tail: &[u8]) -> Vec<u8> {
    unsigned_varint(&mut body, count + 1);
    for _ in 0..count {
        body.extend_from_slice(element);
    }
    body.extend_from_slice(tail);
    body
}

#[test]
fn a_frame_full_of_the_smallest_elements_costs_a_bounded_multiple_of_itself() {
    needs!(Broker);
    // DescribeGroups v5: empty names of one byte.
    for count in [10_000, 100_000, 999_999] {
        assert_cheap("DescribeGroups", &elements(flexible(15, 5, &[]), count, &[1], &[0, 0]));
    }
    // Metadata v12: no name, an id.
    let topic = [&[7; 16][..], &[0, 0]].concat();
    assert_cheap("Metadata", &elements(flexible(3, 12, &[]), 300_000, &topic, &[0, 0, 0]));
    // JoinGroup v6: a protocol without a name and metadata.
    let head =
        [&[2, b'g'][..], &6_000_i32.to_be_bytes(), &6_000_i32.to_be_bytes(), &[1, 0, 2, b'p']].concat();
    assert_cheap("JoinGroup", &elements(flexible(11, 6, &head), 300_000, &[1, 1, 0], &[0]));
    // DeleteTopics v6: a topic without a name, an id.
    let topic = [&[0][..], &[7; 16], &[0]].concat();
    assert_cheap("DeleteTopics", &elements(flexible(20, 6, &[]), 300_000, &topic, &[0, 0, 0, 9, 0]));
}

#[test]
fn what_a_few_bytes_ask_for_a_hundred_thousand_times_is_not_answered_without_end() {
    needs!(Broker);
    // DescribeConfigs v4 of the broker (type 4, by default no name), all settings.
    let (grown, _) = cost(&elements(flexible(32, 4, &[]), 100_000, &[4, 1, 0, 0], &[1, 1, 0]));
    assert!(grown <= MOST, "{grown} bytes");
}

#[test]
fn more_elements_than_one_array_may_have_are_no_request_in_many_arrays_either() {
    needs!(Broker);
    // OffsetFetch v8: 2,000 groups of 1,000 topics without a name and partitions.
    let topics = elements(vec![2, b'g'], 1_000, &[1, 1, 0], &[0]);
    assert_cheap("OffsetFetch", &elements(flexible(9, 8, &[]), 2_000, &topics, &[0, 0]));
}
