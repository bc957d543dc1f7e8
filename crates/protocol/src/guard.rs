//! The guard: what a body claims is checked against what it carries, before anything believes it.
//!
//! The message crate reserves memory by the counts it reads, so that five bytes can abort the process. Walking the
//! body's shape first makes every count a truth: all of its elements are there.

mod shape;
#[cfg(test)]
mod tests;
mod walk;

use ottla_model::wire::WireError;

use crate::ApiKey;

/// Which half of an API a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Request,
    Response,
}

/// Why a body cannot be what it claims to be; `at` is the byte in the body where that shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    #[error("no shape is known")]
    NoShape,
    #[error("at byte {at}: {source}")]
    Wire { at: usize, source: WireError },
    #[error("at byte {at}: null, which this version does not allow")]
    Null { at: usize },
    #[error("at byte {at}: an array of {count} elements")]
    LongArray { at: usize, count: usize },
    #[error("at byte {at}: a string of {len} bytes")]
    LongString { at: usize, len: usize },
    #[error("at byte {at}: {count} tagged fields")]
    ManyTaggedFields { at: usize, count: u32 },
    #[error("at byte {at}: tag {tag} is not what its {len} bytes hold")]
    TaggedLen { at: usize, tag: u32, len: usize },
    #[error("at byte {at}: {marker} where a struct is there (1) or not (-1)")]
    NullMarker { at: usize, marker: i8 },
}

/// Walks a body, header already taken off, and gives the bytes that the message takes; more may follow.
///
/// Beyond counts and lengths it holds Kafka's own bounds: 1,000,000 elements an array (here: of all arrays of structs and
/// strings together, as each takes far more memory than it has bytes), 10,000 tagged fields a struct, 32,767 bytes a string; and a field that is null in a version that does not allow
/// it, if others do. UTF-8 and fields that are null in no version are left to the decoder.
pub fn check(key: ApiKey, direction: Direction, version: i16, body: &[u8]) -> Result<usize, GuardError> {
    let shape = shape::of(key, direction).ok_or(GuardError::NoShape)?;
    walk::walk(shape, version, key.spec().is_flexible(version), body)
}
