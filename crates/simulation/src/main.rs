//! `ottla-simulation --seeds N [--from S] [--step T] | --seed S`: runs seeds, two at a time, and says what they met. Each third seed,
//! those that three divides, is a world of controllers: `--from 3000 --step 3` runs only those. Of the others one in five is a whole
//! cluster, brokers on controllers: `--from 2 --step 15` runs only such.

#[cfg(ottla_planted)]
mod mutations;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ottla_simulation::{Counts, KEPT, Outcome, repeats, run, run_twice, shrink, tell};

/// Of so many seeds one is run twice, and must go the same way. A number that has nothing in common with those which say what kind of
/// world a seed is.
const TWICE_IN: u64 = 49;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let step = number("--step").unwrap_or(1).max(1);
    #[cfg(ottla_planted)]
    if let Some(at) = args.iter().position(|arg| arg == "--mutations") {
        let names: Vec<String> =
            args.iter().skip(at + 1).take_while(|arg| !arg.starts_with("--")).cloned().collect();
        let (from, seeds) = (number("--from").unwrap_or(1), number("--seeds").unwrap_or(10_000));
        return mutations::mutations(&names, from, seeds, step);
    }
    if let Some(seed) = number("--seed") {
        let outcome = tell(seed);
        outcome.story.iter().for_each(|line| println!("{line}"));
        return verdict(&outcome);
    }
    let new = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() << 20);
    many(number("--from").unwrap_or(new), number("--seeds").unwrap_or(1_000), step)
}

fn verdict(outcome: &Outcome) -> ExitCode {
    match &outcome.result {
        Ok(()) => {
            println!("seed {}: all is well, fingerprint {:016x}", outcome.seed, outcome.fingerprint);
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("seed {}: {}: {}", outcome.seed, violation.check, violation.what);
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct Sum {
    counts: Counts,
    simulated_ms: u64,
    events: u64,
    seeds: u64,
    failed: Option<Outcome>,
}

fn many(from: u64, count: u64, step: u64) -> ExitCode {
    let end = from + count * step;
    println!("seeds {from} to {}", end - step);
    let began = Instant::now();
    let (next, stop, sum) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(Sum::default()));
    // Those that have found something come first.
    let seeds = |turn: usize| {
        let new = || {
            let seed = from + u64::try_from(turn - KEPT.len()).ok()? * step;
            (seed < end).then_some(seed)
        };
        KEPT.get(turn).copied().or_else(new)
    };
    std::panic::set_hook(Box::new(|_| {}));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let turn = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
            let Some(seed) = seeds(turn) else { break };
            let outcome =
                if seed.is_multiple_of(TWICE_IN) && repeats(seed) { run_twice(seed) } else { run(seed) };
            let Ok(mut sum) = sum.lock() else { break };
            sum.counts.merge(&outcome.counts);
            sum.simulated_ms += outcome.simulated_ms;
            sum.events += outcome.events;
            sum.seeds += 1;
            if outcome.result.is_err() {
                stop.store(true, Ordering::Relaxed);
                if sum.failed.as_ref().is_none_or(|failed| outcome.seed < failed.seed) {
                    sum.failed = Some(outcome);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let sum = sum.into_inner().unwrap_or_default();
    let took = began.elapsed().as_secs_f64();
    for (what, count) in sum.counts.iter() {
        println!("{count:>12}  {what}");
    }
    let seeds = sum.seeds.max(1);
    println!(
        "{} seeds in {took:.1} s: {:.0} an hour; {:.1} simulated seconds and {} events each",
        sum.seeds,
        f64::from(u32::try_from(sum.seeds).unwrap_or(u32::MAX)) / took * 3_600.0,
        f64::from(u32::try_from(sum.simulated_ms / seeds).unwrap_or(u32::MAX)) / 1_000.0,
        sum.events / seeds
    );
    let Some(failed) = sum.failed else { return ExitCode::SUCCESS };
    let least = shrink(failed.seed);
    println!("the least of seed {} that fails alike:", failed.seed);
    least.story.iter().for_each(|line| println!("{line}"));
    verdict(&least);
    verdict(&failed)
}
