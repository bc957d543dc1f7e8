//! Where things lie: the cache that `cargo xtask setup` fills, the binary under test, scratch directories.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// The `compat-tests` directory of the source tree.
pub fn crate_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What `cargo xtask setup` fills and no commit contains.
pub fn cache_dir() -> PathBuf {
    crate_dir().join(".cache")
}

/// Cargo's target directory, found from what runs: a test (`target/debug/deps/name-hash`) or a program
/// (`target/debug/name`).
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of the running program");
    let profile = exe.ancestors().skip(1).find(|dir| !dir.ends_with("deps"));
    profile.and_then(Path::parent).map(Path::to_path_buf).expect("target/PROFILE")
}

/// The `ottla` binary under test: `OTTLA_BIN`, or the release build, or the debug build.
pub fn ottla_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("OTTLA_BIN") {
        return PathBuf::from(path);
    }
    let release = target_dir().join("release/ottla");
    if release.exists() { release } else { target_dir().join("debug/ottla") }
}

/// A fresh directory for one broker or client, under the target directory.
///
/// Statics are never dropped, so the directories of test processes that are gone are removed here.
pub fn scratch_dir(name: &str) -> PathBuf {
    static SWEEP: Once = Once::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let root = target_dir().join("compat-scratch");
    SWEEP.call_once(|| remove_dirs_of_dead_processes(&root));
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = root.join(format!("{}-{n}-{name}", std::process::id()));
    fs::create_dir_all(&dir).expect("create a scratch directory");
    dir
}

fn remove_dirs_of_dead_processes(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|n| n.split('-').next()).and_then(|p| p.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
