//! One listening socket: accepts connections and owns their tasks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ottla_config::NetConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::admission::Admitted;
use super::conn::{Connection, ConnectionEnd};
use super::{Admission, NetLimits, bind};
use crate::cold_reads::ColdReads;
use crate::dispatch::{ConnectionInfo, Dispatcher};
use crate::memory::Memory;

/// Accepting fails for want of descriptors or memory: wait, so that the loop does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// A bound socket, not yet served.
#[derive(Debug)]
pub(crate) struct Listener {
    name: Arc<str>,
    socket: TcpListener,
}

impl Listener {
    /// Binds `address`; the error is the operating system's.
    pub(crate) async fn bind(name: &str, address: &str, config: &NetConfig) -> io::Result<Self> {
        Ok(Self { name: name.into(), socket: bind::bind(address, config).await? })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until `stop` turns true, then waits until all connections have ended.
    pub(crate) async fn serve(
        self,
        dispatcher: Arc<Dispatcher>,
        limits: NetLimits,
        memory: Arc<Memory>,
        cold_reads: ColdReads,
        admission: Arc<Admission>,
        mut stop: watch::Receiver<bool>,
    ) {
        let (mut connections, mut failing) = (JoinSet::new(), false);
        loop {
            tokio::select! {
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        failing = false;
                        // Who comes next waits, too, in the socket's backlog.
                        let admitted = tokio::select! {
                            admitted = admission.admit(&self.name, peer.ip()) => admitted,
                            _ = stop.changed() => break,
                        };
                        let admitted = match admitted {
                            Ok(admitted) => admitted,
                            Err(reason) => {
                                dispatcher.metrics().broker.connection_rejected();
                                tracing::warn!(%peer, %reason, "connection refused");
                                continue;
                            }
                        };
                        let info = ConnectionInfo::new(peer, Arc::clone(&self.name));
                        prepare(&stream);
                        let (memory, cold_reads) = (Arc::clone(&memory), cold_reads.clone());
                        let connection = Connection::new(stream, info, Arc::clone(&dispatcher), limits, memory, cold_reads);
                        connections.spawn(serve_one(connection, admitted, Arc::clone(&dispatcher), stop.clone()));
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut failing, true) {
                            tracing::warn!(%error, listener = %self.name, "accept failed: tried again until it succeeds");
                        }
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                _ = stop.changed() => break,
            }
        }
        drop(self.socket);
        while connections.join_next().await.is_some() {}
    }
}

fn prepare(stream: &TcpStream) {
    // Answers leave whole, so waiting for more bytes only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY refused");
    }
}

async fn serve_one(
    connection: Connection,
    admitted: Admitted,
    dispatcher: Arc<Dispatcher>,
    stop: watch::Receiver<bool>,
) {
    let peer = connection.peer();
    dispatcher.metrics().connection_opened();
    let end = connection.run(stop).await;
    drop(admitted);
    dispatcher.metrics().connection_closed();
    match end {
        ConnectionEnd::Frame(error) => tracing::warn!(%peer, %error, "connection closed: bad frame"),
        ConnectionEnd::Request(error) => tracing::warn!(%peer, %error, "connection closed: bad request"),
        end @ (ConnectionEnd::SlowSender | ConnectionEnd::SlowReader) => {
            tracing::warn!(%peer, reason = %end, "connection closed");
        }
        end => tracing::debug!(%peer, reason = %end, "connection closed"),
    }
}
