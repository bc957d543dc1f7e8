//! A process that dies is noticed at once: its kernel closes the connection that each other node holds to it, and refuses the
//! next. Sessions and election timeouts are for nodes that fall silent.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::time::Duration;

use ottla_controller::{Controller, Peer, Peers};
use ottla_metadata::MetadataImage;
use ottla_model::BrokerId;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};

use super::transport::address;

/// Between two attempts, of which the first comes at once.
const PAUSE: Duration = Duration::from_millis(50);
/// A connection that was closed sooner was closed by a process that lives.
const LIVED: Duration = Duration::from_secs(1);

/// Holds a connection to each other controller and each broker, as they come and go, and tells the controller who dies. Runs
/// until it is aborted.
pub(crate) async fn hold_lifelines(peers: Peers, controller: Controller) {
    let mut subscription = controller.subscribe();
    let mut held: BTreeMap<BrokerId, (String, AbortHandle)> = BTreeMap::new();
    // Ends them all when this does.
    let mut lifelines = JoinSet::new();
    loop {
        let wanted = whom_to_hold(&peers, subscription.current());
        held.retain(|id, (address, lifeline)| {
            let stays = wanted.get(id) == Some(address);
            if !stays {
                lifeline.abort();
            }
            stays
        });
        for (id, address) in wanted {
            if let Entry::Vacant(entry) = held.entry(id) {
                let lifeline = hold(id, address.clone(), peers.clone(), controller.clone());
                entry.insert((address, lifelines.spawn(lifeline)));
            }
        }
        while lifelines.try_join_next().is_some() {}
        if subscription.next().await.is_none() {
            return;
        }
    }
}

/// A controller is held where it votes, a broker that is none where its clients find it.
fn whom_to_hold(peers: &Peers, image: &MetadataImage) -> BTreeMap<BrokerId, String> {
    let brokers = image.brokers().iter().filter_map(|broker| {
        let endpoint = broker.endpoints.first()?;
        Some((broker.id, address(&Peer::of_id(broker.id, &endpoint.host, endpoint.port))))
    });
    let voters = peers.voters();
    let voters = voters.iter().map(|voter| (voter.id, address(voter)));
    let all = brokers.chain(voters).filter(|(id, _)| *id != peers.own());
    all.collect()
}

async fn hold(id: BrokerId, address: String, peers: Peers, controller: Controller) {
    let mut was_there = false;
    loop {
        let began = Instant::now();
        match TcpStream::connect(&address).await {
            Ok(stream) => {
                was_there = true;
                controller.note_process(id, true);
                closed(stream).await;
                // Whoever is started in its place at once is not refused for its sake.
                controller.note_closed(id);
                if began.elapsed() >= LIVED {
                    continue;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && was_there => {
                was_there = false;
                tracing::info!(node = %id, "its process has gone");
                controller.note_process(id, false);
                peers.leader_died(id).await;
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
