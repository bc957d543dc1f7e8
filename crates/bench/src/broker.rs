//! A broker process with a data directory of its own, or a floor process in its place.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};
use tempfile::TempDir;

use crate::Result;
use crate::requests::Requests;
use crate::wire::Wire;

/// How long a process may take until it accepts.
const START_WAIT: Duration = Duration::from_secs(120);
/// Between two attempts to connect: short beside what is measured.
const POLL: Duration = Duration::from_micros(250);

/// A running server; dropped, it is killed and its directory removed.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// When it was started.
    pub(crate) started: Instant,
    /// A broker's.
    dir: Option<TempDir>,
}

impl Server {
    /// A broker on an empty directory and free ports, just started.
    pub(crate) fn broker(binary: &Path) -> Result<Self> {
        Self::broker_with(binary, &[])
    }

    /// The same with settings of its own.
    pub(crate) fn broker_with(binary: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        Self::broker_with_metrics(binary, settings, free_address()?)
    }

    /// The same that is scraped at `metrics`.
    pub(crate) fn broker_with_metrics(
        binary: &Path,
        settings: &[(&str, &str)],
        metrics: SocketAddr,
    ) -> Result<Self> {
        let dir = data_dir()?;
        let address = free_address()?;
        let mut command = command(binary, address, metrics, dir.path());
        for (name, value) in settings {
            command.arg("--override").arg(format!("{name}={value}"));
        }
        Self::spawn(command, address, dir)
    }

    /// Whatever serves at `address` and keeps its data in `dir`.
    pub(crate) fn spawn(command: Command, address: SocketAddr, dir: TempDir) -> Result<Self> {
        let (child, started) = launch(command)?;
        Ok(Self { child, address, started, dir: Some(dir) })
    }

    /// A broker that accepts, with one topic of so many partitions; with none of it for 0.
    pub(crate) fn broker_with_partitions(binary: &Path, partitions: i32) -> Result<Self> {
        let server = Self::broker(binary)?;
        drop(server.wait()?);
        if partitions > 0 {
            let mut wire = Wire::connect(server.address)?;
            let requests = Requests::default();
            requests.check_create_topic(&wire.call(&requests.create_topic(partitions)?)?)?;
        }
        Ok(server)
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).ok_or("no process")?;
        kill_process(pid, Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts a stopped broker on what it left.
    pub(crate) fn start_again(&mut self, binary: &Path) -> Result<()> {
        let dir = self.dir.as_ref().ok_or("a floor has no directory")?;
        (self.child, self.started) = launch(command(binary, self.address, free_address()?, dir.path()))?;
        Ok(())
    }

    /// A broker that accepts, with one topic of one partition, and cubic on its sockets.
    pub(crate) fn broker_with_topic(binary: &Path) -> Result<Self> {
        let server = Self::broker(binary)?;
        server.wait()?;
        server.make_listeners_cubic();
        let mut wire = Wire::connect(server.address)?;
        let requests = Requests::default();
        requests.check_create_topic(&wire.call(&requests.create_topic(1)?)?)?;
        Ok(server)
    }

    /// This program as a bare server.
    pub(crate) fn floor(args: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("floor").args(args).stdin(Stdio::null()).stdout(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().map_err(|error| format!("a floor: {error}"))?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("the floor has no stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Self { child, address: line.trim().parse()?, started, dir: None })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where a broker keeps its data; empty for a floor.
    pub(crate) fn data_dir(&self) -> &Path {
        self.dir.as_ref().map_or(Path::new(""), TempDir::path)
    }

    /// Waits until the process accepts connections.
    pub(crate) fn wait(&self) -> Result<TcpStream> {
        loop {
            match TcpStream::connect(self.address) {
                Ok(stream) => return Ok(stream),
                Err(error) if self.started.elapsed() > START_WAIT => return Err(error.into()),
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }

    /// Accepted sockets inherit the listener's congestion control. The system's may pace (bbr does), which costs timers
    /// that say nothing of the server; a broker has no setting for it, so its listener is reached from outside.
    pub(crate) fn make_listeners_cubic(&self) {
        let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) else { return };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        let fds = fs::read_dir(format!("/proc/{}/fd", self.pid())).into_iter().flatten().flatten();
        let fds = fds.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for fd in fds {
            if let Ok(socket) = pidfd_getfd(&process, fd, PidfdGetfdFlags::empty()) {
                // Files are no sockets and refuse.
                use_cubic(&socket);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A process that is gone already cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data directory that goes when it is dropped.
pub(crate) fn data_dir() -> Result<TempDir> {
    let dir = tempfile::Builder::new().prefix("ottla-bench").tempdir();
    Ok(dir.map_err(|error| format!("a data directory: {error}"))?)
}

fn command(binary: &Path, address: SocketAddr, metrics: SocketAddr, dir: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(["--listen", &address.to_string(), "--metrics-listen", &metrics.to_string()]);
    command.arg("--data-dir").arg(dir).args(["--log", "warn"]);
    command
}

fn launch(mut command: Command) -> Result<(Child, Instant)> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let started = Instant::now();
    let child = command.spawn().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    Ok((child, started))
}

/// Where the kernel refuses, both sides of a comparison keep the system's congestion control.
pub(crate) fn use_cubic(socket: impl AsFd) {
    let _ = rustix::net::sockopt::set_tcp_congestion(socket, "cubic");
}

/// An address that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
