//! Three machines under message loss, reordering, repetition, cut links and crashes: no committed record is lost, the HW of a leader
//! never goes back, an epoch has one leader, and when the trouble ends all replicas agree.
//!
//! A failure prints its seed: `OTTLA_SEED=n cargo test -p ottla-replication --test simulation` runs it alone.

#![allow(clippy::unwrap_used, reason = "a test: a panic is its failure")]

mod controller;
mod message;
mod node;
mod rng;
mod world;

use world::World;

const SEEDS: u64 = 200;
/// Seeds that found a planted bug that few find: a follower admitted to the ISR below the epoch's start (KIP-101), a HW
/// that ignores an expansion in flight (KIP-497). To be replaced when the simulation changes.
const HARD: [u64; 2] = [1_305, 271];
const STEPS: usize = 2_000;

struct Shout(u64);

impl Drop for Shout {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed with OTTLA_SEED={}", self.0);
        }
    }
}

fn run(seed: u64) -> World {
    let shout = Shout(seed);
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.step();
    }
    for _ in 0..40 {
        world.settle();
    }
    world.assert_converged();
    std::mem::forget(shout);
    world
}

#[test]
fn no_committed_record_is_lost() {
    let only = std::env::var("OTTLA_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or_else(|| (0..SEEDS).chain(HARD).collect(), |seed| vec![seed]);
    let (mut committed, mut epochs) = (0, 0);
    for seed in seeds {
        let world = run(seed);
        committed += world.committed_count();
        epochs += world.epoch_count();
    }
    // The runs are worth something only if they get somewhere and are disturbed on the way.
    println!("{committed} records committed in {epochs} leader epochs");
    if only.is_none() {
        assert!(committed > 3_000, "{committed} records committed");
        assert!(epochs > 300, "{epochs} leader epochs");
    }
}

#[test]
fn a_seed_gives_the_same_run_again() {
    assert_eq!(run(7).trace, run(7).trace);
}
