//! GetTelemetrySubscriptions (KIP-714): which of its metrics a client is to push, and how.

use std::sync::Arc;

use ottla_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, StrBytes,
};

use crate::client_metrics::{COMPRESSIONS, ClientMetrics, Subscribed};
use crate::clock::Clock;
use crate::dispatch::{Handler, Reply, RequestContext};

/// Answers from the subscriptions.
#[derive(Debug)]
pub(crate) struct GetTelemetrySubscriptions {
    pub client_metrics: Arc<ClientMetrics>,
    pub clock: Clock,
}

impl Handler for GetTelemetrySubscriptions {
    type Request = GetTelemetrySubscriptionsRequest;

    fn handle(
        &self,
        context: &RequestContext,
        request: GetTelemetrySubscriptionsRequest,
    ) -> Reply<GetTelemetrySubscriptionsResponse> {
        let subscribed = self.client_metrics.subscription(
            request.client_instance_id,
            |id| super::push_telemetry::details(id, context),
            self.clock.now().mono,
        );
        Reply::Ready(match subscribed {
            Ok(subscribed) => {
                super::push_telemetry::forget_at_close(&self.client_metrics, subscribed.instance, context);
                self.answer(&subscribed)
            }
            Err(refusal) => {
                GetTelemetrySubscriptionsResponse::default().with_error_code(refusal.code().code())
            }
        })
    }
}

impl GetTelemetrySubscriptions {
    fn answer(&self, subscribed: &Subscribed) -> GetTelemetrySubscriptionsResponse {
        let wanted = &subscribed.wanted;
        let metrics = wanted.metrics.iter().map(|metric| StrBytes::from_string(metric.clone()));
        let compressions = COMPRESSIONS.iter().map(|codec| codec.attribute_bits());
        GetTelemetrySubscriptionsResponse::default()
            .with_client_instance_id(subscribed.instance)
            .with_subscription_id(subscribed.subscription_id)
            .with_accepted_compression_types(compressions.filter_map(|id| i8::try_from(id).ok()).collect())
            .with_push_interval_ms(i32::try_from(wanted.interval_ms).unwrap_or(i32::MAX))
            .with_telemetry_max_bytes(i32::try_from(self.client_metrics.push_bytes_max()).unwrap_or(i32::MAX))
            .with_delta_temporality(true)
            .with_requested_metrics(metrics.collect())
    }
}
