//! One seed, from its beginning to its end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::counts::Counts;
use crate::ledger::Violation;
use crate::plan::Plan;
use crate::quorum;
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

/// What is left of a world.
pub(crate) struct Lived {
    pub(crate) counts: Counts,
    pub(crate) simulated_ms: u64,
    pub(crate) events: u64,
    pub(crate) fingerprint: u64,
    pub(crate) story: Vec<String>,
}

/// A seed's world, of one of three kinds.
#[derive(Clone, Debug)]
enum Kind {
    /// Brokers, and a controller that commits at once.
    Brokers(Plan),
    /// Controllers, and who follows them.
    Quorum(quorum::Plan),
    /// Brokers on such controllers.
    Joint(quorum::JointPlan),
}

/// Seeds that have found a fault in production code, each mended since: an observer that went on asking one that does not lead; a
/// founder that the power failed under before it had begun; a pointer to what is committed that outlived the entry; a voter that was
/// removed while too few of those that stay might vote; a piece of a snapshot that was lost, and waited for for a minute (three); a
/// coordinator that took what is committed in the epoch of its successor for what it had appended itself; a
/// controller without a vote that went by an entry which was never committed, and waited to be sent the log; a follower whose flush had
/// failed, and whose next fetch acknowledged what its disk had lost; a leader that had not heard of two leaders since it last led, and
/// went by what its followers had had before they cut their logs; a controller that was alone as it started, and gave up for others
/// who came meanwhile and lead.
pub const KEPT: &[u64] = &[
    1_539,
    2_001_138,
    4_608,
    3_000_243,
    537,
    5_000_574,
    5_139,
    5_832,
    1_883_105_526_809_345,
    9_000_231,
    883,
    21_415,
    50_006_849,
    300_030_264,
    300_255_432,
];

/// Of so many seeds one is a world of controllers.
pub(crate) const QUORUM_IN: u64 = 3;
/// Of the others one in five is a whole cluster: those with that remainder, which no kept seed of brokers has.
const JOINT_IN: u64 = 5;
const JOINT: u64 = 2;

impl Kind {
    fn of(seed: u64) -> Self {
        if seed.is_multiple_of(QUORUM_IN) {
            Self::Quorum(quorum::Plan::of(seed))
        } else if seed % JOINT_IN == JOINT {
            Self::Joint(quorum::JointPlan::of(seed))
        } else {
            Self::Brokers(Plan::of(seed))
        }
    }

    fn smaller(&self) -> Vec<Self> {
        match self {
            Self::Brokers(plan) => plan.smaller().into_iter().map(Self::Brokers).collect(),
            Self::Quorum(plan) => plan.smaller().into_iter().map(Self::Quorum).collect(),
            Self::Joint(plan) => plan.smaller().into_iter().map(Self::Joint).collect(),
        }
    }
}

/// Runs a seed.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    live(Kind::of(seed), Tells::Nothing)
}

/// Runs a seed twice: what differs is the failure of another check.
#[must_use]
pub fn run_twice(seed: u64) -> Outcome {
    let (first, second) = (run(seed), run(seed));
    if first.result.is_err() || (first.fingerprint, first.events) == (second.fingerprint, second.events) {
        return first;
    }
    let what = format!("{} and {} events", first.events, second.events);
    Outcome { result: Err(Violation::new("a seed gives the same run", what)), ..first }
}

/// Whether this build gives the same run for the same seed.
#[must_use]
pub fn repeats(seed: u64) -> bool {
    cfg!(tokio_unstable) || matches!(Kind::of(seed), Kind::Brokers(_))
}

/// Runs a seed and tells all that happens, message by message.
#[must_use]
pub fn tell(seed: u64) -> Outcome {
    live(Kind::of(seed), Tells::Everything)
}

/// Of a seed that fails the least that fails alike: faults are left out and the run is shortened, as long as the same check fails.
/// Its story is what is left.
#[must_use]
pub fn shrink(seed: u64) -> Outcome {
    let mut plan = Kind::of(seed);
    let first = live(plan.clone(), Tells::Nothing);
    let Err(wanted) = &first.result else { return first };
    let fails = |plan: &Kind| {
        let outcome = live(plan.clone(), Tells::Nothing);
        matches!(&outcome.result, Err(violation) if violation.check == wanted.check)
    };
    loop {
        let smaller = |plan: &Kind| plan.smaller().into_iter().find(|smaller| fails(smaller));
        match smaller(&plan) {
            Some(smaller) => plan = smaller,
            None => return live(plan, Tells::Story),
        }
    }
}

fn live(kind: Kind, tells: Tells) -> Outcome {
    match kind {
        Kind::Brokers(plan) => live_brokers(plan, tells),
        Kind::Quorum(plan) => quorum::live(plan, tells),
        Kind::Joint(plan) => quorum::live_joint(plan, tells),
    }
}

fn live_brokers(plan: Plan, tells: Tells) -> Outcome {
    let mut world = World::new(plan, tells);
    let result = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Violation::new("nothing panics", text.unwrap_or_default()))
    });
    world.outcome(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_seed_of_brokers_stays_one() {
        for seed in KEPT {
            assert!(!matches!(Kind::of(*seed), Kind::Joint(_)), "{seed}");
        }
        let joint = (0..300).filter(|seed| matches!(Kind::of(*seed), Kind::Joint(_))).count();
        assert_eq!(joint, 40);
    }
}
