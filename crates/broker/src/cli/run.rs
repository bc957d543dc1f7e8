//! The process: options, logs, settings, the broker, and the signals that end it.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::{Args, Banner, Launch, Start, explain, health_check, parse_args};
use crate::Node;
use crate::telemetry::{Health, Loggers, Metrics, MetricsServer, init_logging};

/// How long what still runs on other threads may take once everything is flushed and closed.
const LEFTOVERS_TIMEOUT: Duration = Duration::from_millis(200);
/// How long the greeting waits for all logs to be open; if that takes longer it says how far the start has come.
const GREETING_WAIT: Duration = Duration::from_secs(1);
/// The exit status of a wrong option.
const MISUSE: u8 = 2;

/// Runs the process to its end. `started` is when it began.
pub fn run(arguments: impl IntoIterator<Item = OsString>, started: Instant) -> ExitCode {
    let args = match parse_args(arguments) {
        Ok(Ok(args)) => args,
        Ok(Err(text)) => {
            say(&text);
            return ExitCode::SUCCESS;
        }
        Err(line) => return fail(&line, ExitCode::from(MISUSE)),
    };
    if let Some(address) = &args.health_check {
        return match health_check::ask(address) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("{address}: {error}"), ExitCode::FAILURE),
        };
    }
    match start(&args, started) {
        Ok(code) => code,
        Err(line) => fail(&line, ExitCode::FAILURE),
    }
}

/// # Errors
/// The line that says why the broker does not run.
fn start(args: &Args, started: Instant) -> Result<ExitCode, String> {
    let environment = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let loggers = init_logging(args.log.as_deref(), environment.as_deref(), args.log_format)
        .map_err(|error| explain(&error))?;
    let launch = Launch::prepare(args).map_err(|error| explain(&error))?;
    for warning in &launch.warnings {
        tracing::warn!("{warning}");
    }
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("ottla-worker")
        .build()
        .map_err(|error| format!("cannot start threads: {}", explain(&error)))?;
    let ended = runtime.block_on(serve(launch, loggers, started));
    runtime.shutdown_timeout(LEFTOVERS_TIMEOUT);
    ended
}

async fn serve(launch: Launch, loggers: Arc<Loggers>, started: Instant) -> Result<ExitCode, String> {
    let mut signals = Signals::new().map_err(|error| format!("cannot watch signals: {error}"))?;
    let metrics = Arc::new(Metrics::new(started));
    let health = Arc::new(Health::default());
    // First, so that a start that takes long can be watched.
    let (metrics_address, _serving) = match &launch.config.net.metrics_listen {
        Some(address) => {
            let server = MetricsServer::bind(address).await.map_err(|error| explain(&error))?;
            let bound = server.address();
            let (stop, stopped) = oneshot::channel::<()>();
            let stopped = async move { drop(stopped.await) };
            tokio::spawn(server.serve(Arc::clone(&metrics), Arc::clone(&health), stopped));
            (Some(bound), Some(stop))
        }
        None => (None, None),
    };
    let data_dir = launch.config.log.dirs.first().cloned().unwrap_or_default();
    let server = tokio::select! {
        server = Node::start(launch.config, loggers, Arc::clone(&metrics), Arc::clone(&health)) => {
            server.map_err(|error| explain(&error))?
        }
        name = signals.next() => {
            tracing::info!(signal = name, "stopped while starting");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let greeting = async {
        let is_ready = health.ready_within(GREETING_WAIT).await;
        let (after, progress) = (started.elapsed(), health.line());
        let banner = Banner {
            addresses: server.addresses(),
            cluster_id: server.cluster_id(),
            data_dir: &data_dir,
            metrics: metrics_address,
            start: if is_ready { Start::Ready(after) } else { Start::Recovering(after, &progress) },
        };
        say(&banner.to_string());
        std::future::pending::<Infallible>().await
    };
    let name = tokio::select! {
        never = greeting => match never {},
        name = signals.next() => name,
        // At once: there is nothing left that could be written.
        why = server.failed() => return Err(why),
    };
    tracing::info!(signal = name, "stopping");
    tokio::select! {
        () = server.stop() => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        // What is not flushed now is recovered at the next start, as after a kill.
        name = signals.next() => {
            tracing::warn!(signal = name, "stopped at once");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The signals that end the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one and names it.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Every connection and every active segment holds a descriptor; the usual soft limit of 1,024 is for `select`.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays");
    }
}

/// Writes to stdout; a closed pipe there is no reason to stop serving.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn fail(line: &str, code: ExitCode) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "ottla: {line}");
    code
}
