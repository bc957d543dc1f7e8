//! What a frame may cost: at most 320 bytes of memory for each of its own and 320 MiB in all, its answer included. So much
//! only where it is full of elements of one byte that are each answered with a struct; records cost what they are.

use ottla_compat_tests::process::eventually;
use ottla_compat_tests::wire::Reaction;
use ottla_compat_tests::{Broker, needs};

use crate::support::*;

const FACTOR: u64 = 320;
const MOST: u64 = 320 * MIB;
/// What a process grows by in any case.
const SLACK: u64 = 16 * MIB;

/// The most that a broker grows by for one frame, and what it did.
fn cost_at(broker: &Broker, frame: &[u8]) -> (u64, Reaction) {
    still_serves(broker);
    let before = reset_peak(broker);
    let mut connection = connect(broker);
    connection.send_frame(frame).expect("send");
    let reaction = connection.reaction(WAIT);
    still_serves(broker);
    (resident(broker).1.saturating_sub(before), reaction)
}

#[track_caller]
fn assert_cheap(name: &str, frame: &[u8]) {
    // An answer or the connection's end: both are right.
    let (grown, _) = cost_at(&Broker::start(), frame);
    let len = u64::try_from(frame.len()).expect("fits");
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

/// What is asked for again and again is answered until the answer is large, and refused from then on.
#[track_caller]
fn assert_capped(name: &str, broker: &Broker, frame: &[u8]) {
    let (grown, reaction) = cost_at(broker, frame);
    let Reaction::Answered(answer) = reaction else { panic!("{name}: {reaction:?}") };
    println!("{name}: {} bytes are answered with {}, cost {grown}", frame.len(), answer.len());
    // What comes after the refusal is short.
    let most = 110 * MIB + 64 * u64::try_from(frame.len()).expect("fits");
    assert!(u64::try_from(answer.len()).expect("fits") <= most, "{name}: {} bytes", answer.len());
    assert!(answer.len() > 8 << 20, "{name}: {} bytes do not ask for much", answer.len());
    assert!(grown <= MOST, "{name}: {grown} bytes");
}

#[test]
fn settings_asked_for_a_hundred_thousand_times_are_not_answered_without_end() {
    needs!(Broker);
    let broker = Broker::start();
    // DescribeConfigs v4 of the broker (type 4) whose id is 1, all settings.
    let resource = [4, 2, b'1', 0, 0];
    assert_capped(
        "DescribeConfigs",
        &broker,
        &elements(flexible(32, 4, &[]), 100_000, &resource, &[1, 1, 0]),
    );
}

/// OffsetCommit v2 of nobody's for one partition.
fn commit(broker: &Broker, group: &str, metadata: &str) {
    let mut connection = connect(broker);
    eventually("the coordinator is there", WAIT, || {
        connection.send_frame(&Body::new(10, 0).text(group).0).expect("send");
        connection.read_frame().expect("an answer to FindCoordinator");
        let head = Body::new(8, 2).text(group).i32(-1).text("").i64(-1).i32(1).text("t").i32(1);
        connection.send_frame(&head.i32(0).i64(5).text(metadata).0).expect("send");
        let answer = connection.read_frame().expect("an answer to OffsetCommit");
        (answer[answer.len() - 2..] == [0, 0]).then_some(())
    });
}

#[test]
fn offsets_asked_for_a_hundred_thousand_times_are_not_answered_without_end() {
    needs!(Broker);
    let broker = Broker::start();
    create_topic(&mut connect(&broker), "t", 1, &[]);
    commit(&broker, "g", &"m".repeat(4_000));
    // OffsetFetch v8: one group again and again, all that it has.
    let again = elements(flexible(9, 8, &[]), 100_000, &[2, b'g', 0, 0], &[0, 0]);
    assert_capped("OffsetFetch of all", &broker, &again);
    // One partition again and again, in one group: less than what is too much, and then the group is refused.
    let topic = [&[2, b'g', 2, 2, b't'][..], &[]].concat();
    let partitions = |count| elements(topic.clone(), count, &[0, 0, 0, 0], &[0, 0]);
    let fits = elements(flexible(9, 8, &[]), 1, &partitions(5_000), &[0, 0]);
    assert_capped("OffsetFetch of one", &broker, &fits);
    let (grown, reaction) =
        cost_at(&broker, &elements(flexible(9, 8, &[]), 1, &partitions(400_000), &[0, 0]));
    let Reaction::Answered(answer) = reaction else { panic!("{reaction:?}") };
    assert!(answer.len() < 100, "{} bytes", answer.len());
    assert_eq!(answer[answer.len() - 4..answer.len() - 2], [0, 15], "COORDINATOR_NOT_AVAILABLE");
    assert!(grown <= MOST, "{grown} bytes");
}

#[test]
fn a_group_described_a_hundred_thousand_times_is_not_answered_without_end() {
    needs!(Broker);
    let broker = Broker::start();
    create_topic(&mut connect(&broker), "t", 1, &[]);
    commit(&broker, "other", "");
    // ConsumerGroupHeartbeat v0 of a member that subscribes to many topics.
    let mut beat = flexible(68, 0, &[2, b'g', 1, 0, 0, 0, 0, 0, 0]);
    beat.extend_from_slice(&10_000_i32.to_be_bytes());
    let name = [&[101][..], &[b'n'; 100]].concat();
    let beat = elements(beat, 100, &name, &[0, 1, 0]);
    let mut connection = connect(&broker);
    connection.send_frame(&beat).expect("send");
    let answer = connection.read_frame().expect("an answer to ConsumerGroupHeartbeat");
    assert_eq!(answer[9..11], [0, 0], "{answer:?}");
    let again = elements(flexible(69, 0, &[]), 100_000, &[2, b'g'], &[0, 0]);
    assert_capped("ConsumerGroupDescribe", &broker, &again);
}

#[test]
fn more_elements_than_one_array_may_have_are_no_request_in_many_arrays_either() {
    needs!(Broker);
    // OffsetFetch v8: groups of 1,000 topics without a name and partitions.
    let topics = elements(vec![2, b'g'], 1_000, &[1, 1, 0], &[0]);
    let groups = |count| elements(flexible(9, 8, &[]), count, &topics, &[0, 0]);
    let broker = Broker::start();
    let (_, reaction) = cost_at(&broker, &groups(100));
    assert!(matches!(reaction, Reaction::Answered(_)), "100,000 are one: {reaction:?}");
    let (grown, reaction) = cost_at(&broker, &groups(2_000));
    assert!(reaction == Reaction::Closed, "they were answered");
    // No more of them are made than there may be.
    assert!(grown <= 96 * 1_000_000 + SLACK, "{grown} bytes");
}
