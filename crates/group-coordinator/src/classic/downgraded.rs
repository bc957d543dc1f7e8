//! A consumer group of which only classic members remain, as the classic group that it becomes.

use std::sync::Arc;

use bytes::Bytes;
use ottla_model::TimestampMs;
use ottla_model::wire::WireError;

use super::group::{CONSUMER, ClassicGroup, ClassicState};
use super::member::{ClassicMember, Protocol};
use crate::consumer::{ConsumerGroup, ConsumerGroupMember, Downgrade, TopicDirectory};
use crate::embedded;
use crate::ids::MemberId;

impl<T> ClassicGroup<T> {
    /// The group at its epoch as the generation, with the target assignments. Timers are the caller's.
    pub(crate) fn downgraded(
        group: &ConsumerGroup,
        downgrade: &Downgrade,
        directory: &dyn TopicDirectory,
        now: TimestampMs,
    ) -> Result<Self, WireError> {
        let mut classic = Self::new(group.group_id().clone(), Some(now));
        classic.state = ClassicState::Stable;
        classic.generation = group.epoch();
        let replaced = replaced(group, downgrade);
        let stays = |id: &MemberId| !downgrade.leaving.contains(id) && Some(id) != replaced.as_ref();
        let staying = group.members().values().map(Arc::as_ref).filter(|m| stays(&m.member_id));
        for member in staying.chain(&downgrade.joining) {
            classic.add(downgraded_member(member), &Arc::from(CONSUMER));
        }
        classic.protocol = classic.select_protocol();
        classic.subscribed_topics = classic.compute_subscribed_topics();
        let protocol = classic.protocol.clone().unwrap_or_default();
        for (id, member) in &mut classic.members {
            let version = embedded::version_of(&member.metadata(&protocol))?;
            let joining = downgrade.joining.as_ref().is_some_and(|joining| joining.member_id == *id);
            let of = replaced.as_ref().filter(|_| joining).unwrap_or(id);
            let target = group.target_assignment().get(of);
            let none = crate::assignor::Assignment::new();
            let target = target.map_or(&none, Arc::as_ref);
            member.assignment = embedded::write_assignment(target, version, directory);
        }
        Ok(classic)
    }
}

/// The member whose place the joining one takes.
fn replaced(group: &ConsumerGroup, downgrade: &Downgrade) -> Option<MemberId> {
    let instance = downgrade.joining.as_ref()?.instance_id.as_ref()?;
    let mut members = group.members().values();
    members.find(|m| m.instance_id.as_ref() == Some(instance)).map(|m| m.member_id.clone())
}

fn downgraded_member<T>(member: &ConsumerGroupMember) -> ClassicMember<T> {
    let classic = member.classic.clone().unwrap_or_default();
    let protocols = classic.supported_protocols.into_iter();
    ClassicMember {
        member_id: member.member_id.clone(),
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        session_timeout_ms: classic.session_timeout_ms,
        protocols: protocols.map(|p| Protocol { name: p.name, metadata: p.metadata }).collect(),
        assignment: Bytes::new(),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
    }
}
