//! Followers against a leader that is a script.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use ottla_config::{BrokerConfig, ConfigMap};
use ottla_metadata::{BrokerEndpoint, MetadataImage, MetadataRecord, RegisterBrokerRecord, SecurityProtocol};
use ottla_model::batch::{BatchBuilder, BatchHeader};
use ottla_model::{
    BrokerId, LeaderEpoch, Offset, PartitionEpoch, TimestampMs, TopicId, TopicIdPartition, TopicPartition,
};
use ottla_protocol::messages::fetch_response::{EpochEndOffset, FetchableTopicResponse, PartitionData};
use ottla_protocol::messages::{FetchRequest, FetchResponse};
use ottla_protocol::{ErrorCode, Request as _, RequestHeader, encode_response, split_frame};
use ottla_replication::{
    Durability, LogOffsets, PartitionConfig, PartitionMachine, Registration, RoleChange,
};
use ottla_storage::{LogConfig, LogStart, PartitionLog, SimDisk};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Fetchers, FetchersParts};
use crate::clock::Clock;
use crate::metadata_view::MetadataView;
use crate::partitions::{FetchedRecords, Flusher, Partition};
use crate::telemetry::Metrics;

const ME: BrokerId = BrokerId(1);
const LEADER: BrokerId = BrokerId(2);
const TOPIC: TopicId = TopicId(Uuid::from_u128(7));
/// More than any answer takes.
const LONG: Duration = Duration::from_secs(20);

/// Where a follower's requests arrive.
struct Script {
    listener: TcpListener,
}

/// One connection of a follower.
struct Line {
    stream: TcpStream,
    received: bytes::BytesMut,
}

/// A request that waits for its answer.
struct Asked {
    header: RequestHeader,
    request: FetchRequest,
}

impl Script {
    async fn accept(&self) -> Line {
        let (stream, _) = timeout(LONG, self.listener.accept()).await.expect("a follower comes").unwrap();
        Line { stream, received: bytes::BytesMut::new() }
    }
}

impl Line {
    /// The next Fetch; `None` once the follower has hung up.
    async fn next(&mut self) -> Option<Asked> {
        loop {
            if let Some(mut frame) = split_frame(&mut self.received, 1 << 20).unwrap() {
                let header = RequestHeader::split_from(&mut frame).unwrap();
                let request = FetchRequest::decode(frame.freeze(), header.version).unwrap();
                return Some(Asked { header, request });
            }
            match timeout(LONG, self.stream.read_buf(&mut self.received)).await.expect("a request") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    async fn answer(&mut self, asked: &Asked, partitions: Vec<PartitionData>) {
        let topic = FetchableTopicResponse::default().with_topic_id(TOPIC.0).with_partitions(partitions);
        let response = FetchResponse::default().with_session_id(77).with_responses(vec![topic]);
        let (version, id) = (asked.header.version, asked.header.correlation_id);
        self.stream.write_all(&encode_response(version, id, &response).unwrap()).await.unwrap();
    }
}

/// A broker that follows, as far as fetchers go.
struct Follower {
    fetchers: Fetchers,
    script: Script,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.fetchers.close();
    }
}

async fn follower(settings: &[(&str, &str)]) -> Follower {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = BrokerEndpoint {
        name: "PLAINTEXT".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        security_protocol: SecurityProtocol::Plaintext,
    };
    let leader = RegisterBrokerRecord {
        broker_id: LEADER,
        incarnation_id: Uuid::nil(),
        broker_epoch: 9,
        endpoints: vec![endpoint],
        features: Vec::new(),
        rack: None,
        fenced: false,
        in_controlled_shutdown: false,
        log_dirs: Vec::new(),
        cordoned_log_dirs: None,
    };
    let mut image = MetadataImage::new("c");
    image.replay(&MetadataRecord::RegisterBroker(leader)).unwrap();
    let owned = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let config = BrokerConfig::from_static(owned.collect::<ConfigMap>()).unwrap();
    let (clock, metrics) = (Clock::start(), Arc::new(Metrics::new(Instant::now())));
    let config = Arc::new(ArcSwap::from_pointee(config));
    let fetchers = Fetchers::new(FetchersParts {
        quotas: Arc::new(super::ReplicationQuotas::new(Arc::clone(&config))),
        broker_id: ME,
        view: Arc::new(MetadataView::new(Arc::new(image))),
        config,
        flusher: Arc::new(Flusher::start(1, clock, &metrics).unwrap()),
        metrics,
        recovery_points: super::RecoveryPoints::default(),
        clock,
        runtime: Handle::current(),
    });
    fetchers.registered(5);
    Follower { fetchers, script: Script { listener } }
}

impl Follower {
    /// Follows the script with a replica whose log is empty.
    fn follow(&self, index: i32, durability: Durability) -> Arc<Partition> {
        self.follow_on(SimDisk::new(), index, durability)
    }

    fn follow_on(&self, disk: SimDisk, index: i32, durability: Durability) -> Arc<Partition> {
        let partition = replica(disk, index, durability);
        self.led_in(&partition, 3);
        partition
    }

    /// The script leads in this epoch.
    fn led_in(&self, partition: &Arc<Partition>, epoch: i32) {
        let role = told(partition, epoch);
        self.fetchers.role_changed(partition, role.expect("a new epoch"));
    }
}

/// One whose log is empty, and which does not know whom it follows.
fn replica(disk: SimDisk, index: i32, durability: Durability) -> Arc<Partition> {
    let name = TopicPartition::new("t", index);
    let dir = PathBuf::from(format!("/data/t-{index}"));
    let config = Arc::new(LogConfig::default());
    let now = Clock::start().now();
    let log =
        PartitionLog::open(Arc::new(disk), dir, name.clone(), config, LogStart::new_log(), now).unwrap();
    let config = PartitionConfig { durability, ..PartitionConfig::default() };
    let machine = PartitionMachine::new(ME, config, LogOffsets::empty_at(Offset::ZERO));
    let id = TopicIdPartition { topic_id: TOPIC, partition: index };
    let producers = crate::memory::Pool::new(1 << 20).account();
    Arc::new(Partition::new(name, id, log, machine, Arc::default(), Arc::default(), producers))
}

/// The replica hears that the script leads in this epoch; the fetchers do not.
fn told(partition: &Partition, epoch: i32) -> Option<RoleChange> {
    let registration = Registration {
        leader: Some(LEADER),
        leader_epoch: LeaderEpoch(epoch),
        partition_epoch: PartitionEpoch(epoch),
        replicas: vec![LEADER, ME],
        isr: vec![LEADER],
    };
    partition.update(&registration, Clock::start().now().mono).unwrap()
}

/// A batch as a leader has it.
fn batch(base_offset: i64, epoch: i32, value: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset::ZERO);
    builder.push(TimestampMs(1), None, Some(value.as_bytes()), &[]);
    let mut batch = builder.build().unwrap();
    BatchHeader::assign(&mut batch, Offset(base_offset), LeaderEpoch(epoch));
    batch
}

fn records(index: i32, batches: &[Vec<u8>], high_watermark: i64) -> PartitionData {
    PartitionData::default()
        .with_partition_index(index)
        .with_high_watermark(high_watermark)
        .with_log_start_offset(0)
        .with_records(Some(Bytes::from(batches.concat())))
}

fn refusal(index: i32, error: ErrorCode) -> PartitionData {
    PartitionData::default().with_partition_index(index).with_error_code(error.code())
}

#[tokio::test]
async fn a_follower_appends_what_it_is_sent_and_acknowledges_it_with_its_next_fetch() {
    let follower = follower(&[]).await;
    let partition = follower.follow(0, Durability::Appended);
    let mut line = follower.script.accept().await;
    let asked = line.next().await.unwrap();
    let state = &asked.request.replica_state;
    assert_eq!((state.replica_id.0, state.replica_epoch, asked.header.version), (1, 5, 18));
    assert_eq!((asked.request.session_id, asked.request.session_epoch), (0, 0));
    let wanted = &asked.request.topics[0].partitions[0];
    assert_eq!((wanted.fetch_offset, wanted.current_leader_epoch, wanted.last_fetched_epoch), (0, 3, -1));
    line.answer(&asked, vec![records(0, &[batch(0, 2, "a"), batch(1, 3, "b")], 1)]).await;
    let asked = line.next().await.unwrap();
    assert_eq!((asked.request.session_id, asked.request.session_epoch), (77, 1));
    let wanted = &asked.request.topics[0].partitions[0];
    assert_eq!((wanted.fetch_offset, wanted.last_fetched_epoch), (2, 3));
    assert_eq!(partition.high_watermark(), Offset(1));
    // Nothing new but the high watermark: the position has been told.
    line.answer(&asked, vec![records(0, &[], 2)]).await;
    let asked = line.next().await.unwrap();
    assert!(asked.request.topics.is_empty(), "{asked:?}", asked = asked.request);
    assert_eq!(partition.high_watermark(), Offset(2));
}

/// So it is done for the partitions of a large topic.
#[tokio::test]
async fn a_fetcher_is_started_by_any_thread() {
    let follower = follower(&[]).await;
    std::thread::scope(|scope| scope.spawn(|| follower.follow(0, Durability::Appended)).join().unwrap());
    assert!(follower.script.accept().await.next().await.is_some());
}

#[tokio::test]
async fn a_batch_whose_crc_does_not_hold_is_not_appended_and_fetched_again() {
    let follower = follower(&[("replica.fetch.backoff.ms", "20")]).await;
    let partition = follower.follow(0, Durability::Appended);
    let mut line = follower.script.accept().await;
    let asked = line.next().await.unwrap();
    let mut broken = batch(0, 3, "a");
    *broken.last_mut().unwrap() ^= 1;
    line.answer(&asked, vec![records(0, &[broken], 1)]).await;
    let asked = line.next().await.unwrap();
    assert_eq!(partition.log_end_offset(), Offset(0));
    assert_eq!(asked.request.topics[0].partitions[0].fetch_offset, 0);
    line.answer(&asked, vec![records(0, &[batch(0, 3, "a")], 1)]).await;
    assert_eq!(line.next().await.unwrap().request.topics[0].partitions[0].fetch_offset, 1);
}

#[tokio::test]
async fn a_log_is_cut_where_the_leader_says_that_an_epoch_ends_whatever_the_high_watermark() {
    let follower = follower(&[]).await;
    let partition = follower.follow(0, Durability::Appended);
    let mut line = follower.script.accept().await;
    let asked = line.next().await.unwrap();
    let three = [batch(0, 1, "a"), batch(1, 1, "b"), batch(2, 1, "c")];
    // A high watermark that lags, as it does: it says nothing of where logs part.
    line.answer(&asked, vec![records(0, &three, 1)]).await;
    let asked = line.next().await.unwrap();
    let diverging = refusal(0, ErrorCode::None)
        .with_diverging_epoch(EpochEndOffset::default().with_epoch(1).with_end_offset(2));
    line.answer(&asked, vec![diverging]).await;
    let asked = line.next().await.unwrap();
    assert_eq!(asked.request.topics[0].partitions[0].fetch_offset, 2);
    assert_eq!((partition.log_end_offset(), partition.high_watermark()), (Offset(2), Offset(1)));
}

#[tokio::test]
async fn a_new_epoch_of_the_leader_ends_the_fetch_of_the_old_one_at_once() {
    let follower = follower(&[("replica.fetch.wait.max.ms", "20000")]).await;
    let partition = follower.follow(0, Durability::Appended);
    let mut old = follower.script.accept().await;
    let late = old.next().await.unwrap();
    follower.led_in(&partition, 4);
    let mut line = follower.script.accept().await;
    let asked = line.next().await.unwrap();
    assert_eq!(asked.request.topics[0].partitions[0].current_leader_epoch, 4);
    assert_eq!(asked.request.max_wait_ms, 20_000);
    assert!(old.next().await.is_none(), "{:?}", late.request);
    // What was answered to an earlier epoch is not taken.
    let fetched = crate::partitions::FetchedRecords {
        leader_epoch: LeaderEpoch(3),
        fetch_offset: Offset(0),
        records: &batch(0, 3, "late"),
        high_watermark: Offset(1),
        log_start: Offset(0),
    };
    partition.take_fetched(&fetched, Clock::start().now()).unwrap();
    assert_eq!(partition.log_end_offset(), Offset(0));
}

/// Each that comes would else have all that came before it asked for again.
#[tokio::test]
async fn replicas_that_come_one_by_one_are_asked_for_together() {
    const COUNT: i32 = 200;
    let follower = follower(&[("replica.fetch.wait.max.ms", "20000")]).await;
    let asks = async {
        // Each is left without an answer.
        let (mut named, mut lines) = (Vec::new(), Vec::new());
        while named.last() != Some(&usize::try_from(COUNT).unwrap()) {
            let mut line = follower.script.accept().await;
            let Some(asked) = line.next().await else { continue };
            named.push(asked.request.topics.iter().map(|topic| topic.partitions.len()).sum());
            lines.push(line);
        }
        named
    };
    let come = async {
        for index in 0..COUNT {
            follower.follow(index, Durability::Appended);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (named, ()) = tokio::join!(asks, come);
    let all: usize = named.iter().sum();
    assert!(all < 8_000, "{all} in {} requests: {named:?}", named.len());
}

#[tokio::test]
async fn a_partition_that_is_refused_is_left_out_for_the_time_that_the_setting_says() {
    let follower =
        follower(&[("replica.fetch.backoff.ms", "40"), ("replica.fetch.wait.max.ms", "10000")]).await;
    follower.follow(0, Durability::Appended);
    let mut line = follower.script.accept().await;
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let asked = line.next().await.unwrap();
        assert_eq!(asked.request.topics[0].partitions[0].partition, 0);
        let refused = Instant::now();
        line.answer(&asked, vec![refusal(0, ErrorCode::UnknownLeaderEpoch)]).await;
        pauses.push(refused);
    }
    let gaps: Vec<u128> = pauses.windows(2).map(|two| two[1].duration_since(two[0]).as_millis()).collect();
    // Twice as long each time, from 10 ms up to the setting.
    assert!(gaps[0] >= 9 && gaps[2] >= 39 && gaps[4] >= 39, "{gaps:?}");
    assert!(
        gaps.iter().sum::<u128>() < 2_000,
        "without the setting it would be a second each time: {gaps:?}"
    );
}

#[tokio::test]
async fn followers_ask_as_the_settings_say() {
    let follower = follower(&[
        ("replica.fetch.max.bytes", "1111"),
        ("replica.fetch.min.bytes", "2"),
        ("replica.fetch.response.max.bytes", "3333"),
        ("replica.fetch.wait.max.ms", "444"),
        ("num.replica.fetchers", "2"),
    ])
    .await;
    follower.follow(0, Durability::Appended);
    let mut first = follower.script.accept().await;
    let asked = first.next().await.unwrap().request;
    assert_eq!((asked.min_bytes, asked.max_bytes, asked.max_wait_ms), (2, 3_333, 444));
    assert_eq!(asked.topics[0].partitions[0].partition_max_bytes, 1_111);
    // The next partition has another fetcher, and disturbs the first one's fetch not at all.
    follower.follow(1, Durability::Appended);
    let asked = follower.script.accept().await.next().await.unwrap().request;
    assert_eq!(asked.topics[0].partitions[0].partition, 1);
}

#[tokio::test]
async fn a_leader_that_says_nothing_is_hung_up_on_after_the_time_that_the_setting_says() {
    let follower =
        follower(&[("replica.socket.timeout.ms", "100"), ("replica.fetch.wait.max.ms", "50")]).await;
    follower.follow(0, Durability::Appended);
    let mut line = follower.script.accept().await;
    assert!(line.next().await.is_some());
    assert!(line.next().await.is_none(), "it hangs up");
    let asked = follower.script.accept().await.next().await.unwrap();
    assert_eq!(asked.request.session_epoch, 0, "and begins anew");
}

#[tokio::test]
async fn with_a_flush_after_every_message_nothing_is_acknowledged_before_it_is_on_the_disk() {
    let follower = follower(&[]).await;
    let partition = follower.follow(0, Durability::Flushed);
    let mut line = follower.script.accept().await;
    let asked = line.next().await.unwrap();
    line.answer(&asked, vec![records(0, &[batch(0, 3, "a")], 0)]).await;
    let asked = line.next().await.unwrap();
    assert_eq!(asked.request.topics[0].partitions[0].fetch_offset, 1);
    assert!(partition.is_flushed(Offset(1)), "flushed before that");
}

#[tokio::test]
async fn what_a_new_follower_holds_is_on_the_disk_before_its_first_fetch_acknowledges_it() {
    let follower = follower(&[]).await;
    let partition = replica(SimDisk::new(), 0, Durability::Flushed);
    let role = told(&partition, 3);
    let fetched = FetchedRecords {
        leader_epoch: LeaderEpoch(3),
        fetch_offset: Offset::ZERO,
        records: &batch(0, 3, "a"),
        high_watermark: Offset::ZERO,
        log_start: Offset::ZERO,
    };
    partition.take_fetched(&fetched, Clock::start().now()).unwrap();
    assert_eq!(partition.unflushed(), Some(Offset(1)));
    follower.fetchers.role_changed(&partition, role.unwrap());
    let mut line = follower.script.accept().await;
    let asked = line.next().await.unwrap();
    assert_eq!(asked.request.topics[0].partitions[0].fetch_offset, 1);
    assert!(partition.is_flushed(Offset(1)));
}

#[tokio::test]
async fn what_could_not_be_flushed_is_not_acknowledged() {
    // Whether the flush fails before or after the follower has looked where it goes on is up to the threads.
    for _ in 0..100 {
        let follower = follower(&[]).await;
        let disk = SimDisk::new();
        disk.lose_at_fsync(0);
        let partition = follower.follow_on(disk, 0, Durability::Flushed);
        let mut line = follower.script.accept().await;
        let asked = line.next().await.unwrap();
        line.answer(&asked, vec![records(0, &[batch(0, 3, "a")], 0)]).await;
        assert!(line.next().await.is_none(), "it has nothing to ask for any more");
        assert!(!partition.is_flushed(Offset(1)));
    }
}
