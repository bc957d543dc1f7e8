//! Opens a listening socket with the settings that its connections inherit.

use std::io;
use std::net::SocketAddr;

use ottla_config::NetConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, lookup_host};

/// Binds `address` (`HOST:PORT`); of a name that has several addresses, the first that can be bound.
pub(super) async fn bind(address: &str, config: &NetConfig) -> io::Result<TcpListener> {
    let mut refused = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host name has no address");
    for candidate in lookup_host(address).await? {
        match listen(candidate, config) {
            Ok(socket) => return Ok(socket),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn listen(address: SocketAddr, config: &NetConfig) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // -1 leaves the buffers to the kernel, which sizes them by what the connection needs.
    if let Ok(len) = usize::try_from(config.send_buffer_bytes) {
        socket.set_send_buffer_size(len)?;
    }
    if let Ok(len) = usize::try_from(config.receive_buffer_bytes) {
        socket.set_recv_buffer_size(len)?;
    }
    socket.bind(&address.into())?;
    socket.listen(config.listen_backlog_size)?;
    TcpListener::from_std(socket.into())
}
