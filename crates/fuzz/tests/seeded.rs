//! Every target on its seeds, its saved inputs and wounded copies of both: the part of fuzzing that the test command
//! runs. `OTTLA_FUZZ_INPUTS=N` makes it N wounded copies a target, `OTTLA_FUZZ_SEED=N` others than the usual.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::alloc::System;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ottla_fuzz::{Mutator, TARGETS, Target, saved};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Targets whose inputs come from the network, or are read whole at the start, and the bytes that each may reserve for a byte that came in. A struct of a
/// few hundred bytes can come in as three, and no bound on counts changes that: frames are bounded by the listener.
const RESERVED_PER_BYTE: &[(&str, usize)] =
    &[("frames", 20), ("requests", 400), ("responses", 400), ("controller-files", 400), ("otlp", 100)];
/// Bytes reserved however little came in: one allocation's rounding, an error's text.
const RESERVED_BASE: usize = 8_192;

/// A dense input is long.
const DENSE_ONE_IN: usize = 100;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

// One test, since what it measures is the process's.
#[test]
fn every_target_holds_on_wounded_seeds() {
    let only = std::env::var("OTTLA_FUZZ_TARGET").ok();
    for target in TARGETS.iter().filter(|target| only.as_ref().is_none_or(|only| only == target.name)) {
        let started = std::time::Instant::now();
        let mut kept = (target.seeds)();
        assert!(!kept.is_empty(), "{} has no seeds", target.name);
        kept.extend(saved(target.name).unwrap());
        // What is computed once is not an input's doing.
        (target.run)(&kept[0]);
        for bytes in &kept {
            hold(target, bytes);
        }
        let mut mutator = Mutator::new(setting("OTTLA_FUZZ_SEED", 3) as u64);
        for _ in 0..setting("OTTLA_FUZZ_INPUTS", target.quick) {
            let (one, other) = (mutator.below(kept.len()), mutator.below(kept.len()));
            hold(target, &mutator.wound(&kept[one], &kept[other]));
            if mutator.below(DENSE_ONE_IN) == 0 {
                hold(target, &mutator.dense(&kept[one]));
            }
        }
        println!("{}: {:?}", target.name, started.elapsed());
    }
}

/// Runs one input; a failure names it, so that it can be saved.
fn hold(target: &Target, bytes: &[u8]) {
    let region = Region::new(ALLOCATOR);
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    let reserved = region.change().bytes_allocated;
    let hex = || bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(outcome.is_ok(), "{} fails on {}", target.name, hex());
    if let Some((_, per_byte)) = RESERVED_PER_BYTE.iter().find(|(name, _)| *name == target.name) {
        let allowed = RESERVED_BASE + per_byte * bytes.len();
        assert!(reserved <= allowed, "{} reserves {reserved} bytes for {}", target.name, hex());
    }
}
