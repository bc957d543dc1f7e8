//! CPU time and memory, as the kernel counts them.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Result;

/// CPU that the calling thread has used.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// CPU that a process has used, all threads that ever were together; in steps of a clock tick (10 ms).
pub(crate) fn process_cpu(pid: u32) -> Result<Duration> {
    let stat = proc_file(pid, "stat")?;
    // The second field is the program's name in parentheses, which may hold anything.
    let fields = stat.rsplit_once(") ").ok_or("/proc/PID/stat has no name")?.1;
    let mut fields = fields.split(' ').skip(11);
    let mut ticks = || fields.next().unwrap_or_default().parse::<u64>();
    let sum = ticks()? + ticks()?;
    Ok(Duration::from_millis(sum * 1_000 / rustix::param::clock_ticks_per_second()))
}

/// A line of `/proc/PID/status` that is counted in KiB, in bytes.
pub(crate) fn status_bytes(pid: u32, field: &str) -> Result<u64> {
    let status = proc_file(pid, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let value = line.ok_or_else(|| format!("/proc/PID/status has no {field}"))?;
    Ok(value.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

fn proc_file(pid: u32, name: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{name}");
    Ok(fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?)
}
