//! How this broker is a member of a cluster of several: it registers, and then tells the controller that it is there, how
//! far it has come, and that it is about to go (BrokerRegistration, BrokerHeartbeat; KIP-631).

use std::sync::Arc;
use std::time::Duration;

use ottla_metadata::{BrokerEndpoint, FEATURES};
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::broker_registration_request::{Feature, Listener};
use ottla_protocol::messages::{
    BrokerHeartbeatRequest, BrokerHeartbeatResponse, BrokerRegistrationRequest, StrBytes,
};
use ottla_protocol::{ApiKey, Request as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::channel::version;
use super::{ChannelError, ControllerChannel};
use crate::metadata_view::MetadataView;
use crate::start_error::StartError;

/// How long a starting broker waits for a controller (`initial.broker.registration.timeout.ms`).
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(60);
/// While it is fenced a broker asks often: it is what keeps it from serving.
const FENCED_INTERVAL: Duration = Duration::from_millis(20);
/// While another process is registered in its place a broker asks at least so often.
const REFUSED_INTERVAL_MAX: Duration = Duration::from_millis(250);

/// What a broker says of itself when it starts.
#[derive(Debug)]
pub(crate) struct Introduction {
    pub broker_id: BrokerId,
    pub cluster_id: String,
    pub endpoints: Vec<BrokerEndpoint>,
    pub rack: Option<String>,
    pub log_dirs: Vec<Uuid>,
    /// In which its log dirs were closed in order; -1 if they were not.
    pub previous_broker_epoch: i64,
}

/// Registers with the controller; gives the broker epoch. The broker is fenced until it says that it has caught up.
pub(crate) async fn register(
    channel: &ControllerChannel,
    introduction: &Introduction,
) -> Result<i64, StartError> {
    let request = registration(introduction);
    let refused = |why: String| StartError::Refused(why);
    let until = Instant::now() + REGISTRATION_TIMEOUT;
    let mut pause = FENCED_INTERVAL;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let answer = channel.ask(&request, version(BrokerRegistrationRequest::KEY), left).await;
        let answer = answer.map_err(|error: ChannelError| refused(error.to_string()))?;
        match ErrorCode::from_code(answer.error_code) {
            Some(ErrorCode::None) => return Ok(answer.broker_epoch),
            // The last process is not known to be gone yet, unless another one lives.
            Some(ErrorCode::DuplicateBrokerRegistration) if Instant::now() + pause < until => {
                if pause == FENCED_INTERVAL {
                    tracing::info!(broker = %introduction.broker_id, "waits until its last process is known to be gone");
                }
                sleep(pause).await;
                pause = REFUSED_INTERVAL_MAX.min(pause * 2);
            }
            code => return Err(refused(format!("{code:?}"))),
        }
    }
}

fn registration(introduction: &Introduction) -> BrokerRegistrationRequest {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let listeners = introduction.endpoints.iter().map(|endpoint| {
        Listener::default()
            .with_name(text(&endpoint.name))
            .with_host(text(&endpoint.host))
            .with_port(endpoint.port)
            .with_security_protocol(endpoint.security_protocol.id())
    });
    let features = FEATURES.iter().map(|feature| {
        Feature::default()
            .with_name(text(feature.name))
            .with_min_supported_version(feature.min_supported)
            .with_max_supported_version(feature.max_supported)
    });
    BrokerRegistrationRequest::default()
        .with_broker_id(introduction.broker_id.get().into())
        .with_cluster_id(text(&introduction.cluster_id))
        .with_incarnation_id(Uuid::new_v4())
        .with_listeners(listeners.collect())
        .with_features(features.collect())
        .with_rack(introduction.rack.as_deref().map(text))
        .with_log_dirs(introduction.log_dirs.clone())
        .with_previous_broker_epoch(introduction.previous_broker_epoch)
}

/// A registered broker's heartbeats.
#[derive(Debug)]
pub(crate) struct Membership {
    channel: ControllerChannel,
    view: Arc<MetadataView>,
    broker_id: BrokerId,
    broker_epoch: i64,
    /// `broker.heartbeat.interval.ms`.
    interval: Duration,
    unfenced: watch::Sender<bool>,
}

impl Membership {
    pub(crate) fn new(
        channel: ControllerChannel,
        view: Arc<MetadataView>,
        broker_id: BrokerId,
        broker_epoch: i64,
        interval: Duration,
    ) -> Self {
        Self { channel, view, broker_id, broker_epoch, interval, unfenced: watch::Sender::new(false) }
    }

    /// Waits until the controller has let this broker in, which [`Self::run`] asks for.
    pub(crate) async fn let_in(&self) {
        let mut let_in = self.unfenced.subscribe();
        // The sender lives as long as `self`.
        let _ = let_in.wait_for(|unfenced| *unfenced).await;
    }

    /// Runs until it is aborted.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let fenced = match self.beat(false).await {
                Some(answer) => answer.is_fenced,
                None => true,
            };
            self.unfenced.send_replace(!fenced);
            sleep(if fenced { FENCED_INTERVAL.min(self.interval) } else { self.interval }).await;
        }
    }

    /// Tells the controller that this broker goes, and waits until others lead what it has led, at most so long.
    pub(crate) async fn leave(&self, limit: Duration) {
        let leaving = async {
            loop {
                match self.beat(true).await {
                    Some(answer) if answer.should_shut_down => return,
                    _ => sleep(FENCED_INTERVAL).await,
                }
            }
        };
        if tokio::time::timeout(limit, leaving).await.is_err() {
            tracing::warn!("the controller has not let this broker go; it goes all the same");
        }
    }

    async fn beat(&self, want_shut_down: bool) -> Option<BrokerHeartbeatResponse> {
        let request = BrokerHeartbeatRequest::default()
            .with_broker_id(self.broker_id.get().into())
            .with_broker_epoch(self.broker_epoch)
            .with_current_metadata_offset(self.view.image().provenance().offset.get())
            .with_want_shut_down(want_shut_down);
        // One that takes longer than the next is of no use to anybody.
        let answer = self.channel.ask(&request, version(ApiKey::BrokerHeartbeat), self.interval).await;
        match answer {
            Ok(answer) if answer.error_code == ErrorCode::None.code() => Some(answer),
            Ok(answer) => {
                let code = ErrorCode::from_code(answer.error_code);
                tracing::warn!(?code, "the controller refuses this broker's heartbeat");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "no heartbeat");
                None
            }
        }
    }
}
