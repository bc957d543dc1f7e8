//! Who this node is; fixed from its first start on.

use std::sync::Arc;

use ottla_model::BrokerId;

/// The node's place in its cluster.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub cluster_id: Arc<str>,
    pub node_id: BrokerId,
}
