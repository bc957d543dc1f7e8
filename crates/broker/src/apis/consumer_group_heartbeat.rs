//! ConsumerGroupHeartbeat (KIP-848): a member joins, lives, is assigned partitions, and leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_group_coordinator::GroupShard;
use ottla_group_coordinator::assignor::Assignment;
use ottla_group_coordinator::consumer::{self, HeartbeatResponse};
use ottla_group_coordinator::{ConsumerHeartbeatError, GroupResponse};
use ottla_metadata::GROUP_VERSION;
use ottla_model::TopicId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::consumer_group_heartbeat_response as wired;
use ottla_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, StrBytes};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::groups::{Groups, answer, client_host, misplaced, shared, wire};
use crate::metadata_view::MetadataView;

/// Serves members of consumer groups.
#[derive(Debug)]
pub(crate) struct ConsumerGroupHeartbeat {
    pub groups: Arc<Groups>,
    pub view: Arc<MetadataView>,
    /// `group.coordinator.rebalance.protocols` has them.
    pub enabled: bool,
}

impl Handler for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;

    fn handle(
        &self,
        context: &RequestContext,
        request: ConsumerGroupHeartbeatRequest,
    ) -> Reply<ConsumerGroupHeartbeatResponse> {
        if !self.enabled || self.view.image().features().level(GROUP_VERSION) == 0 {
            return Reply::Ready(refuse(ErrorCode::UnsupportedVersion, None));
        }
        let heartbeat = heartbeat_request(context, &request);
        let joins = request.member_epoch == 0;
        let beat = |shard: &mut _, now, token, out: &mut _| {
            GroupShard::consumer_group_heartbeat(shard, now, &heartbeat, token, out);
        };
        let asked = if joins {
            let names = heartbeat.subscribed_topic_names.iter().flatten();
            self.groups.ask_for_more(names.map(|name| name.len()).sum(), &request.group_id, beat)
        } else {
            self.groups.ask(&request.group_id, beat)
        };
        answer(asked, |answer| match answer {
            Ok(GroupResponse::ConsumerHeartbeat(Ok(response))) => respond(response),
            Ok(GroupResponse::ConsumerHeartbeat(Err(ConsumerHeartbeatError::Group(error)))) => {
                let code = error.code();
                // Kafka keeps to itself what it did not foresee.
                let message = (code != ErrorCode::UnknownServerError).then(|| error.to_string());
                refuse(code, message)
            }
            Ok(GroupResponse::ConsumerHeartbeat(Err(ConsumerHeartbeatError::Coordinator(error))))
            | Err(error) => refuse(error.code(), None),
            Ok(_) => refuse(misplaced().code(), None),
        })
    }
}

fn heartbeat_request(
    context: &RequestContext,
    request: &ConsumerGroupHeartbeatRequest,
) -> consumer::HeartbeatRequest {
    let owned = request.topic_partitions.as_ref().map(|topics| {
        let mut owned: Assignment = BTreeMap::new();
        for topic in topics {
            owned.entry(TopicId(topic.topic_id)).or_default().extend(&topic.partitions);
        }
        owned
    });
    let names = request.subscribed_topic_names.as_ref();
    consumer::HeartbeatRequest {
        group_id: request.group_id.as_str().into(),
        member_id: request.member_id.as_str().into(),
        member_epoch: request.member_epoch,
        instance_id: request.instance_id.as_deref().map(Into::into),
        rack_id: request.rack_id.as_ref().map(shared),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|ms| *ms != -1),
        subscribed_topic_names: names.map(|names| names.iter().map(|name| shared(&name.0)).collect()),
        subscribed_topic_regex: request.subscribed_topic_regex.as_ref().map(shared),
        server_assignor: request.server_assignor.as_ref().map(shared),
        owned,
        client_id: context.client_id.as_ref().map_or_else(|| Arc::from(""), shared),
        client_host: client_host(context.connection.peer),
        requires_member_id: context.version >= 1,
        new_member_id: kafka_uuid().as_str().into(),
    }
}

/// A random id as Kafka prints one.
fn kafka_uuid() -> String {
    TopicId(uuid::Uuid::new_v4()).to_base64()
}

fn respond(response: HeartbeatResponse) -> ConsumerGroupHeartbeatResponse {
    let assignment = response.assignment.map(|assignment| {
        let topics = assignment.into_iter().map(|(id, partitions)| {
            wired::TopicPartitions::default()
                .with_topic_id(id.0)
                .with_partitions(partitions.into_iter().collect())
        });
        wired::Assignment::default().with_topic_partitions(topics.collect())
    });
    ConsumerGroupHeartbeatResponse::default()
        .with_member_id(Some(wire(&response.member_id)))
        .with_member_epoch(response.member_epoch)
        .with_heartbeat_interval_ms(i32::try_from(response.heartbeat_interval_ms).unwrap_or(i32::MAX))
        .with_assignment(assignment)
}

fn refuse(error: ErrorCode, message: Option<String>) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse::default()
        .with_error_code(error.code())
        .with_error_message(message.map(StrBytes::from_string))
}
