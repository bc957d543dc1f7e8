//! FindCoordinator: which broker coordinates a group (one key before v4, several from it on).

use std::sync::Arc;

use ottla_model::TopicId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::find_coordinator_response::Coordinator;
use ottla_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse, StrBytes};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::groups::{Groups, wire};
use crate::metadata_view::MetadataView;

/// Answers from the leaders of `__consumer_offsets`, which it creates when the first group is looked for.
#[derive(Debug)]
pub(crate) struct FindCoordinator {
    pub groups: Arc<Groups>,
    pub view: Arc<MetadataView>,
}

/// `key_type` of a group; 1 is a transaction.
const GROUP: i8 = 0;
/// `key_type` of a share group's partition: `group:topic id:partition`.
const SHARE: i8 = 2;
/// The first version with several keys.
const BATCHED: i16 = 4;
/// Kafka's `Errors.INVALID_REQUEST.message()`.
const INVALID_REQUEST: &str = "This most likely occurs because of a request being malformed by the client library or \
     the message was sent to an incompatible broker. See the broker logs for more details.";

impl Handler for FindCoordinator {
    type Request = FindCoordinatorRequest;

    fn handle(
        &self,
        context: &RequestContext,
        request: FindCoordinatorRequest,
    ) -> Reply<FindCoordinatorResponse> {
        let listener = Arc::clone(&context.connection.listener);
        let version = context.version;
        if request.key_type != GROUP || self.groups.registration_of("").is_some() {
            return Reply::Ready(respond(&self.groups, &self.view, &request, version, &listener));
        }
        let (groups, view) = (Arc::clone(&self.groups), Arc::clone(&self.view));
        Reply::ordered(async move {
            // Whether it worked is seen in the image.
            let _ = groups.create_topic().await;
            respond(&groups, &view, &request, version, &listener)
        })
    }
}

fn respond(
    groups: &Groups,
    view: &MetadataView,
    request: &FindCoordinatorRequest,
    version: i16,
    listener: &str,
) -> FindCoordinatorResponse {
    let find = |key: &StrBytes| find(groups, view, request.key_type, key, version, listener);
    if version >= BATCHED {
        let coordinators = request.coordinator_keys.iter().map(find).collect();
        return FindCoordinatorResponse::default().with_coordinators(coordinators);
    }
    let found = find(&request.key);
    FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_error_message(found.error_message)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port)
}

/// The group's own name may have colons, too.
fn is_share_key(key: &str) -> bool {
    let mut parts = key.rsplitn(3, ':');
    let partition = parts.next().and_then(|partition| partition.parse::<i32>().ok());
    let topic = parts.next().and_then(TopicId::from_base64);
    partition.is_some() && topic.is_some() && parts.next().is_some_and(|group| !group.is_empty())
}

fn find(
    groups: &Groups,
    view: &MetadataView,
    key_type: i8,
    key: &StrBytes,
    version: i16,
    listener: &str,
) -> Coordinator {
    let refused = |error: ErrorCode, message: &str| {
        Coordinator::default()
            .with_key(key.clone())
            .with_node_id((-1).into())
            .with_port(-1)
            .with_error_code(error.code())
            .with_error_message(Some(wire(message)))
    };
    match key_type {
        GROUP => {}
        1 => return refused(ErrorCode::InvalidRequest, "This broker does not coordinate transactions."),
        SHARE if version >= BATCHED && !is_share_key(key) => return refused(ErrorCode::InvalidRequest, ""),
        SHARE if version >= BATCHED => {
            return refused(ErrorCode::InvalidRequest, "This broker does not coordinate share groups.");
        }
        _ => return refused(ErrorCode::InvalidRequest, INVALID_REQUEST),
    }
    let image = view.image();
    let leader = groups.registration_of(key).and_then(|partition| image.brokers().get(partition.leader));
    match leader.filter(|leader| !leader.fenced).and_then(|leader| Some((leader, leader.endpoint(listener)?)))
    {
        None => refused(ErrorCode::CoordinatorNotAvailable, "The coordinator is not available."),
        Some((leader, endpoint)) => Coordinator::default()
            .with_key(key.clone())
            .with_node_id(leader.id.get().into())
            .with_host(wire(&endpoint.host))
            .with_port(endpoint.port.into())
            // Kafka's `Errors.NONE.message()`, of which the newer versions make nothing.
            .with_error_message(Some(StrBytes::from_static_str(if version < BATCHED { "NONE" } else { "" }))),
    }
}

#[cfg(test)]
mod tests {
    use super::is_share_key;

    #[test]
    fn share_keys_name_a_group_a_topic_id_and_a_partition() {
        assert!(is_share_key("g:AAAAAAAAAAAAAAAAAAAAAg:0"));
        assert!(is_share_key("a:b:AAAAAAAAAAAAAAAAAAAAAg:0"));
        for wrong in ["", "g", "g:0", ":AAAAAAAAAAAAAAAAAAAAAg:0", "g:t:0", "g:AAAAAAAAAAAAAAAAAAAAAg:x"] {
            assert!(!is_share_key(wrong), "{wrong}");
        }
    }
}
