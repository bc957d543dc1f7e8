//! The `server.properties` of nodes that form a cluster, the same for Kafka and Ottla.

use std::net::SocketAddr;
use std::path::Path;

use crate::Result;
use crate::broker::free_address;

#[derive(Clone, Copy, Debug)]
enum Roles {
    Both,
    Broker,
    Controller,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    id: usize,
    roles: Roles,
    /// Where clients find it, and whoever asks a controller that is nothing else.
    pub(super) address: SocketAddr,
    controller: SocketAddr,
    /// All controllers of its cluster.
    voters: String,
}

impl Node {
    /// The nodes of one cluster, with ids from 1 on, each of them broker and controller.
    pub(super) fn cluster(count: usize) -> Result<Vec<Self>> {
        let places: Vec<_> =
            (1..=count).map(|id| Ok((id, free_address()?, free_address()?))).collect::<Result<_>>()?;
        let voters = voters(places.iter().map(|(id, _, controller)| (*id, *controller)));
        let node = |(id, address, controller)| Self {
            id,
            roles: Roles::Both,
            address,
            controller,
            voters: voters.clone(),
        };
        Ok(places.into_iter().map(node).collect())
    }

    /// So many controllers with ids from 1 on, and a broker with that id.
    pub(super) fn apart(controllers: usize, broker: usize) -> Result<(Vec<Self>, Self)> {
        let places: Vec<_> = (1..=controllers).map(|id| Ok((id, free_address()?))).collect::<Result<_>>()?;
        let voters = voters(places.iter().copied());
        let node =
            |id, roles, address| Self { id, roles, address, controller: address, voters: voters.clone() };
        let controllers = places.iter().map(|(id, address)| node(*id, Roles::Controller, *address)).collect();
        Ok((controllers, node(broker, Roles::Broker, free_address()?)))
    }

    pub(super) fn properties(&self, dir: &Path, settings: &[(&str, &str)]) -> String {
        let Self { id, roles, address, controller, voters } = self;
        let (roles, listeners) = match roles {
            Roles::Both => (
                "broker,controller",
                format!(
                    "PLAINTEXT://{address},CONTROLLER://{controller}\nadvertised.listeners=PLAINTEXT://{address}"
                ),
            ),
            Roles::Broker => ("broker", format!("PLAINTEXT://{address}")),
            Roles::Controller => ("controller", format!("CONTROLLER://{controller}")),
        };
        let mut text = format!(
            "process.roles={roles}\nnode.id={id}\nlisteners={listeners}\n\
             controller.listener.names=CONTROLLER\ncontroller.quorum.voters={voters}\nlog.dirs={}\n",
            dir.join("logs").display()
        );
        for (name, value) in settings {
            text.push_str(&format!("{name}={value}\n"));
        }
        text
    }
}

fn voters(places: impl Iterator<Item = (usize, SocketAddr)>) -> String {
    let voters: Vec<String> = places.map(|(id, address)| format!("{id}@{address}")).collect();
    voters.join(",")
}
