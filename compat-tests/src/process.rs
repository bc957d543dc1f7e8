//! Child processes that cannot outlive the test process.
//!
//! Each child is started through `setpriv --pdeathsig KILL`, so the kernel kills it when its parent thread ends; a
//! test thread ends with its test, so one thread that lives as long as the process does the starting.

use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

type Start = (Command, mpsc::Sender<std::io::Result<Child>>);

/// Starts `command` from the thread that lives as long as the process.
pub fn spawn(command: Command) -> std::io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Start>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Start>();
        thread::spawn(move || {
            for (mut command, reply) in receiver {
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).expect("the spawning thread lives as long as the process");
    answer.recv().expect("the spawning thread answers")
}

/// What [`bound_command`] puts in front of the program.
const BOUND: [&str; 3] = ["--pdeathsig", "KILL", "--"];
pub(crate) const BOUND_ARGS: usize = BOUND.len();

/// A command for `program` that is killed when this process ends.
pub fn bound_command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(BOUND).arg(program);
    command
}

/// Runs to the end within `limit`; what it printed, and its status. On overrun it is killed and the test fails.
pub fn run(mut command: Command, stdin: Option<&[u8]>, limit: Duration) -> Output {
    let shown = format!("{command:?}");
    command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command).unwrap_or_else(|e| panic!("start {shown}: {e}"));
    let out = child.stdout.take().map(drain).expect("piped stdout");
    let err = child.stderr.take().map(drain).expect("piped stderr");
    if let (Some(bytes), Some(mut pipe)) = (stdin, child.stdin.take()) {
        use std::io::Write;
        // A program that ends early closes its stdin; its exit status says so.
        let _ = pipe.write_all(bytes);
    }
    let status = wait_at_most(&mut child, limit);
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let stdout = out.join().expect("reader of stdout");
    let stderr = err.join().expect("reader of stderr");
    let Some(status) = status else {
        panic!(
            "{shown} did not end within {limit:?}\n{}\n{}",
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr)
        );
    };
    Output { status, stdout, stderr }
}

/// The child's status if it ends within `limit`.
pub fn wait_at_most(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait().expect("wait for a child") {
            Some(status) => return Some(status),
            None if Instant::now() >= deadline => return None,
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Asks `done` every few milliseconds until it gives a value; fails with `what` after `limit`.
pub fn eventually<T>(what: &str, limit: Duration, mut done: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}
