//! Transcripts of Kafka's own coordinator (`testdata/ConsumerGroupTranscripts.java`), replayed against ours: the same
//! answers, errors and records at each step.

use std::sync::Arc;

use super::harness::{Harness, assignment, join, show};
use super::*;
use crate::assignor::{Assignment, Assignor};
use crate::records::{GroupRecord, OwnedTopicPartitions};

const TRANSCRIPTS: &str = include_str!("../../testdata/consumer_group_transcripts.txt");

/// Null as `-`, a value in brackets.
pub(crate) fn given(field: &str) -> Option<&str> {
    (field != "-").then(|| field.trim_start_matches('[').trim_end_matches(']'))
}

fn list(text: &str) -> Vec<Arc<str>> {
    text.split(',').filter(|n| !n.is_empty()).map(Arc::from).collect()
}

/// `beat|member|epoch|instance|names|regex|owned`
pub(crate) fn request(line: &str) -> HeartbeatRequest {
    let fields: Vec<&str> = line.split('|').collect();
    HeartbeatRequest {
        member_epoch: fields[2].parse().unwrap(),
        instance_id: given(fields[3]).map(Into::into),
        rebalance_timeout_ms: given(fields[4]).map(|_| 30_000),
        subscribed_topic_names: given(fields[4]).map(list),
        // Not the brackets of a class: the scripts have none.
        subscribed_topic_regex: given(fields[5]).map(Arc::from),
        owned: given(fields[6]).map(assignment),
        ..join(fields[1], &[])
    }
}

pub(crate) fn answer(response: &HeartbeatResponse) -> String {
    let assignment = response.assignment.as_ref().map(|a| format!("[{}]", topics(a)));
    format!("= {} {}", response.member_epoch, assignment.as_deref().unwrap_or("-"))
}

fn topics(assignment: &Assignment) -> String {
    let topic = |(t, ps): (&ottla_model::TopicId, &std::collections::BTreeSet<i32>)| {
        let partitions: Vec<String> = ps.iter().map(ToString::to_string).collect();
        format!("{}:{}", t.0.as_u128(), partitions.join(","))
    };
    assignment.iter().map(topic).collect::<Vec<_>>().join(" ")
}

/// As `show`, with all that the transcripts tell.
pub(crate) fn full(record: &GroupRecord) -> String {
    match record {
        GroupRecord::ConsumerGroupMetadata(_, Some(v)) => format!("epoch {} #{}", v.epoch, v.metadata_hash),
        GroupRecord::ConsumerGroupCurrentMemberAssignment(k, Some(v)) => format!(
            "current {} {}<-{} {}{} |{}",
            k.member,
            v.member_epoch,
            v.previous_member_epoch,
            v.state,
            owned(&v.assigned_partitions),
            owned(&v.partitions_pending_revocation),
        ),
        GroupRecord::ConsumerGroupRegularExpression(_, Some(v)) => {
            format!("{} v{} @{}", show(record), v.version, v.timestamp)
        }
        other => show(other),
    }
}

fn owned(of: &[OwnedTopicPartitions]) -> String {
    let one = |t: &OwnedTopicPartitions| {
        let epochs = t.assignment_epochs.as_ref().unwrap();
        let pairs: Vec<String> = t.partitions.iter().zip(epochs).map(|(p, e)| format!("{p}@{e}")).collect();
        format!(" {}:{}", t.topic_id.0.as_u128(), pairs.join(","))
    };
    of.iter().map(one).collect()
}

/// Runs of records of one kind are sorted, as in the transcripts.
fn lines(records: &[GroupRecord]) -> Vec<String> {
    let mut lines: Vec<String> = records.iter().map(full).collect();
    let kind = |line: &String| line.split(' ').next().unwrap().to_owned();
    lines.chunk_by_mut(|a, b| kind(a) == kind(b)).for_each(<[String]>::sort);
    lines.into_iter().map(|line| format!("> {line}")).collect()
}

/// Plays one input line; its outputs as a transcript has them.
fn play(harness: &mut Harness, line: &str) -> Vec<String> {
    if line.starts_with("beat|") {
        return match harness.heartbeat(&request(line)) {
            Ok((response, records)) => {
                let mut out = lines(&records);
                out.push(answer(&response));
                out
            }
            Err(error) => vec![format!("! {} {error}", error.code())],
        };
    }
    let fields: Vec<&str> = line.split(' ').collect();
    match fields[0] {
        "tick" => harness.tick(fields[1].parse().unwrap()).iter().flat_map(|r| lines(r)).collect(),
        "topic" => {
            harness.add_topic(fields[1], fields[2].parse().unwrap(), fields[3].parse().unwrap());
            Vec::new()
        }
        _ => panic!("{line}"),
    }
}

#[test]
fn answers_and_records_are_those_of_kafka() {
    let mut scripts = 0;
    for script in TRANSCRIPTS.split("script ").skip(1) {
        let mut lines = script.lines().peekable();
        let mut harness = Harness::new(&[]);
        harness.settings.assignors = vec![Assignor::Range];
        harness.settings.assignment_interval_ms = lines.next().unwrap().parse().unwrap();
        let mut past = Vec::new();
        while let Some(input) = lines.next() {
            let mut expected = Vec::new();
            while let Some(output) = lines.next_if(|l| l.starts_with(['>', '=', '!'])) {
                expected.push(output.to_owned());
            }
            past.push(input);
            let actual = play(&mut harness, input);
            let recent = &past[past.len().saturating_sub(12)..];
            assert_eq!(actual, expected, "after {recent:#?}");
            harness.check();
        }
        harness.restart();
        scripts += 1;
    }
    assert_eq!(scripts, 30);
}
