//! The three that are compared. Kafka and Ottla run all the time, each idle while another is asked.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Plan, kafka, usage};
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

/// Partitions: Kafka refuses to write more than 10,000 records for one request.
const CREATED_AT_ONCE: i32 = 2_500;
const LEADERS_WAIT: Duration = Duration::from_secs(300);

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
    partitions: i32,
    /// Where its broker keeps it.
    data: PathBuf,
}

impl Topic {
    pub(super) fn create(server: &Server, partitions: i32, configs: &[(&str, &str)]) -> Result<Self> {
        let requests = Requests::default();
        let mut wire = Wire::connect_patiently(server.address)?;
        let mut count = partitions.min(CREATED_AT_ONCE);
        let create = requests.create_topic_with(count, configs)?;
        requests.check_create_topic(&wire.call(&create)?)?;
        while count < partitions {
            count = partitions.min(count + CREATED_AT_ONCE);
            requests.check_create_partitions(&wire.call(&requests.create_partitions(count)?)?)?;
        }
        let topic = Self { requests, wire, partitions, data: server.data_dir().to_owned() };
        topic.wait_for_leaders()?;
        Ok(topic)
    }

    pub(super) fn call(&mut self, frame: &[u8]) -> Result<bytes::BytesMut> {
        self.wire.call(frame)
    }

    /// Kafka answers the creation before its leaders are there.
    fn wait_for_leaders(&self) -> Result<()> {
        let all: Vec<i32> = (0..self.partitions).collect();
        let ask = self.requests.log_ends(&all)?;
        let mut wire = Wire::connect_patiently(self.wire.peer()?)?;
        let until = Instant::now() + LEADERS_WAIT;
        while self.requests.served(&wire.call(&ask)?)?.len() < all.len() {
            if Instant::now() > until {
                return Err("the topic's leaders do not come".into());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        if let Ok(frame) = self.requests.delete_topic() {
            // What stays is gone with the directory.
            let _ = self.wire.call(&frame);
        }
        // Whoever is measured next must not pay for it.
        let until = Instant::now() + LEADERS_WAIT;
        while self.partitions > CREATED_AT_ONCE && usage::has_topic(&self.data) && Instant::now() < until {
            sleep(Duration::from_millis(100));
        }
    }
}
