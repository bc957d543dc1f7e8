//! What a suite or a script is run against: one broker, or three that are one cluster; ours or Kafka's.

use crate::broker::Broker;
use crate::cluster::Cluster;
use crate::target::Target;

/// Every topic for which nobody asks for anything else has three replicas.
const REPLICATED: [(&str, &str); 2] =
    [("default.replication.factor", "3"), ("offsets.topic.replication.factor", "3")];

#[derive(Debug)]
pub enum Nodes {
    One(Broker),
    Three(Cluster),
}

impl Nodes {
    /// One broker, or with `OTTLA_SUITE_NODES=3` three.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        if Self::are_three() { Self::start_three(settings) } else { Self::One(Broker::start_with(settings)) }
    }

    pub fn start_three(settings: &[(&str, &str)]) -> Self {
        Self::Three(
            Cluster::prepared_as::<3>(Target::current(), &[settings, &REPLICATED].concat()).launched(),
        )
    }

    /// Whether the suites are to run against three brokers.
    pub fn are_three() -> bool {
        std::env::var("OTTLA_SUITE_NODES").is_ok_and(|nodes| nodes == "3")
    }

    pub fn replication_factor(&self) -> usize {
        self.ids().count()
    }

    pub fn ids(&self) -> std::ops::RangeInclusive<usize> {
        1..=if matches!(self, Self::One(_)) { 1 } else { 3 }
    }

    /// A broker by its number from 1 on.
    pub fn node(&self, id: usize) -> &Broker {
        match self {
            Self::One(broker) => broker,
            Self::Three(cluster) => cluster.node(id),
        }
    }

    pub fn node_mut(&mut self, id: usize) -> &mut Broker {
        match self {
            Self::One(broker) => broker,
            Self::Three(cluster) => cluster.node_mut(id),
        }
    }

    /// What clients are given to find them by.
    pub fn bootstrap(&self) -> String {
        match self {
            Self::One(broker) => broker.address(),
            Self::Three(cluster) => cluster.bootstrap(),
        }
    }
}
