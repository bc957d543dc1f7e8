//! What a replica of a partition decides: ISR, high watermark, leader epochs, truncation, fetch sessions, and which
//! parked produces and fetches may go on.
//!
//! Owns: [`PartitionMachine`] (one partition as this broker sees it), [`WaitList`] (parked operations by offset),
//! [`truncation`] (KIP-101, KIP-279), [`session`] (KIP-227) and its other end, [`Fetcher`].
//! Never: sockets, tasks, clocks, wire structs, `ErrorCode`, a log's bytes. Every call says what happened; what must
//! happen next is the return value.
//!
//! Invariants, checked after each step in debug builds ([`PartitionMachine::check`]): HW <= LEO; HW <= the LEO of every
//! member of the maximal ISR; ISR within the replicas; the leader in the ISR; epochs never go back.

//!
//! # How a shell drives a partition
//!
//! One short lock holds the log, the machine and the wait lists. Under it:
//!
//! | what happens | the shell calls | and then |
//! |--|--|--|
//! | the metadata has changed | `update` | on `RoleChange::Leader` writes the epoch's start to the log; on any change of role takes all who wait |
//! | a produce | `begin_append`, appends to the log, `appended` | `acknowledged(last offset + 1)`: answers, or parks until the HW reaches it |
//! | a flush has ended | `flushed` | under [`Durability::Flushed`] the HW follows |
//! | a follower's fetch | [`truncation::diverging_epoch`], reads, `follower_fetched` | sends a proposal, if there is one |
//! | the controller has answered | `alter_partition_answered` | after a lost answer: with `Retry` |
//! | retention, DeleteRecords | `log_start_advanced` | wakes fetches |
//! | twice per `replica.lag.time.max.ms` | `tick` | sends a proposal, if there is one |
//! | as follower: an answer with records | appends, `appended`, (flushes, `flushed`,) `leader_high_watermark` | fetches again |
//! | as follower: a diverging epoch | [`truncation::truncate_to`], cuts the log, `truncated` | fetches again |
//! | the disk has failed | `offline` | takes all who wait |
//!
//! After each, a new HW in the [`Effects`] wakes who waits for it: [`WaitList`] says how.
//!
//! ```
//! use ottla_model::{BrokerId, LeaderEpoch, MonoMs, Offset, PartitionEpoch};
//! use ottla_replication::{LogOffsets, PartitionConfig, PartitionMachine, Registration, WaitList};
//!
//! let me = BrokerId(1);
//! let mut machine = PartitionMachine::new(me, PartitionConfig::default(), LogOffsets::empty_at(Offset(0)));
//! let registration = Registration {
//!     leader: Some(me),
//!     leader_epoch: LeaderEpoch(0),
//!     partition_epoch: PartitionEpoch(0),
//!     replicas: vec![me],
//!     isr: vec![me],
//! };
//! let _became_leader = machine.update(&registration, MonoMs(0))?;
//!
//! let mut produces = WaitList::new(1_000);
//! produces.park(Offset(3), "a produce of three records").ok();
//! let effects = machine.appended(Offset(3), MonoMs(1));
//! let high_watermark = effects.high_watermark.unwrap_or_default();
//! assert_eq!(produces.reached(high_watermark).collect::<Vec<_>>(), ["a produce of three records"]);
//! # Ok::<(), ottla_replication::RegistrationError>(())
//! ```

mod fetcher;
mod partition;
pub mod session;
pub mod truncation;
mod wait_list;

pub use fetcher::{Ask, Fetcher};
pub use partition::{
    AcksError, AlterPartitionAnswer, AppendError, BrokerStanding, Durability, Effects, EpochError,
    FollowerFetch, FollowerFetchError, FollowerView, Invariant, IsrMember, IsrProposal, LogOffsets,
    NotFollower, PartitionConfig, PartitionMachine, Registration, RegistrationError, Role, RoleChange,
};
pub use wait_list::{Full, Ticket, WaitList};
