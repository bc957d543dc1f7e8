//! Every kind of file of a used data directory, gone, cut, flipped or replaced by garbage: the broker starts and all is
//! read as it was acknowledged, or it does not, with one line that names the file and says what to do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ottla_broker::cli::explain;
use ottla_client::{Client, ClientError};
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, ProducerEpoch, ProducerId, TimestampMs};
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use ottla_protocol::messages::{
    DeleteRecordsRequest, GroupId, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, StrBytes,
};
use tempfile::TempDir;

use crate::support::{Broker, batch, copy_dir, eventually, topic_name, values_from};

const SETTINGS: &[(&str, &str)] = &[
    ("offsets.topic.num.partitions", "1"),
    ("log.cleaner.backoff.ms", "10"),
    ("metadata.log.max.snapshot.interval.ms", "10"),
];
const LARGE: i64 = 4;
const START: i64 = 1;

/// What a client can ask of the whole broker.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answers {
    cluster_id: String,
    topics: BTreeMap<String, uuid::Uuid>,
    /// Offset and value, of "t" behind its start and of "small".
    large: Vec<(i64, usize)>,
    small: Vec<String>,
    /// The last value of each key.
    compacted: BTreeMap<String, String>,
    committed: i64,
}

fn group() -> GroupId {
    GroupId(StrBytes::from_static_str("g"))
}

async fn read(client: &Client, topic: &str) -> Vec<(i64, Option<String>, usize, String)> {
    let (mut all, mut from) = (Vec::new(), Offset::ZERO);
    loop {
        let fetched = match client.fetch(topic, 0, from, 1, 0).await {
            Ok(fetched) => fetched,
            Err(ClientError::Broker { code: 1, .. }) if from == Offset::ZERO => {
                from = Offset(START);
                continue;
            }
            Err(error) => panic!("{topic} from {from}: {error}"),
        };
        for record in fetched.records_from(from).unwrap() {
            let text = |bytes: Option<bytes::Bytes>| bytes.map(|b| String::from_utf8(b.to_vec()).unwrap());
            let (key, value) = (text(record.key), text(record.value).unwrap_or_default());
            all.push((record.offset.get(), key, value.len(), value));
        }
        let next = fetched.next_offset(from);
        if next == from {
            return all;
        }
        from = next;
    }
}

async fn answers(broker: &Broker) -> Answers {
    let client = broker.client().await;
    let metadata = client.call(&MetadataRequest::default().with_topics(None)).await.unwrap();
    let topics =
        metadata.topics.iter().map(|topic| (topic.name.clone().unwrap().to_string(), topic.topic_id));
    let topics: BTreeMap<String, uuid::Uuid> = topics.collect();
    broker.find_coordinator("g").await;
    let asked = OffsetFetchRequestTopic { name: topic_name("t"), partition_indexes: vec![0] };
    let fetch =
        OffsetFetchRequest { group_id: group(), topics: Some(vec![asked]), ..OffsetFetchRequest::default() };
    let fetched = client.connection().call(&fetch, 5).await.unwrap();
    let large = read(&client, "t").await;
    let compacted = read(&client, "compacted").await;
    Answers {
        cluster_id: metadata.cluster_id.unwrap().to_string(),
        topics,
        large: large.into_iter().filter(|record| record.0 >= START).map(|r| (r.0, r.2)).collect(),
        small: values_from(&client, "small", Offset::ZERO).await,
        compacted: compacted.into_iter().map(|r| (r.1.unwrap(), r.3)).collect(),
        committed: fetched.topics[0].partitions[0].committed_offset,
    }
}

fn now() -> TimestampMs {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    TimestampMs(i64::try_from(now).unwrap())
}

/// A broker that has used every kind of file.
async fn used() -> Broker {
    let broker = Broker::start_with(SETTINGS).await;
    broker.create("t", &[("segment.bytes", "1048576")]).await;
    broker.create("small", &[]).await;
    let compact =
        [("cleanup.policy", "compact"), ("segment.bytes", "1048576"), ("min.cleanable.dirty.ratio", "0")];
    broker.create("compacted", &compact).await;
    let client = broker.client().await;
    for number in 0..LARGE {
        let sequence = i32::try_from(number).unwrap();
        let mut builder = BatchBuilder::new(Offset::ZERO).producer(ProducerId(7), ProducerEpoch(0), sequence);
        builder.push(now(), None, Some(&vec![b'v'; 300_000]), &[]);
        client.produce("t", 0, builder.build().unwrap().into(), -1).await.unwrap();
        let mut builder = BatchBuilder::new(Offset::ZERO);
        let value = format!("{number}{}", "x".repeat(300_000));
        builder.push(now(), Some(b"k"), Some(value.as_bytes()), &[]);
        client.produce("compacted", 0, builder.build().unwrap().into(), -1).await.unwrap();
        client.produce("small", 0, batch(&[&number.to_string()]), -1).await.unwrap();
    }
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(START);
    let topic = DeleteRecordsTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    client
        .call(&DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(9_000))
        .await
        .unwrap();
    broker.find_coordinator("g").await;
    let partition = OffsetCommitRequestPartition { committed_offset: 5, ..Default::default() };
    let topic =
        OffsetCommitRequestTopic { name: topic_name("t"), partitions: vec![partition], ..Default::default() };
    let commit = OffsetCommitRequest { group_id: group(), topics: vec![topic], ..Default::default() };
    let commit = client.connection().call(&commit, 7).await.unwrap();
    assert_eq!(commit.topics[0].partitions[0].error_code, 0);
    let checkpoint = broker.data_dir().join("cleaner-offset-checkpoint");
    eventually("compacted", async || {
        std::fs::read_to_string(&checkpoint).is_ok_and(|text| text.contains("compacted 0 "))
    })
    .await;
    // Checkpoints of the other kinds are written by a stop.
    broker.restart().await
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Deleted,
    Emptied,
    Halved,
    /// One bit of the byte at so many thousandths of the file.
    Flipped(usize),
    Garbage,
}

const DAMAGES: [Damage; 6] = [
    Damage::Deleted,
    Damage::Emptied,
    Damage::Halved,
    Damage::Flipped(100),
    Damage::Flipped(600),
    Damage::Garbage,
];

fn wound(path: &Path, damage: Damage) {
    let mut bytes = std::fs::read(path).unwrap();
    match damage {
        Damage::Deleted => return std::fs::remove_file(path).unwrap(),
        Damage::Emptied => bytes.clear(),
        Damage::Halved => bytes.truncate(bytes.len() / 2),
        Damage::Flipped(thousandths) => {
            let at = bytes.len() * thousandths / 1_000;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1;
            }
        }
        Damage::Garbage => bytes = b"\xff\x00no file\x80 of ours\n\n".repeat(20),
    }
    std::fs::write(path, bytes).unwrap();
}

/// What becomes of a damaged file of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Nothing is missing.
    Same,
    /// No second copy says where the log starts: records below may be back.
    MayBeginEarlier,
    /// Mended or refused.
    Either,
    /// The partition is not served, or begins anew while its records are kept aside; everything else is.
    Apart,
}

/// The kind of a file: several of a kind need not all be damaged here, see the crates' own tables.
fn kind(file: &str) -> Option<(&'static str, Expected)> {
    use Expected::{Apart, Either, MayBeginEarlier, Same};
    Some(match file {
        // A lost line break says the same.
        "meta.properties" => ("meta.properties", Either),
        ".kafka_cleanshutdown" => ("clean shutdown", Same),
        "recovery-point-offset-checkpoint" => ("recovery points", Same),
        "replication-offset-checkpoint" => ("high watermarks", Same),
        "cleaner-offset-checkpoint" => ("cleaner offsets", Same),
        "log-start-offset-checkpoint" => ("log starts", MayBeginEarlier),
        "t-0/partition.metadata" => ("partition.metadata", Apart),
        _ if file.starts_with("__cluster_metadata-0/") => {
            match file.rsplit_once('.').map(|(_, suffix)| suffix) {
                Some("log") => ("metadata log", Either),
                Some("checkpoint") => ("metadata snapshot", Either),
                Some("copy") => ("copy of votes", Same),
                _ if file.ends_with("/db") => ("sled db", Same),
                _ if file.ends_with("/conf") => ("sled conf", Same),
                _ => return None,
            }
        }
        _ if file.starts_with("t-0/") && file.ends_with(".index") => ("offset index", Same),
        _ if file.starts_with("t-0/") && file.ends_with(".timeindex") => ("time index", Same),
        _ if file.starts_with("t-0/") && file.ends_with(".snapshot") => ("producer snapshot", Same),
        "t-0/leader-epoch-checkpoint" => ("leader epochs", Same),
        _ if file.starts_with("__consumer_offsets-0/") && file.ends_with(".index") => {
            ("its offset index", Same)
        }
        _ => return None,
    })
}

fn all_files(dir: &Path, below: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all_files(dir, &path, into);
        } else {
            into.push(path.strip_prefix(dir).unwrap().to_string_lossy().into_owned());
        }
    }
}

/// The first file of each kind.
fn rows(data: &Path) -> BTreeMap<&'static str, (String, Expected)> {
    let mut files = Vec::new();
    all_files(data, data, &mut files);
    files.sort();
    let mut rows = BTreeMap::new();
    for file in files {
        if let Some((kind, expected)) = kind(&file) {
            rows.entry(kind).or_insert((file, expected));
        }
    }
    rows
}

fn copy_of(data: &Path) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let copy = dir.path().join("data");
    copy_dir(data, &copy);
    (dir, copy)
}

/// The partition that was damaged is not served, or empty and its records kept; the others are as they were.
async fn check_apart(broker: &Broker, before: &Answers, context: &str) {
    let client = broker.client().await;
    assert_eq!(values_from(&client, "small", Offset::ZERO).await, before.small, "{context}");
    match client.fetch("t", 0, Offset(START), 1, 0).await {
        Err(ClientError::Broker { code: 56, .. }) => {}
        Ok(fetched) if !fetched.records.is_empty() => {
            assert_eq!(answers(broker).await, *before, "{context}");
        }
        other => {
            assert!(
                matches!(other, Err(ClientError::Broker { code: 1, .. }) | Ok(_)),
                "{context}: {other:?}"
            );
            let names = std::fs::read_dir(broker.data_dir()).unwrap();
            let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let stray = names.find(|name| name.starts_with("t-0.") && name.ends_with("-stray"));
            let stray = broker.data_dir().join(stray.unwrap_or_else(|| panic!("{context}: lost")));
            let first = stray.join(format!("{:020}.log", 0));
            assert!(std::fs::metadata(first).unwrap().len() > 300_000, "{context}");
        }
    }
}

fn check_refusal(line: &str, path: &Path, context: &str) {
    let directory = path.parent().unwrap().to_string_lossy().into_owned();
    assert!(line.contains(&directory) && !line.contains('\n'), "{context}: {line}");
    let says_what_to_do = ["bring ", "log.dirs names", "has to name"].iter().any(|text| line.contains(text));
    assert!(says_what_to_do, "{context}: {line}");
}

async fn each_damage(is_killed: bool) {
    let broker = used().await;
    let before = answers(&broker).await;
    assert_eq!(before.large.len(), usize::try_from(LARGE - START).unwrap());
    let data = broker.data_dir();
    let (_dir, subject) = if is_killed {
        copy_of(&data)
    } else {
        let mut copied = None;
        drop(broker.restart_after(|data| copied = Some(copy_of(data))).await);
        copied.unwrap()
    };
    let rows = rows(&subject);
    assert!(rows.len() >= 15, "{rows:?}");
    let (mut count, mut refused) = (0, 0);
    for (kind, (file, expected)) in &rows {
        for damage in DAMAGES {
            let context = format!("{kind}, {file}, {damage:?}, killed: {is_killed}");
            let (dir, copy) = copy_of(&subject);
            let path = copy.join(file);
            wound(&path, damage);
            count += 1;
            match (Broker::start_on_data(dir, SETTINGS).await, expected) {
                (Ok(broker), Expected::Same | Expected::Either) => {
                    assert_eq!(answers(&broker).await, before, "{context}");
                }
                (Ok(broker), Expected::MayBeginEarlier) => {
                    let after = answers(&broker).await;
                    assert_eq!(Answers { large: before.large.clone(), ..after.clone() }, before, "{context}");
                    assert!(after.large.ends_with(&before.large), "{context}");
                }
                (Ok(broker), Expected::Apart) => check_apart(&broker, &before, &context).await,
                (Err(error), Expected::Either) => {
                    check_refusal(&explain(&error), &path, &context);
                    refused += 1;
                }
                (Err(error), _) => panic!("{context}: {error}"),
            }
        }
    }
    assert!(count > 80 && refused > 8, "{count} {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_after_a_stop_is_mended_or_refused() {
    each_damage(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_after_a_kill_is_mended_or_refused() {
    each_damage(true).await;
}
