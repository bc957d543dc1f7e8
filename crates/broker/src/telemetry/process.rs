//! The process's own series, read from the kernel at each scrape, under Prometheus's standard names.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

use super::catalogue::{
    PROCESS_CPU, PROCESS_FDS, PROCESS_FDS_MAX, PROCESS_RSS, PROCESS_START, PROCESS_THREADS, PROCESS_VIRTUAL,
    Series,
};
use super::metrics::head;

/// Appends what can be read; a kernel without `/proc` just has fewer series.
pub(super) fn append(out: &mut String) {
    if let Some(stat) = Stat::read() {
        sample(out, PROCESS_CPU, stat.cpu_seconds);
        sample(out, PROCESS_RSS, stat.resident_bytes);
        sample(out, PROCESS_VIRTUAL, stat.virtual_bytes);
        sample(out, PROCESS_THREADS, stat.threads);
        if let Some(boot) = boot_time() {
            sample(out, PROCESS_START, boot + stat.start_since_boot);
        }
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // The listing itself holds one.
        sample(out, PROCESS_FDS, count(entries.count().saturating_sub(1)));
    }
    if let Some(limit) = fd_limit() {
        sample(out, PROCESS_FDS_MAX, limit);
    }
}

fn sample(out: &mut String, series: Series, value: f64) {
    use std::fmt::Write as _;
    head(out, series);
    let _ = writeln!(out, "{} {value}", series.name);
}

/// What `/proc/self/stat` (proc_pid_stat(5)) says.
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    start_since_boot: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// The command name is in brackets and may hold anything, so fields are counted from its last bracket: the first
    /// there is field 3.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<f64> = rest.split_ascii_whitespace().map(|f| f.parse().unwrap_or(0.0)).collect();
        let field = |number: usize| fields.get(number - 3).copied();
        let ticks = clock_ticks_per_second().max(1);
        let ticks = f64::from(u32::try_from(ticks).unwrap_or(100));
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            threads: field(20)?,
            start_since_boot: field(22)? / ticks,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * count(page_size()),
        })
    }
}

/// Seconds since the epoch at which the machine started.
fn boot_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok())
}

fn fd_limit() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_ascii_whitespace().nth(3)?.parse().ok()
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_files() {
        let mut out = String::new();
        append(&mut out);
        for name in ["process_resident_memory_bytes", "process_open_fds", "process_threads"] {
            let line = out.lines().find(|line| line.starts_with(&format!("{name} "))).expect(name);
            let value: f64 = line.rsplit_once(' ').expect(line).1.parse().expect(line);
            assert!(value >= 1.0, "{line}");
        }
    }

    #[test]
    fn a_command_name_may_hold_brackets_and_blanks() {
        let fields: Vec<String> = (3..=52).map(|n| n.to_string()).collect();
        let stat = Stat::parse(&format!("1 (a) b (c)) {}", fields.join(" "))).expect("parses");
        assert!((stat.threads - 20.0).abs() < f64::EPSILON);
        assert!((stat.virtual_bytes - 23.0).abs() < f64::EPSILON);
    }
}
