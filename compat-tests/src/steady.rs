//! A producer that goes on whatever becomes of the brokers, and remembers what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_client::Client;
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, TimestampMs};
use tokio::task::JoinHandle;

use crate::admin::{leader_of, try_client};
use crate::crash::reader::read;

/// A broker that says nothing for so long is asked no more.
const PATIENCE: Duration = Duration::from_secs(2);
const VISIBLE_WITHIN: Duration = Duration::from_secs(30);

/// A record that was acknowledged.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub sent: Instant,
    pub at: Instant,
    pub offset: i64,
    pub value: String,
}

/// Produces to partition 0 of a topic with acks=all, one record after the other, each with a value of its own: one that
/// was sent twice because nobody answered counts as two.
#[derive(Debug)]
pub struct SteadyProducer {
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl SteadyProducer {
    pub fn start(addresses: Vec<String>, topic: &str) -> Self {
        let (acknowledged, stop) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(AtomicBool::new(false)));
        let task =
            tokio::spawn(produce(addresses, topic.to_owned(), Arc::clone(&acknowledged), Arc::clone(&stop)));
        Self { acknowledged, stop, task }
    }

    pub fn acknowledged(&self) -> Vec<Acknowledged> {
        lock(&self.acknowledged).clone()
    }

    /// When the first record was acknowledged of those sent after `moment`, as of now.
    pub fn first_sent_after(&self, moment: Instant) -> Option<Instant> {
        lock(&self.acknowledged).iter().find(|record| record.sent > moment).map(|record| record.at)
    }

    /// All that was acknowledged, once the last one is.
    pub async fn finish(self) -> Vec<Acknowledged> {
        self.stop.store(true, Ordering::Release);
        self.task.await.expect("the producer ends");
        lock(&self.acknowledged).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn produce(
    mut addresses: Vec<String>,
    topic: String,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    stop: Arc<AtomicBool>,
) {
    let mut leader = None;
    for attempt in 0u64.. {
        if stop.load(Ordering::Acquire) {
            return;
        }
        let client = match leader.take() {
            Some(client) => client,
            None => match find_leader(&addresses, &topic).await {
                Some(client) => client,
                None => {
                    addresses.rotate_left(1);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
            },
        };
        let value = format!("record {attempt} {}", "x".repeat(200));
        let mut batch = BatchBuilder::new(Offset::ZERO);
        batch.push(TimestampMs(1_700_000_000_000), None, Some(value.as_bytes()), &[]);
        let batch = batch.build().expect("a batch");
        let sent = Instant::now();
        match client.produce(&topic, 0, Bytes::from(batch), -1).await {
            Ok(produced) => {
                let offset = produced.base_offset.get();
                lock(&acknowledged).push(Acknowledged { sent, at: Instant::now(), offset, value });
                leader = Some(client);
            }
            Err(_) => {
                // Who was asked who leads may not know better.
                addresses.rotate_left(1);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }
}

/// The longest time between two acknowledgements in a row.
pub fn longest_gap(acknowledged: &[Acknowledged]) -> Duration {
    let gaps = acknowledged.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at));
    gaps.max().unwrap_or_default()
}

/// What the log says of what was acknowledged.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Records in the log.
    pub read: usize,
    /// What is not at its offset.
    pub lost: Vec<Acknowledged>,
    /// Records that are there once more, though each was sent once.
    pub twice: usize,
}

/// Reads partition 0, and looks for every record that was acknowledged; again, as long as a leader that has just become one
/// may show less than is committed.
pub async fn verify(addresses: &[String], topic: &str, acknowledged: &[Acknowledged]) -> Verdict {
    let until = Instant::now() + VISIBLE_WITHIN;
    loop {
        let verdict = compare(addresses, topic, acknowledged).await;
        if verdict.lost.is_empty() || Instant::now() > until {
            return verdict;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn compare(addresses: &[String], topic: &str, acknowledged: &[Acknowledged]) -> Verdict {
    let read = read(addresses, topic, 0).await.records;
    let text = |value: Option<Bytes>| String::from_utf8_lossy(&value.unwrap_or_default()).into_owned();
    let found: BTreeMap<i64, String> =
        read.into_iter().map(|record| (record.offset.get(), text(record.value))).collect();
    let values: BTreeSet<&String> = found.values().collect();
    let lost = acknowledged.iter().filter(|record| found.get(&record.offset) != Some(&record.value));
    Verdict { read: found.len(), lost: lost.cloned().collect(), twice: found.len() - values.len() }
}

/// A connection to the leader of partition 0, as far as somebody at `addresses` knows it.
pub async fn find_leader(addresses: &[String], topic: &str) -> Option<Client> {
    for address in addresses {
        if let Ok(Some(leader)) = leader_of(address, topic, 0, PATIENCE).await
            && let Ok(client) = try_client(&leader, PATIENCE).await
        {
            return Some(client);
        }
    }
    None
}
