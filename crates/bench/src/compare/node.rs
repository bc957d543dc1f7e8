//! The `server.properties` of combined nodes, the same for Kafka and Ottla.

use std::net::SocketAddr;
use std::path::Path;

use crate::Result;
use crate::broker::free_address;

/// A broker that is a controller, too.
#[derive(Clone, Debug)]
pub(super) struct Node {
    id: usize,
    pub(super) address: SocketAddr,
    controller: SocketAddr,
    /// All controllers of its cluster.
    voters: String,
}

impl Node {
    /// The nodes of one cluster, with ids from 1 on.
    pub(super) fn cluster(count: usize) -> Result<Vec<Self>> {
        let ids = 1..=count;
        let places: Vec<_> =
            ids.map(|id| Ok((id, free_address()?, free_address()?))).collect::<Result<_>>()?;
        let voters: Vec<_> = places.iter().map(|(id, _, controller)| format!("{id}@{controller}")).collect();
        let voters = voters.join(",");
        let node = |(id, address, controller)| Self { id, address, controller, voters: voters.clone() };
        Ok(places.into_iter().map(node).collect())
    }

    pub(super) fn properties(&self, dir: &Path, settings: &[(&str, &str)]) -> String {
        let Self { id, address, controller, voters } = self;
        let mut text = format!(
            "process.roles=broker,controller\nnode.id={id}\n\
             listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
             advertised.listeners=PLAINTEXT://{address}\ncontroller.listener.names=CONTROLLER\n\
             controller.quorum.voters={voters}\nlog.dirs={}\n",
            dir.join("logs").display()
        );
        for (name, value) in settings {
            text.push_str(&format!("{name}={value}\n"));
        }
        text
    }
}
