//! A classic group of consumers, with members, becomes a consumer group when the first member of the consumer protocol
//! joins: its members stay, at the generation as their epoch, and go on speaking the classic protocol.

use std::sync::Arc;

use ottla_model::TimestampMs;

use super::context::Context;
use super::error::ConsumerGroupError;
use super::group::ConsumerGroup;
use super::member::{ConsumerGroupMember, EpochAssignment};
use super::records;
use crate::assignor::Assignment;
use crate::classic::{ClassicGroup, ClassicMember};
use crate::embedded;
use crate::records::{ClassicMemberMetadata, ClassicProtocol, GroupRecord};

/// The group as it is from now on, and the records that make it so; the classic group's tombstone goes before them.
#[derive(Debug)]
pub(crate) struct Upgrade {
    pub(crate) group: ConsumerGroup,
    pub(crate) records: Vec<GroupRecord>,
}

/// Whether the group may be upgraded.
pub(crate) fn check<T>(group: &ClassicGroup<T>, ctx: &Context<'_>) -> Result<(), ConsumerGroupError> {
    let id = || group.id().clone();
    if !ctx.settings.migration.upgrades() {
        return Err(ConsumerGroupError::UpgradeDisabled(id()));
    }
    if !group.is_consumer_protocol() {
        return Err(ConsumerGroupError::UpgradeOfOtherProtocol(id()));
    }
    if group.members().len() > ctx.settings.max_size {
        return Err(ConsumerGroupError::UpgradeTooLarge(id()));
    }
    Ok(())
}

/// Upgrades a group that [`check`] has passed.
pub(crate) fn upgrade<T>(
    group: &ClassicGroup<T>,
    ctx: &mut Context<'_>,
) -> Result<Upgrade, ConsumerGroupError> {
    let converted: Result<Vec<_>, _> = group.members().values().map(|m| member(group, m, ctx)).collect();
    let converted = converted?;
    let (id, epoch) = (group.id(), group.generation());
    let mut upgraded = ConsumerGroup::new(id.clone());
    let topics = converted.iter().flat_map(|(member, _)| &member.subscribed_topic_names);
    let topics: std::collections::BTreeSet<&Arc<str>> = topics.collect();
    let hash = ctx.hashes.group_hash(topics.into_iter(), ctx.topics);
    let mut records: Vec<GroupRecord> = converted.iter().map(|(m, _)| records::member(id, m)).collect();
    records.push(records::epoch(id, epoch, hash));
    records.extend(converted.iter().map(|(m, target)| records::target(id, &m.member_id, target)));
    records.push(records::target_epoch(id, epoch, TimestampMs(0)));
    records.extend(converted.iter().map(|(m, _)| records::current(id, m)));
    for record in &records {
        // Two members with one partition: the leader's assignment was wrong.
        upgraded.replay(record).map_err(|_| ConsumerGroupError::UpgradeImpossible)?;
    }
    Ok(Upgrade { group: upgraded, records })
}

fn member<T>(
    group: &ClassicGroup<T>,
    member: &ClassicMember<T>,
    ctx: &Context<'_>,
) -> Result<(ConsumerGroupMember, Assignment), ConsumerGroupError> {
    let malformed = |_| ConsumerGroupError::UpgradeMalformed(group.id().clone());
    let assigned = assigned(group, member, ctx)?;
    let protocol = group.protocol().ok_or(ConsumerGroupError::UpgradeImpossible)?;
    let metadata = member.supported(protocol).ok_or(ConsumerGroupError::UpgradeImpossible)?;
    let subscription = embedded::read_subscription(metadata).map_err(malformed)?;
    let epoch = group.generation();
    let with_epoch =
        |partitions: &std::collections::BTreeSet<i32>| partitions.iter().map(|p| (*p, epoch)).collect();
    let upgraded = ConsumerGroupMember {
        member_epoch: epoch,
        previous_member_epoch: epoch,
        instance_id: member.instance_id.clone(),
        rack_id: subscription.rack_id,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        subscribed_topic_names: subscription.topics.into_iter().collect(),
        assigned: assigned.iter().map(|(t, ps)| (*t, with_epoch(ps))).collect::<EpochAssignment>(),
        classic: Some(classic_metadata(member)),
        ..ConsumerGroupMember::new(member.member_id.clone())
    };
    Ok((upgraded, assigned))
}

fn assigned<T>(
    group: &ClassicGroup<T>,
    member: &ClassicMember<T>,
    ctx: &Context<'_>,
) -> Result<Assignment, ConsumerGroupError> {
    if member.assignment.is_empty() {
        return Ok(Assignment::new());
    }
    let assignment = embedded::read_assignment(&member.assignment)
        .map_err(|_| ConsumerGroupError::UpgradeMalformed(group.id().clone()))?;
    if assignment.has_user_data {
        return Err(ConsumerGroupError::UpgradeOfCustomAssignor(group.id().clone()));
    }
    Ok(embedded::by_id(&assignment.partitions, ctx.topics))
}

fn classic_metadata<T>(member: &ClassicMember<T>) -> ClassicMemberMetadata {
    let protocols = member.protocols.iter();
    ClassicMemberMetadata {
        session_timeout_ms: member.session_timeout_ms,
        supported_protocols: protocols
            .map(|p| ClassicProtocol { name: p.name.clone(), metadata: p.metadata.clone() })
            .collect(),
    }
}
