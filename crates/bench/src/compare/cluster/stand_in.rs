//! Brokers without a log, for more of them than a machine could bear: each registers, says that it is there, and holds its port open,
//! so that controllers notice when it goes.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use ottla_protocol::messages::api_versions_response::SupportedFeatureKey;
use ottla_protocol::messages::broker_registration_request::{Feature, Listener};
use ottla_protocol::messages::{
    AllocateProducerIdsRequest, AllocateProducerIdsResponse, ApiVersionsResponse, BrokerHeartbeatRequest,
    BrokerHeartbeatResponse, BrokerRegistrationRequest, BrokerRegistrationResponse, MetadataResponse,
    StrBytes,
};
use uuid::Uuid;

use crate::Result;
use crate::requests::{API_VERSIONS, Requests, checked, decoded, framed};
use crate::wire::Wire;

const REGISTRATION: i16 = 4;
const HEARTBEAT: i16 = 1;
const PRODUCER_IDS: i16 = 0;
/// Kafka's `broker.heartbeat.interval.ms`.
const BEAT: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(5);
/// Whoever leads the controllers is found within so long.
const WAIT: Duration = Duration::from_secs(60);
/// PLAINTEXT.
const PROTOCOL: i16 = 0;

/// Where the controllers are, and what a broker must know to register with them.
#[derive(Clone, Debug)]
pub(super) struct Place {
    controllers: Vec<SocketAddr>,
    cluster_id: StrBytes,
    features: Vec<SupportedFeatureKey>,
}

impl Place {
    /// Asks a broker of the cluster.
    pub(super) fn of(broker: SocketAddr, controllers: Vec<SocketAddr>) -> Result<Self> {
        let (mut wire, requests) = (Wire::connect(broker)?, Requests::default());
        let metadata: MetadataResponse = decoded(&wire.call(&requests.metadata()?)?, 9)?;
        let versions: ApiVersionsResponse = decoded(&wire.call(&requests.api_versions()?)?, API_VERSIONS)?;
        let cluster_id = metadata.cluster_id.ok_or("no cluster id in the metadata")?;
        Ok(Self { controllers, cluster_id, features: versions.supported_features })
    }
}

/// Asks one controller after the other until one has done it; gives which, and what it said.
fn ask<T>(
    controllers: &[SocketAddr],
    frame: &[u8],
    read: impl Fn(&BytesMut) -> Result<T>,
) -> Result<(SocketAddr, T)> {
    let until = Instant::now() + WAIT;
    for controller in controllers.iter().cycle() {
        match Wire::connect(*controller).and_then(|mut wire| read(&wire.call(frame)?)) {
            Ok(answer) => return Ok((*controller, answer)),
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => sleep(AGAIN),
        }
    }
    Err("no controller".into())
}

/// Gone as a killed process is when it is dropped.
#[derive(Debug)]
pub(super) struct StandIn {
    id: i32,
    epoch: i64,
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    door: Option<JoinHandle<()>>,
}

impl StandIn {
    pub(super) fn register(id: i32, place: &Place) -> Result<Self> {
        let door = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = door.local_addr()?;
        let frame = framed(&registration(id, place, address), REGISTRATION)?;
        let (_, epoch) = ask(&place.controllers, &frame, |answer| {
            let answer: BrokerRegistrationResponse = decoded(answer, REGISTRATION)?;
            checked(Some(answer.error_code))?;
            Ok(answer.broker_epoch)
        })?;
        let is_over = Arc::new(AtomicBool::new(false));
        let beat = framed(&heartbeat(id, epoch), HEARTBEAT)?;
        let (controllers, ends) = (place.controllers.clone(), is_over.clone());
        spawn(move || beats(&controllers, &beat, &ends));
        let ends = is_over.clone();
        let door = Some(spawn(move || hold(&door, &ends)));
        Ok(Self { id, epoch, address, is_over, door })
    }

    /// Has whoever is active among those decide something, as soon as one is: a block of producer ids. Gives which it was.
    pub(super) fn decision(&self, controllers: &[SocketAddr]) -> Result<SocketAddr> {
        let request = AllocateProducerIdsRequest::default()
            .with_broker_id(self.id.into())
            .with_broker_epoch(self.epoch);
        let decided = ask(controllers, &framed(&request, PRODUCER_IDS)?, |answer| {
            let answer: AllocateProducerIdsResponse = decoded(answer, PRODUCER_IDS)?;
            checked(Some(answer.error_code))
        })?;
        Ok(decided.0)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        // Whoever waits at the door is woken, and closes it.
        let _ = TcpStream::connect(self.address);
        let _ = self.door.take().map(JoinHandle::join);
    }
}

/// Lets everybody in, says nothing, and closes all of it at once.
fn hold(door: &TcpListener, is_over: &AtomicBool) {
    let mut held = Vec::new();
    while !is_over.load(Ordering::Acquire) {
        held.extend(door.accept().map(|(stream, _)| stream));
    }
}

fn beats(controllers: &[SocketAddr], beat: &[u8], is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        let is_fenced = ask(controllers, beat, |answer| {
            let answer: BrokerHeartbeatResponse = decoded(answer, HEARTBEAT)?;
            checked(Some(answer.error_code))?;
            Ok(answer.is_fenced)
        });
        match is_fenced {
            Ok((_, false)) => sleep(BEAT),
            Ok((_, true)) => sleep(AGAIN),
            // No controller any more: the cluster is gone.
            Err(_) => return,
        }
    }
}

fn registration(id: i32, place: &Place, address: SocketAddr) -> BrokerRegistrationRequest {
    let listener = Listener::default()
        .with_name(StrBytes::from_static_str("PLAINTEXT"))
        .with_host(StrBytes::from_string(address.ip().to_string()))
        .with_port(address.port())
        .with_security_protocol(PROTOCOL);
    let features = place.features.iter().map(|feature| {
        Feature::default()
            .with_name(feature.name.clone())
            .with_min_supported_version(feature.min_version)
            .with_max_supported_version(feature.max_version)
    });
    BrokerRegistrationRequest::default()
        .with_broker_id(id.into())
        .with_cluster_id(place.cluster_id.clone())
        .with_incarnation_id(Uuid::new_v4())
        .with_listeners(vec![listener])
        .with_features(features.collect())
        .with_log_dirs(vec![Uuid::new_v4()])
        .with_previous_broker_epoch(-1)
}

/// It has all metadata there ever will be.
fn heartbeat(id: i32, epoch: i64) -> BrokerHeartbeatRequest {
    BrokerHeartbeatRequest::default()
        .with_broker_id(id.into())
        .with_broker_epoch(epoch)
        .with_current_metadata_offset(i64::MAX)
}
