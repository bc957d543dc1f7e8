//! A consumer group whose last member of the consumer protocol goes becomes a classic group again
//! (`group.consumer.migration.policy`), if others remain.

use std::collections::BTreeSet;

use super::context::ConsumerGroupSettings;
use super::group::ConsumerGroup;
use super::member::ConsumerGroupMember;
use crate::MemberId;

/// The group becomes a classic one, by the hand of the shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Downgrade {
    pub leaving: BTreeSet<MemberId>,
    /// A classic member that comes in the place of the static member with its instance id.
    pub joining: Option<ConsumerGroupMember>,
    /// What the members have is not what they should have: they must rejoin.
    pub rebalance: bool,
}

/// The downgrade that comes with the going of `leaving`, if one does.
pub(super) fn by_leaving(
    group: &ConsumerGroup,
    leaving: &BTreeSet<MemberId>,
    settings: &ConsumerGroupSettings,
) -> Option<Downgrade> {
    let mut staying = group.members().values().filter(|member| !leaving.contains(&member.member_id));
    let count = group.members().len().saturating_sub(leaving.len());
    let downgrades = count > 0 && is_allowed(count, settings) && staying.all(|m| m.uses_classic_protocol());
    downgrades.then(|| Downgrade { leaving: leaving.clone(), joining: None, rebalance: true })
}

/// Whether the group is a classic one once a classic member has taken the place of `replaced`.
pub(super) fn by_replacing(
    group: &ConsumerGroup,
    replaced: &ConsumerGroupMember,
    settings: &ConsumerGroupSettings,
) -> bool {
    let mut others = group.members().values().filter(|member| member.member_id != replaced.member_id);
    !replaced.uses_classic_protocol()
        && is_allowed(group.members().len(), settings)
        && others.all(|member| member.uses_classic_protocol())
}

fn is_allowed(member_count: usize, settings: &ConsumerGroupSettings) -> bool {
    settings.migration.downgrades() && member_count <= settings.classic_max_size
}
