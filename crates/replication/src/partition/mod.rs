//! One partition as this broker sees it.

mod check;
mod effects;
mod error;
mod event;
mod follower;
mod isr;
mod leader;
mod machine;
#[cfg(test)]
mod tests;

pub use check::Invariant;
pub use effects::{Effects, IsrMember, IsrProposal, RoleChange};
pub use error::{AcksError, AppendError, EpochError, FollowerFetchError, NotFollower, RegistrationError};
pub use event::{
    AlterPartitionAnswer, BrokerStanding, Durability, FollowerFetch, LogOffsets, PartitionConfig,
    Registration,
};
pub use follower::FollowerView;
pub use machine::{PartitionMachine, Role};
