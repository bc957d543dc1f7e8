//! What travels between nodes, and may be late, lost, repeated or overtaken.

use std::sync::Arc;

use ottla_metadata::MetadataRecord;
use ottla_model::{BrokerId, LeaderEpoch, Offset, TopicIdPartition};
use ottla_replication::Ask as FetchPlan;

use ottla_group_coordinator::{GroupError, GroupResponse};

use crate::command::{Ask, Told};
use crate::groups::GroupAsk;

/// A node's id, or a client's, which begin at [`CLIENTS`].
pub(crate) type Address = i32;
/// The first node that is a controller and no broker.
pub(crate) const CONTROLLERS: Address = 100;
/// The first client.
pub(crate) const CLIENTS: Address = 1_000;

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Fetch {
        request: u64,
        broker_epoch: i64,
        plan: Arc<FetchPlan>,
        max_wait_ms: u64,
    },
    Fetched {
        request: u64,
        outcome: Result<Arc<FetchAnswer>, Refusal>,
    },
    /// ListOffsets of both ends.
    Ends {
        request: u64,
        id: TopicIdPartition,
        leader_epoch: LeaderEpoch,
    },
    EndsAre {
        request: u64,
        outcome: Result<(Offset, Offset), Refusal>,
    },
    /// To the controller.
    Ask {
        request: u64,
        ask: Arc<Ask>,
    },
    /// `None`: not the controller, or nothing is known to have been written.
    Told {
        request: u64,
        told: Option<Arc<Told>>,
    },
    /// What the metadata log has from there on. On a quorum a broker's observer asks instead.
    Pull {
        from: Offset,
    },
    News {
        from: Offset,
        records: Arc<Vec<MetadataRecord>>,
    },
    Produce {
        request: u64,
        id: TopicIdPartition,
        records: Arc<Vec<u8>>,
        acks_all: bool,
    },
    Produced {
        request: u64,
        outcome: Result<Offset, Refusal>,
    },
    Consume {
        request: u64,
        id: TopicIdPartition,
        offset: Offset,
        leader_only: bool,
    },
    Consumed {
        request: u64,
        outcome: Result<Arc<Vec<u8>>, Refusal>,
    },
    /// To the coordinator of the groups in that partition of `__consumer_offsets`.
    AskGroup {
        request: u64,
        index: i32,
        ask: Arc<GroupAsk>,
    },
    /// Who has answered, beside what a real answer says: the epoch that it leads in, and when it began to serve.
    GroupTold {
        request: u64,
        index: i32,
        leader_epoch: LeaderEpoch,
        since: u64,
        outcome: Result<GroupResponse, GroupError>,
    },
}

impl Body {
    /// For the trace and the counts.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Fetch { .. } => "fetch",
            Self::Fetched { .. } => "fetched",
            Self::Ends { .. } => "ends",
            Self::EndsAre { .. } => "ends are",
            Self::Ask { ask, .. } => ask.name(),
            Self::Told { .. } => "told",
            Self::Pull { .. } => "pull",
            Self::News { .. } => "news",
            Self::Produce { .. } => "produce",
            Self::Produced { .. } => "produced",
            Self::Consume { .. } => "consume",
            Self::Consumed { .. } => "consumed",
            Self::AskGroup { ask, .. } => ask.name(),
            Self::GroupTold { .. } => "group told",
        }
    }

    /// Whether it may come when the connection that it was sent on has long been given up.
    pub(crate) fn may_straggle(&self) -> bool {
        match self {
            Self::Fetch { .. } => true,
            Self::Ask { ask, .. } => matches!(**ask, Ask::Isr(_)),
            _ => false,
        }
    }

    /// Whether it may come twice: what TCP brings once, and whose repetition nothing guards, may not.
    pub(crate) fn may_repeat(&self) -> bool {
        !matches!(self, Self::Produce { .. } | Self::AskGroup { .. })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct FetchAnswer {
    pub(crate) session_id: i32,
    pub(crate) partitions: Vec<(TopicIdPartition, Result<Fetched, Refusal>)>,
}

/// What a leader has for a follower.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) records: Vec<u8>,
    pub(crate) high_watermark: Offset,
    pub(crate) log_start: Offset,
    pub(crate) diverging: Option<(LeaderEpoch, Offset)>,
}

/// Error codes, as far as they are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotLeader,
    FencedLeaderEpoch,
    UnknownLeaderEpoch,
    OffsetOutOfRange,
    NotEnoughReplicas,
    Storage,
    Session,
    OutOfOrderSequence,
    UnknownTopic,
}

pub(crate) fn broker(address: Address) -> BrokerId {
    BrokerId(address)
}
