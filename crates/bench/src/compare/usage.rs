//! What the kernel counts of a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::measure::process_cpu;

const ATTACH_WAIT: Duration = Duration::from_millis(500);

/// Until a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    /// Of the threads that are there.
    pub(super) switches: u64,
}

impl Usage {
    pub(super) fn of(pid: u32) -> Result<Self> {
        Ok(Self { cpu: process_cpu(pid)?, switches: switches(pid)? })
    }

    /// Of both.
    pub(super) fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, switches: self.switches + other.switches }
    }

    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

/// Bytes of the page cache that hold files of the directory, as `fincore` of util-linux counts them; `None` without it, or where
/// there are none.
pub(super) fn page_cache(dir: &Path) -> Option<f64> {
    let files = files(dir);
    // As many as fit into one command line.
    let counts: Option<Vec<f64>> = files.chunks(5_000).map(resident).collect();
    counts.filter(|counts| !counts.is_empty()).map(|counts| counts.iter().sum())
}

fn resident(files: &[PathBuf]) -> Option<f64> {
    let mut command = Command::new("fincore");
    command.args(["--bytes", "--noheadings", "--output", "RES"]).stdin(Stdio::null()).stderr(Stdio::null());
    let said = command.args(files).output().ok()?.stdout;
    String::from_utf8_lossy(&said).lines().map(|line| line.trim().parse::<f64>().ok()).sum()
}

/// Whether a broker that keeps its logs there still has some of the topic that is measured, be it to remove them.
pub(super) fn has_topic(dir: &Path) -> bool {
    fs::read_dir(dir).into_iter().flatten().flatten().any(|entry| {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        is_dir && (entry.file_name().to_string_lossy().starts_with("bench-") || has_topic(&entry.path()))
    })
}

/// Those in it and in the directories in it that are not empty; not those of partitions of earlier rounds, which both brokers call
/// `..-delete` until they remove them.
fn files(dir: &Path) -> Vec<PathBuf> {
    if dir.to_string_lossy().ends_with("-delete") {
        return Vec::new();
    }
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => files(&entry.path()),
        Ok(found) if found.len() > 0 => vec![entry.path()],
        _ => Vec::new(),
    };
    entries.flat_map(of).collect()
}

fn switches(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        // A thread may end meanwhile.
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let counts = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
        sum += counts.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).sum::<u64>();
    }
    Ok(sum)
}

/// System calls of a process, counted by `perf` where there is one that may.
#[derive(Debug)]
pub(super) struct Calls(Option<Child>);

impl Calls {
    pub(super) fn count(pid: u32) -> Self {
        let mut command = Command::new("perf");
        command.args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", &pid.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().ok();
        if child.is_some() {
            // It says nothing when it begins to count.
            std::thread::sleep(ATTACH_WAIT);
        }
        Self(child)
    }

    /// `None` if they could not be counted.
    pub(super) fn stop(self) -> Option<f64> {
        let child = self.0?;
        let pid = Pid::from_raw(i32::try_from(child.id()).ok()?)?;
        kill_process(pid, Signal::INT).ok()?;
        let said = child.wait_with_output().ok()?;
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        said.lines().find(|line| line.contains("sys_enter"))?.split(',').next()?.parse().ok()
    }
}
