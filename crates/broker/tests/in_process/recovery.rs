//! Clients while logs are still being opened: what is open is served, what is asked for is next, and nothing is lost
//! whatever happens meanwhile.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ottla_client::Client;
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, TimestampMs};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_topics_request::CreatableTopic;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::{
    CreateTopicsRequest, DeleteRecordsRequest, DescribeLogDirsRequest, GroupId, ListGroupsRequest,
    ListOffsetsRequest, OffsetCommitRequest, OffsetFetchRequest, StrBytes,
};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::support::{Broker, batch, topic_name, values_from};

/// The order in which logs are opened is the tests'.
const ONE_THREAD: (&str, &str) = ("num.recovery.threads.per.data.dir", "1");
/// NOT_LEADER_OR_FOLLOWER.
const RETRIABLE: i16 = 6;

/// A log whose opening waits: its topic id is to be read from a pipe that nobody writes to. In the end nothing comes out,
/// and the log is taken for its topic's, as one from before topic ids.
struct Gate(PathBuf);

impl Gate {
    fn at(data: &Path, partition: &str) -> Self {
        let path = data.join(partition).join("partition.metadata");
        std::fs::remove_file(&path).unwrap();
        let status = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(status.success());
        Self(path)
    }

    /// Waits until the broker is at the log, and lets it through; ends too when the log is gone.
    async fn open(self) {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap());
        while options
            .open(&self.0)
            .is_err_and(|error| error.raw_os_error() == Some(Errno::NXIO.raw_os_error()))
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A topic of several partitions, each with one record that is its number.
async fn create(broker: &Broker, topic: &str, partitions: i32) -> Client {
    let client = broker.client().await;
    let creatable = CreatableTopic::default()
        .with_name(topic_name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![creatable]).with_timeout_ms(10_000);
    assert_eq!(client.call(&request).await.unwrap().topics[0].error_code, 0);
    for partition in 0..partitions {
        client.produce(topic, partition, batch(&[&partition.to_string()]), -1).await.unwrap();
    }
    client
}

/// Where a partition's log ends, or the error.
async fn log_end(client: &Client, topic: &str, partition: i32) -> Result<i64, i16> {
    let asked = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(-1);
    let topic = ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    let answer = client.call(&request).await.unwrap();
    let found = &answer.topics[0].partitions[0];
    if found.error_code == 0 { Ok(found.offset) } else { Err(found.error_code) }
}

/// Waits until a partition with one record says so.
async fn until_served(client: &Client, topic: &str, partition: i32) {
    within(async { while log_end(client, topic, partition).await != Ok(1) {} }).await;
}

/// What is waited for without an end in sight comes soon.
async fn within<T>(waiting: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("within 30 s")
}

async fn commit(client: &Client, offset: i64) -> i16 {
    let partition = OffsetCommitRequestPartition { committed_offset: offset, ..Default::default() };
    let topic =
        OffsetCommitRequestTopic { name: topic_name("t"), partitions: vec![partition], ..Default::default() };
    let request = OffsetCommitRequest { group_id: group(), topics: vec![topic], ..Default::default() };
    let answer = client.connection().call(&request, 7).await.unwrap();
    answer.topics[0].partitions[0].error_code
}

async fn committed(client: &Client) -> Result<i64, i16> {
    let request = OffsetFetchRequest { group_id: group(), topics: None, ..Default::default() };
    let answer = client.connection().call(&request, 7).await.unwrap();
    if answer.error_code == 0 {
        Ok(answer.topics[0].partitions[0].committed_offset)
    } else {
        Err(answer.error_code)
    }
}

fn group() -> GroupId {
    GroupId(StrBytes::from_static_str("g"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_is_served_while_another_log_is_being_opened() {
    let broker = Broker::start().await;
    create(&broker, "t", 3).await;
    let mut gate = None;
    let broker = broker.as_if_killed_and(|dir| gate = Some(Gate::at(&dir.join("data"), "t-1"))).await;
    let client = broker.client().await;
    for partition in [0, 2] {
        assert_eq!(log_end(&client, "t", partition).await, Ok(1));
        assert_eq!(client.produce("t", partition, batch(&["new"]), -1).await.unwrap().base_offset, Offset(1));
        let fetched = client.fetch("t", partition, Offset::ZERO, 1, 0).await.unwrap();
        assert_eq!(fetched.records_from(Offset::ZERO).unwrap().len(), 2);
    }
    assert!(!broker.health.is_ready());
    let line = broker.health.line();
    assert!(line.starts_with("recovered ") && line.contains(" of 3 logs in "), "{line}");
    // What is asked for and not open yet: clients know how to wait.
    assert_eq!(log_end(&client, "t", 1).await, Err(RETRIABLE));
    let refused = client.produce("t", 1, batch(&["x"]), -1).await;
    assert_eq!(refused.unwrap_err().error_code(), Some(ErrorCode::NotLeaderOrFollower));
    let refused = client.fetch("t", 1, Offset::ZERO, 1, 0).await;
    assert_eq!(refused.unwrap_err().error_code(), Some(ErrorCode::NotLeaderOrFollower));
    gate.unwrap().open().await;
    broker.until_ready().await;
    assert_eq!(log_end(&client, "t", 1).await, Ok(1));
    let broker = broker.restart().await;
    assert_eq!(log_end(&broker.client().await, "t", 2).await, Ok(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_opened_next() {
    let broker = Broker::start_with(&[ONE_THREAD]).await;
    create(&broker, "t", 4).await;
    let mut gates = Vec::new();
    let gated = |dir: &Path| gates.extend((0..3).map(|n| Gate::at(&dir.join("data"), &format!("t-{n}"))));
    let broker = broker.as_if_killed_and(gated).await;
    let client = broker.client().await;
    let mut gates = gates.into_iter();
    // The only thread begins with the first one, unless the request is faster; the next one's turn would be for ever.
    let first = tokio::spawn(gates.next().unwrap().open());
    until_served(&client, "t", 3).await;
    until_served(&client, "t", 0).await;
    first.await.unwrap();
    for partition in [1, 2] {
        assert_eq!(log_end(&client, "t", partition).await, Err(RETRIABLE));
    }
    for gate in gates {
        gate.open().await;
    }
    broker.until_ready().await;
    for partition in 0..4 {
        assert_eq!(log_end(&client, "t", partition).await, Ok(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_for_a_log_that_is_opened_in_their_time() {
    let broker = Broker::start().await;
    create(&broker, "t", 1).await;
    let mut gate = None;
    let broker = broker.as_if_killed_and(|dir| gate = Some(Gate::at(&dir.join("data"), "t-0"))).await;
    let (producer, consumer, client) = (broker.client().await, broker.client().await, broker.client().await);
    let produced = tokio::spawn(async move { producer.produce("t", 0, batch(&["new"]), -1).await });
    let fetched = tokio::spawn(async move { consumer.fetch("t", 0, Offset::ZERO, 1, 30_000).await });
    let found = tokio::spawn(async move { log_end(&client, "t", 0).await });
    gate.unwrap().open().await;
    assert_eq!(produced.await.unwrap().unwrap().base_offset, Offset(1));
    assert!(!fetched.await.unwrap().unwrap().records_from(Offset::ZERO).unwrap().is_empty());
    assert!(found.await.unwrap().unwrap() >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_of_several_partitions_gives_what_is_open() {
    let broker = Broker::start().await;
    create(&broker, "t", 2).await;
    let mut gate = None;
    let broker = broker.as_if_killed_and(|dir| gate = Some(Gate::at(&dir.join("data"), "t-1"))).await;
    let client = broker.client().await;
    assert_eq!(log_end(&client, "t", 0).await, Ok(1));
    let mut request = Client::fetch_request("t", 0, Offset::ZERO, 1, 30_000);
    let mut other = request.topics[0].partitions[0].clone();
    other.partition = 1;
    request.topics[0].partitions.push(other);
    let answer = client.connection().call(&request, 12).await.unwrap();
    let mut codes: Vec<_> = answer.responses[0]
        .partitions
        .iter()
        .map(|found| (found.partition_index, found.error_code))
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, [(0, 0), (1, RETRIABLE)]);
    // Nothing new in the open one: the other is waited for.
    request.topics[0].partitions[0].fetch_offset = 1;
    let fetching = client.start(&request);
    let (fetching, ()) = tokio::join!(fetching, gate.unwrap().open());
    drop(fetching);
    until_served(&client, "t", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_whose_logs_are_not_open_are_deleted() {
    let broker = Broker::start_with(&[ONE_THREAD, ("log.segment.delete.delay.ms", "0")]).await;
    for topic in ["a", "b"] {
        create(&broker, topic, 2).await;
    }
    let (mut gates, mut data) = (Vec::new(), PathBuf::new());
    let gated = |dir: &Path| {
        data = dir.join("data");
        gates.extend(["a-0", "b-0"].map(|partition| Gate::at(&data, partition)));
    };
    let broker = broker.as_if_killed_and(gated).await;
    // One of them is being opened, the other waits.
    let gates: Vec<_> = gates.into_iter().map(|gate| tokio::spawn(gate.open())).collect();
    broker.delete("a").await;
    broker.delete("b").await;
    broker.until_ready().await;
    let left = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> =
        left.filter(|name| matches!(name.to_str(), Some("a-0" | "a-1" | "b-0" | "b-1"))).collect();
    assert!(left.is_empty(), "{left:?}");
    create(&broker, "a", 1).await;
    assert_eq!(log_end(&broker.client().await, "a", 0).await, Ok(1));
    for gate in gates {
        gate.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_go_on_speaking_of_logs_that_are_not_open() {
    let settings = [
        ("log.flush.start.offset.checkpoint.interval.ms", "10"),
        ("log.flush.offset.checkpoint.interval.ms", "10"),
        ("log.initial.task.delay.ms", "1"),
        ("log.retention.ms", "-1"),
    ];
    let broker = Broker::start_with(&settings).await;
    let client = create(&broker, "t", 2).await;
    let partition = DeleteRecordsPartition::default().with_partition_index(1).with_offset(1);
    let topic = DeleteRecordsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(1_000);
    assert_eq!(client.call(&request).await.unwrap().topics[0].partitions[0].low_watermark, 1);
    let checkpoint = |dir: &Path| std::fs::read_to_string(dir.join("log-start-offset-checkpoint"));
    within(async {
        while !checkpoint(&broker.data_dir()).is_ok_and(|text| text.contains("t 1 1")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut gate = None;
    // Not killed: a copy of checkpoints that are written all the time is none of any moment.
    let broker = broker.restart_and(|dir| gate = Some(Gate::at(&dir.join("data"), "t-1"))).await;
    // Written anew, and more than once, by those that are open.
    let path = broker.data_dir().join("log-start-offset-checkpoint");
    let inode = || std::fs::metadata(&path).unwrap().ino();
    for _ in 0..2 {
        let before = inode();
        within(async {
            while inode() == before {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    let text = checkpoint(&broker.data_dir()).unwrap();
    assert!(text.contains("t 1 1"), "{text}");
    gate.unwrap().open().await;
    broker.until_ready().await;
    assert!(values_from(&broker.client().await, "t", Offset::ZERO).await.contains(&"0".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_middle_loses_nothing_and_is_no_clean_one() {
    let broker = Broker::start_with(&[ONE_THREAD]).await;
    create(&broker, "t", 3).await;
    let mut gate = None;
    let broker = broker.as_if_killed_and(|dir| gate = Some(Gate::at(&dir.join("data"), "t-1"))).await;
    let client = broker.client().await;
    assert_eq!(client.produce("t", 0, batch(&["new"]), -1).await.unwrap().base_offset, Offset(1));
    let data = broker.data_dir();
    // The stop waits for the log that is being opened.
    let releasing = tokio::spawn(gate.unwrap().open());
    let broker = broker.restart().await;
    releasing.await.unwrap();
    let client = broker.client().await;
    for (partition, end) in [(0, 2), (1, 1), (2, 1)] {
        assert_eq!(log_end(&client, "t", partition).await, Ok(end), "{}", data.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_dirs_are_described_with_what_is_not_open() {
    let broker = Broker::start().await;
    create(&broker, "t", 2).await;
    let mut gate = None;
    let broker = broker.as_if_killed_and(|dir| gate = Some(Gate::at(&dir.join("data"), "t-1"))).await;
    let client = broker.client().await;
    assert_eq!(log_end(&client, "t", 0).await, Ok(1));
    let request = DescribeLogDirsRequest::default().with_topics(None);
    let results = client.call(&request).await.unwrap().results;
    let found: Vec<_> = results[0].topics.iter().flat_map(|topic| &topic.partitions).collect();
    assert_eq!(found.len(), 2);
    assert!(found[1].partition_size > 0);
    assert_eq!(found[0].partition_size, found[1].partition_size, "one record of one digit each");
    gate.unwrap().open().await;
    broker.until_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_loads_when_its_log_is_open() {
    // One partition, so that it is known which one it is.
    let broker = Broker::start_with(&[("offsets.topic.num.partitions", "1")]).await;
    let client = create(&broker, "t", 1).await;
    broker.find_coordinator("g").await;
    assert_eq!(commit(&client, 7).await, 0);
    let mut gate = None;
    let gated = |dir: &Path| gate = Some(Gate::at(&dir.join("data"), "__consumer_offsets-0"));
    let broker = broker.as_if_killed_and(gated).await;
    let client = broker.client().await;
    assert_eq!(log_end(&client, "t", 0).await, Ok(1), "what needs no coordinator is served");
    let loading = ErrorCode::CoordinatorLoadInProgress.code();
    assert_eq!(committed(&client).await, Err(loading));
    let listed = client.call(&ListGroupsRequest::default()).await.unwrap();
    assert_eq!(listed.error_code, loading, "a list that lacks groups is none");
    gate.unwrap().open().await;
    let found = within(async {
        loop {
            match committed(&client).await {
                Err(code) if code == loading => tokio::task::yield_now().await,
                found => break found,
            }
        }
    });
    assert_eq!(found.await, Ok(7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dir_that_fails_while_its_logs_are_opened_takes_only_its_own() {
    let broker = Broker::start_with_log_dirs(2).await;
    create(&broker, "t", 2).await;
    let number = |dir: &Path| usize::from(dir.join("data-1/t-0").exists());
    let mut failed = 0;
    let broken = |dir: &Path| {
        failed = i32::from(number(dir) == 0);
        // Its checkpoint of leader epochs is a directory: no file of a log can be that.
        let path = dir.join("data-1").join(format!("t-{failed}")).join("leader-epoch-checkpoint");
        let _ = std::fs::remove_file(&path);
        std::fs::create_dir(&path).unwrap();
    };
    let broker = broker.as_if_killed_and(broken).await;
    let client = broker.client().await;
    assert_eq!(log_end(&client, "t", 1 - failed).await, Ok(1));
    let storage_error = ErrorCode::KafkaStorageError.code();
    within(async {
        loop {
            match log_end(&client, "t", failed).await {
                Err(code) if code == storage_error => break,
                Err(RETRIABLE) => {}
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    broker.until_ready().await;
    let results = client.call(&DescribeLogDirsRequest::default().with_topics(None)).await.unwrap().results;
    let codes: Vec<i16> = results.iter().map(|dir| dir.error_code).collect();
    assert_eq!(codes, [0, storage_error]);
}

/// One that writes its recovery points for no other reason.
async fn rarely_checkpointing() -> Broker {
    let never = "3600000";
    let settings = [("log.flush.offset.checkpoint.interval.ms", never), ("log.initial.task.delay.ms", never)];
    Broker::start_with(&settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_points_are_written_when_much_was_flushed() {
    let broker = rarely_checkpointing().await;
    let client = create(&broker, "t", 1).await;
    let value = "x".repeat(1_000_000);
    for _ in 0..70 {
        client.produce("t", 0, batch(&[&value]), -1).await.unwrap();
    }
    recovery_point_is_written(&broker).await;
}

/// Their files are opened by a recovery, however little is in them.
#[tokio::test(flavor = "multi_thread")]
async fn recovery_points_are_written_when_many_segments_were_flushed() {
    let broker = rarely_checkpointing().await;
    broker.create("t", &[("segment.ms", "1"), ("retention.ms", "-1")]).await;
    let client = broker.client().await;
    for number in 0..1_100 {
        let mut batch = BatchBuilder::new(Offset::ZERO);
        batch.push(TimestampMs(1_000 + 10 * number), None, Some(b"x"), &[]);
        client.produce("t", 0, batch.build().unwrap().into(), 1).await.unwrap();
    }
    recovery_point_is_written(&broker).await;
}

async fn recovery_point_is_written(broker: &Broker) {
    let checkpoint = broker.data_dir().join("recovery-point-offset-checkpoint");
    let recovery_point = || {
        let text = std::fs::read_to_string(&checkpoint).ok()?;
        text.lines().find_map(|line| line.strip_prefix("t 0 ")?.parse::<i64>().ok())
    };
    within(async {
        while recovery_point().is_none_or(|offset| offset == 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
