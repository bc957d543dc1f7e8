//! The same requests to a real Apache Kafka and to Ottla, and their answers compared field by field.
//!
//! Owns: a codec of its own, driven by `differential/schema.txt` (so that a mistake in Ottla's codec shows); scripted
//! conversations (`differential/cases/*.txt`); what of an answer is no behaviour (ids, times, ports) and is replaced;
//! the recorded answers of Kafka (`differential/recorded/`); the list of differences that remain
//! (`differential/differences.txt`).
//!
//! Invariants: an answer that cannot be decoded to its last byte is a difference; ids that were equal stay equal; a
//! conversation sees only its own topics and groups, so that one broker serves all of them at once.

pub mod batch;
pub mod codec;
pub mod compare;
pub mod excluded;
pub mod functions;
pub mod known;
pub mod malformed;
pub mod normalise;
pub mod parse;
pub mod random;
pub mod recording;
pub mod schema;
pub mod script;
pub mod session;
pub mod suite;
pub mod value;

pub use value::Value;
