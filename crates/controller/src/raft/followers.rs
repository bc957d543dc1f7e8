//! How far the nodes have come to whom the leader sends its log (DescribeQuorum).

use std::collections::BTreeMap;

use openraft::{Instant as _, RaftMetrics};
use ottla_model::TimestampMs;

use super::log_store::LogStore;
use super::observers::Progress;
use super::quorum::{ReplicaStatus, broker_id};
use super::types::{TypeConfig, Voter};
use crate::surroundings::wall_clock;

/// By node, of those that the leader has heard of.
#[derive(Debug, Default)]
pub(super) struct Followers {
    progress: BTreeMap<u64, Progress>,
}

impl Followers {
    /// Takes what openraft tells; nothing of a node that does not lead.
    pub(super) fn hear(&mut self, metrics: &RaftMetrics<TypeConfig>, log: &LogStore) {
        let (Some(heard), Some(matching)) = (&metrics.heartbeat, &metrics.replication) else {
            self.progress.clear();
            return;
        };
        let (now, end_offset) = (wall_clock(), log.next_offset());
        for (id, at) in heard {
            let Some(at) = at else { continue };
            let ago_ms = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
            let at = TimestampMs(now.get().saturating_sub(ago_ms));
            let index = matching.get(id).and_then(|log_id| log_id.as_ref()).map(|log_id| log_id.index);
            // What is purged is below what a snapshot holds; so far it had come at least.
            let matched = index.map_or(0, |index| log.end_offset(index).unwrap_or(0));
            self.progress.entry(*id).or_insert(Progress::unseen()).fetched(matched, end_offset, at);
        }
        self.progress.retain(|id, _| heard.contains_key(id));
    }

    /// A node's status; a leader has always just caught up with itself.
    pub(super) fn status(&self, id: u64, node: &Voter, leader: u64, log: &LogStore) -> ReplicaStatus {
        let own = || {
            let mut own = Progress::unseen();
            own.fetched(log.next_offset(), log.next_offset(), wall_clock());
            own
        };
        let heard = || self.progress.get(&id).copied().unwrap_or(Progress::unseen());
        let progress = if id == leader { own() } else { heard() };
        ReplicaStatus {
            id: broker_id(id),
            directory_id: node.directory_id,
            log_end_offset: progress.log_end_offset,
            last_fetch: progress.last_fetch,
            last_caught_up: progress.last_caught_up,
        }
    }
}
