//! `--mutations`: for each planted bug, how many seeds it takes to find it, and which check does.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ottla_planted::{ALL, Planted};
use ottla_simulation::{Outcome, run};

/// Threads that run seeds; the chosen bug is the process's.
const THREADS: usize = 2;

/// What has become of a bug.
struct Hunt {
    bug: &'static Planted,
    /// The first seed that failed; none, if none did.
    found: Option<Outcome>,
    /// How often it has changed what happens.
    reached: u64,
    took: Duration,
}

/// Runs seeds from `from` on, those among the next `seeds` that are `step` apart, under each bug that `only` names (all, if it names
/// none); prints the table. Fails if a bug is not found.
pub(crate) fn mutations(only: &[String], from: u64, seeds: u64, step: u64) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let chosen = ALL.iter().filter(|bug| only.is_empty() || only.iter().any(|name| name == bug.name));
    println!("{:<32} {:>6} {:>8}  found by", "bug", "seeds", "time");
    let (mut count, mut missed) = (0, Vec::new());
    for bug in chosen {
        let hunt = hunt(bug, from, seeds, step);
        println!("{}", row(&hunt, from, seeds));
        count += 1;
        if hunt.found.is_none() {
            missed.push(bug.name);
        }
    }
    println!("{} of {count} bugs found within {seeds} seeds from {from}", count - missed.len());
    if missed.is_empty() && count > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row(hunt: &Hunt, from: u64, seeds: u64) -> String {
    let (name, seconds) = (hunt.bug.name, hunt.took.as_secs_f64());
    match &hunt.found {
        Some(Outcome { seed, result: Err(violation), .. }) => {
            let needed = seed - from + 1;
            let what: String = violation.what.chars().take(100).collect();
            let what = what.replace('\n', " ");
            format!("{name:<32} {needed:>6} {seconds:>6.1} s  {}: {what}", violation.check)
        }
        _ => format!("{name:<32} >{seeds:>5} {seconds:>6.1} s  nothing (it acted {} times)", hunt.reached),
    }
}

/// The first seed that fails with the bug, and not without it.
fn hunt(bug: &'static Planted, from: u64, seeds: u64, step: u64) -> Hunt {
    let began = Instant::now();
    let (mut reached, mut next, end) = (0, from, from + seeds);
    let found = loop {
        ottla_planted::choose(Some(bug.name));
        let found = first_failure(next, end, step);
        reached += ottla_planted::reached();
        ottla_planted::choose(None);
        match found {
            Some(found) if run(found.seed).result.is_err() => {
                println!("seed {} fails without a bug, too", found.seed);
                next = found.seed + step;
            }
            found => break found,
        }
    };
    Hunt { bug, found, reached, took: began.elapsed() }
}

/// Seeds are begun in order, and those that were begun are ended: the lowest that fails is the first.
fn first_failure(from: u64, end: u64, step: u64) -> Option<Outcome> {
    let (next, is_found, found) = (AtomicU64::new(from), AtomicBool::new(false), Mutex::new(None::<Outcome>));
    let work = || {
        while !is_found.load(Ordering::Relaxed) {
            let seed = next.fetch_add(step, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            let outcome = run(seed);
            if outcome.result.is_err() {
                is_found.store(true, Ordering::Relaxed);
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                if found.as_ref().is_none_or(|found| outcome.seed < found.seed) {
                    *found = Some(outcome);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..THREADS {
            scope.spawn(work);
        }
        work();
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}
