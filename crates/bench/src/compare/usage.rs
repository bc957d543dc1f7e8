//! What the kernel counts of a process.

use std::fs;
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
