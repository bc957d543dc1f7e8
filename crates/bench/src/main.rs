//! `cargo xtask bench`: what the release broker costs, against bare system calls in the same run.
//!
//! Owns: the speed floor's figures: start, idle memory, and CPU of the append, read, produce and fetch paths; how long a
//! restart takes with much on the disk; a scrape of very many partitions.
//! Never: absolute promises. Machines differ; what is checked is a ratio of two things measured in turns, or a limit
//! that holds on small machines, too.
//!
//! ```text
//! ottla-bench [--broker FILE] [--rounds N] [--part N] [--check] [NAME...]
//!                                                                  NAME: startup idle append read fetch produce recovery
//!                                                                  scrape
//! ottla-bench compare ...                                          beside Apache Kafka: see `compare`
//! ottla-bench cluster ...                                          three of each that replicate
//! ottla-bench floor KIND FILE SENDFILE_MIN                         the bare server that a broker is compared with
//! ottla-bench ballast BYTES                                        holds memory while a comparison runs
//! ```

mod append;
mod broker;
mod compare;
mod fetch;
mod floor;
mod idle;
mod measure;
mod produce;
mod read;
mod recovery;
mod report;
mod requests;
mod samples;
mod scrape;
mod startup;
mod wire;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;

/// A bench that cannot go on says why and ends; nobody handles it.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// What a run was asked for.
#[derive(Debug)]
struct Options {
    broker: PathBuf,
    rounds: usize,
    /// `recovery` makes one part in so many of its data, for machines with little room or time.
    part: NonZeroU32,
    /// Fail if a target is missed.
    check: bool,
    names: Vec<String>,
}

type Bench = fn(&Options, &mut Report) -> Result<()>;

const BENCHES: [(&str, Bench); 8] = [
    ("startup", startup::run),
    ("idle", idle::run),
    ("append", append::run),
    ("read", read::run),
    ("fetch", fetch::run),
    ("produce", produce::run),
    ("recovery", recovery::run),
    ("scrape", scrape::run),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // A floor's client goes without a word.
        Err(_) if args.first().is_some_and(|arg| arg == "floor") => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ottla-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well: every target met, or nobody asked.
fn run(args: &[String]) -> Result<bool> {
    let rest = args.get(1..).unwrap_or_default();
    match args.first().map(String::as_str) {
        Some("floor") => return floor::serve(rest).map(|()| true),
        Some("ballast") => return compare::hold(rest).map(|()| true),
        Some("compare") => return compare::run(rest),
        Some("cluster") => return compare::run_cluster(rest),
        _ => {}
    }
    let options = Options::parse(args)?;
    let mut report = Report::new(&options.broker);
    for (name, bench) in BENCHES {
        if options.names.is_empty() || options.names.iter().any(|asked| asked == name) {
            eprintln!("{name} ...");
            if let Err(error) = bench(&options, &mut report) {
                // What was measured until then is not lost.
                print!("{report}");
                return Err(format!("{name}: {error}").into());
            }
        }
    }
    print!("{report}");
    Ok(report.all_met() || !options.check)
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let beside = std::env::current_exe()?.with_file_name("ottla");
        let mut options =
            Self { broker: beside, rounds: 7, part: NonZeroU32::MIN, check: false, names: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--broker" => options.broker = value()?.into(),
                "--rounds" => options.rounds = value()?.parse()?,
                "--part" => options.part = value()?.parse()?,
                "--check" => options.check = true,
                name if BENCHES.iter().any(|(known, _)| *known == name) => {
                    options.names.push(name.to_owned())
                }
                other => return Err(format!("no such bench: {other}").into()),
            }
        }
        Ok(options)
    }
}
