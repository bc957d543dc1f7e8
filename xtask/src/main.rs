//! Developer commands: `cargo xtask COMMAND`.
//!
//! Owns: what `.ci/run` runs, what the tests need on a machine, and the checks of the workspace's structure.
//! It never links a crate of the product and has no heavy dependency, because everything waits for it to compile.

mod bench;
mod command;
mod dist;
mod error;
mod fuzz;
mod golden;
mod release;
mod setup;
mod simulate;
mod structure;
mod summary;
mod test;

use std::process::ExitCode;

use error::Error;
use test::Scope;

const USAGE: &str = "\
cargo xtask COMMAND

  test [--all]       set up what the tests need, then every check and every test; what CI runs. With `--all`, other
                     people's suites whole, and docs/COMPATIBILITY.md made of what passed
  compat [ARGS...]   only the tests with other people's clients; ARGS (after a first `--all`) go to `cargo test`
  compat-kafka [..]  the same against a real Apache Kafka
  compat-three [..]  franz-go's and librdkafka's own tests with three brokers and three replicas; `--all` as above
  tool-differential record|verify|compare [NAME]
                     the official tools' output on a real Apache Kafka (written down; compared with what is), on Ottla
  differential ARG.. the differential conversations with a real Kafka and Ottla: record, verify, replay, compare
  crash [KILLS]      kills the release broker with everything running so often (500), and checks what is left
  survive [BLOWS]    so many blows (60) to three release brokers with everything running, and as many to the network
                     between them: kill -9, SIGSTOP, rolling restarts, cuts
  failover [ARGS..]  how long clients wait when a node of three goes, beside a real Apache Kafka; --rounds N (5),
                     --write (docs/FAILOVER.md)
  power [SEEDS]      power cuts on the simulated disk, so many seeds (10000) for the log dirs and for the metadata log
  simulate [ARGS..]  whole clusters in simulated time: --seeds N (1000) [--from S], or --seed S to see one run again;
                     --mutations [NAME..] for how many seeds it takes to find each planted bug (10000 at most)
  setup [kafka]      only set up what the compat tests need; with `kafka`, the reference broker too
  fuzz [ARGS...]     hostile bytes, guided by the code they reach; ARGS: names of targets, --seconds N for each (60),
                     --keep to add what reached new code to the corpora
  soak [SECONDS]     everything at once on the release broker (600 s): memory, descriptors and threads stay as they are
  overload [SECONDS] twice the load that the release broker bears (60 s), then how soon it is as quick as before
  dist               the static release binary, packed, and the file system of its container image, in target/dist
  cold [SECONDS]     a consumer of segments that are on the disk only beside producers (60 s): their 99th percentile at
                     most doubles
  golden             make the golden vectors again with Kafka's own classes
  structure          dependency edges, purity and file lengths
  bench [ARGS...]    what the release broker costs, against bare system calls; ARGS: names, --rounds N, --part N, --check
  bench compare ..   the same beside a real Apache Kafka; --rounds N, --percent N, --write (docs/BENCHMARKS.md)
  bench cluster ..   three of each that replicate; the same arguments
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    let outcome = match args.first().map(String::as_str) {
        Some("test") => test::all(Scope::of(rest).0),
        Some("compat") => test::compat(rest),
        Some("compat-kafka") => test::compat_against_kafka(rest),
        Some("compat-three") => test::compat_of_three(rest),
        Some("tool-differential") => test::tool_differential(rest),
        Some("differential") => test::differential(rest),
        Some("crash") => test::crash(rest),
        Some("survive") => test::survive(rest),
        Some("failover") => test::failover(rest),
        Some("power") => test::power(rest),
        Some("simulate") => simulate::simulate(rest),
        Some("setup") => setup::run(rest.iter().any(|arg| arg == "kafka")),
        Some("fuzz") => fuzz::fuzz(rest),
        Some("soak") => {
            test::bounds("soak", "OTTLA_SOAK_SECONDS", rest.first().map_or("600", String::as_str))
        }
        Some("overload") => test::bounds(
            "twice_what_it_bears",
            "OTTLA_OVERLOAD_SECONDS",
            rest.first().map_or("60", String::as_str),
        ),
        Some("dist") => dist::dist(),
        Some("cold") => test::bounds(
            "a_consumer_of_the_oldest",
            "OTTLA_COLD_SECONDS",
            rest.first().map_or("60", String::as_str),
        ),
        Some("golden") => golden::make(),
        Some("structure") => structure::check(),
        Some("bench") => bench::bench(rest),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(Error::Usage(other.unwrap_or("nothing").to_owned())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            if let Error::Usage(_) = error {
                eprint!("{USAGE}");
            }
            ExitCode::FAILURE
        }
    }
}
