//! What is rebuilt from the log is what was there.

use super::bench::*;
use crate::{GroupError, GroupResponse};

#[test]
fn group_survives_a_restart() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(3);
    bench.commit(&commit_of(&ids[0], 1, "t", 4));
    let mut again = bench.restarted();
    let described = |b: &Bench| b.shard().describe_group(&GROUP.into()).unwrap();
    assert_eq!(described(&again), described(&bench));
    for id in &ids {
        assert_eq!(again.heartbeat(id, 1), Ok(()), "members keep their ids and the generation");
    }
    let token = again.sync(&ids[1], 1, &[]);
    assert_eq!(again.synced(token).assignment, "assigned");
    // A full session from the restart on, then they are gone.
    again.pass(9_999);
    assert_eq!(again.state(), "Stable");
    again.pass(1);
    assert_eq!((again.state(), again.restarted().state()), ("Empty", "Empty"));
    let token = again.join(old_join());
    again.pass(3_000);
    let generation = again.joined(token).generation;
    assert!(generation > 1, "the generation does not go back: {generation}");
}

#[test]
fn restart_in_the_middle_of_a_rebalance_knows_the_last_generation() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(2);
    bench.join(old_join());
    let mut again = bench.restarted();
    assert_eq!(again.state(), "Stable");
    assert_eq!(again.heartbeat(&ids[0], 1), Ok(()));
    let leader = again.join(rejoin(&ids[0]));
    let other = again.join(rejoin(&ids[1]));
    assert_eq!((again.joined(leader).generation, again.joined(other).generation), (2, 2));
}

#[test]
fn group_that_is_too_large_rebalances_after_the_load() {
    let mut bench = Bench::new();
    let ids = bench.stable_group(3);
    let mut smaller = crate::GroupConfig { max_size: 2, ..crate::GroupConfig::default() };
    smaller.initial_rebalance_delay_ms = 0;
    let mut again = Bench::with(smaller.clone());
    again.log = bench.log.clone();
    // `restarted` takes log and settings.
    let mut again = again.restarted_with_end_of(&bench);
    assert_eq!(again.state(), "PreparingRebalance");
    let tokens: Vec<u32> = ids.iter().map(|id| again.join(rejoin(id))).collect();
    let errors = tokens.iter().filter_map(|token| match again.answers.get(token) {
        Some(GroupResponse::Join(response)) => response.error.clone(),
        _ => None,
    });
    assert_eq!(errors.collect::<Vec<_>>(), [GroupError::GroupMaxSizeReached]);
}
