//! About how much memory a shard's state takes.

use std::fmt::Debug;

use crate::classic::ClassicGroup;
use crate::consumer::ConsumerGroup;
use crate::shard::{Group, GroupShard};

/// A group, member, offset or small entry of a map, with its keys and its share of a node.
const GROUP_LEN: usize = 768;
const MEMBER_LEN: usize = 768;
const OFFSET_LEN: usize = 320;
const ENTRY_LEN: usize = 96;

impl<T: Debug> GroupShard<T> {
    /// Bytes, from the number and length of what is held; walks all of it.
    #[must_use]
    pub fn memory_len(&self) -> usize {
        let classic: usize = self.classic.values().map(classic_len).sum();
        let groups = self.groups.iter().map(|(_, group)| match group {
            Group::Simple => GROUP_LEN,
            Group::Classic(value) => {
                let members = value.members.iter();
                GROUP_LEN
                    + members.map(|m| MEMBER_LEN + m.subscription.len() + m.assignment.len()).sum::<usize>()
            }
            Group::Consumer(group) => consumer_len(group),
        });
        let offsets = self.offsets.iter().map(|(_, _, value)| OFFSET_LEN + value.metadata.len());
        classic + groups.sum::<usize>() + offsets.sum::<usize>()
    }
}

fn classic_len<T>(group: &ClassicGroup<T>) -> usize {
    let members = group.members().values().map(|member| {
        let protocols = member.protocols.iter().map(|protocol| ENTRY_LEN + protocol.metadata.len());
        MEMBER_LEN + member.assignment.len() + protocols.sum::<usize>()
    });
    GROUP_LEN + members.sum::<usize>() + group.pending_join.len() * ENTRY_LEN
}

fn consumer_len(group: &ConsumerGroup) -> usize {
    let members = group.members().values().map(|member| {
        let assigned = [&member.assigned, &member.pending_revocation].into_iter().flat_map(|of| of.values());
        let partitions: usize = assigned.map(std::collections::BTreeMap::len).sum();
        // Each partition is in the member's assignment, the target, and the map of owners.
        MEMBER_LEN + (partitions * 3 + member.subscribed_topic_names.len()) * ENTRY_LEN
    });
    GROUP_LEN + members.sum::<usize>()
}
