//! The official tools' output on Ottla, compared with what a real Apache Kafka 4.4.0 made them print.
//!
//! Each script of `differential/tools` holds tool runs with Kafka's recorded output. With Ottla (the default) its output
//! must be the same but for what `differences.txt` lists; with `OTTLA_COMPAT_TARGET=kafka` the recording is checked,
//! and with `OTTLA_DIFFERENTIAL=record` written again. `OTTLA_DIFFERENTIAL=list` lists what differs on Ottla now: known
//! differences keep their reasons, new ones wait for theirs. Without that variable nothing is run: the list is not whole
//! yet, and scripts without `= ` lines are not recorded yet.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use ottla_compat_tests::layout::crate_dir;
use ottla_compat_tests::needs::asked_for;
use ottla_compat_tests::transcript::{Difference, Differences, Run, Script};
use ottla_compat_tests::{Target, needs};

fn scripts_dir() -> PathBuf {
    crate_dir().join("differential/tools")
}

fn read(name: &str) -> String {
    let path = scripts_dir().join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn differences() -> Differences {
    Differences::parse(&read("differences.txt")).unwrap_or_else(|e| panic!("differences.txt: {e}"))
}

fn check(file: &str) {
    needs!(Broker, Tools);
    let script = Script::parse(&read(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    if !asked_for("OTTLA_DIFFERENTIAL") {
        return;
    }
    let answers = Run::whole(&script);
    let mode = std::env::var("OTTLA_DIFFERENTIAL").unwrap_or_default();
    if mode == "record" {
        assert_eq!(Target::current(), Target::Kafka, "only a real Kafka is recorded");
        let recorded = script.with_answers(&answers).to_string();
        fs::write(scripts_dir().join(file), recorded).expect("write the recording");
        return;
    }
    let found: Vec<Difference> = script
        .steps()
        .zip(&answers)
        .filter_map(|(step, answer)| {
            let name = format!("{file} {}", step.title());
            Difference::between(name, &step.recorded.compared(), &answer.compared())
        })
        .collect();
    if mode == "list" {
        list(file, &found);
    }
    let listed = if Target::current() == Target::Kafka { Differences::default() } else { differences() };
    let (unlisted, gone) = listed.check(file, &found);
    let shown = |list: &[Difference]| list.iter().map(|d| format!("{d}\n")).collect::<String>();
    assert!(
        unlisted.is_empty() && gone.is_empty(),
        "{file}: {} of {} steps differ and are not listed:\n\n{}\n{} are listed and gone:\n\n{}",
        unlisted.len(),
        answers.len(),
        shown(&unlisted),
        gone.len(),
        shown(&gone)
    );
}

fn list(file: &str, found: &[Difference]) {
    static FILE: Mutex<()> = Mutex::new(());
    let _alone = FILE.lock();
    let listed = differences().relisted(file, found);
    fs::write(scripts_dir().join("differences.txt"), listed.to_string()).expect("write the list");
}

macro_rules! scripts {
    ($($name:ident),+ $(,)?) => {
        const SCRIPTS: &[&str] = &[$(concat!(stringify!($name), ".txt")),+];
        $(#[test]
        fn $name() {
            check(concat!(stringify!($name), ".txt"));
        })+
    };
}

scripts!(
    cluster,
    configs_brokers,
    configs_others,
    configs_topics,
    console,
    groups,
    groups_live,
    offsets,
    offsets_topic,
    reassign,
    security,
    topics,
    transactions,
    workload,
);

#[test]
fn every_script_has_its_test_and_every_listed_difference_its_script() {
    let entries = fs::read_dir(scripts_dir()).expect("the scripts' directory");
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| name != "differences.txt");
    names.sort();
    let mut tested = SCRIPTS.to_vec();
    tested.sort_unstable();
    assert_eq!(names, tested);
    let differences = differences();
    let stray = differences.steps().find(|step| !SCRIPTS.iter().any(|name| step.starts_with(name)));
    assert_eq!(stray, None, "a listed difference of no script");
}
