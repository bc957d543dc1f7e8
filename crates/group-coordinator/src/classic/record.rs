//! Between a classic group and its record.

use std::collections::BTreeMap;

use bytes::Bytes;
use ottla_model::TimestampMs;
use ottla_planted::planted;

use super::group::{ClassicGroup, ClassicState};
use super::member::{ClassicMember, Protocol};
use crate::ids::{GroupId, MemberId};
use crate::records::{GroupMetadataValue, GroupRecord, MemberMetadata};

impl<T> ClassicGroup<T> {
    /// The group as its record tells it. Timers are the caller's.
    pub(crate) fn from_record(id: GroupId, value: &GroupMetadataValue) -> Self {
        let timestamp = Some(value.current_state_timestamp).filter(|time| *time != TimestampMs::NONE);
        let mut group = Self::new(id, timestamp);
        group.generation = value.generation;
        group.protocol.clone_from(&value.protocol);
        group.leader.clone_from(&value.leader);
        let protocol_type = value.protocol_type.clone();
        for member in &value.members {
            group.add(loaded_member(value, member), &protocol_type);
        }
        group.protocol_type = Some(protocol_type).filter(|name| !name.is_empty());
        if !group.members.is_empty() {
            group.state = ClassicState::Stable;
        }
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    /// The group's record with these assignments; a member without one gets an empty one.
    pub(super) fn to_record(&self, assignments: &BTreeMap<MemberId, Bytes>) -> GroupRecord {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let member = |m: &ClassicMember<T>| MemberMetadata {
            member_id: m.member_id.clone(),
            instance_id: m.instance_id.clone(),
            client_id: m.client_id.clone(),
            client_host: m.client_host.clone(),
            rebalance_timeout_ms: m.rebalance_timeout_ms,
            session_timeout_ms: m.session_timeout_ms,
            subscription: m.metadata(protocol),
            assignment: assignments.get(&m.member_id).cloned().unwrap_or_default(),
        };
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation - i32::from(planted!("generation_not_written")),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.state_timestamp.unwrap_or(TimestampMs::NONE),
            members: self.members.values().map(member).collect(),
        };
        GroupRecord::GroupMetadata(self.id.clone(), Some(value))
    }

    /// The group's record with the assignments that its members have.
    pub(crate) fn to_present_record(&self) -> GroupRecord {
        self.to_record(&self.assignments())
    }

    /// The record that makes a new group known before it has had a generation.
    pub(crate) fn to_initial_record(&self) -> GroupRecord {
        let value = GroupMetadataValue {
            current_state_timestamp: self.state_timestamp.unwrap_or(TimestampMs::NONE),
            ..GroupMetadataValue::default()
        };
        GroupRecord::GroupMetadata(self.id.clone(), Some(value))
    }

    pub(super) fn assignments(&self) -> BTreeMap<MemberId, Bytes> {
        self.members.iter().map(|(id, member)| (id.clone(), member.assignment.clone())).collect()
    }
}

fn loaded_member<T>(group: &GroupMetadataValue, member: &MemberMetadata) -> ClassicMember<T> {
    // Version 0 had only the session timeout.
    let rebalance_timeout_ms = match member.rebalance_timeout_ms {
        -1 => member.session_timeout_ms,
        timeout => timeout,
    };
    let name = group.protocol.clone().unwrap_or_default();
    ClassicMember {
        member_id: member.member_id.clone(),
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        rebalance_timeout_ms,
        session_timeout_ms: member.session_timeout_ms,
        protocols: vec![Protocol { name, metadata: member.subscription.clone() }],
        assignment: member.assignment.clone(),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
    }
}
