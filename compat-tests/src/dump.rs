//! kafka-dump-log over a data directory: every file read with every check the tool has, and not a word of complaint.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tools::{DUMP_LOG, Ran, run_bare};

/// What the tool says when a file is not as it should be.
const COMPLAINTS: [&str; 9] = [
    "Exception",
    "Found timestamp mismatch",
    "Found out of order timestamp",
    "Index timestamp",
    "Mismatches in",
    "isvalid: false",
    "corrupt",
    "invalid bytes",
    "Failed to decode",
];

/// The files of `dir` with this extension, sorted.
pub fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found.sort();
    found
}

/// Whether offsets may be missing inside a log: only where a cleaner works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gaps {
    None,
    Cleaned,
}

/// Dumps a file of a log that is not compacted, with these arguments more; fails on a complaint.
#[track_caller]
pub fn dump(file: &Path, more: &[&str]) -> Ran {
    dump_with(file, more, Gaps::None)
}

#[track_caller]
fn dump_with(file: &Path, more: &[&str], gaps: Gaps) -> Ran {
    let file = file.to_str().expect("a UTF-8 path");
    let shown = run_bare(DUMP_LOG, &[&["--files", file], more].concat(), "").ok();
    // The tool says `-1 is followed by N` of every segment that does not start at 0.
    let may_be_said = |line: &&str| {
        line.starts_with("Non-consecutive offsets in")
            || line.starts_with("  -1 is followed by")
            || (gaps == Gaps::Cleaned && line.contains(" is followed by "))
    };
    assert_eq!(shown.err.lines().find(|line| !may_be_said(line)), None, "{shown}");
    for complaint in COMPLAINTS {
        assert!(!shown.out.contains(complaint), "{complaint}\n{shown}");
    }
    assert!(!shown.out.trim().is_empty());
    shown
}

/// How many files of each kind a data directory holds, all of them dumped without a complaint.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Dumped {
    pub logs: usize,
    pub indexes: usize,
    pub snapshots: usize,
}

/// Dumps every file of every partition in `data`: logs to the last record (with the decoder of an internal topic),
/// indexes and time indexes against their logs, producers' snapshots. `compacted`: the topics that a cleaner works on.
#[track_caller]
pub fn dump_all(data: &Path, compacted: &[&str]) -> Dumped {
    dump_unless(data, compacted, |_| false)
}

/// As [`dump_all`], without the files that `is_left_out`.
#[track_caller]
pub fn dump_unless(data: &Path, compacted: &[&str], is_left_out: impl Fn(&Path) -> bool) -> Dumped {
    let entries = fs::read_dir(data).unwrap_or_else(|e| panic!("{}: {e}", data.display()));
    let mut dumped = Dumped::default();
    for dir in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.rsplit_once('-').is_none_or(|(_, partition)| partition.parse::<u32>().is_err()) {
            continue;
        }
        let topic = name.rsplit_once('-').map_or(name.as_str(), |(topic, _)| topic);
        let cleaned = topic == "__consumer_offsets" || compacted.contains(&topic);
        let gaps = if cleaned { Gaps::Cleaned } else { Gaps::None };
        dump_partition(&dir, decoder(topic), gaps, &is_left_out, &mut dumped);
    }
    dumped
}

/// Dumps every file of one partition that a cleaner works on; nothing but files of the log may be left there.
#[track_caller]
pub fn dump_cleaned(dir: &Path) -> Dumped {
    // `deleted`: no longer the log's, it waits for `file.delete.delay.ms` or for the next start.
    const KINDS: [&str; 5] = ["log", "index", "timeindex", "snapshot", "deleted"];
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())).flatten() {
        let path = entry.path();
        let of_the_log = path.extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known));
        let plain = ["partition.metadata", "leader-epoch-checkpoint"].iter().any(|name| path.ends_with(name));
        assert!(of_the_log || plain, "{} is left", path.display());
    }
    let mut dumped = Dumped::default();
    dump_partition(dir, decoder(""), Gaps::Cleaned, &|_| false, &mut dumped);
    dumped
}

fn decoder(topic: &str) -> &'static [&'static str] {
    match topic {
        "__consumer_offsets" => &["--deep-iteration", "--offsets-decoder"],
        "__cluster_metadata" => &["--deep-iteration", "--cluster-metadata-decoder"],
        _ => &["--deep-iteration", "--print-data-log"],
    }
}

#[track_caller]
fn dump_partition(
    dir: &Path,
    decoder: &[&str],
    gaps: Gaps,
    is_left_out: &dyn Fn(&Path) -> bool,
    dumped: &mut Dumped,
) {
    let files = |extension| files(dir, extension).into_iter().filter(|path| !is_left_out(path));
    for log in files("log") {
        dump_with(&log, decoder, gaps);
        dumped.logs += 1;
    }
    for index in files("index").chain(files("timeindex")) {
        dump(&index, &[]);
        // Of an empty time index the tool says that it is sound.
        let empty = index.extension().is_some_and(|found| found == "index")
            && fs::metadata(&index).is_ok_and(|file| file.len() == 0);
        let said = if empty { "is empty." } else { "passed sanity check." };
        dump(&index, &["--index-sanity-check"]).shows(said);
        dump(&index, &["--verify-index-only"]);
        dumped.indexes += 1;
    }
    for snapshot in files("snapshot") {
        dump(&snapshot, &[]);
        dumped.snapshots += 1;
    }
}
