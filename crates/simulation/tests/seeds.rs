//! New seeds with every run, and the same seed twice.

#![allow(clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ottla_simulation::{Counts, KEPT, repeats, run};

/// What a run of some hundred seeds must have met: a check that never sees its event proves nothing.
const MET: &[&str] = &[
    "acknowledged batch, acks=all",
    "clean shutdown",
    "duplicate batch answered",
    "fault: cut",
    "fault: kill",
    "fault: one-way cut",
    "fault: pause",
    "group coordinator loaded",
    "group: classic member assigned",
    "group: consumer member assigned",
    "group: offset shown",
    "group: commit of what is over refused",
    "group: deletion acknowledged",
    "group: write acknowledged",
    "joint: well in the end",
    "log opened again",
    "power cut with data lost",
    "produce refused: not enough replicas",
    "produce refused: not the leader",
    "record consumed",
    "truncation",
    "process noticed gone",
    "quorum: broker registered",
    "quorum: disk emptied",
    "quorum: full disk",
    "quorum: kraft.version raised",
    "quorum: pause",
    "quorum: power cut",
    "quorum: power cut of all",
    "quorum: producer ids given",
    "quorum: topic created",
    "quorum: topic deleted",
    "quorum: vote promised",
    "quorum: voters changed",
    "quorum: well in the end",
    "world that is well in the end",
];
/// At least so many, and more while there is time.
const SEEDS: u64 = 150;
const TIME: Duration = Duration::from_secs(30);

#[test]
fn new_seeds_lose_nothing() {
    let from = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() << 20;
    let (began, mut counts, mut seed) = (Instant::now(), Counts::default(), from);
    while seed < from + SEEDS || began.elapsed() < TIME {
        let outcome = run(seed);
        assert!(outcome.result.is_ok(), "cargo xtask simulate --seed {seed}: {:?}", outcome.result);
        counts.merge(&outcome.counts);
        seed += 1;
    }
    println!("{} seeds from {from}: {counts:?}", seed - from);
    for what in MET {
        assert!(counts.of(what) > 0, "never met: {what}");
    }
}

/// In `cargo xtask simulate` they go as they went; here those of the controllers go another way.
#[test]
fn what_has_failed_once_does_not_again() {
    for seed in KEPT {
        let outcome = run(*seed);
        assert!(outcome.result.is_ok(), "seed {seed}: {:?}", outcome.result);
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    // The others in the build that `cargo xtask simulate` makes, which runs some of its seeds twice.
    for seed in (0..8).filter(|seed| repeats(*seed)) {
        let (one, other) = (run(seed), run(seed));
        assert_eq!((one.fingerprint, one.events), (other.fingerprint, other.events), "seed {seed}");
    }
}
