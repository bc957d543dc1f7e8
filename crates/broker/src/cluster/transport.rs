//! The voters of the quorum, and the bytes that they exchange over each other's controller listeners.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use ottla_config::BrokerConfig;
use ottla_controller::{Peer, PeerAnswerFuture, PeerError, PeerTransport, Peers};
use ottla_protocol::encode_peer_request;

use super::Links;
use super::links::LinkError;

/// How long a follower waits to hear of its leader, unless the file says otherwise: six heartbeats. Kafka waits for 2 s.
const ELECTION_TIMEOUT: Duration = Duration::from_millis(300);
/// A shorter silence is a busy machine.
const ELECTION_TIMEOUT_MIN_MS: i32 = 30;

/// The voters; `None` where this node is the only one.
pub(crate) fn peers(config: &BrokerConfig, links: &Links) -> Option<Peers> {
    let voters = &config.controller.voters;
    if voters.len() < 2 {
        return None;
    }
    let voters = voters.iter().map(|voter| Peer { id: voter.id, host: voter.host.clone(), port: voter.port });
    let set = config.controller.election_timeout_ms.map(|ms| ms.max(ELECTION_TIMEOUT_MIN_MS).unsigned_abs());
    let election_timeout = set.map_or(ELECTION_TIMEOUT, |ms| Duration::from_millis(u64::from(ms)));
    let transport = Transport { links: links.clone(), correlation_id: AtomicI32::new(0) };
    Some(Peers::new(config.node.node_id, voters.collect(), std::sync::Arc::new(transport), election_timeout))
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
