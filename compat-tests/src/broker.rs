//! One broker process: started on free ports in a directory of its own, stopped however the test wants.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::layout::scratch_dir;
use crate::process::{BOUND_ARGS, bound_command, spawn, wait_at_most};
use crate::small_disk::SmallDisk;
use crate::target::{Settings, Target};
use crate::wire::Connection;

/// Generous: a JVM on a machine that compiles beside it takes its time.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running (or stopped, or killed) broker; dropped, it is killed and its directory removed.
#[derive(Debug)]
pub struct Broker {
    target: Target,
    settings: Settings,
    /// A program that starts the broker's, with its arguments.
    starter: Vec<String>,
    /// The data directory as this process reaches it.
    data_dir: PathBuf,
    child: Option<Child>,
}

impl Broker {
    /// Starts a broker with default settings and waits until it answers.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a broker with these settings of `server.properties` and waits until it answers.
    pub fn start_with(overrides: &[(&str, &str)]) -> Self {
        let mut broker = Self::prepared(overrides);
        broker.restart();
        broker
    }

    /// Starts a broker of this kind, whatever the tests run against.
    pub fn start_as(target: Target, overrides: &[(&str, &str)]) -> Self {
        let mut broker = Self::prepared_as(target, overrides);
        broker.restart();
        broker
    }

    /// Ports and a directory, and no process yet; `{dir}` in a setting is that directory.
    pub fn prepared(overrides: &[(&str, &str)]) -> Self {
        Self::prepared_as(Target::current(), overrides)
    }

    /// The same, of this kind whatever the tests run against.
    pub fn prepared_as(target: Target, overrides: &[(&str, &str)]) -> Self {
        let dir = scratch_dir("broker");
        let path = dir.display().to_string();
        let overrides = overrides.iter().map(|(k, v)| ((*k).to_owned(), v.replace("{dir}", &path))).collect();
        let [port, second_port] = free_ports();
        let data_dir = dir.join("data");
        let (host, options) = (Ipv4Addr::LOCALHOST, Vec::new());
        let settings = Settings { host, port, second_port, dir, overrides, options };
        Self { target, settings, starter: Vec::new(), data_dir, child: None }
    }

    /// Sets a setting of `server.properties` of a process that has not started yet.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.overrides.retain(|(known, _)| known != key);
        self.settings.overrides.push((key.to_owned(), value.to_owned()));
    }

    /// Gives a process that has not started yet an option of the command line.
    pub fn option(&mut self, name: &str, value: &str) {
        self.settings.options.extend([name.to_owned(), value.to_owned()]);
    }

    /// Takes all that is on the disk of a process that has gone.
    pub fn empty_disk(&self) {
        fs::remove_dir_all(self.data_dir()).expect("the data directory");
    }

    /// Has a process that has not started yet listen at this address.
    pub fn listen_at(&mut self, host: Ipv4Addr) {
        self.settings.host = host;
    }

    /// Has the process started by another program (`nsenter ... --`) that becomes it.
    pub fn start_through(&mut self, starter: Vec<String>) {
        self.starter = starter;
    }

    /// Has the process started where its data directory is this disk.
    pub fn start_on(&mut self, disk: &SmallDisk) {
        self.start_through(disk.starter());
        self.data_dir = disk.dir();
    }

    /// Starts the process again, on the same ports and directory, and waits until it answers.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "the broker runs already");
        self.launch();
        self.await_answer();
    }

    /// Waits until the process that was launched answers.
    pub fn await_answer(&mut self) {
        let deadline = Instant::now() + START_LIMIT;
        while !self.answers() {
            if let Some(status) = self.exited() {
                panic!("the broker ended with {status} while starting\n{}", self.log_tail());
            }
            assert!(Instant::now() < deadline, "no answer within {START_LIMIT:?}\n{}", self.log_tail());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the process and does not wait for anything.
    pub fn launch(&mut self) {
        let mut command = self.target.command(&self.settings);
        if let Some((program, args)) = self.starter.split_first() {
            let mut through = bound_command(program);
            through.args(args).args(command.get_args().skip(BOUND_ARGS));
            command = through;
        }
        command.stdin(Stdio::null()).stdout(self.log_file("stdout.log")).stderr(self.log_file("stderr.log"));
        self.child = Some(spawn(command).expect("start the broker"));
    }

    fn log_file(&self, name: &str) -> File {
        let path = self.settings.dir.join(name);
        OpenOptions::new().create(true).append(true).open(path).expect("open the broker's log")
    }

    fn answers(&self) -> bool {
        Connection::open_at(self.settings.host, self.settings.port)
            .and_then(|mut c| c.api_versions(0))
            .is_ok()
    }

    /// `host:port`, for clients.
    pub fn address(&self) -> String {
        format!("{}:{}", self.settings.host, self.settings.port)
    }

    pub fn host(&self) -> Ipv4Addr {
        self.settings.host
    }

    pub fn port(&self) -> u16 {
        self.settings.port
    }

    /// The port of `/metrics` and `/health` (Ottla) or of the controller listener (Kafka).
    pub fn second_port(&self) -> u16 {
        self.settings.second_port
    }

    /// The scratch directory: the logs of the process, and the data directory.
    pub fn dir(&self) -> &Path {
        &self.settings.dir
    }

    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone()
    }

    /// The directory of one partition.
    pub fn partition_dir(&self, topic: &str, partition: i32) -> PathBuf {
        self.data_dir().join(format!("{topic}-{partition}"))
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// kill -9, and waits until the process is gone.
    pub fn kill_9(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).expect("a running broker");
        kill(Pid::from_raw(pid), signal).expect("signal the broker");
    }

    /// SIGTERM, then the exit status and how long it took; fails after `limit`.
    pub fn terminate(&mut self, limit: Duration) -> (ExitStatus, Duration) {
        let from = Instant::now();
        self.signal(Signal::SIGTERM);
        let status = self.wait_exit(limit);
        (status, from.elapsed())
    }

    /// The exit status of a process that ends by itself within `limit`.
    pub fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let child = self.child.as_mut().expect("a running broker");
        let status = wait_at_most(child, limit);
        let Some(status) = status else { panic!("still running after {limit:?}\n{}", self.log_tail()) };
        self.child = None;
        status
    }

    fn exited(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().expect("wait for the broker"))
    }

    pub fn stdout(&self) -> String {
        fs::read_to_string(self.settings.dir.join("stdout.log")).unwrap_or_default()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.settings.dir.join("stderr.log")).unwrap_or_default()
    }

    /// The last lines of what the process printed, for failure messages.
    pub fn log_tail(&self) -> String {
        let text = format!("-- stdout\n{}-- stderr\n{}", self.stdout(), self.stderr());
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill_9();
        if std::thread::panicking() {
            eprintln!("broker in {}\n{}", self.settings.dir.display(), self.log_tail());
        } else {
            let _ = fs::remove_dir_all(&self.settings.dir);
        }
    }
}

/// Ports that the system gives to no outgoing connection: one of those could be taken between now and the broker's start.
const PORTS: std::ops::Range<u32> = 10_000..32_000;

/// Distinct ports on which nobody listens, nor at the one after each, where a broker that runs alone serves controllers; each
/// test process begins elsewhere.
pub fn free_ports<const N: usize>() -> [u16; N] {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let count = (PORTS.end - PORTS.start) / 2;
    let next = || {
        let turn = std::process::id().wrapping_mul(97).wrapping_add(TAKEN.fetch_add(1, Ordering::Relaxed));
        u16::try_from(PORTS.start + turn % count * 2).expect("a port")
    };
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    [(); N].map(|()| (0..count).map(|_| next()).find(is_free).expect("a free port"))
}
