//! The official command-line tools, run inside one JVM per test binary (`java/ToolRunner.java`).

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::broker::Broker;
use crate::layout::{cache_dir, scratch_dir};
use crate::process::{bound_command, run as run_process, spawn, wait_at_most};

pub const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";
pub const CONFIGS: &str = "kafka.admin.ConfigCommand";
pub const CONSOLE_PRODUCER: &str = "org.apache.kafka.tools.ConsoleProducer";
pub const CONSOLE_CONSUMER: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
pub const CONSUMER_GROUPS: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
pub const GROUPS: &str = "org.apache.kafka.tools.GroupsCommand";
pub const GET_OFFSETS: &str = "org.apache.kafka.tools.GetOffsetShell";
pub const DELETE_RECORDS: &str = "org.apache.kafka.tools.DeleteRecordsCommand";
pub const TRANSACTIONS: &str = "org.apache.kafka.tools.TransactionsCommand";
pub const LOG_DIRS: &str = "org.apache.kafka.tools.LogDirsCommand";
pub const BROKER_API_VERSIONS: &str = "org.apache.kafka.tools.BrokerApiVersionsCommand";
pub const CLUSTER: &str = "org.apache.kafka.tools.ClusterTool";
pub const FEATURES: &str = "org.apache.kafka.tools.FeatureCommand";
pub const LEADER_ELECTION: &str = "org.apache.kafka.tools.LeaderElectionCommand";
pub const REASSIGN_PARTITIONS: &str = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";
pub const METADATA_QUORUM: &str = "org.apache.kafka.tools.MetadataQuorumCommand";
pub const ACLS: &str = "org.apache.kafka.tools.AclCommand";
pub const DUMP_LOG: &str = "org.apache.kafka.tools.DumpLogSegments";
pub const PRODUCER_PERF: &str = "org.apache.kafka.tools.ProducerPerformance";
pub const CONSUMER_PERF: &str = "org.apache.kafka.tools.ConsumerPerformance";
pub const E2E_LATENCY: &str = "org.apache.kafka.tools.EndToEndLatency";
pub const CLIENT_METRICS: &str = "org.apache.kafka.tools.ClientMetricsCommand";
pub const VERIFIABLE_PRODUCER: &str = "org.apache.kafka.tools.VerifiableProducer";
pub const VERIFIABLE_CONSUMER: &str = "org.apache.kafka.tools.VerifiableConsumer";

const LIMIT: Duration = Duration::from_secs(120);

/// What a tool printed and its exit code.
#[derive(Debug, Clone)]
pub struct Ran {
    pub command: String,
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Exit code 0, or the test fails and shows what was printed.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.code == 0, "exit code {}\n{self}", self.code);
        self
    }

    /// An exit code that is not 0.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert!(self.code != 0, "exit code 0, expected a failure\n{self}");
        self
    }

    /// Stdout or stderr holds this text.
    #[track_caller]
    pub fn shows(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "does not show {text:?}\n{self}");
        self
    }

    /// Neither stdout nor stderr holds this text.
    #[track_caller]
    pub fn hides(self, text: &str) -> Self {
        assert!(!self.out.contains(text) && !self.err.contains(text), "shows {text:?}\n{self}");
        self
    }

    /// Stdout's lines without blank ends, empty ones left out.
    pub fn lines(&self) -> Vec<&str> {
        self.out.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect()
    }

    /// Fields of the first stdout line that holds `text`, split at white space.
    #[track_caller]
    pub fn fields_of(&self, text: &str) -> Vec<&str> {
        let line = self.out.lines().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("no line with {text:?}\n{self}")).split_whitespace().collect()
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "$ {}\n-- stdout\n{}\n-- stderr\n{}", self.command, excerpt(&self.out), excerpt(&self.err))
    }
}

/// The first lines of a text, none of them endless: failure messages are read by people.
fn excerpt(text: &str) -> String {
    let cut = |line: &str| line.chars().take(200).collect::<String>();
    let mut lines: Vec<String> = text.lines().take(16).map(cut).collect();
    if text.lines().count() > lines.len() {
        lines.push("...".to_owned());
    }
    lines.join("\n")
}

/// Runs `tool` with `--bootstrap-server` of `broker` before `args`.
#[track_caller]
pub fn run(broker: &Broker, tool: &str, args: &[&str]) -> Ran {
    run_with_stdin(broker, tool, args, "")
}

/// As [`run`], with text on the tool's stdin.
#[track_caller]
pub fn run_with_stdin(broker: &Broker, tool: &str, args: &[&str], stdin: &str) -> Ran {
    let address = broker.address();
    let mut all = vec!["--bootstrap-server", &address];
    all.extend_from_slice(args);
    run_bare(tool, &all, stdin)
}

/// Runs `tool` with exactly these arguments.
#[track_caller]
pub fn run_bare(tool: &str, args: &[&str], stdin: &str) -> Ran {
    let ran = run_within(LIMIT, tool, args, stdin);
    ran.unwrap_or_else(|| panic!("no end within {LIMIT:?}: {}", shown(tool, args)))
}

/// Runs `tool` with exactly these arguments; `None` if it has no end within `limit`.
#[track_caller]
pub fn run_within(limit: Duration, tool: &str, args: &[&str], stdin: &str) -> Option<Ran> {
    let command = shown(tool, args);
    match jvm().call(tool, args, stdin).recv_timeout(limit) {
        Ok((code, out, err)) => Some(Ran { command, code, out, err }),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => panic!("the tools' JVM ended during: {command}"),
    }
}

fn shown(tool: &str, args: &[&str]) -> String {
    format!("{} {}", tool.rsplit('.').next().unwrap_or(tool), args.join(" "))
}

/// Runs `tool` with exactly these arguments in a JVM of its own, for tools that work in the JVM's own exit hooks.
#[track_caller]
pub fn run_alone(tool: &str, args: &[&str]) -> Ran {
    let output = run_process(own_jvm(tool, args), None, LIMIT);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().unwrap_or(-1);
    let command = format!("{tool} {}", args.join(" "));
    Ran { command, code, out: text(&output.stdout), err: text(&output.stderr) }
}

/// Runs `tool`, which has no end, in a JVM of its own: SIGTERM once a line of its stdout holds `text`. `None` if none
/// does within `limit`.
pub fn run_staying(tool: &str, args: &[&str], text: &str, limit: Duration) -> Option<Ran> {
    let mut command = own_jvm(tool, args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = spawn(command).expect("start a tool");
    let stdout = BufReader::new(child.stdout.take().expect("piped stdout"));
    let (sender, receiver) = channel();
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let deadline = Instant::now() + limit;
    let mut out = String::new();
    let shows = loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Ok(line) = receiver.recv_timeout(left) else { break false };
        out.push_str(&format!("{line}\n"));
        if line.contains(text) {
            break true;
        }
    };
    let _ = kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), Signal::SIGTERM);
    let status = wait_at_most(&mut child, limit);
    let _ = child.kill();
    let code = status.and_then(|status| status.code()).unwrap_or(-1);
    shows.then(|| Ran { command: shown(tool, args), code, out, err: String::new() })
}

/// A command that runs `tool` in a JVM of its own, for tools that stay.
pub fn own_jvm(tool: &str, args: &[&str]) -> Command {
    let mut command = java();
    command.arg(tool).args(args);
    command
}

/// Where tools put their temporary files.
pub fn temporary_dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| scratch_dir("tmp"))
}

fn java() -> Command {
    let cache = cache_dir();
    let mut command = bound_command("java");
    command
        .args(["-Xmx256M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.security.manager=allow"])
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .arg(format!("-Djava.io.tmpdir={}", temporary_dir().display()))
        .args([
            "-cp",
            &format!("{}:{}/*", cache.join("classes").display(), cache.join("tools/libs").display()),
        ]);
    command
}

type Answer = (i32, String, String);
type Waiting = Arc<Mutex<HashMap<u64, Sender<Answer>>>>;

struct Jvm {
    stdin: Mutex<(u64, ChildStdin)>,
    waiting: Waiting,
    _child: Child,
}

fn jvm() -> &'static Jvm {
    static JVM: OnceLock<Jvm> = OnceLock::new();
    JVM.get_or_init(|| {
        let mut command = java();
        command.arg("ToolRunner").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn(command).expect("start the tools' JVM");
        let stdin = Mutex::new((0, child.stdin.take().expect("piped stdin")));
        let waiting = Waiting::default();
        let stdout = child.stdout.take().expect("piped stdout");
        let answers = Arc::clone(&waiting);
        std::thread::spawn(move || deliver(stdout, &answers));
        Jvm { stdin, waiting, _child: child }
    })
}

impl Jvm {
    fn call(&self, tool: &str, args: &[&str], stdin: &str) -> Receiver<Answer> {
        let args: Vec<String> = args.iter().map(|arg| to_hex(arg.as_bytes())).collect();
        let (sender, receiver) = channel();
        let mut pipe = lock(&self.stdin);
        pipe.0 += 1;
        let id = pipe.0;
        lock(&self.waiting).insert(id, sender);
        let request = format!("{id}\t{tool}\t{}\t{}\n", args.join(","), to_hex(stdin.as_bytes()));
        pipe.1.write_all(request.as_bytes()).expect("the tools' JVM reads");
        pipe.1.flush().expect("the tools' JVM reads");
        receiver
    }
}

fn deliver(stdout: ChildStdout, waiting: &Waiting) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        let Some((id, answer)) = parse_answer(&line) else { continue };
        if let Some(sender) = lock(waiting).remove(&id) {
            let _ = sender.send(answer);
        }
    }
    lock(waiting).clear();
}

fn parse_answer(line: &str) -> Option<(u64, Answer)> {
    let mut fields = line.split('\t');
    let id = fields.next()?.parse().ok()?;
    let code = fields.next()?.parse().ok()?;
    let out = from_hex(fields.next()?)?;
    let err = from_hex(fields.next()?)?;
    Some((id, (code, out, err)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn from_hex(text: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> =
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect();
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
