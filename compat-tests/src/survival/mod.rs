//! Three brokers under blows: processes are killed and stand still, the network between them fails, and all the while
//! idempotent producers, consumers and groups of both protocols work with them. What is answered and shown goes into the
//! checkers of [`crate::ledger`]; at the end the replicas are compared byte by byte.

mod consumer;
mod fault;
mod load;

use std::time::{Duration, Instant};

pub use fault::{Fault, Whom};
pub use load::{Load, Summary};

use crate::admin::{PATIENCE, try_active_controller, try_client, try_partitions};
use crate::cluster::Cluster;
use crate::crash::Rng;
use crate::crash::life::RECORDS;
use crate::network::Network;

const NODES: [usize; 3] = [1, 2, 3];
const SESSION: Duration = Duration::from_millis(1_500);
/// As long as a node stands still, or a cut lasts, at least: longer than a session and than a follower may lag.
const LONG: Duration = Duration::from_millis(3_500);
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// Those who fall silent are noticed soon, and replicas that lag are left behind soon.
pub const SETTINGS: [(&str, &str); 6] = [
    ("broker.session.timeout.ms", "1500"),
    ("broker.heartbeat.interval.ms", "300"),
    ("replica.lag.time.max.ms", "2000"),
    ("offsets.topic.replication.factor", "3"),
    ("offsets.topic.num.partitions", "3"),
    ("group.max.session.timeout.ms", "300000"),
];

/// A cluster and those who work with it.
#[derive(Debug)]
pub struct Ordeal {
    // Before the processes that it ends, so that those who wait for answers are gone first.
    load: Load,
    cluster: Cluster,
    network: Option<Network>,
    rng: Rng,
}

impl Ordeal {
    /// On this machine's loopback.
    pub fn of_processes(seed: u64) -> Self {
        Self::begin(Cluster::start_with::<3>(&SETTINGS), None, seed)
    }

    /// Each node on a host of its own.
    pub fn in_a_network(seed: u64) -> Self {
        let network = Network::of(NODES.len());
        let mut cluster = Cluster::prepared_at(NODES.map(|id| network.address(id)), &SETTINGS);
        for id in NODES {
            cluster.node_mut(id).start_through(network.starter(id));
        }
        Self::begin(cluster.launched(), Some(network), seed)
    }

    /// A cluster that runs with [`SETTINGS`].
    pub fn begin(cluster: Cluster, network: Option<Network>, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let load = Load::begin(&cluster, &mut rng);
        Self { load, cluster, network, rng }
    }

    pub fn load(&self) -> &Load {
        &self.load
    }

    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// One blow, from which the cluster must recover; what it took is printed.
    pub fn suffer(&mut self, fault: Fault) {
        std::thread::sleep(Duration::from_millis(self.rng.below(300)));
        let began = Instant::now();
        let waited = self.strike(fault);
        self.load.await_progress(&self.cluster, &format!("all goes on after {fault}"));
        self.load.await_health(&self.cluster);
        println!("{fault}: {waited}whole again after {} ms", began.elapsed().as_millis());
        self.load.check();
    }

    /// Strikes and heals. With one node of three gone, everything must go on; what is printed of it.
    fn strike(&mut self, fault: Fault) -> String {
        match fault {
            Fault::Kill(whom) => {
                let id = self.id_of(whom);
                self.cluster.kill(id);
                let waited = self.goes_on(fault, id);
                self.cluster.restart(id);
                waited
            }
            Fault::Stop(whom) => {
                let id = self.id_of(whom);
                self.cluster.pause(id);
                let waited = self.goes_on(fault, id);
                self.cluster.resume(id);
                waited
            }
            Fault::KillAll => {
                self.cluster.kill_all();
                self.cluster.launch_all();
                String::new()
            }
            Fault::StopAll => {
                NODES.iter().for_each(|id| self.cluster.pause(*id));
                std::thread::sleep(LONG);
                NODES.iter().for_each(|id| self.cluster.resume(*id));
                String::new()
            }
            Fault::Rolling => {
                for id in NODES {
                    let (status, _) = self.cluster.node_mut(id).terminate(STOP_WITHIN);
                    assert!(status.success(), "node {id}: {status}");
                    self.cluster.restart(id);
                    self.load.await_health(&self.cluster);
                }
                String::new()
            }
            Fault::Isolate(_) | Fault::Mute(_) | Fault::Deafen(_) | Fault::Part(..) => self.cut(fault),
        }
    }

    fn cut(&self, fault: Fault) -> String {
        let (node, pairs) = match fault {
            Fault::Part(a, b) => {
                let (a, b) = (self.id_of(a), self.id_of(b));
                let b = if a == b { NODES.into_iter().find(|id| *id != a).expect("three nodes") } else { b };
                (a, vec![(a, b), (b, a)])
            }
            Fault::Isolate(whom) | Fault::Mute(whom) | Fault::Deafen(whom) => {
                let node = self.id_of(whom);
                let others = NODES.into_iter().filter(|id| *id != node);
                let outward: Vec<_> = others.map(|other| (node, other)).collect();
                let inward = outward.iter().map(|(node, other)| (*other, *node));
                match fault {
                    Fault::Mute(_) => (node, outward),
                    Fault::Deafen(_) => (node, inward.collect()),
                    _ => (node, outward.iter().copied().chain(inward).collect()),
                }
            }
            _ => unreachable!("{fault} is none of the network's"),
        };
        let network = self.network.as_ref().expect("a cluster in a network");
        for (from, to) in pairs {
            network.cut(from, to);
        }
        let waited = self.goes_on(fault, node);
        network.heal();
        waited
    }

    /// While a node is away, all partitions and groups go on, until it was away for long.
    fn goes_on(&self, fault: Fault, id: usize) -> String {
        let began = Instant::now();
        self.load.await_progress(&self.cluster, &format!("all goes on during {fault}, node {id}"));
        let waited = began.elapsed();
        let left = if matches!(fault, Fault::Kill(_)) { Duration::ZERO } else { LONG.saturating_sub(waited) };
        std::thread::sleep(left);
        format!("all goes on {} ms after node {id} is struck, ", waited.as_millis())
    }

    fn id_of(&self, whom: Whom) -> usize {
        let found = || {
            let (leader, followers) = self.first_partition()?;
            let controller = self.controller()?;
            Some(match whom {
                Whom::Leader => leader,
                Whom::Controller => controller,
                Whom::Follower => *followers.iter().find(|id| **id != controller).or(followers.first())?,
            })
        };
        let mut id = None;
        self.cluster.wait_for(&format!("somebody is {whom}"), PATIENCE, || {
            id = found();
            id.is_some()
        });
        id.expect("found")
    }

    fn first_partition(&self) -> Option<(usize, Vec<usize>)> {
        self.load.block_on(async {
            let client = try_client(&self.cluster.node(1).address(), SESSION).await.ok()?;
            let partitions = try_partitions(&client, RECORDS).await.ok()??;
            let (leader, isr) = partitions.get(&0)?;
            let leader = usize::try_from(*leader).ok()?;
            let isr = isr.iter().filter_map(|id| usize::try_from(*id).ok());
            Some((leader, isr.filter(|id| *id != leader).collect()))
        })
    }

    fn controller(&self) -> Option<usize> {
        self.load.block_on(async {
            let client = try_client(&self.cluster.node(1).address(), SESSION).await.ok()?;
            try_active_controller(&client).await.ok()?
        })
    }

    /// Lets everybody finish, compares all replicas, and says what was done and what was wrong.
    pub fn end(self) -> Summary {
        self.load.end(&self.cluster)
    }
}
