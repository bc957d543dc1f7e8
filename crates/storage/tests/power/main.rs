//! Log dirs on a disk whose power fails, at every change that a log makes: what was answered as durable is there, the rest
//! is a clean prefix of what was appended, and nothing that was durably deleted comes back.
//!
//! `OTTLA_POWER_SEEDS=N` runs N seeds instead of the usual number (and in proportion of those with a cut at every change),
//! `OTTLA_POWER_SEED=S` begins with S (one seed, unless a number is given, too) and prints where the power fails. A seed says
//! all: operations, the moments of the cuts, and what each leaves on the disk.

#![allow(clippy::unwrap_used, reason = "a test")]

mod batch;
mod ops;
mod part;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use world::{Cuts, World};

/// Seeds of the test command, and of its second half, in which every change of the disk is the last one once.
const SEEDS: u64 = 1_200;
const SEEDS_EACH_CHANGE: u64 = 4;
const THREADS: u64 = 2;
/// Seeds of long runs that found something, of either kind.
const FOUND: &[u64] = &[1_654, 4_112, 100_028, 1_001_076, 1_005_073, 1_014_509];
const FOUND_EACH_CHANGE: &[u64] = &[100_751];

/// What must have been cut in a whole run.
const STEPS: &[&str] = &[
    "append",
    "flush",
    "roll",
    "index write",
    "producer snapshot",
    "epoch checkpoint",
    "checkpoint",
    "clean close",
    "retention",
    "removal of deleted segments",
    "compaction",
    "compaction swap",
    "topic creation",
    "topic deletion",
    "move to another log dir",
    "move: the future log takes its place",
    "recovery",
];

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

/// First seed and number, of those of which `usual` are the usual number.
fn seeds(usual: u64) -> (u64, u64) {
    let first = setting("OTTLA_POWER_SEED");
    let count = setting("OTTLA_POWER_SEEDS").map(|wanted| (wanted * usual).div_ceil(SEEDS));
    (first.unwrap_or(0), count.unwrap_or(if first.is_some() { 1 } else { usual }))
}

/// Runs the seeds on threads and adds up where the power failed. A failure says how to see it again.
fn on_threads(test: &str, usual: u64, found: &[u64], run: impl Fn(u64) -> Cuts + Sync) -> Cuts {
    let (first, count) = seeds(usual);
    let found = if setting("OTTLA_POWER_SEED").is_some() { &[] } else { found };
    let work = |thread: u64| {
        let mut all = Cuts::new();
        let all_seeds = (first..first + count).chain(found.iter().copied());
        for seed in all_seeds.filter(|seed| seed % THREADS == thread) {
            let cuts = catch_unwind(AssertUnwindSafe(|| run(seed))).unwrap_or_else(|panic| {
                eprintln!("again: OTTLA_POWER_SEED={seed} cargo test -p ottla-storage --test power {test}");
                resume_unwind(panic)
            });
            add(&mut all, &cuts);
        }
        all
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        let mut all = Cuts::new();
        for thread in threads {
            add(&mut all, &thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    })
}

fn add(sum: &mut Cuts, cuts: &Cuts) {
    for (step, count) in cuts {
        *sum.entry(step).or_default() += count;
    }
}

/// Every step that has a name was cut; only where as many seeds ran as that takes.
fn assert_covered(cuts: &BTreeMap<&'static str, u64>, steps: &[&str]) {
    println!("power cuts: {cuts:?}");
    if seeds(SEEDS_EACH_CHANGE).1 >= SEEDS_EACH_CHANGE {
        let missing: Vec<_> = steps.iter().filter(|step| !cuts.contains_key(*step)).collect();
        assert!(missing.is_empty(), "never cut: {missing:?}");
    }
}

#[test]
fn nothing_answered_is_lost_whenever_the_power_fails() {
    let cuts = on_threads("nothing_answered", SEEDS, FOUND, |seed| World::run(seed, 4).cuts);
    if seeds(SEEDS).1 >= SEEDS {
        assert_covered(&cuts, STEPS);
    }
}

#[test]
fn the_power_may_fail_at_every_change() {
    let cuts = on_threads("every_change", SEEDS_EACH_CHANGE, FOUND_EACH_CHANGE, |seed| {
        let mut cuts = Cuts::new();
        for changes in 0.. {
            let world = World::run_until(seed, changes);
            add(&mut cuts, &world.cuts);
            if world.cuts.contains_key("idle") {
                break;
            }
        }
        cuts
    });
    assert_covered(&cuts, &["append", "flush", "roll", "checkpoint", "compaction swap", "recovery"]);
}

#[test]
fn a_seed_gives_the_same_bytes_every_time() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let first = World::run(seed, 3).disk.fingerprint();
        assert_eq!(World::run(seed, 3).disk.fingerprint(), first, "seed {seed}");
        seen.insert(first);
    }
    assert_eq!(seen.len(), 20, "seeds differ");
}
