//! `cargo xtask failover [--rounds N] [--write]`: three real processes, beside a real three-node Kafka; `--write` makes
//! `docs/FAILOVER.md` of it.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use ottla_compat_tests::failover::{Idempotent, Seen, Victim, kill, rolling};
use ottla_compat_tests::layout::crate_dir;
use ottla_compat_tests::{Cluster, Target};

const OFFSETS: [(&str, &str); 1] = [("offsets.topic.replication.factor", "3")];

/// All that one cluster has shown.
struct Figures {
    leader: Vec<Seen>,
    with_controller: Vec<Seen>,
    rolling: Vec<Seen>,
    idempotent: Seen,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rounds = args.iter().position(|arg| arg == "--rounds").and_then(|at| args.get(at + 1)?.parse().ok());
    let known =
        |arg: &String| ["--rounds", "--write"].contains(&arg.as_str()) || arg.parse::<usize>().is_ok();
    if !args.iter().all(known) {
        eprintln!("failover [--rounds N] [--write]");
        return ExitCode::FAILURE;
    }
    let rounds = rounds.unwrap_or(5);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let ottla = runtime.block_on(measure(Target::Ottla, rounds));
    let kafka = runtime.block_on(measure(Target::Kafka, rounds));
    let page = page(rounds, &ottla, &kafka);
    print!("{page}");
    if args.iter().any(|arg| arg == "--write") {
        std::fs::write(page_path(), page).expect("write the page");
    }
    ExitCode::SUCCESS
}

fn page_path() -> PathBuf {
    crate_dir().join("../docs/FAILOVER.md")
}

async fn measure(target: Target, rounds: usize) -> Figures {
    let mut cluster = Cluster::prepared_as::<3>(target, &OFFSETS).launched();
    let throughout = Idempotent::start(&cluster).await;
    let (mut leader, mut with_controller) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for (victim, all) in
            [(Victim::Leader, &mut leader), (Victim::LeaderAndController, &mut with_controller)]
        {
            let seen = kill(&mut cluster, victim, round).await;
            eprintln!("{target:?} {victim:?} {seen:?}");
            all.push(seen);
        }
    }
    let rolling = rolling(&mut cluster).await;
    eprintln!("{target:?} rolling {rolling:?}");
    Figures { leader, with_controller, rolling, idempotent: throughout.finish().await }
}

fn page(rounds: usize, ottla: &Figures, kafka: &Figures) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let mut page = format!(
        "# When a node of three goes\n\n\
         Made by `cargo xtask failover --rounds {rounds} --write`, never by hand: three processes, each broker and controller, on one\n\
         machine of {cores} cores, with the settings that both ship (a broker's session is 9 s); first Ottla, then Apache Kafka 4.4.0,\n\
         with the same client and the same topics: three replicas, `min.insync.replicas=2`, acks=all. One record after the other is\n\
         sent to the partition in question, while idempotent producers work on others. A restarted node is in sync again before\n\
         the next blow.\n\n\
         | | Ottla | Apache Kafka 4.4.0 |\n|--|--|--|\n"
    );
    let mut row = |what: &str, of: &dyn Fn(&Figures) -> String| {
        let _ = writeln!(page, "| {what} | {} | {} |", of(ottla), of(kafka));
    };
    row("kill -9 of a partition's leader: first acknowledged write after it, median (longest)", &|all| {
        median(&all.leader)
    });
    row("the same where the leader is the active controller, too", &|all| median(&all.with_controller));
    row("rolling restart (SIGTERM): longest time without an acknowledgement, of three partitions", &|all| {
        let gaps: Vec<String> = all.rolling.iter().map(|seen| shown(seen.gap)).collect();
        gaps.join(", ")
    });
    let _ = writeln!(
        page,
        "\nOf {} records that Ottla has acknowledged meanwhile, {} are not where they were acknowledged; {} are there twice.",
        sum(ottla, |seen| seen.acknowledged),
        sum(ottla, |seen| seen.lost),
        sum(ottla, |seen| seen.duplicated)
    );
    page
}

fn median(all: &[Seen]) -> String {
    let mut gaps: Vec<Duration> = all.iter().map(|seen| seen.gap).collect();
    gaps.sort_unstable();
    format!("{} ({})", shown(gaps[gaps.len() / 2]), shown(gaps[gaps.len() - 1]))
}

fn shown(gap: Duration) -> String {
    format!("{} ms", gap.as_millis())
}

fn sum(all: &Figures, of: impl Fn(&Seen) -> usize) -> String {
    let seen = all.leader.iter().chain(&all.with_controller).chain(&all.rolling).chain([&all.idempotent]);
    seen.map(of).sum::<usize>().to_string()
}
