//! What every operation on a consumer group gets, and what it gives back.

use ottla_model::Now;

use super::downgrade::Downgrade;
use super::group::MetadataCheck;
use super::metadata_hash::TopicHashes;
use super::timer::TimerCommand;
use super::topics::TopicDirectory;
use crate::assignor::Assignor;
use crate::records::GroupRecord;

/// The settings of one group: the broker's, overridden by the group's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupSettings {
    /// `consumer.session.timeout.ms`
    pub session_timeout_ms: u32,
    /// `consumer.heartbeat.interval.ms`
    pub heartbeat_interval_ms: u32,
    /// `consumer.assignment.interval.ms` (KIP-1263): target assignments are at least this far apart; 0 is no limit.
    pub assignment_interval_ms: u32,
    /// `group.consumer.max.size`
    pub max_size: usize,
    /// `group.consumer.assignors`; the first is the default.
    pub assignors: Vec<Assignor>,
    /// `group.consumer.regex.refresh.interval.ms`
    pub regex_refresh_interval_ms: u32,
    /// `group.consumer.migration.policy`
    pub migration: MigrationPolicy,
    /// `group.max.size`: a larger group is not downgraded.
    pub classic_max_size: usize,
}

/// Which way a group that has members may change between the protocols.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrationPolicy {
    Disabled,
    Downgrade,
    Upgrade,
    #[default]
    Bidirectional,
}

impl MigrationPolicy {
    pub(super) const fn upgrades(self) -> bool {
        matches!(self, Self::Upgrade | Self::Bidirectional)
    }

    pub(super) const fn downgrades(self) -> bool {
        matches!(self, Self::Downgrade | Self::Bidirectional)
    }

    /// Whether classic members may join a consumer group that has members.
    pub(super) const fn mixes(self) -> bool {
        !matches!(self, Self::Disabled)
    }
}

impl Default for ConsumerGroupSettings {
    fn default() -> Self {
        Self {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 1_000,
            max_size: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
            assignors: Assignor::ALL.to_vec(),
            regex_refresh_interval_ms: 600_000,
            migration: MigrationPolicy::default(),
            classic_max_size: usize::try_from(i32::MAX).unwrap_or(usize::MAX),
        }
    }
}

impl ConsumerGroupSettings {
    pub(super) fn default_assignor(&self) -> Assignor {
        self.assignors.first().copied().unwrap_or(Assignor::Uniform)
    }
}

/// The world around an operation.
#[derive(Debug)]
pub struct Context<'a> {
    pub now: Now,
    pub topics: &'a dyn TopicDirectory,
    pub settings: &'a ConsumerGroupSettings,
    /// Kept by the shard across calls.
    pub hashes: &'a mut TopicHashes,
}

/// Records to append and replay, then effects, then (once committed) the response.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome<T> {
    pub records: Vec<GroupRecord>,
    pub timers: Vec<TimerCommand>,
    /// Timers that are set once the records are stored.
    pub timers_once_stored: Vec<TimerCommand>,
    /// The group becomes a classic one after these records.
    pub downgrade: Option<Downgrade>,
    /// To be set on the group, if it still exists, after the records were replayed.
    pub metadata_checked: Option<MetadataCheck>,
    pub response: T,
}

impl<T> Outcome<T> {
    pub(super) const fn of(response: T) -> Self {
        Self {
            records: Vec::new(),
            timers: Vec::new(),
            timers_once_stored: Vec::new(),
            downgrade: None,
            metadata_checked: None,
            response,
        }
    }
}
