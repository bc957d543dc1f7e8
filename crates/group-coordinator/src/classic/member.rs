//! A member of a classic group.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::ids::{InstanceId, MemberId};

/// An assignor (or whatever the protocol type calls it) and what the member says for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocol {
    pub name: Arc<str>,
    pub metadata: Bytes,
}

#[derive(Debug)]
pub struct ClassicMember<T> {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub protocols: Vec<Protocol>,
    pub assignment: Bytes,
    /// The join request that waits for the others; changed only by the group, which counts them.
    pub(super) awaiting_join: Option<T>,
    /// The sync request that waits for the leader's.
    pub(super) awaiting_sync: Option<T>,
    /// Has not had an answer to a join yet: its session timeout does not count.
    pub(super) is_new: bool,
}

impl<T> ClassicMember<T> {
    /// What the member says for the protocol; empty if it does not support it.
    #[must_use]
    pub fn metadata(&self, protocol: &str) -> Bytes {
        self.supported(protocol).cloned().unwrap_or_default()
    }

    /// What the member says for the protocol; `None` if it does not support it.
    pub(crate) fn supported(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols.iter().find(|p| &*p.name == protocol).map(|p| &p.metadata)
    }

    /// The first protocol, in the member's order, that all members support.
    pub(super) fn vote(&self, candidates: &BTreeSet<Arc<str>>) -> Option<Arc<str>> {
        self.protocols.iter().map(|p| &p.name).find(|name| candidates.contains(*name)).cloned()
    }

    /// A member that waits for an answer cannot heartbeat and is alive.
    pub(crate) const fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    #[must_use]
    pub const fn is_awaiting_join(&self) -> bool {
        self.awaiting_join.is_some()
    }
}
