//! The table that a run ends with.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::samples::{Samples, Turns};

/// What was measured, a row each.
#[derive(Debug)]
pub(crate) struct Report {
    machine: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    floor: String,
    ours: String,
    spread: String,
    /// What is compared with the target.
    value: f64,
    /// At most this; none is for information.
    target: Option<f64>,
    unit: &'static str,
}

impl Report {
    pub(crate) fn new(broker: &Path) -> Self {
        Self { machine: machine(broker), rows: Vec::new() }
    }

    /// A figure whose median must not exceed `target`.
    pub(crate) fn limit(&mut self, what: &str, samples: &Samples, unit: &'static str, target: Option<f64>) {
        self.rows.push(Row {
            what: what.to_owned(),
            floor: "-".to_owned(),
            ours: format!("{:.2} {unit}", samples.median()),
            spread: format!("{:.2} .. {:.2}", samples.min(), samples.max()),
            value: samples.median(),
            target,
            unit,
        });
    }

    /// Two figures in `unit`, whose ratio's median must not exceed `target`.
    pub(crate) fn ratio(&mut self, what: &str, turns: &Turns, unit: &'static str, target: Option<f64>) {
        self.rows.push(Row {
            what: what.to_owned(),
            floor: format!("{:.2} {unit}", turns.floor.median()),
            ours: format!("{:.2} {unit}", turns.ours.median()),
            spread: format!("{:.2} .. {:.2}", turns.ratio.min(), turns.ratio.max()),
            value: turns.ratio.median(),
            target,
            unit: "x",
        });
    }

    pub(crate) fn all_met(&self) -> bool {
        self.rows.iter().all(|row| row.is_met() != Some(false))
    }
}

impl Row {
    fn is_met(&self) -> Option<bool> {
        // To the digits that are shown: a figure that reads as the target meets it.
        self.target.map(|target| self.value < target + 0.005)
    }

    fn verdict(&self) -> &'static str {
        match self.is_met() {
            None => "",
            Some(true) => "ok",
            Some(false) => "MISSED",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.machine)?;
        writeln!(f, "| what | floor | ottla | median | min .. max | target | |")?;
        writeln!(f, "|--|--|--|--|--|--|--|")?;
        for row in &self.rows {
            let target = row.target.map_or_else(|| "-".to_owned(), |target| format!("{target} {}", row.unit));
            writeln!(
                f,
                "| {} | {} | {} | {:.2} {} | {} | {target} | {} |",
                row.what,
                row.floor,
                row.ours,
                row.value,
                row.unit,
                row.spread,
                row.verdict()
            )?;
        }
        Ok(())
    }
}

/// Where and of what a run measures, in a line.
pub(crate) fn machine(broker: &Path) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    let size = fs::metadata(broker).map_or(0, |file| file.len()) / 1024;
    format!("{} x{cores}, Linux {kernel}, load {load} at the start, binary {size} KiB", processor())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn processor() -> String {
    let info = read("/proc/cpuinfo");
    let name = info.lines().find_map(|line| line.strip_prefix("model name"));
    name.and_then(|name| name.split_once(": ")).map_or("a processor", |(_, name)| name).to_owned()
}
