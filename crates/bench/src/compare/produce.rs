//! Producers on four connections, five requests in flight on each, six partitions.

use indicatif::ProgressBar;

use super::Plan;
use super::closed::{self, Effort, Held, Round, Targets};
use super::load::{Load, Part};
use super::sides::{Side, Sides, Topic};
use super::table::{Table, Target};
use ottla_model::batch::Compression;

use crate::Result;
use crate::broker::{Server, data_dir};
use crate::requests::{Acks, Content, Requests, content_batch};

const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 5;
const PARTITIONS: i32 = 6;
const MANY: i32 = 10_000;

/// A size and kind of requests.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    content: Content,
    acks: Acks,
    partitions: i32,
    /// Requests of all connections in a round.
    count: usize,
    targets: Targets,
}

const NO_TARGETS: Targets = Targets { cpu: &[], rate: &[], records: None, is_small: false };
const LARGE: Targets = Targets {
    cpu: &[Target::at_most(1.3, Side::Floor), Target::at_most(0.25, Side::Kafka)],
    rate: &[Target::at_least(2.5, Side::Kafka)],
    records: None,
    is_small: false,
};

const CASES: [Case; 12] = [
    Case {
        name: "produce, 16 KB batches of 1 KB records",
        content: Content::plain(16 << 10, 1_000),
        acks: Acks::All,
        partitions: PARTITIONS,
        count: 60_000,
        targets: LARGE,
    },
    Case {
        name: "produce, 16 KB batches of 100 B records",
        content: Content::plain(16 << 10, 100),
        acks: Acks::All,
        partitions: PARTITIONS,
        count: 60_000,
        targets: Targets { records: Some(5.0), ..LARGE },
    },
    Case {
        name: "produce, 1 MB batches of 1 KB records",
        content: Content::plain(1 << 20, 1_000),
        acks: Acks::All,
        partitions: PARTITIONS,
        count: 1_500,
        targets: Targets {
            cpu: &[Target::at_most(1.3, Side::Floor), Target::at_most(0.667, Side::Kafka)],
            rate: &[],
            records: None,
            is_small: false,
        },
    },
    Case {
        name: "produce, one 100 B record a batch",
        content: Content::plain(0, 100),
        acks: Acks::All,
        partitions: PARTITIONS,
        count: 120_000,
        targets: Targets {
            cpu: &[Target::at_most(1.0, Side::Floor), Target::at_most(0.2, Side::Kafka)],
            rate: &[],
            records: None,
            is_small: true,
        },
    },
    Case {
        name: "produce, 16 KB batches of 1 KB records, acks=1",
        content: Content::plain(16 << 10, 1_000),
        acks: Acks::Leader,
        partitions: PARTITIONS,
        count: 60_000,
        targets: NO_TARGETS,
    },
    Case {
        name: "produce, 16 KB batches of 1 KB records, acks=0",
        content: Content::plain(16 << 10, 1_000),
        acks: Acks::None,
        partitions: PARTITIONS,
        count: 60_000,
        targets: NO_TARGETS,
    },
    Case {
        name: "produce, 16 KB batches of 1 KB records with keys",
        content: Content { keyed: true, ..Content::plain(16 << 10, 1_000) },
        acks: Acks::All,
        partitions: PARTITIONS,
        count: 60_000,
        targets: NO_TARGETS,
    },
    Case {
        name: "produce, 64 KB of 1 KB records as lz4",
        content: Content { codec: Compression::Lz4, ..Content::plain(64 << 10, 1_000) },
        acks: Acks::All,
        partitions: PARTITIONS,
        count: 16_000,
        targets: NO_TARGETS,
    },
    Case {
        name: "produce, 64 KB of 1 KB records as zstd",
        content: Content { codec: Compression::Zstd, ..Content::plain(64 << 10, 1_000) },
        acks: Acks::All,
        partitions: PARTITIONS,
        count: 16_000,
        targets: NO_TARGETS,
    },
    Case {
        name: "produce, 64 KB batches of 10 KB records",
        content: Content::plain(64 << 10, 10_000),
        acks: Acks::All,
        partitions: PARTITIONS,
        count: 16_000,
        targets: NO_TARGETS,
    },
    Case {
        name: "produce, 4 KB batches of 1 KB records to 1,000 partitions",
        content: Content::plain(4 << 10, 1_000),
        acks: Acks::All,
        partitions: 1_000,
        count: 60_000,
        targets: NO_TARGETS,
    },
    Case {
        name: "produce, 4 KB batches of 1 KB records to 10,000 partitions (2 rounds)",
        content: Content::plain(4 << 10, 1_000),
        acks: Acks::All,
        partitions: MANY,
        count: 20_000,
        targets: NO_TARGETS,
    },
];

pub(super) fn run(plan: &Plan, sides: &Sides, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    for case in CASES.into_iter().filter(|case| case.name.contains(&plan.case)) {
        let prepare = |side| prepare(plan, sides, case, side);
        let effort = if case.partitions == MANY { Effort::Short } else { Effort::Usual };
        table.extend(closed::run(plan, progress, case.name, case.targets, effort, prepare)?);
    }
    Ok(())
}

fn prepare(plan: &Plan, sides: &Sides, case: Case, side: Side) -> Result<(Round, Held)> {
    let batch = content_batch(case.content)?;
    let (bytes, records) = (batch.bytes.len() as f64, batch.records as f64);
    let (pid, address, data, topic, held): (_, _, _, _, Held) = if side == Side::Floor {
        let dir = data_dir()?;
        let path = dir.path().join("floor").display().to_string();
        let floor = Server::floor(&["produce", "0", &path])?;
        (floor.pid(), floor.address, dir.path().to_owned(), Requests::default(), Box::new((floor, dir)))
    } else {
        let server = sides.broker(side);
        let topic = Topic::create(server, case.partitions, &[])?;
        (server.pid(), server.address, server.data_dir().to_owned(), topic.requests.clone(), Box::new(topic))
    };
    let mut parts = Vec::new();
    for connection in 0..CONNECTIONS {
        // Each connection goes round the partitions, from one of its own on.
        let first = case.partitions / i32::try_from(CONNECTIONS)? * i32::try_from(connection)?;
        let partitions = (0..case.partitions).map(|at| (at + first) % case.partitions);
        let frames =
            partitions.map(|partition| topic.produce_with(partition, batch.bytes.clone(), case.acks));
        let count = plan.scaled(case.count) / CONNECTIONS;
        parts.push(Part { frames: frames.collect::<Result<_>>()?, count });
    }
    // A floor answers all it is sent, the brokers only what wants an answer.
    let last = (case.acks == Acks::None && side != Side::Floor).then(|| topic.api_versions()).transpose()?;
    let load = Load { parts, in_flight: IN_FLIGHT, last };
    Ok((Round { pid, data, load, address, bytes_per_request: bytes, records_per_request: records }, held))
}
