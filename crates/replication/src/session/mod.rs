//! Incremental fetch sessions (KIP-227).
//!
//! A client asks once for its partitions, then only for changes to them; the answer holds only partitions that have
//! something to say. A request's way:
//!
//! ```text
//! FetchSessionCache::begin ── Sessionless ─ read the request's partitions ─ answer all, session id 0
//!                          ├─ Full ──────── read, then FetchSessionCache::create ─ answer all, its id or 0
//!                          └─ Incremental ─ FetchSession::due, read, FetchSession::settle each, let those rest
//!                                             that can be watched
//!                                           ─ answer those that settled true, then FetchSessionCache::check_in
//! ```
//!
//! `begin` hands the session itself out, so that a long poll holds no lock and copies no partition list. Who never checks
//! it in (a dropped connection) loses the session: the next request of that id is told so, as after an eviction.

mod cache;
mod fetch_session;
mod ordered;
#[cfg(test)]
mod tests;

pub use cache::{FetchContext, FetchSessionCache, FetchSessionConfig, FetchSessionError, SessionRequest};
pub use fetch_session::{FetchKey, FetchPartition, FetchSession, FetchTopic, PartitionAnswer};
pub use ordered::SlotId;
