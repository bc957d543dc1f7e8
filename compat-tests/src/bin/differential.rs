//! `cargo xtask differential record|compare|replay [FILTER]`: the differential conversations by hand.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::RangeInclusive;
use std::process::ExitCode;

use ottla_compat_tests::Target;
use ottla_compat_tests::differential::recording::{self, Recorded};
use ottla_compat_tests::differential::script::Instance;
use ottla_compat_tests::differential::suite;
use ottla_compat_tests::listed::{self, Known};

const USAGE: &str = "\
differential record [FILE]     asks a real Kafka what a file of cases says (or all), and writes its answers down
differential verify [FILTER]   asks a real Kafka, and compares with what is recorded: what is not the same twice is no
                               behaviour, and is to be made stable or replaced before it is compared
differential compare [FILTER]  asks a real Kafka and Ottla, and prints every difference that is not listed
differential replay [FILTER]   asks Ottla, and compares with what is recorded
differential listed [FILTER]   the same, and prints what is listed too
differential show [FILTER]     asks Ottla, and prints its answers
differential kafka [FILTER]    asks a real Kafka, and prints its answers

FILTER: a part of the conversations' ids; after it, other seeds for those at random: `compare random 100-200`.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let filter = args.get(1).map_or("", String::as_str);
    let seeds = args.get(2).map_or(suite::SEEDS, |seeds| range(seeds));
    let script = suite::script(seeds);
    let mut instances = script.instances();
    instances.retain(|instance| instance.id.contains(filter));
    match args.first().map(String::as_str) {
        Some("record") => {
            instances.retain(|instance| filter.is_empty() || instance.case.file == filter);
            record(&instances)
        }
        Some("verify") => report(&recorded(filter), &asked(Target::Kafka, &instances), &[]),
        Some("compare") => {
            report(&asked(Target::Kafka, &instances), &asked(Target::Ottla, &instances), &suite::known())
        }
        Some("replay") => report(&recorded(filter), &asked(Target::Ottla, &instances), &suite::known()),
        Some("listed") => report(&recorded(filter), &asked(Target::Ottla, &instances), &[]),
        Some("show") => show(&asked(Target::Ottla, &instances)),
        Some("kafka") => show(&asked(Target::Kafka, &instances)),
        _ => {
            eprint!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}

/// `FIRST-LAST`.
fn range(seeds: &str) -> RangeInclusive<u64> {
    let (first, last) = seeds.split_once('-').expect("seeds: FIRST-LAST");
    first.parse().expect("the first seed")..=last.parse().expect("the last seed")
}

fn asked(target: Target, instances: &[Instance<'_>]) -> Vec<Recorded> {
    let (_broker, endpoint) = suite::start(target);
    suite::run(instances, &endpoint)
}

fn recorded(filter: &str) -> Vec<Recorded> {
    let mut recorded = suite::recorded();
    recorded.retain(|recorded| recorded.id.contains(filter));
    recorded
}

/// Requests and reactions.
fn show(recorded: &[Recorded]) -> ExitCode {
    for Recorded { id, reactions, requests } in recorded {
        println!("== {id}");
        for (request, reaction) in requests.iter().zip(reactions) {
            println!("> {request}\n{reaction}");
        }
    }
    ExitCode::SUCCESS
}

/// Prints what differs and is not listed, each below the request of `others`.
fn report(kafka: &[Recorded], others: &[Recorded], known: &[Known]) -> ExitCode {
    let found = suite::compared(kafka, others);
    let (unlisted, _) = listed::unexplained(&found, known);
    let requests: HashMap<&str, &[String]> =
        others.iter().map(|other| (other.id.as_str(), other.requests.as_slice())).collect();
    let mut last = String::new();
    for difference in &unlisted {
        let request = requests.get(difference.id.as_str()).and_then(|all| all.get(difference.reaction - 1));
        let request = format!("# {}", request.map_or("nothing", String::as_str));
        if request != last {
            println!("{request}");
            last = request;
        }
        println!("{difference}");
    }
    let reactions: usize = kafka.iter().map(|recorded| recorded.reactions.len()).sum();
    eprintln!(
        "{} conversations, {reactions} reactions, {} differences, {} of them not listed",
        kafka.len(),
        found.len(),
        unlisted.len()
    );
    if unlisted.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes a file of answers for each file of cases.
fn record(instances: &[Instance<'_>]) -> ExitCode {
    let mut files: BTreeMap<&str, Vec<Recorded>> = BTreeMap::new();
    for (instance, recorded) in instances.iter().zip(asked(Target::Kafka, instances)) {
        files.entry(&instance.case.file).or_default().push(recorded);
    }
    let dir = suite::dir().join("recorded");
    fs::create_dir_all(&dir).expect("create the directory of recordings");
    for (file, recorded) in files {
        fs::write(dir.join(format!("{file}.txt")), recording::print(&recorded)).expect("write a recording");
    }
    ExitCode::SUCCESS
}
