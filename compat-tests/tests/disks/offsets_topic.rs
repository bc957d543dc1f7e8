//! `__consumer_offsets` after groups of both kinds, as the official formatters show it: whole, and compacted.

use ottla_compat_tests::Broker;
use ottla_compat_tests::process::eventually;
use ottla_compat_tests::tools::{self, CONFIGS, CONSOLE_CONSUMER, CONSUMER_GROUPS};
use regex::Regex;

use crate::{LIMIT, cleaned_to, group};

const TOPIC: &str = "__consumer_offsets";
/// Both of what 4.4 has for this topic.
const FORMATTERS: [&str; 2] = ["OffsetsMessageFormatter", "GroupMetadataMessageFormatter"];
/// The groups that [`fill_and_compact`] leaves.
pub(crate) const GROUPS_LEFT: [&str; 3] = ["group-classic", "group-consumer", "admin"];
/// A record this much younger than its segment's first begins the next one.
const SEGMENT_MS: u64 = 100;

/// What the formatters print, without what differs from run to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Formatted {
    /// Before the cleaner came.
    whole: Vec<String>,
    compacted: Vec<String>,
}

/// Groups of both kinds commit, an administrator sets, deletes and sets again; then all of it is compacted.
pub(crate) fn fill_and_compact(broker: &Broker) -> Formatted {
    group(broker, "classic");
    group(broker, "consumer");
    for to in ["--to-earliest", "--to-latest", "--to-earliest"] {
        reset(broker, "admin", to);
    }
    reset(broker, "gone", "--to-latest");
    reset(broker, "bare", "--to-latest");
    let delete = ["--delete-offsets", "--group", "bare", "--topic", "codecs:0"];
    tools::run(broker, CONSUMER_GROUPS, &delete).ok();
    tools::run(broker, CONSUMER_GROUPS, &["--delete", "--group", "gone"]).ok();
    let whole = formatted(broker);
    let often = format!("segment.ms={SEGMENT_MS},min.cleanable.dirty.ratio=0.001");
    let alter = ["--alter", "--entity-type", "topics", "--entity-name", TOPIC, "--add-config", &often];
    tools::run(broker, CONFIGS, &alter).ok();
    // Each begins a segment: the first is in a closed one once there is the second, and stands for all of its key.
    let end = end_offset(broker);
    for to in ["--to-latest", "--to-earliest"] {
        std::thread::sleep(std::time::Duration::from_millis(2 * SEGMENT_MS));
        reset(broker, "admin", to);
    }
    eventually("the cleaner has been in the offsets topic", LIMIT, || {
        (cleaned_to(broker, TOPIC) > end).then_some(())
    });
    Formatted { whole, compacted: formatted(broker) }
}

fn reset(broker: &Broker, group: &str, to: &str) {
    let reset = ["--reset-offsets", "--group", group, "--topic", "codecs", to, "--execute"];
    tools::run(broker, CONSUMER_GROUPS, &reset).ok();
}

fn end_offset(broker: &Broker) -> i64 {
    let batches = ottla_compat_tests::partition::served(broker.port(), TOPIC).expect("the offsets topic");
    batches.last().map_or(0, |batch| batch.last_offset + 1)
}

fn formatted(broker: &Broker) -> Vec<String> {
    let mut lines = Vec::new();
    for formatter in FORMATTERS {
        let formatter = format!("org.apache.kafka.tools.consumer.{formatter}");
        let from = ["--topic", TOPIC, "--partition", "0", "--offset", "earliest", "--timeout-ms", "2000"];
        let shown = tools::run(broker, CONSOLE_CONSUMER, &[&from[..], &["--formatter", &formatter]].concat());
        lines.extend(shown.ok().lines().iter().map(|line| without_chance(line)));
    }
    for part in ["admin", "group-classic", "group-consumer", "protocolType", "null"] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:#?}");
    }
    lines
}

/// Times, and what a broker or client drew at random.
fn without_chance(line: &str) -> String {
    let chance = Regex::new(r#"\b\d{13}\b|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|"topicId":"[\w-]{22}""#);
    chance.expect("a pattern").replace_all(line, "_").into_owned()
}
