//! BrokerRegistration (KIP-631): a starting broker introduces itself to the controller.

use std::sync::Arc;

use ottla_controller::{BrokerRegistrationRequest as Introduction, Controller};
use ottla_metadata::{BrokerEndpoint, BrokerFeature, DirectoryId, SecurityProtocol};
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{BrokerRegistrationRequest, BrokerRegistrationResponse, StrBytes};
use uuid::Uuid;

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::identity::Identity;

/// What a node of ours asks with that joins a cluster and has no id yet (`--join`): no broker of Kafka's has it.
pub(crate) const NEXT_BROKER_ID: ottla_protocol::messages::BrokerId = ottla_protocol::messages::BrokerId(-1);

/// Registers brokers, fenced: each says by its heartbeats when it is ready.
#[derive(Debug)]
pub(crate) struct BrokerRegistration {
    pub controller: Controller,
    pub identity: Arc<Identity>,
}

impl Handler for BrokerRegistration {
    type Request = BrokerRegistrationRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: BrokerRegistrationRequest,
    ) -> Reply<BrokerRegistrationResponse> {
        if request.broker_id == NEXT_BROKER_ID && request.cluster_id.is_empty() {
            return self.give_id(request.incarnation_id);
        }
        if request.cluster_id.as_str() != &*self.identity.cluster_id {
            return Reply::Ready(refused(ErrorCode::InconsistentClusterId));
        }
        let Some(introduction) = introduction(&request) else {
            return Reply::Ready(refused(ErrorCode::InvalidRegistration));
        };
        let controller = self.controller.clone();
        Reply::ordered(async move {
            match controller.register_broker(introduction).await {
                Ok(Ok(epoch)) => BrokerRegistrationResponse::default().with_broker_epoch(epoch),
                Ok(Err(error)) => refused(error_map::broker(&error)),
                Err(error) => refused(error_map::controller(&error)),
            }
        })
    }
}

impl BrokerRegistration {
    /// The broker epoch of the answer is the id.
    fn give_id(&self, wish: Uuid) -> Reply<BrokerRegistrationResponse> {
        let controller = self.controller.clone();
        Reply::ordered(async move {
            match controller.give_broker_id(wish).await {
                Ok(id) => BrokerRegistrationResponse::default().with_broker_epoch(i64::from(id.get())),
                Err(error) => refused(error_map::controller(&error)),
            }
        })
    }
}

fn refused(error: ErrorCode) -> BrokerRegistrationResponse {
    BrokerRegistrationResponse::default().with_error_code(error.code()).with_broker_epoch(-1)
}

/// What a node says of a listener, be it a broker or a controller; `None` if its protocol does not exist.
pub(super) fn endpoint(
    name: &StrBytes,
    host: &StrBytes,
    port: u16,
    security_protocol: i16,
) -> Option<BrokerEndpoint> {
    let security_protocol = SecurityProtocol::from_id(security_protocol)?;
    Some(BrokerEndpoint { name: name.to_string(), host: host.to_string(), port, security_protocol })
}

/// Which levels of a feature it supports.
pub(super) fn feature(
    name: &StrBytes,
    min_supported_version: i16,
    max_supported_version: i16,
) -> BrokerFeature {
    BrokerFeature { name: name.to_string(), min_supported_version, max_supported_version }
}

/// `None` of a listener whose protocol does not exist.
fn introduction(request: &BrokerRegistrationRequest) -> Option<Introduction> {
    let endpoints =
        request.listeners.iter().map(|it| endpoint(&it.name, &it.host, it.port, it.security_protocol));
    let features = request
        .features
        .iter()
        .map(|it| feature(&it.name, it.min_supported_version, it.max_supported_version));
    Some(Introduction {
        broker_id: BrokerId(request.broker_id.0),
        incarnation_id: request.incarnation_id,
        endpoints: endpoints.collect::<Option<Vec<_>>>()?,
        features: features.collect(),
        rack: request.rack.as_ref().map(ToString::to_string),
        log_dirs: request.log_dirs.iter().copied().map(DirectoryId).collect(),
        previous_broker_epoch: request.previous_broker_epoch,
        fenced: true,
    })
}
