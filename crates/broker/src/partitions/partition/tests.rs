use std::path::PathBuf;

use ottla_model::batch::BatchBuilder;
use ottla_model::{BrokerId, LeaderEpoch, PartitionEpoch, TimestampMs, TopicId};
use ottla_replication::LogOffsets;
use ottla_storage::{CleanError, CleanerSettings, CleaningStep, CleanupPolicy, LogConfig, LogStart, SimDisk};

use super::*;

pub(super) const NOW: Now = Now { wall: TimestampMs(1_000), mono: MonoMs(1_000) };

/// The leader of a partition with one replica.
fn leader() -> Partition {
    leader_with(LogConfig::default())
}

fn leader_with(config: LogConfig) -> Partition {
    led(config, &[1])
}

/// The leader of a partition with these replicas, all of them in sync.
pub(super) fn led(config: LogConfig, replicas: &[i32]) -> Partition {
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
