//! How much memory there is for this process.

use std::fs;

/// What is assumed where nothing says how much there is.
const UNKNOWN: u64 = 1 << 30;

/// Bytes that the process may use: the machine's, or those of its control group if they are fewer.
pub(crate) fn available_memory() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of_meminfo(&text));
    let own = fs::read_to_string("/proc/self/cgroup").ok();
    let own = own.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("0::")));
    let groups = own.into_iter().flat_map(|path| {
        // The limit of any group above holds, too.
        std::path::Path::new(path)
            .ancestors()
            .map(|path| format!("/sys/fs/cgroup/{}/memory.max", path.display().to_string().trim_matches('/')))
    });
    let old = "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned();
    let limits = groups.chain([old]).filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    limits.chain(machine).min().unwrap_or(UNKNOWN)
}

/// `MemTotal:       24678900 kB`
fn total_of_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_read() {
        assert_eq!(total_of_meminfo("MemTotal:       24678900 kB\nMemFree: 1 kB\n"), Some(24_678_900 * 1024));
        assert_eq!(total_of_meminfo("MemFree: 1 kB\n"), None);
        assert!(available_memory() > 1 << 20);
    }
}
