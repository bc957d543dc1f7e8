//! Randomness for ids that must not be guessed or repeated; nothing below the edge makes its own.

use uuid::Uuid;

/// A random number above zero, most of the time: the caller passes over others.
pub(crate) fn positive_i32() -> i32 {
    let (high, _) = Uuid::new_v4().as_u64_pair();
    i32::try_from(high >> 33).unwrap_or(0)
}
