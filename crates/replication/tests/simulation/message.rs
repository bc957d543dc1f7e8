//! What travels, and may be lost, repeated or overtaken.

use ottla_model::{BrokerId, LeaderEpoch, Offset, PartitionEpoch};
use ottla_replication::truncation::EpochEnd;
use ottla_replication::{AlterPartitionAnswer, FollowerFetch, IsrProposal, Registration};

use crate::node::Record;

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) from: BrokerId,
    pub(crate) to: BrokerId,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Fetch { fetch_id: u64, request: FollowerFetch, last_epoch: Option<LeaderEpoch> },
    Fetched { fetch_id: u64, epoch: LeaderEpoch, high_watermark: Offset, from: Offset, records: Vec<Record> },
    Diverged { fetch_id: u64, epoch: LeaderEpoch, end: EpochEnd },
    AlterPartition { broker_epoch: i64, proposal: Box<IsrProposal> },
    AlterPartitionAnswer { broker_epoch: i64, proposed_at: PartitionEpoch, answer: AlterPartitionAnswer },
    Registration(Registration),
}
