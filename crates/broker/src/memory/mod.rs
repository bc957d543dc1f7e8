//! The memory budget: what requests and state may hold, divided into pools that each push back in their own way.
//!
//! | pool | when it is full |
//! |--|--|
//! | requests | no socket is read until there is room; who sends too slowly meanwhile is closed |
//! | answers | no request is taken on until readers have read; who reads too slowly meanwhile is closed |
//! | parked | a connection waits for one request at a time; a fetch is answered at once, with a throttle time |
//! | fetch sessions | the least deserving gives way, else the fetch has no session (KIP-227) |
//! | producers | the longest silent are forgotten, else a new one is told to try again |
//! | groups | what would add to groups is told to try again |

mod limits;
mod pool;

use std::sync::Arc;

use ottla_config::MemoryConfig;

use crate::telemetry::MEMORY_POOLS;

pub(crate) use limits::available_memory;
pub(crate) use pool::{Charge, Pool};

/// What a log remembers of one idempotent producer, its place in the map included.
pub(crate) const PRODUCER_LEN: usize = 256;

/// What one partition of a fetch session takes, its topic's name and its place among those that wait included.
pub(crate) const SESSION_PARTITION_LEN: u64 = 832;

/// The pools.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) requests: Arc<Pool>,
    pub(crate) answers: Arc<Pool>,
    pub(crate) parked: Arc<Pool>,
    pub(crate) fetch_sessions: Arc<Pool>,
    pub(crate) producers: Arc<Pool>,
    pub(crate) groups: Arc<Pool>,
}

impl Memory {
    /// Pools as the settings say, on a machine with `available` bytes.
    pub(crate) fn new(config: &MemoryConfig, available: u64) -> Self {
        let whole = u64::try_from(config.bytes_max).unwrap_or(available / 2);
        let pool = |setting: i64, share: u64| Pool::new(u64::try_from(setting).unwrap_or(whole / share));
        Self {
            requests: pool(config.requests_bytes_max, 4),
            answers: pool(config.answers_bytes_max, 4),
            parked: pool(config.parked_bytes_max, 8),
            fetch_sessions: pool(config.fetch_sessions_bytes_max, 8),
            producers: pool(config.producers_bytes_max, 8),
            groups: pool(config.groups_bytes_max, 8),
        }
    }

    /// All of them, in the order of [`MEMORY_POOLS`].
    pub(crate) fn pools(&self) -> [&Arc<Pool>; MEMORY_POOLS.len()] {
        [&self.requests, &self.answers, &self.parked, &self.fetch_sessions, &self.producers, &self.groups]
    }
}

#[cfg(test)]
mod tests {
    use ottla_config::{BrokerConfig, ConfigMap};

    use super::*;

    fn limits(settings: &[(&str, &str)]) -> Vec<u64> {
        let settings: ConfigMap =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let config = BrokerConfig::from_static(settings).expect("builds").memory;
        Memory::new(&config, 1_600).pools().iter().map(|pool| pool.limit()).collect()
    }

    #[test]
    fn the_shares_are_the_whole_and_each_may_be_set() {
        assert_eq!(limits(&[]), [200, 200, 100, 100, 100, 100]);
        assert_eq!(limits(&[]).iter().sum::<u64>(), 800, "half of the machine's");
        assert_eq!(limits(&[("ottla.memory.max.bytes", "80")]), [20, 20, 10, 10, 10, 10]);
        let each = [
            ("socket.request.max.bytes", "1"),
            ("queued.max.request.bytes", "1"),
            ("ottla.memory.answers.max.bytes", "2"),
            ("ottla.memory.parked.max.bytes", "3"),
            ("ottla.memory.fetch.sessions.max.bytes", "4"),
            ("ottla.memory.producers.max.bytes", "5"),
            ("ottla.memory.groups.max.bytes", "6"),
        ];
        assert_eq!(limits(&each), [1, 2, 3, 4, 5, 6]);
    }
}
