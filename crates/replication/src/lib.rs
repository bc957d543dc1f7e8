//! What a replica of a partition decides: ISR, high watermark, leader epochs, truncation, fetch sessions, and which
//! parked produces and fetches may go on.
//!
//! Owns: [`PartitionMachine`] (one partition as this broker sees it), [`WaitList`] (parked operations by offset),
//! [`truncation`] (KIP-101, KIP-279), [`session`] (KIP-227).
//! Never: sockets, tasks, clocks, wire structs, `ErrorCode`, a log's bytes. Every call says what happened; what must
//! happen next is the return value.
//!
//! Invariants, checked after each step in debug builds ([`PartitionMachine::check`]): HW <= LEO; HW <= the LEO of every
//! member of the maximal ISR; ISR within the replicas; the leader in the ISR; epochs never go back.

mod partition;
pub mod session;
pub mod truncation;
mod wait_list;

pub use partition::{
    AcksError, AlterPartitionAnswer, AppendError, BrokerStanding, Durability, Effects, EpochError,
    FollowerFetch, FollowerFetchError, FollowerView, Invariant, IsrMember, IsrProposal, LogOffsets,
    NotFollower, PartitionConfig, PartitionMachine, Registration, RegistrationError, Role, RoleChange,
};
pub use wait_list::{Full, Ticket, WaitList};
