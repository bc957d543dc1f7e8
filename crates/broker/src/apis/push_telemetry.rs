//! PushTelemetry (KIP-714): a client's metrics, which `/metrics` shows.

use std::sync::Arc;

use ottla_protocol::messages::{PushTelemetryRequest, PushTelemetryResponse};
use uuid::Uuid;

use crate::client_metrics::{ClientDetails, ClientMetrics, PushHeader};
use crate::clock::Clock;
use crate::dispatch::{Handler, Reply, RequestContext};
use crate::groups::client_host;

/// Of a client that has not said what it is.
const UNKNOWN: &str = "unknown";

/// Takes pushes in.
#[derive(Debug)]
pub(crate) struct PushTelemetry {
    pub client_metrics: Arc<ClientMetrics>,
    pub clock: Clock,
}

impl Handler for PushTelemetry {
    type Request = PushTelemetryRequest;

    fn handle(
        &self,
        context: &RequestContext,
        request: PushTelemetryRequest,
    ) -> Reply<PushTelemetryResponse> {
        let header = PushHeader {
            instance: request.client_instance_id,
            subscription_id: request.subscription_id,
            terminating: request.terminating,
            compression: request.compression_type,
            len: request.metrics.len(),
        };
        forget_at_close(&self.client_metrics, header.instance, context);
        let details = details(header.instance, context);
        let taken = self.client_metrics.push(&header, details, request.metrics, self.clock.now().mono);
        Reply::Ready(match taken {
            Ok(()) => PushTelemetryResponse::default(),
            Err(refusal) => {
                tracing::debug!(instance = %header.instance, %refusal, "push of client metrics refused");
                PushTelemetryResponse::default().with_error_code(refusal.code().code())
            }
        })
    }
}

/// What a client can be selected by.
pub(super) fn details(instance: Uuid, context: &RequestContext) -> ClientDetails {
    let connection = &context.connection;
    let software = connection.software();
    let (name, version) =
        software.as_ref().map_or((UNKNOWN, UNKNOWN), |software| (&*software.name, &*software.version));
    let or_unknown = |text| if str::is_empty(text) { UNKNOWN } else { text };
    ClientDetails::new(
        instance,
        context.client_id.as_deref(),
        (or_unknown(name), or_unknown(version)),
        client_host(connection.peer).trim_start_matches('/'),
        connection.peer.port(),
    )
}

/// The last client that a connection speaks for is forgotten with it.
pub(super) fn forget_at_close(client_metrics: &Arc<ClientMetrics>, instance: Uuid, context: &RequestContext) {
    let client_metrics = Arc::downgrade(client_metrics);
    context.connection.at_close(move || {
        if let Some(client_metrics) = client_metrics.upgrade() {
            client_metrics.disconnected(instance);
        }
    });
}
