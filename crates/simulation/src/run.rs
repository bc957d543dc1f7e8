//! One seed, from its beginning to its end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::counts::Counts;
use crate::ledger::Violation;
use crate::plan::Plan;
use crate::world::{Tells, World};

/// What has become of a seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    /// `Err`: the check that failed.
    pub result: Result<(), Violation>,
    pub counts: Counts,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    pub events: u64,
    /// The same for the same seed.
    pub fingerprint: u64,
    /// If it was asked for.
    pub story: Vec<String>,
}

/// Runs a seed.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    live(Plan::of(seed), Tells::Nothing)
}

/// Runs a seed and tells all that happens, message by message.
#[must_use]
pub fn tell(seed: u64) -> Outcome {
    live(Plan::of(seed), Tells::Everything)
}

/// Of a seed that fails the least that fails alike: faults are left out and the run is shortened, as long as the same check fails.
/// Its story is what is left.
#[must_use]
pub fn shrink(seed: u64) -> Outcome {
    let mut plan = Plan::of(seed);
    let first = live(plan.clone(), Tells::Nothing);
    let Err(wanted) = &first.result else { return first };
    let fails = |plan: &Plan| {
        let outcome = live(plan.clone(), Tells::Nothing);
        matches!(&outcome.result, Err(violation) if violation.check == wanted.check)
    };
    loop {
        let smaller = |plan: &Plan| plan.smaller().into_iter().find(|smaller| fails(smaller));
        match smaller(&plan) {
            Some(smaller) => plan = smaller,
            None => return live(plan, Tells::Story),
        }
    }
}

fn live(plan: Plan, tells: Tells) -> Outcome {
    let seed = plan.seed;
    let mut world = World::new(plan, tells);
    let result = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Violation::new("nothing panics", text.unwrap_or_default()))
    });
    Outcome {
        seed,
        result,
        counts: std::mem::take(&mut world.counts),
        simulated_ms: world.now,
        events: world.events,
        fingerprint: world.fingerprint(),
        story: world.story(),
    }
}
