use std::path::PathBuf;

use ottla_model::batch::BatchBuilder;
use ottla_model::{BrokerId, LeaderEpoch, PartitionEpoch, TimestampMs, TopicId};
use ottla_replication::LogOffsets;
use ottla_replication::session::{
    FetchContext, FetchKey, FetchPartition, FetchSessionCache, FetchSessionConfig, FetchTopic,
    PartitionAnswer, SessionRequest, SlotId,
};
use ottla_storage::{CleanError, CleanerSettings, CleaningStep, CleanupPolicy, LogConfig, LogStart, SimDisk};

use super::*;
use crate::partitions::{Bell, Seen};

pub(in crate::partitions) const NOW: Now = Now { wall: TimestampMs(1_000), mono: MonoMs(1_000) };

/// The leader of a partition with one replica.
fn leader() -> Partition {
    leader_with(LogConfig::default())
}

fn leader_with(config: LogConfig) -> Partition {
    led(config, &[1])
}

/// The leader of a partition with these replicas, all of them in sync.
pub(in crate::partitions) fn led(config: LogConfig, replicas: &[i32]) -> Partition {
    let (disk, name) = (Arc::new(SimDisk::new()), TopicPartition::new("t", 0));
    let dir = PathBuf::from("/data/t-0");
    let config = Arc::new(config);
    let log = PartitionLog::open(disk, dir, name.clone(), config, LogStart::new_log(), NOW).unwrap();
    let machine =
        PartitionMachine::new(BrokerId(1), PartitionConfig::default(), LogOffsets::empty_at(Offset::ZERO));
    let id = TopicIdPartition { topic_id: TopicId::ZERO, partition: 0 };
    let producers = crate::memory::Pool::new(3 * 256).account();
    let partition = Partition::new(name, id, log, machine, Arc::default(), Arc::default(), producers);
    let registration = Registration {
        leader: Some(BrokerId(1)),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        replicas: replicas.iter().copied().map(BrokerId).collect(),
        isr: replicas.iter().copied().map(BrokerId).collect(),
    };
    partition.update(&registration, NOW.mono).unwrap();
    partition
}

#[test]
fn a_partition_is_flushed_by_one_thread_at_a_time() {
    let partition = leader();
    let mut builder = BatchBuilder::new(Offset::ZERO);
    builder.push(TimestampMs(1_000), None, Some(b"x"), &[]);
    partition.append(&mut builder.build().unwrap(), Acks::All, AppendOrigin::Client, NOW).unwrap();
    assert!(partition.queue_flush());
    assert!(!partition.queue_flush(), "it is in the queue");
    let during = || {
        assert!(!partition.queue_flush(), "another thread would flush it now");
        NOW
    };
    partition.flush(during).unwrap();
    assert!(partition.flush_ended(), "wanted since it began: queued again");
    assert!(!partition.queue_flush(), "it is in the queue");
    partition.flush(|| NOW).unwrap();
    assert!(!partition.flush_ended());
    assert!(partition.queue_flush());
}

/// A compacted log whose first segments hold the same key again and again.
fn dirty() -> Partition {
    let cleanup_policy = CleanupPolicy { delete: false, compact: true };
    let partition = leader_with(LogConfig { cleanup_policy, segment_bytes: 500, ..LogConfig::default() });
    for _ in 0..20 {
        let mut builder = BatchBuilder::new(Offset::ZERO);
        builder.push(TimestampMs(1_000), Some(b"k"), Some(&[b'v'; 100]), &[]);
        partition.append(&mut builder.build().unwrap(), Acks::All, AppendOrigin::Client, NOW).unwrap();
    }
    partition.flush(|| NOW).unwrap();
    partition
}

#[test]
fn no_segment_is_replaced_once_cleaning_is_paused() {
    const SETTINGS: CleanerSettings =
        CleanerSettings { dedupe_buffer_bytes: 10_000, dedupe_load_factor: 0.9, io_buffer_bytes: 1_000 };
    /// Takes steps until the first swap is due, or was refused.
    fn clean(partition: &Partition, pause: bool) -> Result<(), CleanError> {
        let dirt = partition.dirt(NOW).unwrap().unwrap();
        assert!(dirt.is_due, "{dirt:?} below {}", partition.high_watermark());
        let mut cleaning = partition.begin_cleaning(&dirt.cleanable, SETTINGS, NOW)?;
        loop {
            match cleaning.step()? {
                CleaningStep::Worked { .. } => {}
                CleaningStep::WantsFiles => partition.create_replacement(&mut cleaning, NOW)?,
                CleaningStep::WantsSwap => {
                    if pause {
                        partition.pause_cleaning();
                        partition.await_paused_cleaning();
                    }
                    let outcome = partition.swap(&mut cleaning, NOW);
                    partition.abandon_cleaning(&mut cleaning);
                    return outcome;
                }
                CleaningStep::Done => panic!("nothing was to be replaced"),
            }
        }
    }
    let partition = dirty();
    let size = || partition.log_size().0;
    let before = size();
    assert!(matches!(clean(&partition, true), Err(CleanError::Aborted)));
    assert_eq!(size(), before);
    partition.resume_cleaning();
    clean(&partition, false).unwrap();
    assert!(size() < before);
}

/// How often the bell of a session has rung for each of its slots.
pub(super) fn heard(bell: &Bell) -> usize {
    bell.heard().len()
}

pub(super) fn slot() -> SlotId {
    let mut map = FetchSessionCache::<()>::new(FetchSessionConfig::default());
    let key = FetchKey { topic: FetchTopic::Id(TopicId::ZERO), partition: 0 };
    let wanted = FetchPartition {
        fetch_offset: Offset::ZERO,
        log_start: Offset::NONE,
        max_bytes: 1,
        current_leader_epoch: None,
        last_fetched_epoch: None,
    };
    let told = PartitionAnswer {
        high_watermark: Offset::ZERO,
        log_start: Offset::ZERO,
        records_len: 0,
        is_error: false,
        redirects: false,
    };
    let request = SessionRequest { session_id: 0, epoch: 0, uses_topic_ids: true, privileged: false };
    map.create(request, [(key, wanted, told)].into_iter(), || 1, NOW.mono);
    let request = SessionRequest { session_id: 1, epoch: 1, ..request };
    match map.begin(request, Vec::new(), &[], NOW.mono) {
        Ok(FetchContext::Incremental(session)) => session.due().next().unwrap().0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_watches_hears_of_all_that_a_reader_is_told() {
    let partition = Arc::new(leader());
    let (bell, slot) = (Arc::new(Bell::default()), slot());
    let append = || {
        let mut builder = BatchBuilder::new(Offset::ZERO);
        builder.push(TimestampMs(1_000), None, Some(b"x"), &[]);
        partition.append(&mut builder.build().unwrap(), Acks::All, AppendOrigin::Client, NOW).unwrap();
    };
    let seen = |offset, log_start| Seen {
        follower: None,
        offset: Offset(offset),
        log_start: Offset(log_start),
        current_leader_epoch: None,
    };
    let watch = |seen: Seen| partition.watch(&seen, &bell, slot);

    let dropped = watch(seen(0, 0)).unwrap();
    drop(dropped);
    let _kept = watch(seen(0, 0)).unwrap();
    append();
    assert_eq!(heard(&bell), 1, "records, for the one that was kept");
    append();
    assert_eq!(heard(&bell), 0, "once is enough");

    assert!(watch(seen(1, 0)).is_none(), "there is something to read already");
    assert!(watch(seen(2, 1)).is_none(), "the log's start was another one");
    let other_epoch = Some(LeaderEpoch(7));
    assert!(watch(Seen { current_leader_epoch: other_epoch, ..seen(2, 0) }).is_none());

    let _watch = watch(seen(2, 0)).unwrap();
    partition.delete_records(Some(Offset(1))).unwrap();
    assert_eq!(heard(&bell), 1, "the log's start");

    let _watch = watch(seen(2, 1)).unwrap();
    let again = Registration {
        leader: Some(BrokerId(1)),
        leader_epoch: LeaderEpoch(1),
        partition_epoch: PartitionEpoch(1),
        replicas: vec![BrokerId(1)],
        isr: vec![BrokerId(1)],
    };
    partition.update(&again, NOW.mono).unwrap();
    assert_eq!(heard(&bell), 1, "the leader's epoch");

    let _watch = watch(seen(2, 1)).unwrap();
    partition.close();
    assert_eq!(heard(&bell), 1, "the replica is gone");
    assert!(watch(seen(2, 1)).is_none());
}

#[test]
fn who_watches_hears_of_retention() {
    let config = LogConfig { segment_bytes: 100, retention_ms: 10, ..LogConfig::default() };
    let partition = Arc::new(leader_with(config));
    for _ in 0..2 {
        let mut builder = BatchBuilder::new(Offset::ZERO);
        builder.push(TimestampMs(1_000), None, Some(b"x"), &[]);
        partition.append(&mut builder.build().unwrap(), Acks::All, AppendOrigin::Client, NOW).unwrap();
    }
    let bell = Arc::new(Bell::default());
    let seen =
        Seen { follower: None, offset: Offset(2), log_start: Offset::ZERO, current_leader_epoch: None };
    let _watch = partition.watch(&seen, &bell, slot()).unwrap();
    partition.apply_retention(Now { wall: TimestampMs(1_005), mono: MonoMs(1_005) }).unwrap();
    assert_eq!(heard(&bell), 0, "nothing is old");
    partition.apply_retention(Now { wall: TimestampMs(2_000), mono: MonoMs(2_000) }).unwrap();
    assert_eq!(heard(&bell), 1);
}
