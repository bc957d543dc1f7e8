mod against_a_naive_model;

use ottla_model::{BrokerId, LeaderEpoch, MonoMs, Offset, PartitionEpoch};

use super::*;

const ONE: BrokerId = BrokerId(1);
const TWO: BrokerId = BrokerId(2);
const THREE: BrokerId = BrokerId(3);
const STANDING: BrokerStanding =
    BrokerStanding { epoch: Some(7), fenced: false, in_controlled_shutdown: false };

fn at(ms: u64) -> MonoMs {
    MonoMs(ms)
}

fn config(min_insync_replicas: usize) -> PartitionConfig {
    PartitionConfig { min_insync_replicas, replica_lag_time_max_ms: 1_000, ..PartitionConfig::default() }
}

fn registration(leader: i32, leader_epoch: i32, partition_epoch: i32, isr: &[BrokerId]) -> Registration {
    Registration {
        leader: (leader > 0).then_some(BrokerId(leader)),
        leader_epoch: LeaderEpoch(leader_epoch),
        partition_epoch: PartitionEpoch(partition_epoch),
        replicas: vec![ONE, TWO, THREE],
        isr: isr.to_vec(),
    }
}

/// Broker 1 leads {1, 2, 3} in epoch 5 from an empty log.
fn leader(isr: &[BrokerId], min_isr: usize) -> PartitionMachine {
    let mut machine = PartitionMachine::new(ONE, config(min_isr), LogOffsets::default());
    let _ = machine.update(&registration(1, 5, 10, isr), at(0)).unwrap();
    machine
}

fn fetch(broker: BrokerId, offset: i64) -> FollowerFetch {
    FollowerFetch {
        broker,
        broker_epoch: Some(7),
        standing: STANDING,
        leader_epoch: Some(LeaderEpoch(5)),
        fetch_offset: Offset(offset),
        log_start: Offset::ZERO,
    }
}

fn hw(effects: &Effects) -> Option<i64> {
    effects.high_watermark.map(Offset::get)
}

fn proposed(effects: &Effects) -> Option<Vec<i32>> {
    let proposal = effects.alter_partition.as_ref()?;
    Some(proposal.isr.iter().map(|member| member.broker.get()).collect())
}

fn committed(partition_epoch: i32, isr: &[BrokerId]) -> AlterPartitionAnswer {
    AlterPartitionAnswer::Committed {
        leader_epoch: LeaderEpoch(5),
        partition_epoch: PartitionEpoch(partition_epoch),
        isr: isr.to_vec(),
    }
}

#[test]
fn one_replica_acknowledges_its_own_append() {
    let mut machine = PartitionMachine::new(ONE, config(2), LogOffsets::empty_at(Offset(3)));
    let alone = Registration { replicas: vec![ONE], ..registration(1, 0, 0, &[ONE]) };
    let effects = machine.update(&alone, at(0)).unwrap();
    let became = RoleChange::Leader { leader_epoch: LeaderEpoch(0), epoch_start: Offset(3) };
    assert_eq!(effects.role, Some(became));
    assert_eq!(machine.begin_append(true), Ok(LeaderEpoch(0)), "min ISR asks for no more than there are");
    let effects = machine.appended(Offset(8), at(1));
    assert_eq!((hw(&effects), effects.log_end), (Some(8), Some(Offset(8))));
    assert_eq!(machine.acknowledged(Offset(8)), Some(Ok(())));
    assert_eq!(machine.acknowledged(Offset(9)), None);
    assert!(machine.tick(at(100_000)).is_empty());
}

#[test]
fn flushed_policy_holds_the_hw_at_the_disk() {
    let mut machine = PartitionMachine::new(ONE, config(1), LogOffsets::default());
    let alone = Registration { replicas: vec![ONE], ..registration(1, 0, 0, &[ONE]) };
    let _ = machine.update(&alone, at(0)).unwrap();
    let flushed = PartitionConfig { durability: Durability::Flushed, ..config(1) };
    assert!(machine.configure(flushed, at(0)).is_empty());
    assert_eq!(hw(&machine.appended(Offset(10), at(1))), None);
    assert_eq!(hw(&machine.flushed(Offset(6), at(2))), Some(6));
    assert_eq!(hw(&machine.flushed(Offset(4), at(3))), None, "a late report");
    assert_eq!(hw(&machine.flushed(Offset(99), at(3))), Some(10), "no further than the log");
    let _ = machine.appended(Offset(12), at(4));
    assert_eq!(hw(&machine.configure(config(1), at(5))), Some(12));
}

#[test]
fn hw_waits_for_the_slowest_of_the_isr() {
    let mut machine = leader(&[ONE, TWO, THREE], 1);
    assert_eq!(hw(&machine.appended(Offset(10), at(1))), None);
    assert_eq!(hw(&machine.follower_fetched(&fetch(TWO, 10), at(2)).unwrap()), None);
    assert_eq!(hw(&machine.follower_fetched(&fetch(THREE, 4), at(3)).unwrap()), Some(4));
    assert_eq!(hw(&machine.follower_fetched(&fetch(THREE, 10), at(4)).unwrap()), Some(10));
    assert!(machine.follower_fetched(&fetch(THREE, 10), at(5)).unwrap().is_empty());
}

#[test]
fn what_a_follower_had_counts_in_the_next_epoch_only_if_nobody_else_has_led() {
    for (next_epoch, expected) in [(6, Some(10)), (7, None)] {
        let mut machine = leader(&[ONE, TWO, THREE], 1);
        let _ = machine.appended(Offset(10), at(1));
        let _ = machine.follower_fetched(&fetch(TWO, 10), at(2)).unwrap();
        // In an epoch between, of which this leader never heard, it may have cut its log.
        let _ = machine.update(&registration(1, next_epoch, 12, &[ONE, TWO, THREE]), at(3)).unwrap();
        let of_three = FollowerFetch { leader_epoch: Some(LeaderEpoch(next_epoch)), ..fetch(THREE, 10) };
        assert_eq!(hw(&machine.follower_fetched(&of_three, at(4)).unwrap()), expected, "{next_epoch}");
    }
}

#[test]
fn a_lagging_follower_is_dropped_and_the_hw_goes_on_once_committed() {
    let mut machine = leader(&[ONE, TWO, THREE], 1);
    let _ = machine.appended(Offset(10), at(1));
    let _ = machine.follower_fetched(&fetch(TWO, 10), at(2)).unwrap();
    assert!(machine.tick(at(900)).is_empty(), "both may still show up");
    let _ = machine.follower_fetched(&fetch(TWO, 10), at(1_400)).unwrap();
    let effects = machine.tick(at(1_500));
    assert_eq!((proposed(&effects), hw(&effects)), (Some(vec![1, 2]), None), "3 may still be in the ISR");
    assert!(machine.tick(at(1_600)).is_empty(), "one change in flight");
    let stray = machine.alter_partition_answered(PartitionEpoch(9), committed(11, &[ONE, TWO]), at(1_650));
    assert!(stray.is_empty());
    let effects = machine.alter_partition_answered(PartitionEpoch(10), committed(11, &[ONE, TWO]), at(1_700));
    assert_eq!(hw(&effects), Some(10));
    assert_eq!(machine.partition_epoch(), PartitionEpoch(11));
    assert!(machine.is_under_replicated());
}

#[test]
fn a_leader_that_can_append_no_more_hands_over_to_those_that_have_all() {
    let mut machine = leader(&[ONE, TWO, THREE], 1);
    let _ = machine.appended(Offset(10), at(1));
    let _ = machine.follower_fetched(&fetch(TWO, 10), at(2)).unwrap();
    assert_eq!(proposed(&machine.hand_over()), None, "3 lacks something");
    let _ = machine.follower_fetched(&fetch(THREE, 10), at(3)).unwrap();
    assert_eq!(proposed(&machine.hand_over()), Some(vec![2, 3]));
    assert_eq!(proposed(&machine.hand_over()), None, "one change in flight");
    let _ = machine.alter_partition_answered(PartitionEpoch(10), AlterPartitionAnswer::Stale, at(4));
    assert!(machine.is_leader(), "until the metadata says who leads");
    let _ = machine.update(&registration(2, 6, 11, &[TWO, THREE]), at(5)).unwrap();
    assert!(!machine.is_leader());
    assert!(machine.hand_over().is_empty());
    assert!(leader(&[ONE], 1).hand_over().is_empty(), "there is nobody else");
}

#[test]
fn a_busy_leaders_follower_counts_as_caught_up_with_its_previous_fetch() {
    let mut machine = leader(&[ONE, TWO], 1);
    for round in 1..20u64 {
        let end = i64::try_from(round).unwrap() * 10;
        let _ = machine.appended(Offset(end), at(round * 500));
        let _ = machine.follower_fetched(&fetch(TWO, end - 10), at(round * 500 + 1)).unwrap();
        assert_eq!(proposed(&machine.tick(at(round * 500 + 2))), None, "round {round}");
    }
}

#[test]
fn a_settled_follower_lags_from_when_it_last_asked() {
    let mut machine = leader(&[ONE, TWO, THREE], 1);
    for (broker, offset) in [(TWO, 0), (THREE, 0)] {
        let _ = machine.follower_fetched(&fetch(broker, offset), at(10)).unwrap();
    }
    assert!(machine.is_settled(TWO) && !machine.is_settled(ONE));
    let _ = machine.appended(Offset(5), at(60_000));
    assert!(!machine.is_settled(TWO), "there is something for it");
    machine.follower_stayed(TWO, Offset(0), at(59_500));
    machine.follower_stayed(THREE, Offset(3), at(59_500));
    let tick = machine.tick(at(60_400));
    assert_eq!(proposed(&tick), Some(vec![1, 2]), "three was not there, and two was until just now");
    assert!(!machine.is_settled(TWO));
    let _ = machine.alter_partition_answered(PartitionEpoch(10), committed(11, &[ONE, TWO]), at(60_401));
    assert_eq!(proposed(&machine.tick(at(60_500))), None);
    assert_eq!(proposed(&machine.tick(at(60_501))), Some(vec![1]), "replica.lag.time.max.ms are over");
}

#[test]
fn a_follower_is_settled_only_in_sync_and_with_all_that_is_committed() {
    let mut machine = leader(&[ONE, TWO], 2);
    assert!(!machine.is_settled(TWO), "it has not fetched");
    let _ = machine.appended(Offset(5), at(1));
    let _ = machine.follower_fetched(&fetch(TWO, 4), at(2)).unwrap();
    assert!(!machine.is_settled(TWO), "it lacks a record");
    let _ = machine.follower_fetched(&fetch(TWO, 5), at(2)).unwrap();
    assert!(machine.is_settled(TWO));
    let joins = machine.follower_fetched(&fetch(THREE, 5), at(2)).unwrap();
    assert!(joins.alter_partition.is_some() && !machine.is_settled(THREE), "it has not joined yet");
    assert!(!machine.is_settled(TWO), "the in-sync set may be another one");
    let joined = committed(11, &[ONE, TWO, THREE]);
    let _ = machine.alter_partition_answered(PartitionEpoch(10), joined, at(3));
    assert!(machine.is_settled(TWO) && machine.is_settled(THREE));
    let _ = machine.update(&registration(1, 5, 12, &[ONE, THREE]), at(4)).unwrap();
    assert!(!machine.is_settled(TWO) && machine.is_settled(THREE));
    let _ = machine.update(&registration(3, 6, 13, &[ONE, THREE]), at(5)).unwrap();
    assert!(!machine.is_settled(THREE), "this broker leads no more");
}

#[test]
fn expansion_counts_for_the_hw_from_the_proposal_on() {
    let mut machine = leader(&[ONE], 1);
    let _ = machine.appended(Offset(10), at(1));
    assert_eq!(machine.high_watermark(), Offset(10));
    let effects = machine.follower_fetched(&fetch(TWO, 9), at(2)).unwrap();
    assert_eq!(proposed(&effects), None, "below the HW");
    let effects = machine.follower_fetched(&fetch(TWO, 10), at(3)).unwrap();
    assert_eq!(proposed(&effects), Some(vec![1, 2]));
    assert_eq!(machine.isr(), [ONE], "not committed yet");
    assert_eq!(hw(&machine.appended(Offset(20), at(5_000))), None, "2 may already be in the ISR");
    let effects =
        machine.alter_partition_answered(PartitionEpoch(10), AlterPartitionAnswer::Stale, at(5_001));
    assert!(effects.is_empty(), "still pending");
    let effects =
        machine.alter_partition_answered(PartitionEpoch(10), AlterPartitionAnswer::Retry, at(5_002));
    assert_eq!(proposed(&effects), Some(vec![1, 2]));
    let effects =
        machine.alter_partition_answered(PartitionEpoch(10), AlterPartitionAnswer::Rejected, at(5_003));
    assert_eq!(hw(&effects), Some(20), "certainly not in the ISR, and not caught up any more");
}

#[test]
fn a_proposal_carries_broker_epochs_in_replica_order() {
    let mut machine = leader(&[ONE, THREE], 1);
    let _ = machine.follower_fetched(&fetch(THREE, 0), at(1)).unwrap();
    let effects = machine.follower_fetched(&fetch(TWO, 0), at(2)).unwrap();
    let member = |broker, broker_epoch| IsrMember { broker, broker_epoch };
    let isr = vec![member(ONE, None), member(TWO, Some(7)), member(THREE, Some(7))];
    let (leader_epoch, partition_epoch) = (LeaderEpoch(5), PartitionEpoch(10));
    let proposal = IsrProposal { leader_epoch, partition_epoch, isr, flush_first: None };
    assert_eq!(effects.alter_partition.as_deref(), Some(&proposal));
}

#[test]
fn shrinking_to_the_last_replica_flushes_first() {
    let mut machine = leader(&[ONE, TWO], 1);
    let _ = machine.appended(Offset(10), at(1));
    let effects = machine.tick(at(2_000));
    let proposal = effects.alter_partition.unwrap();
    assert_eq!((proposal.isr.len(), proposal.flush_first), (1, Some(Offset(10))));
}

#[test]
fn nothing_unflushed_is_committed_while_the_leader_is_about_to_be_alone() {
    let mut machine = leader(&[ONE, TWO], 1);
    let _ = machine.appended(Offset(10), at(1));
    let _ = machine.flushed(Offset(10), at(2));
    let effects = machine.tick(at(2_000));
    assert_eq!(effects.alter_partition.unwrap().flush_first, None, "all is flushed");
    let _ = machine.appended(Offset(12), at(2_001));
    let effects = machine.follower_fetched(&fetch(TWO, 12), at(2_002)).unwrap();
    assert_eq!(effects.high_watermark, Some(Offset(10)), "the proposal may be committed now");
    assert_eq!(machine.flushed(Offset(12), at(2_003)).high_watermark, Some(Offset(12)));
}

#[test]
fn who_may_not_join_the_isr() {
    let fenced = BrokerStanding { fenced: true, ..STANDING };
    let leaving = BrokerStanding { in_controlled_shutdown: true, ..STANDING };
    let unknown = BrokerStanding { epoch: None, ..STANDING };
    for standing in [fenced, leaving, unknown] {
        let mut machine = leader(&[ONE], 1);
        let effects = machine.follower_fetched(&FollowerFetch { standing, ..fetch(TWO, 0) }, at(1)).unwrap();
        assert_eq!(proposed(&effects), None, "{standing:?}");
    }
    let mut machine = leader(&[ONE], 1);
    let no_epoch = FollowerFetch { broker_epoch: None, ..fetch(TWO, 0) };
    assert_eq!(proposed(&machine.follower_fetched(&no_epoch, at(1)).unwrap()), Some(vec![1, 2]));
}

#[test]
fn a_new_leader_admits_only_who_has_reached_its_epoch() {
    let log = LogOffsets { high_watermark: Offset(5), leo: Offset(9), ..LogOffsets::default() };
    let mut machine = PartitionMachine::new(ONE, config(1), log);
    let _ = machine.update(&registration(1, 5, 10, &[ONE, THREE]), at(0)).unwrap();
    assert_eq!(machine.high_watermark(), Offset(5));
    let effects = machine.follower_fetched(&fetch(TWO, 7), at(1)).unwrap();
    assert_eq!(proposed(&effects), None, "above the HW, below the epoch's start");
    let effects = machine.follower_fetched(&fetch(TWO, 9), at(2)).unwrap();
    assert_eq!(proposed(&effects), Some(vec![1, 2, 3]));
}

#[test]
fn min_isr_refuses_before_and_after_the_append() {
    let mut machine = leader(&[ONE, TWO], 2);
    let _ = machine.follower_fetched(&fetch(TWO, 0), at(1)).unwrap();
    let _ = machine.appended(Offset(10), at(2));
    assert_eq!(machine.acknowledged(Offset(10)), None);
    let _ = machine.tick(at(5_000));
    let effects = machine.alter_partition_answered(PartitionEpoch(10), committed(11, &[ONE]), at(5_001));
    assert_eq!(hw(&effects), None, "KIP-966: the HW stays while the ISR is too small");
    assert_eq!(machine.begin_append(true), Err(AppendError::NotEnoughReplicas { isr: 1, min: 2 }));
    assert_eq!(machine.begin_append(false), Ok(LeaderEpoch(5)));
    let after = AcksError::NotEnoughReplicasAfterAppend { isr: 1, min: 2 };
    assert_eq!(machine.acknowledged(Offset(0)), Some(Err(after)));
    assert_eq!(hw(&machine.configure(config(1), at(5_002))), Some(10));
}

#[test]
fn follower_fetches_that_do_not_count() {
    let mut machine = leader(&[ONE, TWO], 1);
    let _ = machine.appended(Offset(10), at(1));
    let epoch = |epoch| FollowerFetch { leader_epoch: Some(LeaderEpoch(epoch)), ..fetch(TWO, 0) };
    let (current, requested) = (LeaderEpoch(5), LeaderEpoch(4));
    assert_eq!(
        machine.follower_fetched(&epoch(4), at(2)),
        Err(EpochError::Fenced { requested, current }.into())
    );
    let requested = LeaderEpoch(6);
    assert_eq!(
        machine.follower_fetched(&epoch(6), at(2)),
        Err(EpochError::Unknown { requested, current }.into())
    );
    let stranger = FollowerFetchError::NotReplica { broker: BrokerId(9), epoch_given: true };
    assert_eq!(machine.follower_fetched(&fetch(BrokerId(9), 0), at(2)), Err(stranger));
    let stale = FollowerFetch { broker_epoch: Some(6), ..fetch(TWO, 0) };
    let error = FollowerFetchError::StaleBroker { requested: 6, registered: 7 };
    assert_eq!(machine.follower_fetched(&stale, at(2)), Err(error));
    let beyond = FollowerFetchError::OutOfRange { requested: Offset(11), leo: Offset(10) };
    assert_eq!(machine.follower_fetched(&fetch(TWO, 11), at(2)), Err(beyond));
    assert_eq!(machine.high_watermark(), Offset(0));
}

#[test]
fn a_member_that_lost_records_is_reported_once() {
    let mut machine = leader(&[ONE, TWO], 1);
    let _ = machine.appended(Offset(10), at(1));
    let _ = machine.follower_fetched(&fetch(TWO, 10), at(2)).unwrap();
    let effects = machine.follower_fetched(&fetch(TWO, 3), at(3)).unwrap();
    assert_eq!((effects.lost_committed, hw(&effects)), (Some(TWO), None));
    let effects = machine.follower_fetched(&fetch(TWO, 4), at(4)).unwrap();
    assert_eq!(effects.lost_committed, None);
    assert_eq!(machine.high_watermark(), Offset(10), "the HW never goes back");
}

#[test]
fn a_follower_follows_the_leaders_hw_as_far_as_its_log_goes() {
    let mut machine = PartitionMachine::new(TWO, config(1), LogOffsets::default());
    let effects = machine.update(&registration(1, 5, 10, &[ONE, TWO]), at(0)).unwrap();
    let follows = RoleChange::Follower { leader_epoch: LeaderEpoch(5), leader: Some(ONE) };
    assert_eq!(effects.role, Some(follows));
    let effects = machine.appended(Offset(10), at(1));
    assert_eq!((hw(&effects), effects.log_end), (None, Some(Offset(10))));
    assert_eq!(hw(&machine.leader_high_watermark(Offset(30))), Some(10));
    assert_eq!(hw(&machine.leader_high_watermark(Offset(5))), None);
    assert_eq!(machine.begin_append(false), Err(AppendError::NotLeader));
    assert_eq!(machine.acknowledged(Offset(1)), Some(Err(AcksError::NotLeader)));
    assert_eq!(machine.truncated(Offset(4)), Ok(true));
    assert_eq!((machine.high_watermark(), machine.log().leo), (Offset(4), Offset(4)));
}

#[test]
fn leadership_moves_with_the_metadata_and_old_news_is_ignored() {
    let mut machine = leader(&[ONE, TWO, THREE], 1);
    let _ = machine.appended(Offset(10), at(1));
    assert!(machine.update(&registration(2, 4, 9, &[TWO]), at(2)).unwrap().is_empty());
    assert!(machine.update(&registration(1, 5, 10, &[ONE]), at(2)).unwrap().is_empty());
    let effects = machine.update(&registration(2, 6, 11, &[ONE, TWO]), at(3)).unwrap();
    let follows = RoleChange::Follower { leader_epoch: LeaderEpoch(6), leader: Some(TWO) };
    assert_eq!(effects.role, Some(follows));
    let effects = machine.update(&registration(2, 6, 12, &[ONE, TWO, THREE]), at(4)).unwrap();
    assert_eq!(effects.role, None, "only the ISR changed");
    let effects = machine.update(&registration(0, 7, 13, &[ONE]), at(5)).unwrap();
    assert_eq!(effects.role, Some(RoleChange::Follower { leader_epoch: LeaderEpoch(7), leader: None }));
    let effects = machine.update(&registration(1, 8, 14, &[ONE]), at(6)).unwrap();
    let leads = RoleChange::Leader { leader_epoch: LeaderEpoch(8), epoch_start: Offset(10) };
    assert_eq!((effects.role, hw(&effects)), (Some(leads), Some(10)));
}

#[test]
fn metadata_ends_a_change_in_flight() {
    let mut machine = leader(&[ONE], 1);
    let _ = machine.follower_fetched(&fetch(TWO, 0), at(1)).unwrap();
    let _ = machine.update(&registration(1, 5, 11, &[ONE, TWO]), at(2)).unwrap();
    assert_eq!(machine.isr(), [ONE, TWO]);
    let late = machine.alter_partition_answered(PartitionEpoch(10), AlterPartitionAnswer::Rejected, at(3));
    assert!(late.is_empty());
    assert_eq!(machine.isr(), [ONE, TWO]);
}

#[test]
fn impossible_registrations_are_refused() {
    let mut machine = leader(&[ONE], 1);
    let (current, new) = (LeaderEpoch(5), LeaderEpoch(4));
    let back = RegistrationError::LeaderEpochWentBack { current, new };
    assert_eq!(machine.update(&registration(1, 4, 11, &[ONE]), at(1)), Err(back));
    let stranger = RegistrationError::IsrNotReplica(BrokerId(9));
    assert_eq!(machine.update(&registration(1, 6, 11, &[ONE, BrokerId(9)]), at(1)), Err(stranger));
    let outside = RegistrationError::LeaderNotInIsr(ONE);
    assert_eq!(machine.update(&registration(1, 6, 11, &[TWO]), at(1)), Err(outside));
    assert_eq!(machine.leader_epoch(), LeaderEpoch(5));
}

#[test]
fn the_low_watermark_is_the_least_log_start_of_the_live() {
    let mut machine = leader(&[ONE, TWO, THREE], 1);
    let _ = machine.appended(Offset(10), at(1));
    let started = |broker, log_start| FollowerFetch { log_start: Offset(log_start), ..fetch(broker, 10) };
    let _ = machine.follower_fetched(&started(TWO, 6), at(2)).unwrap();
    let _ = machine.follower_fetched(&started(THREE, 2), at(2)).unwrap();
    assert!(machine.log_start_advanced(Offset(8)).is_empty());
    assert_eq!(machine.low_watermark(|_| true), Offset(2));
    assert_eq!(machine.low_watermark(|broker| broker != THREE), Offset(6));
    assert_eq!(machine.low_watermark(|_| false), Offset(8));
}

#[test]
fn a_log_start_beyond_the_hw_pulls_the_hw_along() {
    let mut machine = leader(&[ONE, TWO], 1);
    let _ = machine.appended(Offset(10), at(1));
    assert_eq!(hw(&machine.log_start_advanced(Offset(4))), Some(4));
    assert_eq!(hw(&machine.log_start_advanced(Offset(3))), None);
}

#[test]
fn offline_refuses_everything() {
    let mut machine = leader(&[ONE, TWO], 1);
    assert_eq!(machine.offline().role, Some(RoleChange::Offline));
    assert_eq!(machine.check(), Ok(()));
    assert_eq!(machine.begin_append(false), Err(AppendError::NotLeader));
    assert_eq!(machine.check_epoch(None, false), Err(EpochError::NotLeader));
    assert!(machine.tick(at(10_000)).is_empty());
}
