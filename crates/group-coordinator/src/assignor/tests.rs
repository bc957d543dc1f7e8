use std::collections::{BTreeMap, BTreeSet};

use crate::{InstanceId, MemberId};
use ottla_model::TopicId;
use proptest::prelude::*;

use super::{Assignment, Assignor, GroupAssignment, GroupSpec, MemberSpec, SubscriptionType};

const VECTORS: &str = include_str!("../../testdata/assignor_vectors.txt");

fn topic(n: u128) -> TopicId {
    TopicId(uuid::Uuid::from_u128(n))
}

fn assignment_of(text: &str) -> Assignment {
    let topics = text.split(';').filter(|t| *t != "-");
    topics
        .map(|t| {
            let (id, partitions) = t.split_once(':').unwrap();
            (topic(id.parse().unwrap()), partitions.split(',').map(|p| p.parse().unwrap()).collect())
        })
        .collect()
}

/// One block of the vectors: the assignor, its input, and Kafka's answer.
fn vector(block: &str) -> (Assignor, GroupSpec, GroupAssignment) {
    let mut lines = block.lines();
    let head: Vec<&str> = lines.next().unwrap().split(' ').collect();
    let mut spec = GroupSpec {
        members: BTreeMap::new(),
        subscription_type: match head[2] {
            "homogeneous" => SubscriptionType::Homogeneous,
            _ => SubscriptionType::Heterogeneous,
        },
        partition_counts: BTreeMap::new(),
    };
    let mut expected = GroupAssignment::new();
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        if fields[0] == "topic" {
            spec.partition_counts.insert(topic(fields[1].parse().unwrap()), fields[2].parse().unwrap());
            continue;
        }
        let member = MemberSpec {
            instance_id: Some(fields[2]).filter(|i| *i != "-").map(InstanceId::from),
            subscribed: fields[3]
                .split(',')
                .filter(|t| *t != "-")
                .map(|t| topic(t.parse().unwrap()))
                .collect(),
            assigned: assignment_of(fields[4]),
        };
        spec.members.insert(fields[1].into(), member);
        expected.insert(fields[1].into(), assignment_of(fields[6]));
    }
    (Assignor::from_name(head[1]).unwrap(), spec, expected)
}

#[test]
fn assigns_as_kafka_does() {
    let mut count = 0;
    for block in VECTORS.split("\n\n").map(strip_comments).filter(|b| !b.is_empty()) {
        let (assignor, spec, expected) = vector(&block);
        let mut actual = assignor.assign(&spec).unwrap();
        for member_id in spec.members.keys() {
            actual.entry(member_id.clone()).or_default();
        }
        assert_eq!(actual, expected, "{block}");
        count += 1;
    }
    assert_eq!(count, 480);
}

fn strip_comments(block: &str) -> String {
    block.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Partition counts by topic, and per member an instance flag and subscription bits.
fn any_group(homogeneous: bool) -> impl Strategy<Value = GroupSpec> {
    let counts = proptest::collection::vec(1..12_i32, 1..6);
    let members = proptest::collection::vec((any::<bool>(), any::<u8>()), 1..8);
    (counts, members).prop_map(move |(counts, members)| {
        let partition_counts: BTreeMap<_, _> = (1..).map(topic).zip(counts).collect();
        let members = members.into_iter().enumerate().map(|(i, (is_static, bits))| {
            let wanted = |n: usize| homogeneous || bits & (1 << n) != 0;
            let subscribed = partition_counts.keys().enumerate().filter(|(n, _)| wanted(*n)).map(|(_, t)| *t);
            let spec = MemberSpec {
                instance_id: is_static.then(|| InstanceId::from(format!("i{i}"))),
                subscribed: subscribed.collect(),
                assigned: Assignment::new(),
            };
            (MemberId::from(format!("m{i}")), spec)
        });
        let subscription_type =
            if homogeneous { SubscriptionType::Homogeneous } else { SubscriptionType::Heterogeneous };
        GroupSpec { members: members.collect(), subscription_type, partition_counts }
    })
}

/// Each partition of each topic with a subscriber is with exactly one of its subscribers, and nothing else is given.
fn check_complete(spec: &GroupSpec, target: &GroupAssignment) {
    let mut given = BTreeSet::new();
    for (member_id, assignment) in target {
        for (topic_id, partitions) in assignment {
            assert!(spec.members[member_id].subscribed.contains(topic_id), "{member_id} does not subscribe");
            assert!(!partitions.is_empty());
            for p in partitions {
                assert!(given.insert((*topic_id, *p)), "{topic_id}-{p} given twice");
            }
        }
    }
    let wanted: BTreeSet<_> = spec.members.values().flat_map(|m| &m.subscribed).collect();
    let expected: BTreeSet<_> =
        wanted.into_iter().flat_map(|t| (0..spec.partition_counts[t]).map(|p| (*t, p))).collect();
    assert_eq!(given, expected);
}

fn size(assignment: Option<&Assignment>) -> usize {
    assignment.into_iter().flatten().map(|(_, ps)| ps.len()).sum()
}

fn with_assigned(spec: &GroupSpec, target: &GroupAssignment) -> GroupSpec {
    let mut next = spec.clone();
    for (member_id, member) in &mut next.members {
        member.assigned = target.get(member_id).cloned().unwrap_or_default();
    }
    next
}

proptest! {
    #[test]
    fn every_partition_has_one_subscriber(homogeneous in any::<bool>(), seed in any_group(false), same in any_group(true)) {
        let spec = if homogeneous { same } else { seed };
        for assignor in Assignor::ALL {
            let target = assignor.assign(&spec).unwrap();
            check_complete(&spec, &target);
            // What stands is kept.
            let again = with_assigned(&spec, &target);
            prop_assert_eq!(assignor.assign(&again).unwrap(), target);
        }
    }

    #[test]
    fn uniform_is_balanced_within_one_and_sticky_when_a_member_leaves(spec in any_group(true)) {
        let target = Assignor::Uniform.assign(&spec).unwrap();
        let mut next = with_assigned(&spec, &target);
        next.members.pop_first();
        let target = Assignor::Uniform.assign(&next).unwrap();
        check_balanced(&next, &target);
        for (member_id, member) in &next.members {
            for (topic_id, partitions) in &member.assigned {
                prop_assert!(target[member_id][topic_id].is_superset(partitions), "{} lost partitions", member_id);
            }
        }
    }

    #[test]
    fn uniform_moves_only_what_a_new_member_needs(spec in any_group(true)) {
        let target = Assignor::Uniform.assign(&spec).unwrap();
        let mut next = with_assigned(&spec, &target);
        let subscribed = spec.members.values().next().unwrap().subscribed.clone();
        next.members.insert("new".into(), MemberSpec { subscribed, ..MemberSpec::default() });
        let after = Assignor::Uniform.assign(&next).unwrap();
        check_complete(&next, &after);
        check_balanced(&next, &after);
        for (member_id, before) in &target {
            for (topic_id, partitions) in &after[member_id] {
                prop_assert!(partitions.is_subset(&before[topic_id]), "{} got what another had", member_id);
            }
        }
    }

    #[test]
    fn no_move_would_improve_the_heterogeneous_balance(spec in any_group(false)) {
        let target = Assignor::Uniform.assign(&spec).unwrap();
        for (member_id, assignment) in &target {
            for topic_id in assignment.keys() {
                for (other_id, other) in &spec.members {
                    let better = size(target.get(other_id)) + 1 < size(Some(&target[member_id]));
                    prop_assert!(!(better && other.subscribed.contains(topic_id)), "{member_id} -> {other_id}");
                }
            }
        }
    }

    #[test]
    fn range_co_partitions_topics_of_the_same_size(mut spec in any_group(true)) {
        spec.partition_counts.values_mut().for_each(|c| *c = 7);
        for assignment in Assignor::Range.assign(&spec).unwrap().values() {
            let distinct: BTreeSet<_> = assignment.values().collect();
            prop_assert!(distinct.len() <= 1);
        }
    }
}

fn check_balanced(spec: &GroupSpec, target: &GroupAssignment) {
    let sizes: Vec<_> = spec.members.keys().map(|m| size(target.get(m))).collect();
    let (low, high) = (sizes.iter().min().copied().unwrap_or(0), sizes.iter().max().copied().unwrap_or(0));
    assert!(high - low <= 1, "{sizes:?}");
}
