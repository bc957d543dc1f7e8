//! Consumers on two connections that catch up on what is on the disk only.

use std::fs::File;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use indicatif::ProgressBar;
use ottla_model::Offset;
use rustix::fs::{Advice, fadvise};

use super::Plan;
use super::closed::{self, Effort, Held, Round, Targets};
use super::fetch::{BATCH, LOG_LEN, PARTITIONS, fill, floor_frame};
use super::load::{Load, Part};
use super::sides::{Side, Sides, Topic};
use super::table::Table;
use crate::Result;
use crate::broker::{Server, data_dir};
use crate::requests::content_batch;

const CONNECTIONS: usize = 2;
const FETCH_LEN: usize = 1 << 20;
const NO_TARGETS: Targets = Targets { cpu: &[], rate: &[], records: None, is_small: false };

pub(super) fn run(plan: &Plan, sides: &Sides, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    let mut topics = Vec::new();
    for side in [Side::Kafka, Side::Ottla] {
        topics.push((side, fill(sides.broker(side), LOG_LEN)?));
    }
    let dir = data_dir()?;
    let path = dir.path().join("floor.log");
    std::fs::write(&path, vec![b'x'; LOG_LEN * usize::try_from(PARTITIONS)?])?;
    let prepare = |side| {
        let topic = topics.iter().find(|(of, _)| *of == side).map(|(_, topic)| topic);
        match topic {
            Some(topic) => of_broker(plan, sides.broker(side), topic),
            None => of_floor(plan, &path),
        }
    };
    let name = "catch-up from a cold cache, 1 MB of one partition";
    table.extend(closed::run(plan, progress, name, NO_TARGETS, Effort::Usual, prepare)?);
    Ok(())
}

/// Each connection reads half of the partitions, each from its start.
fn of_broker(plan: &Plan, server: &Server, topic: &Topic) -> Result<(Round, Held)> {
    let batch = content_batch(BATCH)?;
    let step = FETCH_LEN / batch.bytes.len();
    let limit = i32::try_from(FETCH_LEN)?;
    let frame = |partition: i32, fetch: usize| -> Result<Bytes> {
        let offset = Offset(i64::try_from(fetch * step * batch.records)?);
        topic.requests.fetch_all(&[(partition, offset)], limit)
    };
    let fetches = LOG_LEN / batch.bytes.len() / step;
    let part = |number: usize| -> Result<Part> {
        let partitions = (0..PARTITIONS).skip(number).step_by(CONNECTIONS);
        let frames = partitions.flat_map(|partition| (0..fetches).map(move |fetch| (partition, fetch)));
        let frames: Vec<Bytes> =
            frames.map(|(partition, fetch)| frame(partition, fetch)).collect::<Result<_>>()?;
        Ok(Part { count: plan.scaled(frames.len()), frames })
    };
    let load = Load { parts: (0..CONNECTIONS).map(part).collect::<Result<_>>()?, in_flight: 1, last: None };
    forget(server.data_dir())?;
    let round = Round {
        pid: server.pid(),
        data: server.data_dir().to_owned(),
        load,
        address: server.address,
        bytes_per_request: (step * batch.bytes.len()) as f64,
        records_per_request: 0.0,
    };
    Ok((round, Box::new(())))
}

fn of_floor(plan: &Plan, path: &Path) -> Result<(Round, Held)> {
    let floor = Server::floor(&["fetch", "262144", &path.display().to_string()])?;
    let part = |number: usize| {
        let positions = (0..LOG_LEN * 3).step_by(FETCH_LEN).map(|at| at + number * LOG_LEN * 3);
        let frames: Vec<Bytes> = positions.map(|at| floor_frame(at, FETCH_LEN, 1)).collect();
        Part { count: plan.scaled(frames.len()), frames }
    };
    let load = Load { parts: (0..CONNECTIONS).map(part).collect(), in_flight: 1, last: None };
    forget_file(path)?;
    let round = Round {
        pid: floor.pid(),
        data: PathBuf::new(),
        load,
        address: floor.address,
        bytes_per_request: FETCH_LEN as f64,
        records_per_request: 0.0,
    };
    Ok((round, Box::new(floor)))
}

/// Has the kernel forget what it keeps of the logs in a broker's directory.
fn forget(dir: &Path) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "log") {
            forget_file(&path)?;
        }
    }
    Ok(())
}

/// What is not on the disk yet cannot be forgotten.
fn forget_file(path: &Path) -> Result<()> {
    // What a topic leaves behind may go meanwhile.
    let Ok(file) = File::open(path) else { return Ok(()) };
    file.sync_all()?;
    fadvise(&file, 0, None, Advice::DontNeed)?;
    Ok(())
}
