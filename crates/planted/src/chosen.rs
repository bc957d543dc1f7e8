//! Which bug acts. One for the whole process: production code may have threads of its own, and two bugs at a time take two
//! processes. Any program or test can be run with one: `OTTLA_PLANTED=NAME`.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::ALL;

const NONE: usize = usize::MAX;
/// The environment has not been asked yet.
const UNKNOWN: usize = usize::MAX - 1;

static CHOSEN: AtomicUsize = AtomicUsize::new(UNKNOWN);
static REACHED: AtomicU64 = AtomicU64::new(0);

/// Chooses the bug of that name from now on, or none; answers whether it is one of [`ALL`]. Begins to count anew.
pub fn choose(name: Option<&str>) -> bool {
    let number = name.map(|name| ALL.iter().position(|bug| bug.name == name));
    if number == Some(None) {
        return false;
    }
    CHOSEN.store(number.flatten().unwrap_or(NONE), Ordering::SeqCst);
    REACHED.store(0, Ordering::SeqCst);
    true
}

/// How often the chosen bug has changed a condition.
#[must_use]
pub fn reached() -> u64 {
    REACHED.load(Ordering::SeqCst)
}

/// Whether the bug of that number is the chosen one.
#[must_use]
#[inline]
pub fn is_chosen(number: usize) -> bool {
    let chosen = match CHOSEN.load(Ordering::Relaxed) {
        UNKNOWN => ask_environment(),
        chosen => chosen,
    };
    if chosen == number {
        REACHED.fetch_add(1, Ordering::Relaxed);
    }
    chosen == number
}

/// # Panics
/// The name is not listed.
#[cold]
fn ask_environment() -> usize {
    let name = std::env::var("OTTLA_PLANTED").ok();
    assert!(choose(name.as_deref()), "OTTLA_PLANTED={name:?}: no such bug");
    CHOSEN.load(Ordering::SeqCst)
}
