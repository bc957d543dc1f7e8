//! What the log makes of damaged files, and of entries of every kind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ottla_metadata::{DirectoryId, MetadataRecord, TopicRecord};
use ottla_model::{TimestampMs, TopicId};
use ottla_storage::{Disk, FaultyDisk, OpenMode, SimDisk};
use uuid::Uuid;

use super::codec::{log_id_bytes, vote_bytes};
use super::entry_batch::{decode, encode};
use super::log_store::LogStore;
use super::meta_store::{MetaKey, MetaStore};
use super::segmented_log::{Known, SegmentedLog};
use super::twin_store::TwinStore;
use super::types::{Entry, LeaderId, Membership, Payload, Proposal, Vote, Voter, log_id};

const DIR: &str = "/log";
const SEGMENT_BYTES: u64 = 400;

fn proposal(index: u64, records: u128) -> Entry {
    let record = |n| {
        let topic_id = TopicId(Uuid::from_u128(u128::from(index) << 64 | n));
        MetadataRecord::Topic(TopicRecord { name: format!("t{index}-{n}"), topic_id })
    };
    let proposal =
        Proposal { term: 3, timestamp: TimestampMs(9), records: (0..records).map(record).collect() };
    Entry { log_id: log_id(3, index), payload: Payload::Normal(proposal) }
}

fn disk() -> Arc<dyn Disk> {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    disk.create_dir(Path::new(DIR)).unwrap();
    disk
}

fn open(disk: &Arc<dyn Disk>) -> std::io::Result<SegmentedLog> {
    SegmentedLog::open(disk.clone(), Path::new(DIR), SEGMENT_BYTES, Known::default())
}

fn files(disk: &Arc<dyn Disk>) -> Vec<String> {
    disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect()
}

fn fill(disk: &Arc<dyn Disk>, count: u64) {
    let mut log = open(disk).unwrap();
    for index in 0..count {
        log.append(&proposal(index, 2)).unwrap();
    }
}

#[test]
fn entries_of_every_kind_come_back() {
    let voter = Voter { directory_id: DirectoryId(Uuid::from_u128(5)), host: "h".to_owned(), port: 9 };
    let configs = vec![BTreeSet::from([1, 2]), BTreeSet::from([2])];
    let nodes = BTreeMap::from([(1, voter.clone()), (2, voter)]);
    let payloads = [
        proposal(7, 3).payload,
        Payload::Blank,
        Payload::Membership(Membership::new(configs, nodes).unwrap()),
    ];
    for payload in payloads {
        let entry = Entry { log_id: log_id(4, 7), payload };
        assert_eq!(decode(&encode(&entry, 100).unwrap()).unwrap(), entry);
    }
}

#[test]
fn offsets_count_records_and_indexes_entries() {
    let disk = disk();
    fill(&disk, 10);
    let log = open(&disk).unwrap();
    assert_eq!(log.next_offset(), 20);
    assert_eq!(log.end_offset(4), Some(10));
    assert_eq!(log.last_log_id(), Some(log_id(3, 9)));
    let read: Vec<Entry> = log.places(3, 5).iter().map(|place| place.read().unwrap()).collect();
    assert_eq!(read, [proposal(3, 2), proposal(4, 2)]);
    assert!(files(&disk).len() > 2, "{:?}", files(&disk));
}

#[test]
fn a_torn_tail_is_cut_off_and_written_over() {
    let disk = disk();
    fill(&disk, 10);
    let last = Path::new(DIR).join(files(&disk).pop().unwrap());
    let file = disk.open(&last, OpenMode::Write).unwrap();
    file.set_len(file.len().unwrap() - 1).unwrap();
    let mut log = open(&disk).unwrap();
    assert_eq!(log.last_log_id(), Some(log_id(3, 8)));
    log.append(&proposal(9, 1)).unwrap();
    let log = open(&disk).unwrap();
    assert_eq!((log.last_log_id(), log.next_offset()), (Some(log_id(3, 9)), 19));
}

#[test]
fn damage_before_the_last_file_is_an_error() {
    let disk = disk();
    fill(&disk, 10);
    let first = Path::new(DIR).join(&files(&disk)[0]);
    disk.open(&first, OpenMode::Write).unwrap().write_all_at(&[0xff], 100).unwrap();
    assert!(open(&disk).is_err());
}

#[test]
fn a_log_that_lost_a_committed_entry_does_not_open() {
    let disk = disk();
    fill(&disk, 3);
    let meta = Arc::new(TwinStore::open(disk.as_ref(), Path::new(DIR)).unwrap());
    let vote = Vote { leader_id: LeaderId { term: 3, voted_for: 1 }, committed: true };
    meta.put(MetaKey::Vote, &vote_bytes(&vote)).unwrap();
    for (committed, opens) in [(2, true), (3, false)] {
        meta.put(MetaKey::Committed, &log_id_bytes(&log_id(3, committed))).unwrap();
        let opened = LogStore::open(disk.clone(), Path::new(DIR), meta.clone(), SEGMENT_BYTES);
        assert_eq!(opened.is_ok(), opens, "committed {committed}");
    }
}

#[test]
fn what_is_truncated_is_gone_across_files() {
    let disk = disk();
    fill(&disk, 10);
    let mut log = open(&disk).unwrap();
    log.truncate_after(Some(1)).unwrap();
    log.append(&proposal(2, 1)).unwrap();
    let log = open(&disk).unwrap();
    assert_eq!((log.last_log_id(), log.next_offset()), (Some(log_id(3, 2)), 5));
}

#[test]
fn on_a_full_disk_the_log_goes_on_in_what_it_has_reserved_over_a_restart_too() {
    let faulty = FaultyDisk::new(disk());
    let disk: Arc<dyn Disk> = Arc::new(faulty.clone());
    let mut log = open(&disk).unwrap();
    assert_eq!(log.reserve(1_000), 0, "without a segment");
    log.append(&proposal(0, 2)).unwrap();
    let room = log.reserve(0);
    assert!(room >= 1 << 20, "{room}");
    faulty.fill();
    assert!(log.reserve(room + 1) <= room);
    for index in 1..50 {
        log.append(&proposal(index, 2)).unwrap();
    }
    assert_eq!(files(&disk).len(), 1, "there is no room for another segment");
    drop(log);
    let mut log = open(&disk).unwrap();
    let left = log.reserve(64 << 10);
    assert!(left >= 64 << 10, "{left}");
    log.append(&proposal(50, 2)).unwrap();
    let entries = log.places(0, u64::MAX);
    assert_eq!(entries.len(), 51);
    faulty.heal();
    log.append(&proposal(51, 2)).unwrap();
    assert_eq!(files(&disk).len(), 2, "room for another segment");
    assert_eq!(open(&disk).unwrap().places(0, u64::MAX).len(), 52);
}
