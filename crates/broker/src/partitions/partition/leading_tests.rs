use ottla_model::batch::BatchBuilder;
use ottla_model::{BrokerId, LeaderEpoch, PartitionEpoch, TimestampMs};
use ottla_replication::{BrokerStanding, FollowerFetch};
use ottla_storage::{LogConfig, Reach};

use super::super::error::PartitionError;
use super::super::read::{PartitionRead, ReadRequest, Reader};
use super::tests::{NOW, heard, led, slot};
use super::*;
use crate::partitions::{Bell, Seen};

const CONSUMER: Reader = Reader::Consumer { leader_only: true };

fn append(partition: &Partition, acks: Acks) -> Result<Appended, AppendError> {
    let mut builder = BatchBuilder::new(Offset::ZERO);
    builder.push(TimestampMs(1_000), None, Some(b"x"), &[]);
    partition.append(&mut builder.build().unwrap(), acks, AppendOrigin::Client, NOW)
}

fn fetch(broker: i32, offset: i64, epoch: i32) -> FollowerFetch {
    FollowerFetch {
        broker: BrokerId(broker),
        broker_epoch: Some(7),
        standing: BrokerStanding { epoch: Some(7), fenced: false, in_controlled_shutdown: false },
        leader_epoch: Some(LeaderEpoch(epoch)),
        fetch_offset: Offset(offset),
        log_start: Offset::ZERO,
    }
}

fn read(partition: &Partition, reader: Reader, offset: i64) -> Result<PartitionRead, PartitionError> {
    let current_leader_epoch = match reader {
        Reader::Follower { fetch, .. } => fetch.leader_epoch,
        _ => None,
    };
    partition.read(&ReadRequest {
        offset: Offset(offset),
        current_leader_epoch,
        last_fetched_epoch: None,
        max_len: 1 << 20,
        min_one: true,
        reach: Reach::Disk,
        reader,
    })
}

fn followed(partition: &Partition, fetch: FollowerFetch) -> Result<PartitionRead, PartitionError> {
    let offset = fetch.fetch_offset.get();
    read(partition, Reader::Follower { fetch, news: true, now: NOW.mono }, offset)
}

#[test]
fn followers_read_to_the_end_and_consumers_to_what_all_in_sync_have() {
    let partition = led(LogConfig::default(), &[1, 2, 3]);
    let appended = append(&partition, Acks::All).unwrap();
    assert!(!appended.committed && partition.acknowledged(appended.required).is_none());
    assert!(read(&partition, CONSUMER, 0).unwrap().slice.is_none());
    let sent = followed(&partition, fetch(2, 0, 0)).unwrap();
    assert!(sent.slice.is_some());
    assert_eq!(sent.high_watermark, Offset(0));
    assert!(followed(&partition, fetch(2, 1, 0)).unwrap().slice.is_none());
    assert_eq!(partition.high_watermark(), Offset(0), "one of the two has it");
    let last = followed(&partition, fetch(3, 1, 0)).unwrap();
    assert_eq!(last.high_watermark, Offset(1), "the answer has what its own request has brought about");
    assert!(matches!(partition.acknowledged(appended.required), Some(Ok(()))));
    assert!(read(&partition, CONSUMER, 0).unwrap().slice.is_some());
}

#[test]
fn what_a_round_after_the_first_reads_says_nothing_of_the_follower() {
    let partition = led(LogConfig::default(), &[1, 2]);
    append(&partition, Acks::All).unwrap();
    let again = Reader::Follower { fetch: fetch(2, 1, 0), news: false, now: NOW.mono };
    read(&partition, again, 1).unwrap();
    assert_eq!(partition.high_watermark(), Offset(0));
}

#[test]
fn a_fetch_of_another_epoch_or_of_no_replica_counts_for_nothing() {
    let partition = led(LogConfig::default(), &[1, 2]);
    let registration = Registration {
        leader: Some(BrokerId(1)),
        leader_epoch: LeaderEpoch(4),
        partition_epoch: PartitionEpoch(1),
        replicas: vec![BrokerId(1), BrokerId(2)],
        isr: vec![BrokerId(1), BrokerId(2)],
    };
    partition.update(&registration, NOW.mono).unwrap();
    append(&partition, Acks::All).unwrap();
    let refused = |fetch| followed(&partition, fetch).unwrap_err();
    assert!(matches!(refused(fetch(2, 1, 3)), PartitionError::FencedLeaderEpoch { .. }));
    assert!(matches!(refused(fetch(2, 1, 5)), PartitionError::UnknownLeaderEpoch { .. }));
    assert!(matches!(refused(fetch(3, 1, 4)), PartitionError::UnknownReplica { epoch_given: true }));
    let without = FollowerFetch { leader_epoch: None, ..fetch(3, 1, 4) };
    assert!(matches!(refused(without), PartitionError::UnknownReplica { epoch_given: false }));
    let stale = FollowerFetch { broker_epoch: Some(6), ..fetch(2, 1, 4) };
    assert!(matches!(refused(stale), PartitionError::NotLeader), "an earlier incarnation of the broker");
    assert!(matches!(refused(fetch(2, 2, 4)), PartitionError::OffsetOutOfRange));
    assert_eq!(partition.high_watermark(), Offset(0));
    followed(&partition, fetch(2, 1, 4)).unwrap();
    assert_eq!(partition.high_watermark(), Offset(1));
}

#[tokio::test]
async fn a_follower_that_waits_is_woken_by_an_append_and_a_consumer_by_the_high_watermark() {
    let partition = led(LogConfig::default(), &[1, 2]);
    let (follower, consumer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    partition.park_follower(Offset(0), Arc::clone(&follower)).unwrap();
    partition.park_fetch(Offset(0), Arc::clone(&consumer)).unwrap();
    append(&partition, Acks::Leader).unwrap();
    let soon = std::time::Duration::from_millis(1);
    tokio::time::timeout(soon, follower.notified()).await.expect("woken");
    assert!(tokio::time::timeout(soon, consumer.notified()).await.is_err());
    followed(&partition, fetch(2, 1, 0)).unwrap();
    tokio::time::timeout(soon, consumer.notified()).await.expect("woken");
}

#[tokio::test]
async fn with_too_few_in_sync_replicas_nothing_is_taken_and_nothing_committed() {
    let partition = led(LogConfig::default(), &[1, 2]);
    let config = PartitionConfig { min_insync_replicas: 2, ..PartitionConfig::default() };
    partition.configure(Arc::new(LogConfig::default()), config, NOW.mono);
    let appended = append(&partition, Acks::All).unwrap();
    // Of two in sync one lags: it is to leave, which the controller is asked.
    let late = MonoMs(NOW.mono.0 + 60_000);
    partition.look_for_lag(late);
    let proposals = Arc::clone(&partition.lock().proposals);
    let proposed = proposals.next().await;
    let proposal = &proposed[&partition.id];
    assert_eq!(proposal.isr.iter().map(|member| member.broker.get()).collect::<Vec<_>>(), [1]);
    assert_eq!(proposal.flush_first, Some(Offset(1)), "the page cache would be the only place");
    let shrunk = ottla_replication::AlterPartitionAnswer::Committed {
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(1),
        isr: vec![BrokerId(1)],
    };
    assert_eq!(partition.isr_answered(proposal.partition_epoch, shrunk, late), std::cmp::Ordering::Less);
    // KIP-966: with too few the high watermark stays where it is.
    assert!(partition.acknowledged(appended.required).is_none());
    assert!(matches!(append(&partition, Acks::All), Err(AppendError::NotEnoughReplicas { isr: 1, min: 2 })));
    assert!(append(&partition, Acks::Leader).is_ok());
}

#[test]
fn a_consumer_is_sent_to_the_replica_in_its_rack_that_has_what_it_wants() {
    let partition = led(LogConfig::default(), &[1, 2, 3]);
    append(&partition, Acks::All).unwrap();
    let near = |ids: &'static [i32]| move |broker: BrokerId| ids.contains(&broker.get());
    let closest = |offset, ids| partition.closest_replica(Offset(offset), near(ids));
    assert_eq!(closest(0, &[2]), None, "nobody knows yet what it has");
    followed(&partition, fetch(2, 1, 0)).unwrap();
    followed(&partition, fetch(3, 0, 0)).unwrap();
    assert_eq!(closest(1, &[2, 3]), Some(BrokerId(2)));
    assert_eq!(closest(1, &[3]), None, "it has not come so far");
    assert_eq!(closest(0, &[3]), Some(BrokerId(3)));
    assert_eq!(closest(0, &[1, 2]), None, "the leader is as near");
    assert_eq!(closest(0, &[]), None);
}

fn registration(partition_epoch: i32, isr: &[i32]) -> Registration {
    Registration {
        leader: Some(BrokerId(1)),
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(partition_epoch),
        replicas: [1, 2, 3].map(BrokerId).into(),
        isr: isr.iter().copied().map(BrokerId).collect(),
    }
}

const fn settled(broker: i32, offset: i64) -> Seen {
    Seen {
        follower: Some(BrokerId(broker)),
        offset: Offset(offset),
        log_start: Offset::ZERO,
        current_leader_epoch: Some(LeaderEpoch(0)),
    }
}

#[test]
fn a_follower_that_has_all_hears_of_all_that_it_is_told() {
    let partition = Arc::new(led(LogConfig::default(), &[1, 2, 3]));
    let (bell, slot) = (Arc::new(Bell::default()), slot());
    let watch = |offset| partition.watch(&settled(2, offset), &bell, slot);
    assert!(watch(0).is_none(), "nobody knows yet what it has");
    followed(&partition, fetch(2, 0, 0)).unwrap();
    let _watch = watch(0).unwrap();
    append(&partition, Acks::Leader).unwrap();
    assert_eq!(heard(&bell), 1, "a record");
    followed(&partition, fetch(2, 1, 0)).unwrap();
    assert!(watch(1).is_none(), "another one has not got it: it will be told the high watermark");
    followed(&partition, fetch(3, 1, 0)).unwrap();
    let _watch = watch(1).unwrap();
    partition.delete_records(Some(Offset(1))).unwrap();
    assert_eq!(heard(&bell), 1, "the log's start");
    let watch = || partition.watch(&Seen { log_start: Offset(1), ..settled(2, 1) }, &bell, slot);
    let _watch = watch().unwrap();
    partition.update(&registration(1, &[1, 3]), NOW.mono).unwrap();
    assert_eq!(heard(&bell), 1, "it is in sync no more: its fetches are read again");
    assert!(watch().is_none());
    let rejoined = Reader::Follower { fetch: fetch(2, 1, 0), news: true, now: NOW.mono };
    read(&partition, rejoined, 1).unwrap();
    assert!(partition.lock().machine.isr().len() == 2 && watch().is_none(), "until it is, again");
    let committed = ottla_replication::AlterPartitionAnswer::Committed {
        leader_epoch: LeaderEpoch(0),
        partition_epoch: PartitionEpoch(2),
        isr: [1, 2, 3].map(BrokerId).into(),
    };
    partition.isr_answered(PartitionEpoch(1), committed, NOW.mono);
    let _watch = watch().unwrap();
    partition.close();
    assert_eq!(heard(&bell), 1, "the replica is gone");
}

/// It is not read for hours, and its session alone says that it is there.
#[tokio::test]
async fn who_has_all_and_asks_for_it_is_in_sync_when_something_comes() {
    let hours = MonoMs(NOW.mono.0 + 10_000_000);
    for (asks, wakes_by_itself) in [(true, false), (true, true), (false, false)] {
        let partition = Arc::new(led(LogConfig::default(), &[1, 2]));
        followed(&partition, fetch(2, 0, 0)).unwrap();
        let bell = Arc::new(Bell::default());
        let watch = partition.watch(&settled(2, 0), &bell, slot()).unwrap();
        if asks {
            bell.ask(hours);
        }
        if wakes_by_itself {
            // As the end of a session does.
            drop(watch);
            append(&partition, Acks::Leader).unwrap();
        } else {
            append(&partition, Acks::Leader).unwrap();
            drop(watch);
        }
        partition.look_for_lag(MonoMs(hours.0 + 1_000));
        let proposals = Arc::clone(&partition.lock().proposals);
        let soon = std::time::Duration::from_millis(1);
        let shrinks = tokio::time::timeout(soon, proposals.next()).await.is_ok();
        assert_eq!(shrinks, !asks, "{asks} {wakes_by_itself}");
    }
}
