//! Between the wire's strings and those that outlive a request.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ottla_protocol::messages::StrBytes;

/// A copy that does not keep the request's frame in memory.
pub(crate) fn shared(text: &StrBytes) -> Arc<str> {
    Arc::from(text.as_str())
}

/// A string for the wire.
pub(crate) fn wire(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The client's address as Java's `InetAddress` prints it, and as groups show it: `/127.0.0.1`.
pub(crate) fn client_host(peer: SocketAddr) -> Arc<str> {
    let text = match peer.ip().to_canonical() {
        IpAddr::V4(ip) => format!("/{ip}"),
        IpAddr::V6(ip) => {
            let parts: Vec<String> = ip.segments().iter().map(|part| format!("{part:x}")).collect();
            format!("/{}", parts.join(":"))
        }
    };
    Arc::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_as_in_java() {
        let host = |peer: &str| client_host(peer.parse().unwrap()).to_string();
        assert_eq!(host("127.0.0.1:9092"), "/127.0.0.1");
        assert_eq!(host("[::1]:9092"), "/0:0:0:0:0:0:0:1");
        assert_eq!(host("[::ffff:10.0.0.1]:1"), "/10.0.0.1");
    }
}
