//! Three real processes under blows, with everything running: what was answered and shown holds, and the replicas are the
//! same bytes in the end. `cargo xtask survive [ROUNDS]` is the long form.

mod full_disk;
mod rolling;

use ottla_compat_tests::crash::{Counts, Rng};
use ottla_compat_tests::needs;
use ottla_compat_tests::survival::{Fault, Ordeal, Summary};

/// Blows of one cluster's life; each life has a seed of its own.
const BLOWS_PER_LIFE: usize = 30;

fn number_of(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: a number")))
}

/// How many blows `OTTLA_SURVIVE_BLOWS` wants, if anything else than each of the first ones once.
fn blows_wanted() -> Option<usize> {
    number_of("OTTLA_SURVIVE_BLOWS").and_then(|blows| blows.try_into().ok())
}

/// A cluster's life under these blows, which ends early once something is wrong.
fn live(begin: fn(u64) -> Ordeal, seed: u64, blows: impl Iterator<Item = Fault>) -> Summary {
    let mut ordeal = begin(seed);
    for blow in blows {
        if ordeal.load().wrong().is_empty() {
            ordeal.suffer(blow);
        }
    }
    ordeal.end()
}

/// `short` once, or as many blows as are wanted, of all kinds, in lives of their own.
fn survives(begin: fn(u64) -> Ordeal, short: &[Fault], all: &[Fault]) {
    let first_seed = number_of("OTTLA_SURVIVE_SEED").unwrap_or(1);
    let Some(wanted) = blows_wanted() else {
        return judge(first_seed, &live(begin, first_seed, short.iter().copied()));
    };
    let mut left = wanted;
    for seed in first_seed.. {
        if left == 0 {
            break;
        }
        let (mut rng, blows) = (Rng::new(seed), left.min(BLOWS_PER_LIFE));
        judge(seed, &live(begin, seed, (0..blows).map(|_| rng.pick(all))));
        left -= blows;
    }
}

fn judge(seed: u64, summary: &Summary) {
    let Summary { counts, shown, compared, wrong } = summary;
    println!("seed {seed}: {counts:?}, {shown} records shown, {compared} bytes the same on three nodes");
    let first: Vec<&str> = wrong.iter().take(20).map(String::as_str).collect();
    assert!(first.is_empty(), "seed {seed}: {} violations:\n{}", wrong.len(), first.join("\n"));
    let Counts { acknowledged, commits, rebalances, producer_ids, .. } = *counts;
    for (what, count) in [
        ("acknowledged records", acknowledged),
        ("commits", commits),
        ("rebalances", rebalances),
        ("producer ids", producer_ids),
        ("shown records", *shown),
        ("compared bytes", *compared),
    ] {
        assert!(count > 0, "a run without {what} shows nothing of it: {summary:?}");
    }
}

#[test]
fn nothing_is_lost_where_processes_die_and_stand_still() {
    needs!(Broker);
    survives(Ordeal::of_processes, &Fault::OF_PROCESSES, &Fault::OF_PROCESSES);
}

#[test]
fn nothing_is_lost_where_the_network_fails() {
    needs!(Broker, Networks);
    survives(Ordeal::in_a_network, &Fault::OF_NETWORKS[..4], &Fault::OF_NETWORKS);
}
