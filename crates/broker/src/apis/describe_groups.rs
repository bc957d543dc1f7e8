//! DescribeGroups: classic groups with their members.

use std::sync::Arc;

use ottla_group_coordinator::manage::DescribedGroup;
use ottla_group_coordinator::{GroupError, GroupId};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_groups_response::{self as wired, DescribedGroupMember};
use ottla_protocol::messages::{
    DescribeGroupsRequest, DescribeGroupsResponse, GroupId as WireGroupId, StrBytes,
};

use crate::authorized_operations as operations;
use crate::dispatch::{AnswerLimit, Handler, Reply, RequestContext};
use crate::groups::{Groups, wire};

/// Answers from the committed state.
#[derive(Debug)]
pub(crate) struct DescribeGroups {
    pub groups: Arc<Groups>,
}

impl Handler for DescribeGroups {
    type Request = DescribeGroupsRequest;

    fn handle(
        &self,
        context: &RequestContext,
        request: DescribeGroupsRequest,
    ) -> Reply<DescribeGroupsResponse> {
        let asked = request.include_authorized_operations;
        let mut limit = AnswerLimit::new();
        let groups = request.groups.iter().map(|id| {
            if limit.is_reached() {
                // The rest is to be asked for anew.
                return missing(id, &GroupError::OutOfMemory, context.version, asked);
            }
            let described = self.groups.read(id, |shard| shard.describe_group(&GroupId::from(id.as_str())));
            match described.and_then(|described| described) {
                Ok(group) => found(id, group, &mut limit)
                    .with_authorized_operations(operations::if_asked(asked, operations::GROUP)),
                Err(error) => missing(id, &error, context.version, asked),
            }
        });
        Reply::Ready(DescribeGroupsResponse::default().with_groups(groups.collect()))
    }
}

/// A member in the answer, as it is in memory, beside its metadata and assignment.
const MEMBER_LEN: usize = 512;

fn found(id: &WireGroupId, group: DescribedGroup, limit: &mut AnswerLimit) -> wired::DescribedGroup {
    let members = group.members.into_iter().map(|member| {
        limit.take(1, MEMBER_LEN + member.metadata.len() + member.assignment.len());
        DescribedGroupMember::default()
            .with_member_id(wire(&member.member_id))
            .with_group_instance_id(member.instance_id.as_deref().map(wire))
            .with_client_id(wire(&member.client_id))
            .with_client_host(wire(&member.client_host))
            .with_member_metadata(member.metadata)
            .with_member_assignment(member.assignment)
    });
    wired::DescribedGroup::default()
        .with_group_id(id.clone())
        .with_group_state(StrBytes::from_static_str(group.state))
        .with_protocol_type(wire(&group.protocol_type))
        .with_protocol_data(wire(&group.protocol))
        .with_members(members.collect())
}

/// Before v6 a group that does not exist is a dead one, without an error.
fn missing(id: &WireGroupId, error: &GroupError, version: i16, asked: bool) -> wired::DescribedGroup {
    let group = wired::DescribedGroup::default().with_group_id(id.clone());
    let code = error.code();
    let group = group.with_authorized_operations(operations::NOT_ASKED);
    if code != ErrorCode::GroupIdNotFound {
        return group.with_error_code(code.code());
    }
    let group = group.with_group_state(StrBytes::from_static_str("Dead"));
    if version < 6 {
        return group.with_authorized_operations(operations::if_asked(asked, operations::GROUP));
    }
    group.with_error_code(code.code()).with_error_message(Some(wire(&error.to_string())))
}
