//! The wire: frames, headers, the API table, error codes, and typed requests and responses.
//!
//! Owns: `ErrorCode`, `ApiKey` with Kafka's version ranges, the guard that bounds what a frame may claim, messages and
//! versions that the `kafka-protocol` crate lacks, and the hot path's own Produce and Fetch.
//! Never: tokio, policy, storage, a panic on hostile bytes.

mod error_code;

pub use error_code::ErrorCode;
