//! One broker's life: the actors work while it is killed and restarted, and what they know is checked after each kill.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ottla_protocol::messages::CreateTopicsRequest;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::producer::{Kind, Plan, Producer, now_ms};
use super::session::{Site, text, topic_name};
use super::{Counts, History, Rng, admin, classic_group, consumer_group, ids, keyed, reader};
use crate::Broker;
use crate::admin::try_client;
use crate::ledger::compacted;
use crate::ledger::records;
use crate::ledger::retained::Retained;
use crate::process::eventually;

pub(crate) const RECORDS: &str = "records";
const RETAINED: &str = "retained";
/// A partition for each kind of producer of [`RECORDS`], with two producers each.
const KINDS: [Kind; 4] = [Kind::Acks(0), Kind::Acks(1), Kind::Acks(-1), Kind::Idempotent];
const PRODUCERS_PER_KIND: u32 = 2;
const RETENTION_MS: i64 = 400;
/// A broker that is killed closes its connections; this is for one that hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const ACTORS_END_WITHIN: Duration = Duration::from_secs(60);
/// Acknowledgements after a restart before it is killed again, mostly.
const PROGRESS: usize = 60;

/// Retention, compaction, checkpoints and flushes as often as they can be.
const SETTINGS: [(&str, &str); 12] = [
    ("log.retention.check.interval.ms", "100"),
    ("log.segment.delete.delay.ms", "50"),
    ("log.cleaner.backoff.ms", "50"),
    ("log.initial.task.delay.ms", "20"),
    ("log.flush.offset.checkpoint.interval.ms", "70"),
    ("log.flush.start.offset.checkpoint.interval.ms", "90"),
    ("replica.high.watermark.checkpoint.interval.ms", "80"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("offsets.topic.num.partitions", "3"),
    ("offsets.topic.segment.bytes", "1048576"),
    ("log.roll.jitter.ms", "0"),
    ("group.max.session.timeout.ms", "300000"),
];

/// What a life has come to.
#[derive(Debug)]
pub struct Report {
    pub kills: usize,
    pub counts: Counts,
    pub wrong: Vec<String>,
}

/// A broker and those who work with it.
#[derive(Debug)]
pub struct Life {
    pub broker: Broker,
    runtime: Runtime,
    rng: Rng,
    history: Arc<History>,
    retained: Retained,
    began_ms: i64,
    kills: usize,
    stop: watch::Sender<bool>,
    actors: JoinSet<()>,
}

impl Life {
    /// Starts a broker, makes the topics, and sets everybody to work.
    pub fn begin(seed: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let broker = Broker::start_with(&SETTINGS);
        let (stop, _) = watch::channel(false);
        let mut life = Self {
            broker,
            runtime,
            rng: Rng::new(seed),
            history: Arc::default(),
            retained: Retained::default(),
            began_ms: now_ms(),
            kills: 0,
            stop,
            actors: JoinSet::new(),
        };
        life.runtime.block_on(create_topics(&life.broker.address()));
        life.set_to_work();
        life
    }

    /// The checkers' memory, for those outside who also know something.
    pub fn history(&self) -> &History {
        &self.history
    }

    fn set_to_work(&mut self) {
        let site = Site::new(vec![self.broker.address()], ANSWER_WITHIN, self.stop.subscribe());
        let (history, runtime) = (&self.history, self.runtime.handle());
        for plan in plans() {
            let producer = Producer::new(plan, self.rng.fork(), Arc::clone(history));
            self.actors.spawn_on(producer.run(site.clone()), runtime);
        }
        let keyed = keyed::run(site.clone(), self.rng.fork(), Arc::clone(history), self.began_ms);
        self.actors.spawn_on(keyed, runtime);
        self.actors.spawn_on(ids::run(site.clone(), Arc::clone(history)), runtime);
        let admin = admin::Admin::new(self.rng.fork(), Arc::clone(history));
        self.actors.spawn_on(admin.run(site.clone()), runtime);
        let classic = classic_group::ClassicMember::new("classic", self.rng.fork(), Arc::clone(history));
        self.actors.spawn_on(classic.run(site.clone()), runtime);
        let consumer = consumer_group::ConsumerMember::new("consumer", self.rng.fork(), Arc::clone(history));
        self.actors.spawn_on(consumer.run(site), runtime);
    }

    /// Kills the broker at a moment of the seed's choice, sometimes once more while it starts, and checks what is left.
    pub fn kill(&mut self) {
        let pause = self.rng.below(250);
        std::thread::sleep(Duration::from_millis(pause));
        self.broker.kill_9();
        self.kills += 1;
        while self.rng.once_in(3) {
            self.broker.launch();
            let pause = self.rng.below(120);
            std::thread::sleep(Duration::from_millis(pause));
            self.broker.kill_9();
            self.kills += 1;
        }
        let known = Known::of(&self.history);
        self.broker.restart();
        self.check(&known);
        if !self.rng.once_in(4) {
            let wanted = self.history.counts().acknowledged + PROGRESS;
            let is_enough = || (self.history.counts().acknowledged >= wanted).then_some(());
            eventually("acknowledgements after a restart", Duration::from_secs(60), is_enough);
        }
    }

    pub fn kills(&self) -> usize {
        self.kills
    }

    /// Lets everybody finish, and checks once more.
    pub fn end(mut self) -> Report {
        self.stop.send_replace(true);
        let actors = &mut self.actors;
        let ended = self.runtime.block_on(async {
            tokio::time::timeout(ACTORS_END_WITHIN, async { while actors.join_next().await.is_some() {} })
                .await
        });
        assert!(ended.is_ok(), "not all actors end");
        self.check(&Known::of(&self.history));
        Report { kills: self.kills, counts: self.history.counts(), wrong: self.history.wrong() }
    }

    fn check(&mut self, known: &Known) {
        let addresses = [self.broker.address()];
        let kinds = i32::try_from(KINDS.len()).expect("a few");
        let (records, retained, compacted) = self.runtime.block_on(async {
            let records = reader::read_entries(&addresses, RECORDS, 0..kinds).await;
            let retained = reader::read_entries(&addresses, RETAINED, 0..1).await;
            (records, retained, reader::read(&addresses, keyed::TOPIC, 0).await)
        });
        self.history.found(RECORDS, records::check(&known.records, &records, &gapless()));
        let of_retained: Vec<_> = known.retained.iter().map(|(entry, _)| *entry).collect();
        self.history.found(RETAINED, records::check(&of_retained, &retained, &BTreeSet::new()));
        let early = self.retained.check(&known.retained, &retained, now_ms(), RETENTION_MS);
        self.history.found(RETAINED, early);
        let read = compacted.records.iter().map(|record| {
            keyed::parse(record, self.began_ms)
                .unwrap_or_else(|| panic!("no record of ours at {}", record.offset))
        });
        let read: Vec<_> = read.collect();
        let sent = self.history.keyed_sent_so_far();
        self.history.found(keyed::TOPIC, compacted::check(&sent, &known.keyed, &read));
        let removed = of_retained.iter().filter(|entry| entry.offset < retained.start(0)).count();
        let gone = known.keyed.len().saturating_sub(read.len());
        self.history.count(|counts| {
            counts.removed = removed;
            counts.compacted = gone;
        });
    }
}

/// What was acknowledged at one moment.
struct Known {
    records: Vec<records::Entry>,
    retained: Vec<(records::Entry, i64)>,
    keyed: Vec<compacted::Keyed>,
}

impl Known {
    fn of(history: &History) -> Self {
        Self {
            records: history.records(),
            retained: history.retained_records(),
            keyed: history.keyed_records(),
        }
    }
}

fn plans() -> Vec<Plan> {
    let pause = Duration::from_millis(30);
    let mut plans = Vec::new();
    for (partition, kind) in (0..).zip(KINDS) {
        for _ in 0..PRODUCERS_PER_KIND {
            let number = u32::try_from(plans.len()).expect("a few");
            let plan =
                Plan { topic: RECORDS, partition, number, kind, value_len: 40, pause, is_retained: false };
            plans.push(plan);
        }
    }
    plans.push(Plan {
        topic: RETAINED,
        partition: 0,
        number: 0,
        kind: Kind::Acks(1),
        value_len: 400,
        pause,
        is_retained: true,
    });
    plans
}

/// The producers that send again what is not acknowledged.
fn gapless() -> BTreeSet<u32> {
    let idempotent =
        plans().into_iter().filter(|plan| plan.kind == Kind::Idempotent && plan.topic == RECORDS);
    idempotent.map(|plan| plan.number).collect()
}

async fn create_topics(address: &str) {
    let client = try_client(address, ANSWER_WITHIN).await.expect("a connection");
    let retention = RETENTION_MS.to_string();
    let topics = [
        topic(RECORDS, 4, &[]),
        topic(RETAINED, 1, &[("segment.ms", "100"), ("retention.ms", &retention)]),
        topic(
            keyed::TOPIC,
            1,
            &[
                ("cleanup.policy", "compact"),
                ("segment.ms", "500"),
                ("min.cleanable.dirty.ratio", "0.01"),
                ("delete.retention.ms", "100"),
            ],
        ),
    ];
    let request = CreateTopicsRequest::default().with_topics(topics.into()).with_timeout_ms(30_000);
    let answer = client.call(&request).await.expect("an answer");
    let codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [0, 0, 0], "{:?}", answer.topics);
}

fn topic(name: &str, partitions: i32, configs: &[(&str, &str)]) -> CreatableTopic {
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    });
    CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs.collect())
}
