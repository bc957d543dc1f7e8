//! ListGroups: the groups whose coordinator this broker is.

use std::sync::Arc;

use ottla_protocol::messages::list_groups_response::ListedGroup;
use ottla_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse, StrBytes};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::groups::{Groups, wire};

/// Answers from the committed state.
#[derive(Debug)]
pub(crate) struct ListGroups {
    pub groups: Arc<Groups>,
}

impl Handler for ListGroups {
    type Request = ListGroupsRequest;

    fn handle(&self, _: &RequestContext, request: ListGroupsRequest) -> Reply<ListGroupsResponse> {
        let strings = |names: &[StrBytes]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (states, types) = (strings(&request.states_filter), strings(&request.types_filter));
        let listed = self.groups.read_all(|shard| shard.list_groups(&states, &types));
        Reply::Ready(match listed {
            Err(error) => ListGroupsResponse::default().with_error_code(error.code().code()),
            Ok(listed) => {
                let groups = listed.into_iter().flatten().map(|group| {
                    ListedGroup::default()
                        .with_group_id(GroupId(wire(&group.group)))
                        .with_protocol_type(wire(&group.protocol_type))
                        .with_group_state(StrBytes::from_static_str(group.state))
                        .with_group_type(StrBytes::from_static_str(group.group_type.name()))
                });
                ListGroupsResponse::default().with_groups(groups.collect())
            }
        })
    }
}
