//! The three that are compared. Kafka and Ottla run all the time, each idle while another is asked.

use std::path::Path;

use super::{Plan, kafka};
use crate::Result;
use crate::broker::Server;
use crate::requests::Requests;
use crate::wire::Wire;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Floor,
    Kafka,
    Ottla,
}

impl Side {
    pub(super) const ALL: [Self; 3] = [Self::Floor, Self::Kafka, Self::Ottla];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Kafka => "Kafka",
            Self::Ottla => "Ottla",
        }
    }
}

/// So that what a round has written is gone before the next one writes.
const SETTINGS: [(&str, &str); 2] =
    [("log.segment.delete.delay.ms", "500"), ("offsets.topic.replication.factor", "1")];

#[derive(Debug)]
pub(super) struct Sides {
    pub(super) kafka: Server,
    pub(super) ottla: Server,
}

impl Sides {
    pub(super) fn start(plan: &Plan) -> Result<Self> {
        let kafka = kafka::start(&plan.kafka, &SETTINGS)?;
        let ottla = ottla(&plan.broker)?;
        for server in [&kafka, &ottla] {
            server.wait()?;
            server.make_listeners_cubic();
        }
        Ok(Self { kafka, ottla })
    }

    /// Kafka's or Ottla's.
    pub(super) fn broker(&self, side: Side) -> &Server {
        if side == Side::Kafka { &self.kafka } else { &self.ottla }
    }
}

/// As it comes, but for [`SETTINGS`].
pub(super) fn ottla(binary: &Path) -> Result<Server> {
    Server::broker_with(binary, &SETTINGS)
}

/// As it comes, but for [`SETTINGS`].
pub(super) fn real_kafka(libs: &Path) -> Result<Server> {
    kafka::start(libs, &SETTINGS)
}

/// A topic with these configs, which goes when this is dropped.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) requests: Requests,
    wire: Wire,
}

impl Topic {
    pub(super) fn create(server: &Server, partitions: i32, configs: &[(&str, &str)]) -> Result<Self> {
        let requests = Requests::default();
        let mut wire = Wire::connect_patiently(server.address)?;
        let create = requests.create_topic_with(partitions, configs)?;
        requests.check_create_topic(&wire.call(&create)?)?;
        let topic = Self { requests, wire };
        topic.wait_for_leaders(partitions)?;
        Ok(topic)
    }

    pub(super) fn call(&mut self, frame: &[u8]) -> Result<bytes::BytesMut> {
        self.wire.call(frame)
    }

    /// Kafka answers the creation before its leaders are there.
    fn wait_for_leaders(&self, partitions: i32) -> Result<()> {
        let all: Vec<i32> = (0..partitions).collect();
        let ask = self.requests.log_ends(&all)?;
        let mut wire = Wire::connect_patiently(self.wire.peer()?)?;
        for _ in 0..2_000 {
            if self.requests.served(&wire.call(&ask)?)?.len() == all.len() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Err("the topic's leaders do not come".into())
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        if let Ok(frame) = self.requests.delete_topic() {
            // What stays is gone with the directory.
            let _ = self.wire.call(&frame);
        }
    }
}
