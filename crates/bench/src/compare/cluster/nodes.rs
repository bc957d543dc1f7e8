//! Three combined nodes that replicate, and a topic of theirs.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::super::node::Node;
use super::super::sides::Side;
use super::super::usage::Usage;
use super::super::{Plan, kafka};
use crate::Result;
use crate::broker::{Server, data_dir};
use crate::requests::{Requests, batch};
use crate::wire::Wire;

pub(super) const NODES: usize = 3;
/// What a topic of very many partitions may take until it is replicated.
const FORMING_WAIT: Duration = Duration::from_secs(600);

/// So that what a round has written is gone before the next one writes.
const SETTINGS: [(&str, &str); 2] =
    [("log.segment.delete.delay.ms", "500"), ("offsets.topic.num.partitions", "1")];

/// With node ids from 1 on.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) nodes: Vec<Server>,
}

impl Cluster {
    pub(super) fn start(plan: &Plan, side: Side) -> Result<Self> {
        let nodes = Node::cluster(NODES)?;
        let start = |node: &Node| match side {
            Side::Kafka => kafka::start_node(&plan.kafka, node, &SETTINGS),
            Side::Ottla | Side::Floor => ottla_node(plan, node),
        };
        let cluster = Self { nodes: nodes.iter().map(start).collect::<Result<_>>()? };
        for server in &cluster.nodes {
            server.wait()?;
            server.make_listeners_cubic();
        }
        Ok(cluster)
    }

    /// Of all that run.
    pub(super) fn usage(&self) -> Result<Usage> {
        self.nodes.iter().try_fold(Usage::default(), |sum, node| Ok(sum.plus(Usage::of(node.pid())?)))
    }

    pub(super) fn wire(&self) -> Result<Wire> {
        Wire::connect_patiently(self.nodes[0].address)
    }

    /// The leaders of a topic's partitions, and how many replicas are in sync.
    pub(super) fn standing(&self, requests: &Requests) -> Result<(Vec<i32>, usize)> {
        requests.leaders(&self.wire()?.call(&requests.metadata()?)?)
    }

    fn all_live(&self, requests: &Requests) -> Result<bool> {
        Ok(requests.brokers(&self.wire()?.call(&requests.metadata()?)?)? == self.nodes.len())
    }

    /// Makes a topic of these replicas, and waits until all of them are in sync and each partition has its preferred leader.
    pub(super) fn create(&self, replicas: &[Vec<i32>]) -> Result<ClusterTopic<'_>> {
        let topic = ClusterTopic { cluster: self, requests: Requests::of(new_name()) };
        let create = topic.requests.create_topic_on(replicas)?;
        let until = Instant::now() + FORMING_WAIT;
        let preferred: Vec<i32> = replicas.iter().map(|brokers| brokers[0]).collect();
        let all: usize = replicas.iter().map(Vec::len).sum();
        let wanted = (preferred.clone(), all);
        let mut refusal = None;
        loop {
            match self.standing(&topic.requests) {
                Ok(standing) if standing == wanted => break,
                Ok(_) => {}
                // Led by another at first where a broker is not live yet, and until leaders are balanced: minutes.
                Err(_) if !self.all_live(&topic.requests)? => {}
                // The one that is asked may hear of the topic later.
                Err(_) => refusal = topic.requests.check_create_topic(&self.wire()?.call(&create)?).err(),
            }
            if Instant::now() > until {
                return Err(refusal.unwrap_or_else(|| "the topic's replicas do not come into sync".into()));
            }
            sleep(Duration::from_millis(100));
        }
        topic.await_leaders(&preferred, until)?;
        Ok(topic)
    }
}

/// Whoever is asked may not have heard yet that the last round's topic is gone, and take it for this round's.
pub(super) fn new_name() -> &'static str {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    // Some bytes a round, until the bench ends.
    format!("bench-{}", COUNT.fetch_add(1, Ordering::Relaxed)).leak()
}

/// So many partitions with a replica on each node, led by one node after the other.
pub(super) fn spread(partitions: usize) -> Result<Vec<Vec<i32>>> {
    let on = |partition| (0..NODES).map(move |at| Ok(i32::try_from((partition + at) % NODES + 1)?)).collect();
    (0..partitions).map(on).collect()
}

pub(super) fn ottla_node(plan: &Plan, node: &Node) -> Result<Server> {
    let dir = data_dir()?;
    let properties = dir.path().join("server.properties");
    std::fs::write(&properties, node.properties(dir.path(), &SETTINGS))?;
    let mut command = Command::new(&plan.broker);
    command.arg("--config").arg(properties).args(["--metrics-listen", "off", "--log", "warn"]);
    Server::spawn(command, node.address, dir)
}

/// Deleted when it is dropped.
#[derive(Debug)]
pub(super) struct ClusterTopic<'a> {
    cluster: &'a Cluster,
    pub(super) requests: Requests,
}

impl ClusterTopic<'_> {
    /// A leader may know later than others that it is one.
    fn await_leaders(&self, leaders: &[i32], until: Instant) -> Result<()> {
        for (partition, leader) in (0..).zip(leaders) {
            let server = &self.cluster.nodes[usize::try_from(*leader)? - 1];
            let ask = self.requests.log_ends(&[partition])?;
            let mut wire = Wire::connect(server.address)?;
            while self.requests.served(&wire.call(&ask)?)?.is_empty() {
                if Instant::now() > until {
                    return Err(format!("partition {partition} is not led").into());
                }
                sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// One record, acknowledged by all.
    pub(super) fn probe(&self, partition: i32, leader: &Server) -> Result<()> {
        let frame = self.requests.produce_to(partition, batch(256)?)?;
        self.requests.check_produce(&Wire::connect(leader.address)?.call(&frame)?)
    }
}

impl Drop for ClusterTopic<'_> {
    fn drop(&mut self) {
        if let (Ok(frame), Ok(mut wire)) = (self.requests.delete_topic(), self.cluster.wire()) {
            // What stays is gone with the directories.
            let _ = wire.call(&frame);
        }
    }
}
