//! The other kind of world: the production controllers, openraft and all, on simulated disks and a simulated network, with the
//! observers that follow them. The runtime has one thread and paused time, and its random numbers are the seed's.
//!
//! tokio lets its own random numbers be seeded in builds with `--cfg tokio_unstable` only, as `cargo xtask simulate` makes them:
//! elsewhere a seed gives the same plan, and not the same run.

mod client;
mod common;
mod ending;
mod faults;
mod joint;
mod ledger;
mod node;
mod panics;
mod plan;
mod raise;
mod wires;
mod world;

use ottla_controller::Simulation;
use tokio::runtime::{Builder, Runtime};

use crate::run::{Lived, Outcome};
use crate::world::Tells;

pub(crate) use joint::{Joint, Plan as JointPlan, live as live_joint};
pub(crate) use plan::Plan;

/// Runs a plan to its end.
pub(crate) fn live(plan: Plan, tells: Tells) -> Outcome {
    let seed = plan.seed;
    panics::watch();
    let runtime = runtime(seed);
    let (mut world, result, simulation) = runtime.block_on(async {
        let simulation = Simulation::begin(seed ^ 0x00c0_44ed);
        let mut world = world::World::new(plan, tells);
        let result = world.run().await;
        (world, result, simulation)
    });
    // Tasks end before the surroundings do.
    drop(runtime);
    drop(simulation);
    let result = match (result, panics::take()) {
        (result, None) => result,
        (_, Some(panic)) => Err(panic),
    };
    let Lived { counts, simulated_ms, events, fingerprint, story } = world.lived();
    Outcome { seed, result, counts, simulated_ms, events, fingerprint, story }
}

fn runtime(seed: u64) -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    #[cfg(tokio_unstable)]
    builder.rng_seed(tokio::runtime::RngSeed::from_bytes(&seed.to_be_bytes()));
    #[cfg(not(tokio_unstable))]
    let _ = seed;
    builder.build().expect("a runtime of one thread")
}
