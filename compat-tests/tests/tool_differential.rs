//! The official tools' output on Ottla, compared with what a real Apache Kafka 4.4.0 made them print.
//!
//! Each script of `differential/tools` holds tool runs with Kafka's recorded output. With Ottla (the default) its output
//! must be the same but for what `differences.txt` lists; with `OTTLA_COMPAT_TARGET=kafka` the recording is checked,
//! and with `OTTLA_DIFFERENTIAL=record` written again.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use ottla_compat_tests::layout::crate_dir;
use ottla_compat_tests::listed::{self, Known};
use ottla_compat_tests::tools::run_bare;
use ottla_compat_tests::transcript::tool_table::{NOT_RUN, TOOLS};
use ottla_compat_tests::transcript::{Difference, Run, Script, between};
use ottla_compat_tests::{Target, needs};

fn scripts_dir() -> PathBuf {
    crate_dir().join("differential/tools")
}

fn read(name: &str) -> String {
    let path = scripts_dir().join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn script(name: &str) -> Script {
    Script::parse(&read(&format!("{name}.txt"))).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn known() -> Vec<Known> {
    listed::read(&read("differences.txt")).unwrap_or_else(|e| panic!("differences.txt: {e}"))
}

/// Where a difference of this script is said to be begins with this.
fn place(name: &str) -> String {
    format!("{name} ")
}

fn check(name: &str) {
    needs!(Broker, Tools);
    let script = script(name);
    let answers = Run::whole(&script);
    if std::env::var("OTTLA_DIFFERENTIAL").is_ok_and(|mode| mode == "record") {
        assert_eq!(Target::current(), Target::Kafka, "only a real Kafka is recorded");
        let recorded = script.with_answers(&answers).to_string();
        fs::write(scripts_dir().join(format!("{name}.txt")), recorded).expect("write the recording");
        return;
    }
    let mut found: Vec<Difference> = Vec::new();
    for (step, answer) in script.steps().zip(&answers) {
        let place = format!("{}{}", place(name), step.title());
        found.extend(between(&place, &step.recorded.compared(), &answer.compared()));
    }
    let mut known = if Target::current() == Target::Kafka { Vec::new() } else { known() };
    known.retain(|known| known.is_of(&place(name)));
    let (unlisted, gone) = listed::unexplained(&found, &known);
    let unlisted: Vec<String> = unlisted.iter().map(ToString::to_string).collect();
    assert!(
        unlisted.is_empty() && gone.is_empty(),
        "not listed (script and run | stream | Kafka | ours):\n{}\n\nlisted and gone, lines {gone:?} of differences.txt",
        unlisted.join("\n")
    );
}

macro_rules! scripts {
    ($($name:ident),+ $(,)?) => {
        const SCRIPTS: &[&str] = &[$(stringify!($name)),+];
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })+
    };
}

scripts!(
    clients,
    cluster,
    configs_brokers,
    configs_others,
    configs_topics,
    console,
    disk,
    groups,
    groups_live,
    offsets,
    offsets_topic,
    other_groups,
    reassign,
    security,
    three_brokers,
    topics,
    transactions,
);

#[test]
fn every_script_has_its_test_and_every_listed_difference_its_script() {
    let entries = fs::read_dir(scripts_dir()).expect("the scripts' directory");
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let scripts: BTreeSet<String> = names.filter(|name| name != "differences.txt").collect();
    let tested: BTreeSet<String> = SCRIPTS.iter().map(|name| format!("{name}.txt")).collect();
    assert_eq!(scripts, tested);
    let of_a_script = |known: &Known| SCRIPTS.iter().any(|name| known.is_of(&place(name)));
    let stray: Vec<Known> = known().into_iter().filter(|known| !of_a_script(known)).collect();
    assert!(stray.is_empty(), "listed differences of no script: {stray:#?}");
}

#[test]
fn every_official_tool_is_run_or_has_its_reason() {
    let scripts: Vec<Script> = SCRIPTS.iter().map(|name| script(name)).collect();
    let run: BTreeSet<&str> =
        scripts.iter().flat_map(Script::steps).filter_map(|step| step.command.split(' ').next()).collect();
    let idle: Vec<&str> = TOOLS.iter().map(|(name, _)| *name).filter(|name| !run.contains(name)).collect();
    assert!(idle.is_empty(), "no script runs {idle:?}");

    needs!(Tools);
    let printed = run_bare("MainClasses", &["kafka-tools-", "kafka_2.13-"], "").ok();
    let there: BTreeSet<&str> = printed.lines().into_iter().collect();
    let run = TOOLS.iter().map(|(_, class)| *class);
    let named: BTreeSet<&str> = run.chain(NOT_RUN.iter().map(|(class, _)| *class)).collect();
    assert_eq!(there, named, "the jars' classes with a main, and those that tool_table.rs names");
}
