use std::path::PathBuf;

use ottla_model::batch::BatchBuilder;
use ottla_model::{BrokerId, LeaderEpoch, PartitionEpoch, TimestampMs, TopicId};
use ottla_replication::LogOffsets;
use ottla_storage::{LogConfig, LogStart, SimDisk};

use super::*;

const NOW: Now = Now { wall: TimestampMs(1_000), mono: MonoMs(1_000) };

/// The leader of a partition with one replica.
fn leader() -> Partition {
    let (disk, name) = (Arc::new(SimDisk::new()), TopicPartition::new("t", 0));
    let dir = PathBuf::from("/data/t-0");
    let config = Arc::new(LogConfig::default());
    let log = PartitionLog::open(disk, dir, name.clone(), config, LogStart::new_log(), NOW).unwrap();
    let machine =
        PartitionMachine::new(BrokerId(1), PartitionConfig::default(), LogOffsets::empty_at(Offset::ZERO));
    let id = TopicIdPartition { topic_id: TopicId::ZERO, partition: 0 };
    let partition = Partition::new(name, id, log, machine, Arc::default());
    let registration = Registration {
        leader: Some(BrokerId(1)),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(0),
        replicas: vec![BrokerId(1)],
        isr: vec![BrokerId(1)],
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
