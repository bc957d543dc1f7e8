//! Which bug acts. One for the whole process: production code may have threads of its own, and two bugs at a time take two
//! processes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::ALL;

static CHOSEN: AtomicUsize = AtomicUsize::new(usize::MAX);
static REACHED: AtomicU64 = AtomicU64::new(0);

/// Chooses the bug of that name from now on, or none; answers whether it is one of [`ALL`]. Begins to count anew.
pub fn choose(name: Option<&str>) -> bool {
    let number = name.map(|name| ALL.iter().position(|bug| bug.name == name));
    if number == Some(None) {
        return false;
    }
    CHOSEN.store(number.flatten().unwrap_or(usize::MAX), Ordering::SeqCst);
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
    let chosen = CHOSEN.load(Ordering::Relaxed) == number;
    if chosen {
        REACHED.fetch_add(1, Ordering::Relaxed);
    }
    chosen
}
