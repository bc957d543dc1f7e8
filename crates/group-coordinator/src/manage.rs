//! Operations of administrators on groups: list, describe, delete.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use ottla_coordinator::Outcome;

use crate::classic::ClassicMember;
use crate::consumer::{self, DescribedConsumerGroup, tombstones};
use crate::error::GroupError;
use crate::ids::{GroupId, InstanceId, MemberId};
use crate::offsets::View;
use crate::offsets::commit::offset_tombstone;
use crate::records::GroupRecord;
use crate::response::GroupResponse;
use crate::shard::{Group, GroupShard};

/// One group as ListGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    pub group: GroupId,
    pub protocol_type: Arc<str>,
    /// Kafka's spelling.
    pub state: &'static str,
    pub group_type: GroupType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupType {
    Classic,
    Consumer,
}

impl GroupType {
    /// As ListGroups spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

/// A classic group as DescribeGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    pub group: GroupId,
    pub state: &'static str,
    pub protocol_type: Arc<str>,
    /// Known while stable.
    pub protocol: Arc<str>,
    pub members: Vec<DescribedClassicMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedClassicMember {
    pub member_id: MemberId,
    pub instance_id: Option<InstanceId>,
    pub client_id: Arc<str>,
    pub client_host: Arc<str>,
    /// Empty unless the group is stable.
    pub metadata: Bytes,
    pub assignment: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedGroup {
    pub group: GroupId,
    pub error: Option<GroupError>,
}

impl<T: Debug> GroupShard<T> {
    /// All groups. Filters that are empty let everything pass; they are compared without regard to case, states also to
    /// the blanks around them.
    #[must_use]
    pub fn list_groups(&self, states: &[String], types: &[String]) -> Vec<ListedGroup> {
        let matches = |filter: &[&str], name: &str| {
            filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(name))
        };
        let states: Vec<&str> = states.iter().map(|state| state.trim_matches(|c| c <= ' ')).collect();
        let types: Vec<&str> = types.iter().map(String::as_str).collect();
        let listed = self.groups.iter_committed().filter_map(|(id, group)| self.list_group(id, group));
        listed.filter(|g| matches(&states, g.state) && matches(&types, g.group_type.name())).collect()
    }

    fn list_group(&self, id: &GroupId, group: &Group) -> Option<ListedGroup> {
        let (protocol_type, state, group_type) = match group {
            Group::Consumer(group) => (Arc::from("consumer"), group.state().name(), GroupType::Consumer),
            Group::Simple | Group::Classic(_) => {
                let classic = self.classic.get(id)?;
                let protocol_type = classic.protocol_type().cloned().unwrap_or_else(|| Arc::from(""));
                (protocol_type, classic.state().name(), GroupType::Classic)
            }
        };
        Some(ListedGroup { group: id.clone(), protocol_type, state, group_type })
    }

    /// A classic group.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND`; clients before version 6 are told of a dead group instead.
    pub fn describe_group(&self, id: &GroupId) -> Result<DescribedGroup, GroupError> {
        match self.groups.get_committed(id) {
            None => return Err(GroupError::GroupIdNotFound(id.clone())),
            Some(Group::Consumer(_)) => return Err(GroupError::NotAClassicGroup(id.clone())),
            Some(Group::Simple | Group::Classic(_)) => {}
        }
        let group = self.classic.get(id).ok_or_else(|| GroupError::GroupIdNotFound(id.clone()))?;
        let stable = group.state() == crate::classic::ClassicState::Stable;
        let protocol = group.protocol().filter(|_| stable).cloned();
        let member = |m: &ClassicMember<T>| DescribedClassicMember {
            member_id: m.member_id.clone(),
            instance_id: m.instance_id.clone(),
            client_id: m.client_id.clone(),
            client_host: m.client_host.clone(),
            metadata: protocol.as_deref().map(|name| m.metadata(name)).unwrap_or_default(),
            assignment: m.assignment.clone(),
        };
        Ok(DescribedGroup {
            group: id.clone(),
            state: group.state().name(),
            protocol_type: group.protocol_type().cloned().unwrap_or_else(|| Arc::from("")),
            protocol: protocol.clone().unwrap_or_else(|| Arc::from("")),
            members: group.members().values().map(member).collect(),
        })
    }

    /// A KIP-848 group.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND`.
    pub fn describe_consumer_group(
        &self,
        id: &GroupId,
    ) -> Result<DescribedConsumerGroup, consumer::ConsumerGroupError> {
        match self.groups.get_committed(id) {
            Some(Group::Consumer(group)) => {
                Ok(consumer::describe(group, &*self.topics, self.consumer_settings.of(id)))
            }
            Some(_) => Err(consumer::ConsumerGroupError::NotAConsumerGroup(id.clone())),
            None => Err(consumer::ConsumerGroupError::GroupNotFound(id.clone())),
        }
    }

    /// Deletes empty groups with all their offsets.
    pub fn delete_groups(&mut self, groups: &[GroupId], token: T, out: &mut Outcome<Self>) {
        let mut deleted = Vec::with_capacity(groups.len());
        for id in groups {
            let error = self.check_delete(id).err();
            if error.is_none() {
                let offsets = self.offsets.of_group(id, View::Latest);
                let offsets: Vec<GroupRecord> =
                    offsets.map(|(at, _)| offset_tombstone(id, at.clone())).collect();
                out.records(offsets);
                out.records(self.group_tombstones(id));
            }
            deleted.push(DeletedGroup { group: id.clone(), error });
        }
        out.reply(token, GroupResponse::DeleteGroups(deleted));
    }

    fn check_delete(&self, id: &GroupId) -> Result<(), GroupError> {
        if !self.groups.contains_key(id) {
            return Err(GroupError::GroupIdNotFound(id.clone()));
        }
        if self.is_group_empty(id) { Ok(()) } else { Err(GroupError::NonEmptyGroup) }
    }

    pub(crate) fn is_group_empty(&self, id: &GroupId) -> bool {
        match self.groups.get(id) {
            None => false,
            Some(Group::Consumer(group)) => group.is_empty(),
            Some(Group::Simple | Group::Classic(_)) => self.classic.get(id).is_some_and(|g| g.is_empty()),
        }
    }

    /// What removes the group (not its offsets), and its timers.
    pub(crate) fn group_tombstones(&mut self, id: &GroupId) -> Vec<GroupRecord> {
        self.cancel_group_timers(id);
        match self.groups.get(id) {
            None => Vec::new(),
            Some(Group::Consumer(group)) => tombstones(group),
            Some(Group::Simple | Group::Classic(_)) => vec![GroupRecord::GroupMetadata(id.clone(), None)],
        }
    }
}
