//! Log compaction: many keys in small segments, through restarts and a kill -9, and beside a real Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use ottla_compat_tests::dump::dump_cleaned;
use ottla_compat_tests::http::get;
use ottla_compat_tests::kcat::{consume_all, kcat};
use ottla_compat_tests::process::eventually;
use ottla_compat_tests::tools::{TOPICS, run};
use ottla_compat_tests::{Broker, Target, needs};

/// Every topic is compacted, in small pieces and without waiting.
const SETTINGS: [(&str, &str); 7] = [
    ("log.cleaner.backoff.ms", "50"),
    ("log.cleaner.dedupe.buffer.size", "2097152"),
    ("log.cleaner.min.cleanable.ratio", "0.01"),
    ("log.cleanup.policy", "compact"),
    ("log.roll.ms", "300"),
    ("log.segment.bytes", "1048576"),
    ("log.segment.delete.delay.ms", "0"),
];
/// A record this much younger than its segment's first begins the next one.
const SEGMENT_MS: u64 = 300;
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
const KEYS: u64 = 700;

/// What was sent, by offset: key and value, `None` for a tombstone.
type Records = BTreeMap<i64, (String, Option<String>)>;

/// A topic that is written to, and what it must hold.
struct Topic {
    name: &'static str,
    sent: Records,
    seed: u64,
}

impl Topic {
    fn new(name: &'static str) -> Self {
        Self { name, sent: Records::new(), seed: 1 }
    }

    /// The same everywhere and in each run.
    fn random(&mut self, below: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    /// Sends `count` records to each of the brokers, one in so many a tombstone.
    fn send(&mut self, brokers: &[&Broker], count: u64, tombstone_in: Option<u64>, codec: &str) {
        let mut lines = String::new();
        for _ in 0..count {
            let key = format!("k{}", self.random(KEYS));
            let offset = i64::try_from(self.sent.len()).expect("few records");
            let is_tombstone = tombstone_in.is_some_and(|one_in| self.random(one_in) == 0);
            let len = usize::try_from(self.random(400)).expect("short");
            let value = (!is_tombstone).then(|| format!("v{offset}-{}", "x".repeat(len)));
            lines.push_str(&format!("{key}:{}\n", value.as_deref().unwrap_or("")));
            self.sent.insert(offset, (key, value));
        }
        let compression = format!("compression.codec={codec}");
        let args = ["-P", "-t", self.name, "-p", "0", "-K:", "-Z", "-X", "enable.idempotence=true"];
        let args = [&args[..], &["-X", &compression, "-X", "batch.num.messages=200"]].concat();
        for broker in brokers {
            kcat(broker, &args, Some(lines.as_bytes()));
        }
    }

    /// Closes the active segment: the next one begins with the record that this sends. Gives its offset.
    fn roll(&mut self, brokers: &[&Broker]) -> i64 {
        std::thread::sleep(Duration::from_millis(SEGMENT_MS + 200));
        let end = i64::try_from(self.sent.len()).expect("few records");
        self.send(brokers, 1, None, "none");
        end
    }

    fn wait_until_cleaned(&self, broker: &Broker, to: i64) {
        let cleaned = || (cleaned_to(broker, self.name) >= Some(to)).then_some(());
        eventually("the cleaner", Duration::from_secs(60), cleaned);
    }

    fn read(&self, broker: &Broker) -> Records {
        let record = |line: &str| {
            let mut fields = line.splitn(4, ' ');
            let offset = fields.next()?.parse().ok()?;
            let (key, len, value) = (fields.next()?, fields.next()?, fields.next()?);
            Some((offset, (key.to_owned(), (len != "-1").then(|| value.to_owned()))))
        };
        let text = consume_all(broker, self.name, "%o %k %S %s\n");
        text.lines()
            .map(|line| record(line).unwrap_or_else(|| panic!("unexpected record: {line:?}")))
            .collect()
    }

    /// The last record of each key below `clean`, and all from there on.
    fn compacted(&self, clean: i64) -> Records {
        let mut last = BTreeMap::new();
        for (offset, (key, _)) in self.sent.range(..clean) {
            last.insert(key, *offset);
        }
        let kept =
            self.sent.iter().filter(|(offset, (key, _))| **offset >= clean || last.get(key) == Some(*offset));
        kept.map(|(offset, record)| (*offset, record.clone())).collect()
    }

    /// Nothing that was not sent, and for each key its last value.
    fn assert_whole(&self, broker: &Broker) {
        let read = self.read(broker);
        for (offset, record) in &read {
            assert_eq!(self.sent.get(offset), Some(record), "at {offset}");
        }
        let (wanted, found) = (values(&self.sent), values(&read));
        assert_eq!(found.len(), wanted.len());
        assert!(found == wanted, "the last values of {} differ", self.name);
    }
}

/// The last value of each key that has one.
fn values(records: &Records) -> BTreeMap<&str, &str> {
    let mut values = BTreeMap::new();
    for (key, value) in records.values() {
        match value {
            Some(value) => values.insert(key.as_str(), value.as_str()),
            None => values.remove(key.as_str()),
        };
    }
    values
}

/// What `cleaner-offset-checkpoint` says of partition 0.
fn cleaned_to(broker: &Broker, topic: &str) -> Option<i64> {
    let text = fs::read_to_string(broker.data_dir().join("cleaner-offset-checkpoint")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{topic} 0 ")))?;
    line.trim().parse().ok()
}

#[track_caller]
fn assert_equal(found: &Records, wanted: &Records) {
    let wrong = found.iter().find(|(offset, record)| wanted.get(offset) != Some(record));
    assert_eq!(wrong, None, "this record should be gone");
    let missing = wanted.keys().find(|offset| !found.contains_key(offset));
    assert_eq!(missing, None, "this record should be there");
}

#[test]
fn a_consumer_sees_the_last_value_of_each_key_through_restart_and_kill() {
    needs!(Broker, Kcat);
    let settings = [&SETTINGS[..], &[("log.cleaner.delete.retention.ms", "200")]].concat();
    let mut broker = Broker::start_with(&settings);
    let mut topic = Topic::new("kept");
    for (round, codec) in CODECS.into_iter().enumerate() {
        topic.send(&[&broker], 4000, Some(8), codec);
        topic.roll(&[&broker]);
        // Whatever the cleaner is at.
        match round {
            1 => {
                broker.terminate(Duration::from_secs(20));
                broker.restart();
            }
            2 | 3 => {
                broker.kill_9();
                broker.restart();
            }
            _ => {}
        }
        topic.assert_whole(&broker);
    }
    let clean = topic.roll(&[&broker]);
    topic.wait_until_cleaned(&broker, clean);
    let read = topic.read(&broker);
    let below: Vec<&String> = read.range(..clean).map(|(_, (key, _))| key).collect();
    let keys: BTreeSet<&String> = below.iter().copied().collect();
    assert_eq!(below.len(), keys.len(), "one record a key");
    topic.assert_whole(&broker);
    if Target::current() == Target::Ottla {
        assert_metrics(&broker);
    }
}

#[test]
fn the_official_tool_reads_compacted_segments_in_silence() {
    needs!(Broker, Tools, Kcat);
    let mut broker = Broker::start_with(&SETTINGS);
    let mut topic = Topic::new("kept");
    for codec in CODECS {
        topic.send(&[&broker], 2000, Some(8), codec);
        topic.roll(&[&broker]);
    }
    let clean = topic.roll(&[&broker]);
    topic.wait_until_cleaned(&broker, clean);
    broker.terminate(Duration::from_secs(20));
    let dumped = dump_cleaned(&broker.partition_dir("kept", 0));
    assert!(dumped.logs > 0 && dumped.indexes >= 2 * dumped.logs, "{dumped:?}");
}

#[test]
fn a_damaged_log_is_reported_and_tried_again_while_others_go_on() {
    needs!(Broker, Kcat);
    if !needs::only_on(Target::Ottla) {
        return;
    }
    let mut broker = Broker::start_with(&SETTINGS);
    let (mut damaged, mut sound) = (Topic::new("damaged"), Topic::new("sound"));
    for topic in [&mut damaged, &mut sound] {
        topic.send(&[&broker], 500, None, "lz4");
        let clean = topic.roll(&[&broker]);
        topic.wait_until_cleaned(&broker, clean);
    }
    broker.terminate(Duration::from_secs(20));
    let segment = broker.partition_dir("damaged", 0).join(format!("{:020}.log", 0));
    let before = fs::read(&segment).expect("read the segment");
    let mut bytes = before.clone();
    // The first batch's magic.
    bytes[16] = 7;
    fs::write(&segment, &bytes).expect("damage the segment");
    broker.restart();
    let mut clean = 0;
    for topic in [&mut damaged, &mut sound] {
        topic.send(&[&broker], 500, None, "lz4");
        clean = topic.roll(&[&broker]);
    }
    sound.wait_until_cleaned(&broker, clean);
    let reported = || {
        let is_corrupt = metric(&broker, "ottla_cleaner_failures_total{reason=\"corrupt\"}") >= 1.0;
        let waits = metric(&broker, "kafka_log_logcleanermanager_uncleanable_partitions_count") == 1.0
            && metric(&broker, "kafka_log_logcleanermanager_uncleanable_bytes") > 0.0;
        (is_corrupt && waits).then_some(())
    };
    eventually("the report", Duration::from_secs(20), reported);
    assert_eq!(metric(&broker, "kafka_log_logcleaner_deadthreadcount"), 0.0);
    assert!(cleaned_to(&broker, "damaged") < Some(clean));

    fs::write(&segment, &before).expect("mend the segment");
    damaged.wait_until_cleaned(&broker, clean);
    let forgotten = || {
        let waiting = metric(&broker, "kafka_log_logcleanermanager_uncleanable_partitions_count");
        (waiting == 0.0).then_some(())
    };
    eventually("the end of the report", Duration::from_secs(20), forgotten);
    damaged.assert_whole(&broker);
    sound.assert_whole(&broker);
}

/// The value of a series, labels included in its name.
fn metric(broker: &Broker, name: &str) -> f64 {
    let (_, text) = get(broker.second_port(), "/metrics").expect("the metrics");
    let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    let value = line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

/// The cleaner shows under both spellings.
fn assert_metrics(broker: &Broker) {
    let value = |name| metric(broker, name);
    assert!(value("ottla_cleaner_cleanings_total") >= 1.0);
    assert!(value("ottla_cleaner_written_bytes_total") < value("ottla_cleaner_read_bytes_total"));
    assert_eq!(value("kafka_log_logcleaner_deadthreadcount"), 0.0);
    assert_eq!(value("kafka_log_logcleanermanager_uncleanable_partitions_count"), 0.0);
    assert_eq!(value("kafka_log_logcleanermanager_uncleanable_bytes"), 0.0);
    assert!(value("kafka_log_logcleanermanager_time_since_last_run_ms") < 60_000.0);
    assert!(value("kafka_log_logcleanermanager_max_dirty_percent") <= 100.0);
    assert!(value("kafka_log_logcleaner_cleaner_recopy_percent") <= 100.0);
    value("kafka_log_logcleaner_max_clean_time_secs");
}

#[test]
fn the_same_records_remain_as_in_kafka() {
    needs!(Broker, Kafka, Tools, Kcat);
    if !needs::only_on(Target::Ottla) {
        return;
    }
    let (ours, kafka) =
        (Broker::start_as(Target::Ottla, &SETTINGS), Broker::start_as(Target::Kafka, &SETTINGS));
    let both = [&ours, &kafka];
    let (mut kept, mut expired) = (Topic::new("kept"), Topic::new("expired"));
    for broker in both {
        let retention = ["--config", "delete.retention.ms=0"];
        run(broker, TOPICS, &[&["--create", "--topic", expired.name], &retention[..]].concat()).ok();
    }
    for codec in CODECS {
        kept.send(&both, 1200, Some(6), codec);
        expired.send(&both, 1200, Some(6), codec);
    }
    let (clean, _) = (kept.roll(&both), expired.roll(&both));
    both.iter().for_each(|broker| kept.wait_until_cleaned(broker, clean));
    both.iter().for_each(|broker| expired.wait_until_cleaned(broker, clean));
    // A tombstone goes with the cleaning after the one that first saw it.
    expired.send(&both, 50, None, "none");
    let later = expired.roll(&both);
    both.iter().for_each(|broker| expired.wait_until_cleaned(broker, later));

    let wanted = kept.compacted(clean);
    assert_equal(&kept.read(&kafka), &wanted);
    assert_equal(&kept.read(&ours), &wanted);
    let mut wanted = expired.compacted(later);
    wanted.retain(|_, (_, value)| value.is_some());
    assert_equal(&expired.read(&kafka), &wanted);
    assert_equal(&expired.read(&ours), &wanted);
}
