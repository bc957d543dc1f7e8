//! `ottla-bench compare`: Apache Kafka, Ottla and the bare system calls at the same work, in turns in one run.
//!
//! Owns: what is asked of all three, in which order, and what is counted of each.
//! Never: a figure that was not measured in this run, nor one of a side alone where a ratio would do.
//!
//! ```text
//! ottla-bench compare --kafka LIBS [--tools LIBS] [--rdkafka FILE] [--broker FILE] [--rounds N] [--percent N] [--free GIB] [--out DIR] [--write] [--case PART-OF-ITS-NAME] [WORK...]
//! ottla-bench cluster  ...                   the same of three brokers that replicate: see [`cluster`]
//! ```
//! `--percent` makes each round shorter, `--free` is the memory that is not filled beforehand (0: nothing is filled),
//! `--write` puts the table into `docs/BENCHMARKS.md`.

mod ballast;
mod clients;
mod closed;
mod cluster;
mod cold;
mod fetch;
mod flushed;
mod footprint;
mod idle_polls;
mod kafka;
mod load;
mod mixed;
mod node;
mod open_loop;
mod page;
mod plot;
mod produce;
mod session;
mod sides;
mod table;
mod usage;

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Result;
use sides::Sides;
use table::{Metric, Table};

pub(crate) use ballast::hold;
pub(crate) use cluster::run as run_cluster;

/// What a run was asked for.
#[derive(Debug)]
pub(crate) struct Plan {
    broker: PathBuf,
    /// The directory of a real Kafka's jars.
    kafka: PathBuf,
    /// That of the official tools'.
    tools: Option<PathBuf>,
    /// librdkafka's performance tool.
    rdkafka: Option<PathBuf>,
    rounds: usize,
    /// Of what a round does by itself.
    percent: usize,
    /// GiB.
    free: u64,
    out: PathBuf,
    write: bool,
    works: Vec<String>,
    /// Of a work with several cases, those whose names have this in them.
    case: String,
}

type Work = fn(&Plan, &Sides, &ProgressBar, &mut Table) -> Result<()>;

const WORKS: [(&str, Work); 11] = [
    ("produce", produce::run),
    ("fetch", fetch::run),
    ("cold", cold::run),
    ("mixed", mixed::run),
    ("session", session::run),
    ("idle-polls", idle_polls::run),
    ("open-loop", open_loop::run),
    ("flushed", flushed::run),
    ("tls", tls),
    ("clients", clients::run),
    ("footprint", footprint::run),
];

/// Its place in the table.
#[expect(clippy::unnecessary_wraps, reason = "a work as the others")]
fn tls(_: &Plan, _: &Sides, _: &ProgressBar, table: &mut Table) -> Result<()> {
    let names = [
        "produce, 16 KB batches of 1 KB records, over TLS: CPU",
        "fetch, 64 KB of one partition, over TLS: CPU",
    ];
    table.extend(names.map(|name| Metric::later(name.to_owned(), "CPU-s/GB")).into());
    Ok(())
}

/// Runs what was asked for and prints the table; whether each target was met.
pub(crate) fn run(args: &[String]) -> Result<bool> {
    let plan = Plan::parse(args, 4, &WORKS.map(|(name, _)| name))?;
    let progress = progress_bar()?;
    let _ballast = ballast::fill(plan.free)?;
    let sides = Sides::start(&plan)?;
    let mut table = Table::new(&plan.broker, plan.rounds);
    let mut outcome = Ok(());
    for (name, work) in WORKS {
        if outcome.is_ok() && plan.wants(name) {
            outcome = work(&plan, &sides, &progress, &mut table).map_err(|error| format!("{name}: {error}"));
        }
    }
    progress.finish_and_clear();
    conclude(&plan, "compare", &table, outcome)
}

/// Shows what was measured, also where something failed then; whether each target was met.
fn conclude(
    plan: &Plan,
    command: &str,
    table: &Table,
    outcome: std::result::Result<(), String>,
) -> Result<bool> {
    println!("{table}");
    outcome?;
    plot::draw(table, &plan.out)?;
    if plan.write {
        page::write(command, table)?;
    }
    Ok(table.all_met())
}

fn progress_bar() -> Result<ProgressBar> {
    let progress = ProgressBar::new(0);
    progress.set_style(ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len} {msg}")?);
    Ok(progress)
}

impl Plan {
    /// `free` GiB unless the arguments say how many; `known` works.
    fn parse(args: &[String], free: u64, known: &[&str]) -> Result<Self> {
        let mut plan = Self {
            broker: std::env::current_exe()?.with_file_name("ottla"),
            kafka: PathBuf::new(),
            tools: None,
            rdkafka: None,
            rounds: 5,
            percent: 100,
            free,
            out: "target/bench".into(),
            write: false,
            works: Vec::new(),
            case: String::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--broker" => plan.broker = value()?.into(),
                "--kafka" => plan.kafka = value()?.into(),
                "--tools" => plan.tools = Some(value()?.into()),
                "--rdkafka" => plan.rdkafka = Some(value()?.into()),
                "--rounds" => plan.rounds = value()?.parse()?,
                "--percent" => plan.percent = value()?.parse()?,
                "--free" => plan.free = value()?.parse()?,
                "--out" => plan.out = value()?.into(),
                "--case" => plan.case = value()?.clone(),
                "--write" => plan.write = true,
                name if known.contains(&name) => plan.works.push(name.to_owned()),
                other => return Err(format!("compare: no such work: {other}").into()),
            }
        }
        if !plan.kafka.is_dir() {
            return Err("compare: --kafka names the directory of Kafka's jars".into());
        }
        Ok(plan)
    }

    fn wants(&self, name: &str) -> bool {
        self.works.is_empty() || self.works.iter().any(|asked| asked == name)
    }

    /// What `count` becomes by `--percent`; at least one.
    fn scaled(&self, count: usize) -> usize {
        (count * self.percent / 100).max(1)
    }
}
