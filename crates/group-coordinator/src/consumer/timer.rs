//! The deadlines of a consumer group. The shard keeps them; they are soft state, set anew on load.

use super::context::{ConsumerGroupSettings, Context, Outcome};
use super::fence;
use super::group::ConsumerGroup;
use super::member::MemberState;
use super::refresh;
use crate::{GroupId, MemberId};

/// One deadline; scheduling the same key again replaces it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKey {
    /// The member has not been heard of.
    Session(GroupId, MemberId),
    /// The member has not given up what it must.
    Rebalance(GroupId, MemberId),
    /// A classic member was told to join and has not.
    Join(GroupId, MemberId),
    /// A classic member has joined and has not synced.
    Sync(GroupId, MemberId),
    /// Not a deadline: match the group's regular expressions, outside of the heartbeat that asked for it.
    ResolveRegexes(GroupId),
}

impl TimerKey {
    #[must_use]
    pub const fn group_id(&self) -> &GroupId {
        match self {
            Self::Session(group_id, _)
            | Self::Rebalance(group_id, _)
            | Self::Join(group_id, _)
            | Self::Sync(group_id, _)
            | Self::ResolveRegexes(group_id) => group_id,
        }
    }
}

/// An effect on the shard's timers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimerCommand {
    Schedule {
        key: TimerKey,
        after_ms: u64,
        /// Goes back into [`timer_fired`]: a rebalance timeout concerns the epoch that it was set in.
        member_epoch: i32,
    },
    /// Leaves a deadline that is set as it is.
    ScheduleIfAbsent {
        key: TimerKey,
        after_ms: u64,
    },
    Cancel(TimerKey),
}

/// A deadline has passed. `group` is the timer's group; if it is gone, so is the timer's concern.
pub fn timer_fired(
    group: &ConsumerGroup,
    key: &TimerKey,
    member_epoch: i32,
    ctx: &mut Context<'_>,
) -> Outcome<()> {
    let late = match key {
        TimerKey::ResolveRegexes(_) => return refresh::resolve_regexes(group, ctx),
        TimerKey::Session(_, member_id) | TimerKey::Join(_, member_id) | TimerKey::Sync(_, member_id) => {
            group.member(member_id)
        }
        TimerKey::Rebalance(_, member_id) => {
            group.member(member_id).filter(|m| m.member_epoch == member_epoch)
        }
    };
    late.map_or_else(|| Outcome::of(()), |member| fence::fence(group, member, (), ctx))
}

/// The timers of a group that was just loaded: every member gets a full session, and what it must revoke a full
/// rebalance timeout.
#[must_use]
pub fn timers_on_load(group: &ConsumerGroup, settings: &ConsumerGroupSettings) -> Vec<TimerCommand> {
    let mut out = Vec::new();
    for (member_id, member) in &group.members {
        out.push(TimerCommand::Schedule {
            key: TimerKey::Session(group.group_id.clone(), member_id.clone()),
            after_ms: settings.session_timeout_ms.into(),
            member_epoch: 0,
        });
        if member.state == MemberState::UnrevokedPartitions {
            out.push(TimerCommand::Schedule {
                key: TimerKey::Rebalance(group.group_id.clone(), member_id.clone()),
                after_ms: u64::try_from(member.rebalance_timeout_ms).unwrap_or(0),
                member_epoch: member.member_epoch,
            });
        }
    }
    out
}
