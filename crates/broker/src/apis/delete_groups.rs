//! DeleteGroups: empty groups and all their offsets.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use ottla_group_coordinator::manage::DeletedGroup;
use ottla_group_coordinator::{GroupId, GroupResponse};
use ottla_protocol::messages::delete_groups_response::DeletableGroupResult;
use ottla_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse, GroupId as WireGroupId};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::groups::{Groups, misplaced, settled, wire};

/// Serves administrators.
#[derive(Debug)]
pub(crate) struct DeleteGroups {
    pub groups: Arc<Groups>,
}

impl Handler for DeleteGroups {
    type Request = DeleteGroupsRequest;

    fn handle(&self, _: &RequestContext, request: DeleteGroupsRequest) -> Reply<DeleteGroupsResponse> {
        let mut seen = BTreeSet::new();
        // A group that was given twice is deleted, and answered, once.
        let names = request.groups_names.iter().filter(|name| seen.insert(name.as_str()));
        let asked = names.map(|name| {
            let id = GroupId::from(name.as_str());
            let asked = self.groups.ask(name, |shard, _, token, out| {
                shard.delete_groups(std::slice::from_ref(&id), token, out);
            });
            async move {
                match settled(asked).await {
                    Ok(GroupResponse::DeleteGroups(deleted)) => deleted,
                    Ok(_) => vec![DeletedGroup { group: id, error: Some(misplaced()) }],
                    Err(error) => vec![DeletedGroup { group: id, error: Some(error) }],
                }
            }
        });
        let answers = join_all(asked.collect::<Vec<_>>());
        Reply::parked(async move {
            let results = answers.await.into_iter().flatten().map(result);
            DeleteGroupsResponse { results: results.collect(), ..DeleteGroupsResponse::default() }
        })
    }
}

fn result(deleted: DeletedGroup) -> DeletableGroupResult {
    DeletableGroupResult {
        group_id: WireGroupId(wire(&deleted.group)),
        error_code: deleted.error.as_ref().map_or(0, |error| error.code().code()),
        // Kafka has one only where a streams group's topology could not be deleted.
        error_message: None,
    }
}
