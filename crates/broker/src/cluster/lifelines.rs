//! A process that dies is noticed at once: its kernel closes the connection that each other node holds to it, and refuses the
//! next. Sessions and election timeouts are for nodes that fall silent.

use std::io;
use std::time::Duration;

use ottla_controller::{Controller, Peer, Peers};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::transport::address;

/// Between two attempts, of which the first comes at once.
const PAUSE: Duration = Duration::from_millis(50);
/// A connection that was closed sooner was closed by a process that lives.
const LIVED: Duration = Duration::from_secs(1);

/// Holds a connection to each other voter, and tells the controller who dies. Runs until it is aborted.
pub(crate) async fn hold_lifelines(peers: Peers, controller: Controller) {
    let mut lifelines = JoinSet::new();
    for peer in peers.voters().iter().filter(|peer| peer.id != peers.own()) {
        lifelines.spawn(hold(peer.clone(), peers.clone(), controller.clone()));
    }
    while lifelines.join_next().await.is_some() {}
}

async fn hold(peer: Peer, peers: Peers, controller: Controller) {
    let address = address(&peer);
    let mut was_there = false;
    loop {
        let began = Instant::now();
        match TcpStream::connect(&address).await {
            Ok(stream) => {
                was_there = true;
                controller.note_process(peer.id, true);
                closed(stream).await;
                if began.elapsed() >= LIVED {
                    continue;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && was_there => {
                was_there = false;
                tracing::info!(node = %peer.id, "its process has gone");
                controller.note_process(peer.id, false);
                peers.leader_died(peer.id).await;
            }
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

/// Nothing is ever said on it.
async fn closed(mut stream: TcpStream) {
    let mut byte = [0];
    while matches!(stream.read(&mut byte).await, Ok(read) if read > 0) {}
}
