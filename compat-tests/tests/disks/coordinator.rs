//! Groups whose members go on while the broker is killed, after their state has been compacted: what was answered stands,
//! nobody is thrown out, and nothing goes back.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use ottla_compat_tests::layout::crate_dir;
use ottla_compat_tests::process::{eventually, spawn, wait_at_most};
use ottla_compat_tests::tools::{self, CONFIGS, CONSUMER_GROUPS, TOPICS};
use ottla_compat_tests::{Broker, Target, needs};

use crate::{LIMIT, OFTEN, cleaned_to, python};

const OFFSETS: &str = "__consumer_offsets";
const KILLS: usize = 2;

/// A running `python/member.py`, the only member of the group of its name.
struct Member {
    name: &'static str,
    child: Child,
    said: PathBuf,
}

impl Member {
    fn start(broker: &Broker, protocol: &'static str) -> Self {
        let said = broker.dir().join(format!("{protocol}.out"));
        let file = File::create(&said).expect("a file for what the member says");
        let mut command = python();
        command.arg(crate_dir().join("python/member.py")).args([&broker.address(), protocol, protocol, "t"]);
        command.stdin(Stdio::piped()).stdout(file).stderr(Stdio::null());
        Self { name: protocol, child: spawn(command).expect("start a member"), said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).expect("what the member said")
    }

    /// What it last heard that it has committed.
    fn committed(&self) -> i64 {
        let said = self.said();
        // The last line may not be whole yet.
        let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let last = whole.lines().rev().find_map(|line| line.strip_prefix("committed "));
        last.map_or(0, |offset| offset.parse().expect("an offset"))
    }

    /// Waits until it has committed the whole topic.
    fn catches_up(&self, end: i64) {
        eventually(self.name, LIMIT, || (self.committed() >= end).then_some(()));
    }

    /// Ends it; everything it ever said.
    fn stop(mut self) -> String {
        drop(self.child.stdin.take());
        let status = wait_at_most(&mut self.child, Duration::from_secs(30)).expect("the member ends");
        assert!(status.success(), "{}: {status}\n{}", self.name, self.said());
        self.said()
    }
}

/// CURRENT-OFFSET as the tool shows it.
fn committed(broker: &Broker, group: &str) -> i64 {
    let shown = tools::run(broker, CONSUMER_GROUPS, &["--describe", "--group", group, "--offsets"]).ok();
    let fields = shown.fields_of(group);
    fields[3].parse().unwrap_or_else(|_| panic!("no offset\n{shown}"))
}

fn produce(broker: &Broker, count: i64) {
    let lines: String = (0..count).map(|n| format!("{n}\n")).collect();
    tools::run_with_stdin(broker, tools::CONSOLE_PRODUCER, &["--topic", "t"], &lines).ok();
}

#[test]
fn groups_go_on_through_compaction_and_kills() {
    needs!(Broker, Tools, Python);
    let mut broker = Broker::start_as(Target::Ottla, &OFTEN);
    tools::run(&broker, TOPICS, &["--create", "--topic", "t", "--partitions", "1"]).ok();
    produce(&broker, 1);
    let members = ["classic", "consumer"].map(|protocol| Member::start(&broker, protocol));
    members.iter().for_each(|member| member.catches_up(1));
    let often = "segment.ms=200,min.cleanable.dirty.ratio=0.001";
    let alter = ["--alter", "--entity-type", "topics", "--entity-name", OFFSETS, "--add-config", often];
    tools::run(&broker, CONFIGS, &alter).ok();
    let (mut end, mut cleaned) = (1, 0);
    for _ in 0..KILLS {
        // Each record makes a commit of each member; together they take several segments.
        for _ in 0..4 {
            produce(&broker, 25);
            end += 25;
            members.iter().for_each(|member| member.catches_up(end));
        }
        cleaned = eventually("the cleaner has gone on in the offsets topic", LIMIT, || {
            Some(cleaned_to(&broker, OFFSETS)).filter(|offset| *offset > cleaned)
        });
        broker.kill_9();
        let heard = members.each_ref().map(Member::committed);
        broker.restart();
        for (member, heard) in members.iter().zip(heard) {
            let kept = committed(&broker, member.name);
            assert!(kept >= heard, "{} had committed {heard}, the broker says {kept}", member.name);
        }
    }
    produce(&broker, 5);
    end += 5;
    members.iter().for_each(|member| member.catches_up(end));
    for member in members {
        let name = member.name;
        let said = member.stop();
        let assigned = said.lines().filter(|line| line.starts_with("assigned")).count();
        assert!(assigned == 1 && !said.contains("lost"), "{name} has been thrown out\n{said}");
        let offsets = said
            .lines()
            .filter_map(|line| line.strip_prefix("committed "))
            .map(|offset| offset.parse::<i64>().expect("an offset"));
        assert!(offsets.is_sorted(), "{name} went back\n{said}");
        assert_eq!(committed(&broker, name), end);
    }
}
