//! A small asynchronous Kafka client, for tests, benches and brokers that talk to each other.
//!
//! Owns: [`Connection`] (typed calls, pipelined, each with a deadline), [`Client`] (versions negotiated, plus the few
//! calls that every test makes), [`RawConnection`] (bytes as they are, to be rude with).
//! Never: retries, metadata refresh, batching, rebalancing: what happens on the wire is what the caller said.

mod client;
mod connection;
mod error;
mod fetched;
mod raw;
#[cfg(test)]
mod tests;

pub use client::{Client, Produced};
pub use connection::{Connection, ConnectionConfig, Pending};
pub use error::ClientError;
pub use fetched::{ConsumedRecord, Fetched};
pub use raw::RawConnection;
