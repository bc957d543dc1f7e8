//! A fetch of what is not in memory waits for the disk, and nobody else does: not even on one worker, not even who
//! produces to the same partition.

mod disk;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_broker::Server;
use ottla_broker::telemetry::{Health, Loggers, Metrics};
use ottla_client::{Client, ConnectionConfig, Fetched};
use ottla_config::{BrokerConfig, ConfigMap};
use ottla_model::Offset;
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::{FetchResponse, ListOffsetsRequest};
use tokio::sync::oneshot;

use crate::support::{batch, create_topic, topic_name};
use disk::{ColdDisk, ColdRead};

/// What is not held up comes at once; the time is for a machine that does something else meanwhile.
const WAIT: Duration = Duration::from_secs(20);
const BATCHES: i64 = 400;
const VALUE_LEN: usize = 10_000;
/// Most of the batches are in segments that are closed.
const SEGMENT_BYTES: &str = "2000000";
/// The fetch begins in the middle of a segment.
const FROM: i64 = 50;

/// A broker whose connections are all served by one thread.
struct OneWorker {
    address: String,
    disk: ColdDisk,
    metrics: Arc<Metrics>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl OneWorker {
    async fn start(dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut all: ConfigMap =
            settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        all.insert("listeners".to_owned(), "PLAINTEXT://127.0.0.1:0".to_owned());
        all.insert("log.dirs".to_owned(), dir.to_string_lossy().into_owned());
        let config = BrokerConfig::from_static(all).unwrap();
        let (disk, (stop, stopped), (ready, address)) =
            (ColdDisk::default(), oneshot::channel(), oneshot::channel());
        let on = Arc::new(disk.clone());
        let metrics = Arc::new(Metrics::new(Instant::now()));
        let of_broker = Arc::clone(&metrics);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let health = Arc::new(Health::default());
                let loggers = Loggers::new("info", drop);
                let server = Server::start_on(on, config, loggers, of_broker, health).await.unwrap();
                ready.send(server.addresses()[0].clone()).unwrap();
                let _ = stopped.await;
                server.stop().await;
            });
        });
        let address = address.await.unwrap();
        Self { address, disk, metrics, stop: Some(stop), thread: Some(thread) }
    }

    /// Bytes that were not in the page cache when a fetch needed them.
    fn fetched_from_disk(&self) -> u64 {
        let text = self.metrics.render();
        let value = text.lines().find_map(|line| line.strip_prefix("ottla_fetch_disk_bytes_total "));
        value.unwrap().parse().unwrap()
    }

    async fn client(&self) -> Client {
        Client::connect(&self.address, ConnectionConfig::default()).await.unwrap()
    }
}

impl Drop for OneWorker {
    fn drop(&mut self) {
        self.disk.thaw();
        drop(self.stop.take());
        if let Some(thread) = self.thread.take().filter(|_| !std::thread::panicking()) {
            thread.join().unwrap();
        }
    }
}

async fn produce_numbers(client: &Client) {
    for number in 0..BATCHES {
        let value = format!("{number:0>VALUE_LEN$}");
        client.produce("t", 0, batch(&[&value]), -1).await.unwrap();
    }
}

/// A broker that has produced numbers and forgotten them: they are on the disk only.
async fn cold_broker(dir: &Path, sendfile_min_len: &str) -> (OneWorker, Client) {
    let settings =
        [("ottla.fetch.sendfile.min.bytes", sendfile_min_len), ("log.segment.bytes", SEGMENT_BYTES)];
    let broker = OneWorker::start(dir, &settings).await;
    create_topic(&broker.client().await, "t", &[]).await;
    produce_numbers(&broker.client().await).await;
    drop(broker);
    // What it remembers of closed segments is gone with it.
    let broker = OneWorker::start(dir, &settings).await;
    let producer = broker.client().await;
    producer.produce("t", 0, batch(&["before"]), -1).await.unwrap();
    broker.disk.chill(&dir.join("t-0"));
    (broker, producer)
}

/// The answer, and what it waited for while everything else went on.
async fn while_others_go_on<T>(
    broker: &OneWorker,
    producer: &Client,
    answer: impl Future<Output = T>,
) -> (T, Vec<ColdRead>) {
    let mut answer = std::pin::pin!(answer);
    let mut waited_for = Vec::new();
    loop {
        tokio::select! {
            answered = &mut answer => return (answered, waited_for),
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
        let Some(read) = broker.disk.waiting() else { continue };
        waited_for.push(read.clone());
        // The same partition, by a connection that is there, and one that is new.
        let produced = producer.produce("t", 0, batch(&["meanwhile"]), -1);
        tokio::time::timeout(WAIT, produced).await.expect("a produce waits for the disk").unwrap();
        tokio::time::timeout(WAIT, broker.client()).await.expect("a connection waits for the disk");
        broker.disk.let_through(read.clone());
        while broker.disk.waiting().as_ref() == Some(&read) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// What a cold fetch waited for, while everything else went on.
async fn waited_for(sendfile_min_len: &str, max_bytes: i32) -> Vec<ColdRead> {
    let dir = tempfile::tempdir().unwrap();
    let (broker, producer) = cold_broker(dir.path(), sendfile_min_len).await;
    let consumer = broker.client().await;
    let mut request = Client::fetch_request("t", 0, Offset(FROM), 1, 0);
    request.max_bytes = max_bytes;
    request.topics[0].partitions[0].partition_max_bytes = max_bytes;
    assert_eq!(broker.fetched_from_disk(), 0);
    let answer = consumer.connection().call(&request, 12);
    let (response, waited_for) = while_others_go_on(&broker, &producer, answer).await;
    let response: FetchResponse = response.unwrap();
    let missed = broker.fetched_from_disk();
    let again = consumer.connection().call(&request, 12);
    let _: FetchResponse = while_others_go_on(&broker, &producer, again).await.0.unwrap();
    assert_eq!(broker.fetched_from_disk(), missed, "what was read is in the page cache");
    assert!((1_000_000..3_000_000).contains(&missed), "{missed} bytes of a fetch of 1.5 MB");
    let records = response.responses[0].partitions[0].records.clone().unwrap();
    let fetched = Fetched {
        high_watermark: Offset::ZERO,
        last_stable_offset: Offset::ZERO,
        log_start: Offset::ZERO,
        records,
    };
    let values = fetched.records_from(Offset(FROM)).unwrap();
    assert!(values.len() >= 5, "{} records", values.len());
    for (number, record) in (FROM..).zip(values) {
        assert_eq!(record.value.unwrap(), format!("{number:0>VALUE_LEN$}").as_bytes());
    }
    waited_for
}

fn kind(read: &ColdRead) -> &str {
    read.file.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// Everything was on the disk only: the index, and the log up to where a fetch of 1.5 MB from a third of a segment ends.
fn assert_all_was_waited_for(waited_for: &[ColdRead]) {
    let kinds: BTreeSet<&str> = waited_for.iter().map(kind).collect();
    assert_eq!(kinds, BTreeSet::from(["index", "log"]), "{waited_for:?}");
    let logs = waited_for.iter().filter(|read| kind(read) == "log");
    let end = logs.map(|read| read.pos + read.len as u64).max().unwrap_or(0);
    assert!(end >= 1_900_000, "{waited_for:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fetches_from_a_cold_disk_by_sendfile_waits_alone() {
    assert_all_was_waited_for(&waited_for("65536", 1_500_000).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fetches_from_a_cold_disk_by_copying_waits_alone() {
    assert_all_was_waited_for(&waited_for("0", 1_500_000).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_for_a_time_on_a_cold_disk_waits_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (broker, producer) = cold_broker(dir.path(), "0").await;
    let client = broker.client().await;
    // All records are of the same time.
    for (timestamp, offset) in [(1_000, 0), (-3, 0)] {
        let request = offsets_request(timestamp);
        let answer = client.connection().call(&request, 7);
        let (response, waited_for) = while_others_go_on(&broker, &producer, answer).await;
        let found = &response.unwrap().topics[0].partitions[0];
        assert_eq!((found.error_code, found.offset), (0, offset));
        if timestamp > 0 {
            let kinds: BTreeSet<&str> = waited_for.iter().map(kind).collect();
            assert_eq!(kinds, BTreeSet::from(["timeindex", "index", "log"]), "{waited_for:?}");
        }
    }
}

/// ListOffsets of the topic's one partition.
fn offsets_request(timestamp: i64) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    ListOffsetsRequest::default().with_topics(vec![topic])
}
