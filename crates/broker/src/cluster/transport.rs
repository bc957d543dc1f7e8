//! The voters of the quorum, and the bytes that they exchange over each other's controller listeners.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use ottla_config::BrokerConfig;
use ottla_controller::{Attendance, Peer, PeerAnswerFuture, PeerError, PeerTransport, Peers, VoteWish};
use ottla_protocol::encode_peer_request;

use super::Links;
use super::links::LinkError;

/// A shorter silence is a busy machine.
const ELECTION_TIMEOUT_MIN_MS: i32 = 30;

/// The controllers, as the settings say where they are; `None` of a node that is the only one, and that nobody can reach.
/// `controller_address` is where this node's controller is reached, if it is one.
pub(crate) fn peers(
    config: &BrokerConfig,
    controller_address: Option<(String, u16)>,
    links: &Links,
) -> Option<Peers> {
    let (own, settings) = (config.node.node_id, &config.controller);
    let election_timeout_ms = settings.election_timeout_ms.max(ELECTION_TIMEOUT_MIN_MS).unsigned_abs();
    let election_timeout = Duration::from_millis(u64::from(election_timeout_ms));
    let transport = Arc::new(Transport { links: links.clone(), correlation_id: AtomicI32::new(0) });
    let attendance = attendance(config, controller_address);
    if !settings.voters.is_empty() {
        if config.node.roles.controller && config.net.controller_listeners.is_empty() {
            return None;
        }
        let voters = settings.voters.iter().map(|voter| Peer::of_id(voter.id, &voter.host, voter.port));
        let peers = Peers::new(own, voters.collect(), transport, election_timeout);
        return Some(match attendance {
            Some(attendance) => peers.attend(attendance),
            None => peers,
        });
    }
    if !settings.bootstrap_servers.is_empty() {
        let servers = settings.bootstrap_servers.iter().map(|(host, port)| Peer::at(host, *port));
        let peers = Peers::bootstrap(own, servers.collect(), transport, election_timeout);
        return Some(match attendance {
            Some(attendance) => peers.attend(attendance),
            None => peers,
        });
    }
    Some(Peers::alone(own, attendance?, transport, election_timeout))
}

/// Where this controller is reached, and whether it would vote; `None` of a node that is none, or is not reached.
fn attendance(config: &BrokerConfig, address: Option<(String, u16)>) -> Option<Attendance> {
    let ((host, port), settings) = (address?, &config.controller);
    let wish = match (&settings.join, settings.auto_join) {
        (_, true) => VoteWish::Vote,
        (Some(_), false) => VoteWish::VoteIfOdd { max: settings.join_voters_max },
        (None, false) => VoteWish::Watch,
    };
    Some(Attendance { host, port, wish })
}

pub(super) fn address(peer: &Peer) -> String {
    host_port(&peer.host, peer.port)
}

/// `host:port`, as a socket takes it.
pub(crate) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[derive(Debug)]
struct Transport {
    links: Links,
    correlation_id: AtomicI32,
}

impl PeerTransport for Transport {
    fn call(&self, peer: &Peer, request: Bytes, timeout: Duration) -> PeerAnswerFuture {
        let (links, address) = (self.links.clone(), address(peer));
        let correlation_id = self.correlation_id.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let frame = encode_peer_request(correlation_id, &request);
            let mut answer =
                links.exchange(&address, &frame, timeout).await.map_err(|error| match error {
                    LinkError::Timeout(limit) => PeerError::Timeout(limit),
                    LinkError::Failed(error) => PeerError::Unreachable(error.to_string()),
                })?;
            if answer.len() < 4 || answer.get_i32() != correlation_id {
                return Err(PeerError::Unreachable("an answer to another request".to_owned()));
            }
            Ok(answer.freeze())
        })
    }
}
