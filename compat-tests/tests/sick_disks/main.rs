//! Disks that are full, fail or are slow, for real: a small file system, and system calls that strace makes fail.

mod admin;
mod damaged;
mod opening;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use ottla_compat_tests::kcat::{consume_all, kcat_any, produce_lines};
use ottla_compat_tests::needs::only_on;
use ottla_compat_tests::process::{bound_command, eventually, spawn, wait_at_most};
use ottla_compat_tests::small_disk::SmallDisk;
use ottla_compat_tests::{Broker, Target, http, needs};

const LIMIT: Duration = Duration::from_secs(60);

/// Values that tell which they are, a kilobyte each.
fn lines(from: usize, count: usize) -> String {
    (from..from + count).map(|number| format!("{number:07} {}\n", "x".repeat(1_000))).collect()
}

fn numbers(broker: &Broker, topic: &str) -> Vec<usize> {
    let read = consume_all(broker, topic, "%s\n");
    read.lines().map(|line| line[..7].parse().expect("a number")).collect()
}

fn metric(broker: &Broker, name: &str) -> f64 {
    let (status, body) = http::get(broker.second_port(), "/metrics").expect("metrics");
    assert_eq!(status, 200);
    let line = body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

fn said(broker: &Broker, text: &str) -> usize {
    broker.stdout().matches(text).count() + broker.stderr().matches(text).count()
}

/// A broker whose data are on a disk of 48 MiB, with 16 MiB of `victim` and some of `t`, and no room.
fn on_a_full_disk() -> (Broker, SmallDisk) {
    let mut broker = Broker::prepared(&[
        ("log.segment.bytes", "1048576"),
        ("log.segment.delete.delay.ms", "500"),
        ("log.retention.check.interval.ms", "1000"),
        ("log.initial.task.delay.ms", "500"),
    ]);
    let disk = SmallDisk::mount(&broker.data_dir(), 48 << 20);
    broker.start_on(&disk);
    broker.restart();
    produce_lines(&broker, "t", &lines(0, 1_000));
    produce_lines(&broker, "victim", &lines(0, 16_000));
    disk.fill();
    (broker, disk)
}

/// An idempotent producer that goes on until all is acknowledged.
fn producing(broker: &Broker, topic: &str, from: usize, count: usize) -> Child {
    let mut command = bound_command("kcat");
    command.args(["-b", &broker.address(), "-P", "-t", topic, "-p", "0", "-X", "enable.idempotence=true"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = spawn(command).expect("start kcat");
    let mut stdin = child.stdin.take().expect("piped stdin");
    let text = lines(from, count);
    std::thread::spawn(move || {
        use std::io::Write;
        let _ = stdin.write_all(text.as_bytes());
    });
    child
}

fn finished(mut child: Child) {
    let status = wait_at_most(&mut child, LIMIT);
    assert!(status.is_some_and(|status| status.success()), "the producer: {status:?}");
}

/// Everything but writing goes on.
fn lives_without_room(broker: &Broker, known: usize) {
    let briefly = ["-P", "-t", "t", "-p", "0", "-X", "message.timeout.ms=2000"];
    let refused = kcat_any(broker, &briefly, Some(lines(9_000_000, 2_000).as_bytes()));
    assert!(!refused.status.success(), "nothing was refused");
    assert_eq!(&numbers(broker, "t")[..known], (0..known).collect::<Vec<_>>());
    assert_eq!(metric(broker, "ottla_log_dirs_full"), 1.0);
    assert_eq!(metric(broker, "ottla_log_dirs_offline"), 0.0);
    assert!(metric(broker, "ottla_log_dir_refusals_total") > 1.0);
    let full = said(broker, "log dir is full: writes are refused until there is room");
    assert_eq!(full, 1, "{}", broker.log_tail());
    assert_eq!(said(broker, "offline"), 0, "{}", broker.log_tail());
}

#[test]
fn on_a_full_disk_all_but_writing_goes_on_and_writing_too_once_there_is_room() {
    needs!(Broker, Kcat, Mounts);
    if !only_on(Target::Ottla) {
        return;
    }
    let (broker, _disk) = on_a_full_disk();
    lives_without_room(&broker, 1_000);
    let written = numbers(&broker, "t").len();
    let producer = producing(&broker, "t", 1_000, 3_000);
    assert_eq!(admin::create(&broker, "new", &[]), 0, "the metadata log has what it reserved");
    assert_eq!(admin::delete_records(&broker, "t", 10), 0);
    assert_eq!(numbers(&broker, "t")[0], 10);
    assert_eq!(admin::delete(&broker, "victim"), 0);
    finished(producer);
    let read = numbers(&broker, "t");
    assert_eq!(read[written - 10..], (1_000..4_000).collect::<Vec<_>>());
    produce_lines(&broker, "new", &lines(0, 1));
    assert_eq!(numbers(&broker, "new"), [0], "its log is made once there is room");
    eventually("said once", LIMIT, || (said(&broker, "log dir has room again") == 1).then_some(()));
}

#[test]
fn a_broker_stops_and_starts_without_a_byte_of_room_and_makes_some() {
    needs!(Broker, Kcat, Mounts);
    if !only_on(Target::Ottla) {
        return;
    }
    for is_killed in [false, true] {
        let (mut broker, disk) = on_a_full_disk();
        if is_killed {
            broker.kill_9();
        } else {
            let (status, _) = broker.terminate(LIMIT);
            assert!(status.success(), "{status}");
        }
        // What the stop gave back is taken, too.
        disk.fill();
        broker.restart();
        lives_without_room(&broker, 1_000);
        let written = numbers(&broker, "t").len();
        assert_eq!(admin::delete(&broker, "victim"), 0);
        finished(producing(&broker, "t", 1_000, 2_000));
        assert_eq!(numbers(&broker, "t")[written..], (1_000..3_000).collect::<Vec<_>>());
        let (status, _) = broker.terminate(LIMIT);
        assert!(status.success(), "{status}");
        broker.restart();
        assert_eq!(numbers(&broker, "t").len(), written + 2_000);
    }
}

/// strace on a running broker that does something to calls that concern a file.
struct Injection(Child);

impl Injection {
    fn begin(broker: &Broker, inject: &str, paths: &[PathBuf]) -> Self {
        let log = broker.dir().join("strace.log");
        let mut command = bound_command("strace");
        command.args(["-f", "-p", &broker.pid().expect("a running broker").to_string(), "-o"]).arg(&log);
        for path in paths {
            command.arg("-P").arg(path);
        }
        command.args(["-e", "trace=pwrite64,pwritev,fdatasync", "-e", &format!("inject={inject}")]);
        let stderr = std::fs::File::create(broker.dir().join("strace.err")).expect("a file for stderr");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        let child = spawn(command).expect("start strace");
        eventually("strace attached", LIMIT, || {
            let said = std::fs::read_to_string(broker.dir().join("strace.err")).unwrap_or_default();
            said.contains("attached").then_some(())
        });
        Self(child)
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn segment(dir: &Path, topic: &str) -> PathBuf {
    dir.join(format!("{topic}-0/{:020}.log", 0))
}

/// Two log dirs; topics go to them in turn.
fn with_two_dirs() -> (Broker, [PathBuf; 2]) {
    let broker = Broker::start_with(&[("log.dirs", "{dir}/data,{dir}/second")]);
    let dirs = [broker.data_dir(), broker.dir().join("second")];
    (broker, dirs)
}

#[test]
fn a_log_dir_that_fails_goes_offline_for_good_and_the_other_serves_on() {
    needs!(Broker, Kcat, Strace);
    if !only_on(Target::Ottla) {
        return;
    }
    for inject in ["pwrite64,pwritev:error=EIO", "fdatasync:error=EIO", "fdatasync:error=ENOSPC"] {
        let (mut broker, [first, second]) = with_two_dirs();
        for topic in ["good", "bad"] {
            assert_eq!(admin::create(&broker, topic, &[("flush.messages", "1")]), 0);
            produce_lines(&broker, topic, &lines(0, 10));
        }
        assert!(segment(&first, "good").exists() && segment(&second, "bad").exists());
        let injection = Injection::begin(&broker, inject, &[segment(&second, "bad")]);
        let briefly = ["-P", "-t", "bad", "-p", "0", "-X", "message.timeout.ms=3000"];
        let refused = kcat_any(&broker, &briefly, Some(lines(10, 1).as_bytes()));
        assert!(!refused.status.success(), "{inject}: acknowledged");
        eventually("the dir offline", LIMIT, || {
            (metric(&broker, "ottla_log_dirs_offline") == 1.0).then_some(())
        });
        assert_eq!(said(&broker, "log dir offline"), 1, "{inject}\n{}", broker.log_tail());
        drop(injection);
        // The disk would do again, and is not asked.
        assert!(
            !kcat_any(&broker, &briefly, Some(lines(10, 1).as_bytes())).status.success(),
            "{inject}: retried"
        );
        produce_lines(&broker, "good", &lines(10, 10));
        assert_eq!(numbers(&broker, "good"), (0..20).collect::<Vec<_>>());
        broker.kill_9();
        broker.restart();
        let read = numbers(&broker, "bad");
        assert!(read.len() <= 11 && read[..10] == (0..10).collect::<Vec<_>>(), "{inject}: {read:?}");
    }
}

#[test]
fn slow_fsyncs_of_some_partitions_are_waited_for_by_no_other() {
    needs!(Broker, Kcat, Strace);
    if !only_on(Target::Ottla) {
        return;
    }
    let (broker, [first, second]) = with_two_dirs();
    for topic in ["fast", "slow1", "lazy", "slow2", "x", "slow3"] {
        let flush = if topic == "lazy" { "100000" } else { "1" };
        assert_eq!(admin::create(&broker, topic, &[("flush.messages", flush)]), 0);
        produce_lines(&broker, topic, &lines(0, 1));
    }
    let slow = ["slow1", "slow2", "slow3"].map(|topic| segment(&second, topic));
    assert!(slow.iter().all(|path| path.exists()) && segment(&first, "fast").exists());
    let _injection = Injection::begin(&broker, "fdatasync:delay_enter=4000000", &slow);
    let producers = ["slow1", "slow2", "slow3"].map(|topic| producing(&broker, topic, 1, 1));
    std::thread::sleep(Duration::from_millis(500));
    let from = Instant::now();
    produce_lines(&broker, "fast", &lines(1, 1));
    produce_lines(&broker, "lazy", &lines(1, 1));
    assert_eq!(numbers(&broker, "fast"), [0, 1]);
    let took = from.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    producers.into_iter().for_each(finished);
    assert!(from.elapsed() > Duration::from_secs(3), "nothing was slow");
}
