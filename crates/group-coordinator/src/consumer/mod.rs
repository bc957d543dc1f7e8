//! Consumer groups with server-side assignment (KIP-848).
//!
//! Three epochs, each chasing the one before it: the *group epoch* grows when subscriptions or topics change, the
//! *target assignment epoch* says for which group epoch partitions were last distributed, a *member's epoch* says
//! which target assignment it has reached.
//!
//! The shard holds the groups and calls in here: [`heartbeat`] and [`timer_fired`] read a group and return records and
//! effects; [`ConsumerGroup::replay`] is the only thing that changes one.

mod classic_members;
mod context;
mod describe;
mod downgrade;
mod error;
mod fence;
mod group;
mod heartbeat;
mod member;
mod metadata_hash;
mod offsets;
mod reconcile;
mod records;
mod refresh;
mod regex;
mod regex_class;
mod regex_syntax;
mod replay;
mod request;
mod subscribe;
mod subscription;
mod target;
mod timer;
mod topics;
mod update;
mod upgrade;

pub(crate) use classic_members::{classic_session_timer, heartbeat as classic_heartbeat, join, leave, sync};
pub use context::{ConsumerGroupSettings, Context, MigrationPolicy, Outcome};
pub use describe::{DescribedConsumerGroup, DescribedMember, TopicPartitionsByName, describe};
pub use downgrade::Downgrade;
pub use error::{ConsumerGroupError, OffsetAccessError};
pub use group::{ConsumerGroup, ConsumerGroupState, IllegalRecord, MetadataCheck};
pub use heartbeat::heartbeat;
pub use member::{
    ConsumerGroupMember, EpochAssignment, JOIN_EPOCH, LEAVE_EPOCH, MemberState, STATIC_LEAVE_EPOCH,
};
pub use metadata_hash::TopicHashes;
pub use offsets::CommitCheck;
pub use records::tombstones;
pub(crate) use records::tombstones_after_replacing;
pub use regex::{InvalidRegex, ResolvedRegex};
pub use replay::Fate;
pub use request::{HeartbeatRequest, HeartbeatResponse};
pub use timer::{TimerCommand, TimerKey, timer_fired, timers_on_load};
#[cfg(test)]
pub(crate) use topics::testing::FakeTopics;
pub use topics::{TopicDirectory, TopicInfo};
pub(crate) use upgrade::{Upgrade, check as check_upgrade, upgrade};

#[cfg(test)]
mod harness;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod transcripts;
