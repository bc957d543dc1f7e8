//! Scripts: requests and clock in, records and answers out.

use ottla_protocol::ErrorCode;

use super::harness::{Harness, assignment, join, owning, stay, with_instance, with_regex};
use super::*;

fn code(
    result: Result<(HeartbeatResponse, Vec<crate::records::GroupRecord>), ConsumerGroupError>,
) -> ErrorCode {
    result.expect_err("refused").code()
}

#[test]
fn first_member_gets_everything_at_once() {
    let mut h = Harness::new(&[("foo", 1, 3)]);
    let (response, records) = h.beat(&join("m1", &["foo"]));
    assert_eq!(
        records,
        [
            "member m1 foo",
            "epoch 2",
            "target m1 1:0,1,2",
            "target_epoch 2 @1000000",
            "current m1 2<-0 Stable 1:0,1,2 |",
        ]
    );
    let expected = HeartbeatResponse {
        member_id: "m1".into(),
        member_epoch: 2,
        heartbeat_interval_ms: 5_000,
        assignment: Some(assignment("1:0,1,2")),
    };
    assert_eq!(response, expected);
    assert_eq!(h.group().state(), ConsumerGroupState::Stable);
    let (response, records) = h.beat(&stay("m1", 2));
    assert_eq!((response.assignment, records.len()), (None, 0));
}

#[test]
fn partitions_move_only_after_they_are_given_up() {
    let mut h = Harness::new(&[("foo", 1, 4)]);
    h.beat(&join("m1", &["foo"]));
    let (response, records) = h.beat(&join("m2", &["foo"]));
    assert_eq!(
        records,
        [
            "member m2 foo",
            "epoch 3",
            "target m1 1:0,1",
            "target m2 1:2,3",
            "target_epoch 3 @1000000",
            "current m2 3<-0 UnreleasedPartitions |",
        ]
    );
    assert_eq!((response.member_epoch, response.assignment), (3, Some(assignment(""))));
    assert_eq!(h.group().state(), ConsumerGroupState::Reconciling);

    let (response, records) = h.beat(&stay("m1", 2));
    assert_eq!(records, ["current m1 2<-2 UnrevokedPartitions 1:0,1 | 1:2,3"]);
    assert_eq!((response.member_epoch, response.assignment), (2, Some(assignment("1:0,1"))));
    // Not yet: it still has them.
    assert_eq!(h.beat(&owning("m1", 2, &assignment("1:0,1,2,3"))).1, Vec::<String>::new());
    assert_eq!(h.beat(&stay("m2", 3)).0.assignment, None);

    let (response, records) = h.beat(&owning("m1", 2, &assignment("1:0,1")));
    assert_eq!(records, ["current m1 3<-2 Stable 1:0,1 |"]);
    assert_eq!(response.member_epoch, 3);
    let (response, records) = h.beat(&stay("m2", 3));
    assert_eq!(records, ["current m2 3<-3 Stable 1:2,3 |"]);
    assert_eq!(response.assignment, Some(assignment("1:2,3")));
    assert_eq!(h.group().state(), ConsumerGroupState::Stable);
    h.restart();
}

#[test]
fn leaving_removes_the_member_and_bumps_the_epoch() {
    let mut h = Harness::new(&[("foo", 1, 2)]);
    h.beat(&join("m1", &["foo"]));
    h.beat(&join("m2", &["foo"]));
    let (response, records) = h.beat(&stay("m1", LEAVE_EPOCH));
    assert_eq!(records, ["-current m1", "-target m1", "-member m1", "epoch 4"]);
    assert_eq!((response.member_epoch, response.heartbeat_interval_ms), (-1, 0));
    assert_eq!(h.group().state(), ConsumerGroupState::Assigning);
    let (response, _) = h.beat(&stay("m2", 3));
    assert_eq!((response.member_epoch, response.assignment), (4, Some(assignment("1:0,1"))));
    let (_, records) = h.beat(&stay("m2", LEAVE_EPOCH));
    assert_eq!(records, ["-current m2", "-target m2", "-member m2", "epoch 5", "target_epoch 5 @0"]);
    assert_eq!(h.group().state(), ConsumerGroupState::Empty);
    h.restart();
    for record in tombstones(h.group()) {
        h.log.push(record);
    }
    h.group = None;
    h.restart();
    assert!(h.group.is_none());
}

#[test]
fn an_expired_session_fences() {
    let mut h = Harness::new(&[("foo", 1, 1)]);
    h.beat(&join("m1", &["foo"]));
    assert!(h.advance(44_999).is_empty());
    h.beat(&stay("m1", 2));
    assert!(h.advance(44_999).is_empty());
    assert_eq!(h.advance(1), ["-current m1", "-target m1", "-member m1", "epoch 3", "target_epoch 3 @0"]);
    assert_eq!(code(h.heartbeat(&stay("m1", 2))), ErrorCode::UnknownMemberId);
    // Also after a restart, from then on.
    h.beat(&join("m1", &["foo"]));
    h.restart();
    assert!(h.advance(44_999).is_empty());
    assert_eq!(h.advance(1).len(), 5);
}

#[test]
fn a_member_that_does_not_revoke_in_time_is_fenced() {
    for restarted in [false, true] {
        let mut h = Harness::new(&[("foo", 1, 2)]);
        h.beat(&join("m1", &["foo"]));
        h.beat(&join("m2", &["foo"]));
        h.beat(&stay("m1", 2));
        if restarted {
            h.restart();
        }
        h.advance(29_999);
        h.beat(&stay("m1", 2));
        h.beat(&stay("m2", 3));
        assert_eq!(h.advance(1), ["-current m1", "-target m1", "-member m1", "epoch 4"]);
        assert_eq!(h.beat(&stay("m2", 3)).0.assignment, Some(assignment("1:0,1")));
    }
}

#[test]
fn epochs_fence() {
    let mut h = Harness::new(&[("foo", 1, 2)]);
    assert_eq!(code(h.heartbeat(&stay("m1", 1))), ErrorCode::GroupIdNotFound);
    h.beat(&join("m1", &["foo"]));
    assert_eq!(code(h.heartbeat(&stay("m1", 3))), ErrorCode::FencedMemberEpoch);
    assert_eq!(code(h.heartbeat(&stay("m1", 1))), ErrorCode::FencedMemberEpoch);
    assert_eq!(code(h.heartbeat(&stay("m2", 1))), ErrorCode::UnknownMemberId);
    h.beat(&join("m2", &["foo"]));
    h.beat(&stay("m1", 2));
    h.beat(&owning("m1", 2, &assignment("1:0")));
    // It missed the answer that moved it to epoch 3: fine, as long as it owns no more than it was left with.
    let (response, _) = h.beat(&owning("m1", 2, &assignment("1:0")));
    assert_eq!(response.member_epoch, 3);
    assert_eq!(code(h.heartbeat(&owning("m1", 2, &assignment("1:0,1")))), ErrorCode::FencedMemberEpoch);
    let error = h.heartbeat(&stay("m1", 2)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "The consumer group member has a smaller member epoch (2) than the one known by the group coordinator (3). \
         The member must abandon all its partitions and rejoin."
    );
}

#[test]
fn a_static_member_returns_to_its_assignment() {
    let mut h = Harness::new(&[("foo", 1, 2)]);
    h.beat(&with_instance(join("m1", &["foo"]), "i1"));
    assert_eq!(
        code(h.heartbeat(&with_instance(join("m2", &["foo"]), "i1"))),
        ErrorCode::UnreleasedInstanceId
    );
    let (response, records) = h.beat(&with_instance(stay("m1", STATIC_LEAVE_EPOCH), "i1"));
    assert_eq!(records, ["current m1 -2<-0 Stable 1:0,1 |"]);
    assert_eq!(response.member_epoch, STATIC_LEAVE_EPOCH);
    h.restart();
    let (response, records) = h.beat(&with_instance(join("m2", &["foo"]), "i1"));
    assert_eq!(
        records,
        [
            "-current m1",
            "-target m1",
            "-member m1",
            "member m2 foo",
            "target m2 1:0,1",
            "current m2 0<-0 Stable 1:0,1 |",
            "current m2 2<-0 Stable 1:0,1 |",
        ]
    );
    assert_eq!((response.member_epoch, response.assignment), (2, Some(assignment("1:0,1"))));
    assert_eq!(code(h.heartbeat(&with_instance(stay("m1", 2), "i1"))), ErrorCode::FencedInstanceId);
    assert_eq!(code(h.heartbeat(&with_instance(stay("m3", 2), "i2"))), ErrorCode::UnknownMemberId);
    assert_eq!(code(h.heartbeat(&with_instance(stay("m1", -1), "i1"))), ErrorCode::FencedInstanceId);
    h.beat(&with_instance(stay("m2", STATIC_LEAVE_EPOCH), "i1"));
    // The session goes on while it is away.
    assert_eq!(h.advance(45_000).len(), 5);
    h.restart();
}

#[test]
fn topics_that_change_move_the_group() {
    let mut h = Harness::new(&[("foo", 1, 1)]);
    h.beat(&join("m1", &["foo", "later"]));
    assert!(h.beat(&stay("m1", 2)).1.is_empty());
    h.add_topic("other", 9, 1);
    assert!(h.beat(&stay("m1", 2)).1.is_empty());
    h.add_topic("later", 2, 2);
    let (response, records) = h.beat(&stay("m1", 2));
    assert_eq!(records[0], "epoch 3");
    assert_eq!(response.assignment, Some(assignment("1:0 2:0,1")));
    h.add_topic("foo", 1, 3);
    assert_eq!(h.beat(&stay("m1", 3)).0.assignment, Some(assignment("1:0,1,2 2:0,1")));
    h.remove_topic("foo");
    let (response, _) = h.beat(&stay("m1", 4));
    assert_eq!(response.assignment, Some(assignment("2:0,1")));
    // Recreated: another id, nothing of the old.
    h.add_topic("foo", 11, 1);
    let (response, _) = h.beat(&owning("m1", 4, &assignment("2:0,1")));
    assert_eq!((response.member_epoch, response.assignment), (6, Some(assignment("2:0,1 11:0"))));
    h.restart();
    assert!(h.beat(&stay("m1", 6)).1.is_empty());
}

#[test]
fn racks_that_change_move_the_group() {
    // KIP-1101. Kafka's assignors (uniform, range) never ask for racks: the epoch moves, the partitions stay.
    let racks = |names: &[&str]| vec![names.iter().map(|name| (*name).to_owned()).collect()];
    let id = *assignment("1:0").keys().next().unwrap();
    let mut h = Harness::new(&[]);
    h.set_topic_racks("foo", id, racks(&["r1"]));
    let mut request = join("m1", &["foo"]);
    request.rack_id = Some("r1".into());
    assert_eq!(h.beat(&request).0.member_epoch, 2);
    h.set_topic_racks("foo", id, racks(&["r1"]));
    assert!(h.beat(&stay("m1", 2)).1.is_empty());
    h.set_topic_racks("foo", id, racks(&["r2"]));
    let (response, records) = h.beat(&stay("m1", 2));
    assert_eq!(records[0], "epoch 3");
    assert_eq!((response.member_epoch, response.assignment), (3, None));
    assert_eq!(describe(h.group(), &h.topics, &h.settings).members[0].rack_id.as_deref(), Some("r1"));
    h.restart();
    assert!(h.beat(&stay("m1", 3)).1.is_empty());
}

#[test]
fn a_regular_expression_is_resolved_after_the_join() {
    let mut h = Harness::new(&[("foo1", 1, 1), ("foo2", 2, 1), ("bar", 3, 1)]);
    let (response, records) = h.beat(&with_regex(join("m1", &[]), "foo.*"));
    assert_eq!(records, ["member m1 /foo.*/", "current m1 1<-0 Stable |"]);
    assert_eq!((response.member_epoch, response.assignment), (1, Some(assignment(""))));
    assert_eq!(h.advance(0), ["regex foo.* foo1,foo2", "epoch 2"]);
    let (response, records) = h.beat(&stay("m1", 1));
    assert_eq!(records.len(), 3);
    assert_eq!(response.assignment, Some(assignment("1:0 2:0")));

    // A new topic is seen, but not within ten seconds of the last look.
    h.add_topic("foo3", 4, 1);
    h.beat(&stay("m1", 2));
    assert!(h.advance(10_001).is_empty());
    h.beat(&stay("m1", 2));
    assert_eq!(h.advance(0), ["regex foo.* foo1,foo2,foo3", "epoch 3"]);
    assert_eq!(h.beat(&stay("m1", 2)).0.assignment, Some(assignment("1:0 2:0 4:0")));

    // Nor does it wait for a clock that has gone back since.
    h.add_topic("foo4", 5, 1);
    h.behind_ms = 60_000;
    h.beat(&stay("m1", 3));
    assert_eq!(h.advance(0), ["regex foo.* foo1,foo2,foo3,foo4", "epoch 4"]);
    assert_eq!(h.beat(&stay("m1", 3)).0.assignment, Some(assignment("1:0 2:0 4:0 5:0")));

    // A second user of the same expression needs no wait.
    let (response, _) = h.beat(&with_regex(join("m2", &[]), "foo.*"));
    assert_eq!(response.member_epoch, 5);
    h.beat(&stay("m2", LEAVE_EPOCH));
    let (_, records) = h.beat(&with_regex(stay("m1", 4), ""));
    assert_eq!(records[..3], ["member m1 ", "-regex foo.*", "epoch 7"]);
    h.restart();
}

#[test]
fn a_broken_regular_expression_is_refused() {
    let mut h = Harness::new(&[]);
    let error = h.heartbeat(&with_regex(join("m1", &[]), "foo(")).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidRegularExpression);
    assert_eq!(
        error.to_string(),
        "SubscribedTopicRegex `foo(` is not a valid regular expression: missing closing )."
    );
    assert!(h.group.is_none());
}

#[test]
fn targets_are_spaced_by_the_assignment_interval() {
    let mut h = Harness::new(&[("foo", 1, 4)]);
    h.settings.assignment_interval_ms = 1_000;
    h.beat(&join("m1", &["foo"]));
    let (response, records) = h.beat(&join("m2", &["foo"]));
    assert_eq!(records, ["member m2 foo", "epoch 3", "current m2 2<-0 Stable |"]);
    assert_eq!(response.member_epoch, 2);
    assert_eq!(h.group().state(), ConsumerGroupState::Assigning);
    h.beat(&join("m3", &["foo"]));
    h.advance(999);
    assert!(h.beat(&stay("m1", 2)).1.is_empty());
    h.advance(1);
    let (_, records) = h.beat(&stay("m1", 2));
    assert_eq!(records[3], "target_epoch 4 @1001000");
}

#[test]
fn changing_the_subscription_revokes_at_once() {
    let mut h = Harness::new(&[("foo", 1, 1), ("bar", 2, 1)]);
    h.settings.assignment_interval_ms = 1_000;
    h.beat(&join("m1", &["foo", "bar"]));
    let mut request = owning("m1", 2, &assignment("1:0 2:0"));
    request.subscribed_topic_names = Some(vec!["foo".into()]);
    let (response, records) = h.beat(&request);
    assert_eq!(records, ["member m1 foo", "epoch 3", "current m1 2<-2 UnrevokedPartitions 1:0 | 2:0"]);
    assert_eq!(response.assignment, Some(assignment("1:0")));
    h.restart();
}

#[test]
fn the_assignor_that_most_want_is_used() {
    let mut h = Harness::new(&[("foo", 1, 2), ("bar", 2, 2)]);
    h.beat(&join("m1", &["foo", "bar"]));
    let mut second = join("m2", &["foo", "bar"]);
    second.server_assignor = Some("range".into());
    let (_, records) = h.beat(&second);
    assert_eq!(records[2..4], ["target m1 1:0 2:0", "target m2 1:1 2:1"]);
    assert_eq!(describe(h.group(), &h.topics, &h.settings).assignor, "range");
    second.server_assignor = Some("sticky".into());
    let error = h.heartbeat(&second).unwrap_err();
    assert_eq!(error.code(), ErrorCode::UnsupportedAssignor);
    assert_eq!(
        error.to_string(),
        "ServerAssignor sticky is not supported. Supported assignors: uniform, range."
    );
}

#[test]
fn a_full_group_takes_no_more() {
    let mut h = Harness::new(&[("foo", 1, 2)]);
    h.settings.max_size = 1;
    h.beat(&join("m1", &["foo"]));
    assert_eq!(code(h.heartbeat(&join("m2", &["foo"]))), ErrorCode::GroupMaxSizeReached);
    h.beat(&join("m1", &["foo"]));
}

#[test]
fn what_is_malformed_is_refused() {
    type Break = fn(&mut HeartbeatRequest);
    let cases: &[(Break, &str)] = &[
        (|r| r.group_id = "".into(), "GroupId can't be empty."),
        (|r| (r.member_id, r.requires_member_id) = ("".into(), true), "MemberId can't be empty."),
        (|r| (r.member_id, r.member_epoch) = ("".into(), 1), "MemberId can't be empty."),
        (|r| (r.member_id, r.member_epoch) = ("".into(), -1), "MemberId can't be empty."),
        (|r| r.instance_id = Some(" ".into()), "InstanceId can't be empty."),
        (|r| r.rack_id = Some("".into()), "RackId can't be empty."),
        (|r| r.rebalance_timeout_ms = None, "RebalanceTimeoutMs must be provided in first request."),
        (|r| r.owned = None, "TopicPartitions must be empty when (re-)joining."),
        (|r| r.owned = Some(assignment("1:0")), "TopicPartitions must be empty when (re-)joining."),
        (
            |r| r.subscribed_topic_names = None,
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        ),
        (|r| r.member_epoch = -2, "InstanceId can't be null."),
        (|r| r.member_epoch = -3, "MemberEpoch is invalid."),
    ];
    let mut h = Harness::new(&[("foo", 1, 2)]);
    for (spoil, message) in cases {
        let mut request = join("m1", &["foo"]);
        spoil(&mut request);
        let error = h.heartbeat(&request).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (ErrorCode::InvalidRequest, *message));
    }
    let mut request = join("", &["foo"]);
    request.new_member_id = "made-here".into();
    assert_eq!(h.beat(&request).0.member_id.as_str(), "made-here");
}

#[test]
fn commits_are_fenced_by_epoch() {
    let mut h = Harness::new(&[("foo", 1, 2)]);
    let id = |m: &str| crate::MemberId::from(m);
    let topic = *assignment("1:0").keys().next().unwrap();
    h.beat(&join("m1", &["foo"]));
    h.beat(&join("m2", &["foo"]));
    h.beat(&stay("m1", 2));
    h.beat(&owning("m1", 2, &assignment("1:0")));
    let group = h.group();
    assert!(group.check_commit(&id("m1"), false, 3, false, true).is_ok());
    let behind = group.check_commit(&id("m1"), false, 2, false, true).unwrap();
    assert!(behind.partition("foo", topic, 0).is_ok());
    let refused = behind.partition("foo", topic, 1).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StaleMemberEpoch);
    assert_eq!(refused.to_string(), "Partition foo-1 is not assigned or pending revocation for member.");
    let older = group.check_commit(&id("m1"), false, 1, false, true).unwrap();
    assert_eq!(
        older.partition("foo", topic, 0).unwrap_err().to_string(),
        "Received member epoch 1 is older than assignment epoch 2 for partition foo-0."
    );
    let errors = [
        (group.check_commit(&id("m1"), false, 4, false, true).unwrap_err(), ErrorCode::StaleMemberEpoch),
        (group.check_commit(&id("m1"), false, 3, false, false).unwrap_err(), ErrorCode::UnsupportedVersion),
        (group.check_commit(&id("m9"), false, 3, false, true).unwrap_err(), ErrorCode::UnknownMemberId),
        (group.check_fetch(Some(&id("m1")), 2).unwrap_err(), ErrorCode::StaleMemberEpoch),
        (group.check_fetch(Some(&id("m9")), 2).unwrap_err(), ErrorCode::UnknownMemberId),
        (group.check_fetch(None, 2).unwrap_err(), ErrorCode::UnknownServerError),
    ];
    for (error, expected) in errors {
        assert_eq!(error.code(), expected, "{error}");
    }
    assert!(group.check_fetch(None, -1).is_ok());
    assert!(group.check_commit(&id(""), false, -1, true, true).is_ok());
}

#[test]
fn describe_shows_what_is_owned_and_what_shall_be() {
    let mut h = Harness::new(&[("foo", 1, 2)]);
    h.beat(&join("m1", &["foo"]));
    h.beat(&join("m2", &["foo"]));
    h.beat(&stay("m1", 2));
    let group = describe(h.group(), &h.topics, &h.settings);
    assert_eq!(
        (group.state, group.group_epoch, group.assignment_epoch),
        (ConsumerGroupState::Reconciling, 3, 3)
    );
    assert_eq!(group.assignor, "uniform");
    assert_eq!(group.members[0].assignment[0].partitions, [0, 1]);
    assert_eq!(group.members[0].target_assignment[0].partitions, [0]);
    assert!(group.members[1].assignment.is_empty());
    assert_eq!(&*group.members[1].target_assignment[0].topic, "foo");
}
