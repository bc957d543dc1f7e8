//! FindCoordinator: which broker coordinates a group (one key before v4, several from it on).

use std::sync::Arc;

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

/// `key_type` of a group; 1 is a transaction, 2 a share group.
const GROUP: i8 = 0;

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
    let find = |key: &StrBytes| find(groups, view, request.key_type, key, listener);
    if version >= 4 {
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

fn find(groups: &Groups, view: &MetadataView, key_type: i8, key: &StrBytes, listener: &str) -> Coordinator {
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
        2 => return refused(ErrorCode::InvalidRequest, "This broker does not coordinate share groups."),
        _ => return refused(ErrorCode::InvalidRequest, "Unknown coordinator type."),
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
            // Kafka's `Errors.NONE.message()`.
            .with_error_message(Some(StrBytes::from_static_str("NONE"))),
    }
}
