//! How this node's controller is known to the cluster (KIP-919): it registers with the active one, and again whenever the
//! metadata does not show this process in its place. While they do, nothing is sent.

use std::time::Duration;

use ottla_metadata::{
    CONTROLLER_REGISTRATION_LEVEL, METADATA_VERSION, MetadataImage, RegisterControllerRecord,
};
use ottla_model::BrokerId;
use ottla_protocol::messages::controller_registration_request::{Feature, Listener};
use ottla_protocol::messages::{ControllerRegistrationRequest, StrBytes};
use ottla_protocol::{ErrorCode, Request as _};
use tokio::time::{Instant, sleep_until};

use super::ControllerChannel;
use super::channel::version;

/// How long one request may take.
const ASK_MAX: Duration = Duration::from_secs(10);
/// Between two requests: twice as long each time, as in Kafka. So two processes that have one id do not fill the log.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(120);
/// A registration that has stood for so long begins with the shortest pause again.
const STOOD: Duration = Duration::from_secs(60);

/// Keeps a controller registered. Runs until it is aborted.
pub(crate) async fn keep_registered(channel: ControllerChannel, own: RegisterControllerRecord) {
    let mut subscription = channel.controller().subscribe();
    let (request, mut next, mut pause) = (request(&own), Instant::now(), PAUSE_MIN);
    loop {
        if !is_due(subscription.current(), &own) {
            if subscription.next().await.is_none() {
                return;
            }
            continue;
        }
        if Instant::now() > next + STOOD {
            pause = PAUSE_MIN;
        }
        sleep_until(next).await;
        // The metadata may have come to show it meanwhile.
        while subscription.try_next().is_some() {}
        if !is_due(subscription.current(), &own) {
            continue;
        }
        let answer = channel.ask(&request, version(ControllerRegistrationRequest::KEY), ASK_MAX).await;
        match answer {
            Ok(answer) if answer.error_code == ErrorCode::None.code() => {
                tracing::info!(controller = %own.controller_id, "this controller is registered");
            }
            Ok(answer) => {
                let code = ErrorCode::from_code(answer.error_code);
                tracing::info!(?code, "this controller is not registered yet");
            }
            Err(error) => tracing::debug!(%error, "this controller is not registered yet"),
        }
        next = Instant::now() + pause;
        pause = PAUSE_MAX.min(pause * 2);
    }
}

/// Whether somebody leads, and does not have this process registered.
fn is_due(image: &MetadataImage, own: &RegisterControllerRecord) -> bool {
    let registered = image.controllers().get(own.controller_id);
    image.controller_id() != BrokerId::NONE
        && image.features().level(METADATA_VERSION) >= CONTROLLER_REGISTRATION_LEVEL
        && registered.is_none_or(|registered| registered.incarnation_id != own.incarnation_id)
}

fn request(own: &RegisterControllerRecord) -> ControllerRegistrationRequest {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let listeners = own.endpoints.iter().map(|endpoint| {
        Listener::default()
            .with_name(text(&endpoint.name))
            .with_host(text(&endpoint.host))
            .with_port(endpoint.port)
            .with_security_protocol(endpoint.security_protocol.id())
    });
    let features = own.features.iter().map(|feature| {
        Feature::default()
            .with_name(text(&feature.name))
            .with_min_supported_version(feature.min_supported_version)
            .with_max_supported_version(feature.max_supported_version)
    });
    ControllerRegistrationRequest::default()
        .with_controller_id(own.controller_id.get())
        .with_incarnation_id(own.incarnation_id)
        .with_listeners(listeners.collect())
        .with_features(features.collect())
}
