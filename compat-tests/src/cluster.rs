//! Several broker processes that are one cluster: each votes and serves clients, with the static voters of a Kafka
//! `server.properties`, on ports of this machine.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Broker;
use crate::broker::free_ports;
use crate::target::Target;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Combined,
    Broker,
    Controller,
}

/// How nodes find the controllers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    Voters,
    BootstrapServers,
}

/// Nodes with the ids 1 to N.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Broker>,
}

impl Cluster {
    /// Starts `N` nodes at once, and waits until each answers.
    pub fn start<const N: usize>() -> Self {
        Self::start_with::<N>(&[])
    }

    /// The same with settings that all nodes share.
    pub fn start_with<const N: usize>(overrides: &[(&str, &str)]) -> Self {
        Self::prepared::<N>(overrides).launched()
    }

    /// Starts all nodes at once, and waits until each answers.
    pub fn launched(mut self) -> Self {
        self.launch_all();
        self
    }

    /// Starts all nodes, none of which runs, at once, and waits until each answers.
    pub fn launch_all(&mut self) {
        for node in &mut self.nodes {
            node.launch();
        }
        for node in &mut self.nodes {
            node.await_answer();
        }
    }

    /// Starts nodes of these roles at once, with ids from 1 on, and waits until each answers.
    pub fn start_as(roles: &[Role], found_by: FoundBy, overrides: &[(&str, &str)]) -> Self {
        let mut nodes: Vec<(Role, Broker, u16)> = Vec::new();
        for (id, role) in (1..).zip(roles) {
            let [port] = free_ports();
            nodes.push((*role, Broker::prepared(&[("node.id", &format!("{id}"))]), port));
        }
        let controllers = (1..).zip(&nodes).filter(|(_, (role, ..))| *role != Role::Broker);
        let controllers = controllers.map(|(id, (role, node, port))| {
            let port = if *role == Role::Controller { node.port() } else { *port };
            match found_by {
                FoundBy::Voters => format!("{id}@127.0.0.1:{port}"),
                FoundBy::BootstrapServers => format!("127.0.0.1:{port}"),
            }
        });
        let controllers = controllers.collect::<Vec<_>>().join(",");
        let key = match found_by {
            FoundBy::Voters => "controller.quorum.voters",
            FoundBy::BootstrapServers => "controller.quorum.bootstrap.servers",
        };
        for (role, node, port) in &mut nodes {
            let (roles, listeners) = match role {
                Role::Combined => ("broker,controller", format!("CONTROLLER://127.0.0.1:{port}")),
                Role::Broker => ("broker", "PLAINTEXT://127.0.0.1:<port>".to_owned()),
                Role::Controller => ("controller", "CONTROLLER://127.0.0.1:<port>".to_owned()),
            };
            node.set("process.roles", roles);
            node.set("listeners", &listeners);
            node.set("controller.listener.names", "CONTROLLER");
            node.set(key, &controllers);
            for (key, value) in overrides {
                node.set(key, value);
            }
        }
        Self { nodes: nodes.into_iter().map(|(_, node, _)| node).collect() }.launched()
    }

    /// Ports and directories, and no process yet; `{id}` in a setting is the node's.
    pub fn prepared<const N: usize>(overrides: &[(&str, &str)]) -> Self {
        Self::prepared_at([Ipv4Addr::LOCALHOST; N], overrides)
    }

    /// The same with an address for each node.
    pub fn prepared_at<const N: usize>(hosts: [Ipv4Addr; N], overrides: &[(&str, &str)]) -> Self {
        assert_eq!(Target::current(), Target::Ottla, "a cluster of real Kafkas is not started here");
        let places: Vec<_> = (1..).zip(hosts).zip(free_ports::<N>()).collect();
        let voters = places.iter().map(|((id, host), port)| format!("{id}@{host}:{port}"));
        let voters = voters.collect::<Vec<_>>().join(",");
        let node = |((id, host), port): ((usize, Ipv4Addr), u16)| {
            let (id, listener) = (id.to_string(), format!("CONTROLLER://{host}:{port}"));
            let own = [
                ("node.id", id.as_str()),
                ("listeners", listener.as_str()),
                ("controller.listener.names", "CONTROLLER"),
                ("controller.quorum.voters", voters.as_str()),
            ];
            let shared = of_node(overrides, &id);
            let shared = shared.iter().map(|(name, value)| (*name, value.as_str()));
            let mut node = Broker::prepared(&own.into_iter().chain(shared).collect::<Vec<_>>());
            node.listen_at(host);
            node
        };
        Self { nodes: places.into_iter().map(node).collect() }
    }

    /// The same of this kind, whatever the tests run against; the controllers listen at the nodes' second ports.
    pub fn prepared_as<const N: usize>(target: Target, overrides: &[(&str, &str)]) -> Self {
        let node = |id: usize| Broker::prepared_as(target, &[("node.id", &id.to_string())]);
        let mut nodes: Vec<Broker> = (1..=N).map(node).collect();
        let voters = (1..).zip(&nodes);
        let voters = voters.map(|(id, node)| format!("{id}@{}:{}", node.host(), node.second_port()));
        let voters = voters.collect::<Vec<_>>().join(",");
        for (id, node) in (1..).zip(&mut nodes) {
            node.set("controller.quorum.voters", &voters);
            if target == Target::Ottla {
                node.set("listeners", "CONTROLLER://127.0.0.1:<second port>");
                node.set("controller.listener.names", "CONTROLLER");
            }
            for (name, value) in of_node(overrides, &format!("{id}")) {
                node.set(name, &value);
            }
        }
        Self { nodes }
    }

    /// A node by its id.
    pub fn node(&self, id: usize) -> &Broker {
        &self.nodes[id - 1]
    }

    pub fn node_mut(&mut self, id: usize) -> &mut Broker {
        &mut self.nodes[id - 1]
    }

    /// `host:port` of every node, by ascending id.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Broker::address).collect()
    }

    /// What clients are given to find the cluster by.
    pub fn bootstrap(&self) -> String {
        self.addresses().join(",")
    }

    /// kill -9.
    pub fn kill(&mut self, id: usize) {
        self.node_mut(id).kill_9();
    }

    /// kill -9 of all nodes at once.
    pub fn kill_all(&mut self) {
        for node in &self.nodes {
            node.signal(Signal::SIGKILL);
        }
        for node in &mut self.nodes {
            node.kill_9();
        }
    }

    /// Stops the process where it is, until [`Self::resume`].
    pub fn pause(&self, id: usize) {
        self.node(id).signal(Signal::SIGSTOP);
    }

    pub fn resume(&self, id: usize) {
        self.node(id).signal(Signal::SIGCONT);
    }

    /// Starts a node that is gone, on its ports and data, and waits until it answers.
    pub fn restart(&mut self, id: usize) {
        self.node_mut(id).restart();
    }

    /// All bytes of a replica's segments on a node, in order.
    pub fn segments(&self, id: usize, topic: &str, partition: i32) -> Vec<u8> {
        let dir = self.node(id).partition_dir(topic, partition);
        let names = std::fs::read_dir(&dir).expect("the replica's directory").flatten();
        let mut logs: Vec<_> = names.map(|entry| entry.path()).collect();
        logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.sort();
        logs.iter().flat_map(|path| std::fs::read(path).expect("a segment")).collect()
    }

    /// Waits until these nodes hold the same bytes of a partition, and some; how many.
    pub fn await_identical(&self, ids: &[usize], topic: &str, partition: i32, limit: Duration) -> usize {
        let mut len = 0;
        self.wait_for("replicas are byte-identical", limit, || {
            let mut copies: Vec<_> = ids.iter().map(|id| self.segments(*id, topic, partition)).collect();
            copies.dedup();
            len = copies[0].len();
            copies.len() == 1 && len > 0
        });
        len
    }

    /// Waits until `wanted` holds; what it took.
    pub fn wait_for(&self, what: &str, limit: Duration, mut wanted: impl FnMut() -> bool) -> Duration {
        let began = Instant::now();
        while !wanted() {
            let logs: Vec<String> = if began.elapsed() < limit { Vec::new() } else { self.logs() };
            assert!(began.elapsed() < limit, "not within {limit:?}: {what}\n{}", logs.join("\n"));
            std::thread::sleep(Duration::from_millis(2));
        }
        began.elapsed()
    }

    /// What each node printed last.
    pub fn logs(&self) -> Vec<String> {
        (1..).zip(&self.nodes).map(|(id, node)| format!("node {id}\n{}", node.log_tail())).collect()
    }
}

/// Settings that all nodes share, as one of them gets them.
fn of_node<'a>(overrides: &[(&'a str, &str)], id: &str) -> Vec<(&'a str, String)> {
    overrides.iter().map(|(name, value)| (*name, value.replace("{id}", id))).collect()
}
