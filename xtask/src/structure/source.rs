//! The Rust files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{read, root};
use crate::error::{Error, Result};

/// One file: its path from the root, and its text.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Source {
    /// True for files that hold only tests or their data.
    pub(super) fn is_test(&self) -> bool {
        let in_dir = self.path.components().any(|part| {
            let part = part.as_os_str();
            part == "tests" || part == "testdata" || part == "benches" || part == "examples"
        });
        in_dir
            || self
                .path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .is_some_and(|stem| stem.ends_with("tests"))
    }

    /// The numbered lines before the file's test module, comments left out.
    pub(super) fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let code = self.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let numbered = code.lines().enumerate().map(|(i, line)| (i + 1, line.trim_start()));
        numbered.filter(|(_, line)| !line.starts_with("//"))
    }
}

/// All `.rs` files of the crates, the compat tests and xtask.
pub(super) fn all() -> Result<Vec<Source>> {
    let mut found = Vec::new();
    for dir in ["crates", "compat-tests", "xtask"] {
        collect(&root().join(dir), &mut found)?;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(dir: &Path, found: &mut Vec<Source>) -> Result<()> {
    let error = |cause| Error::File { path: dir.to_path_buf(), cause };
    for entry in fs::read_dir(dir).map_err(error)? {
        let path = entry.map_err(error)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(&path, found)?;
            }
        } else if name.ends_with(".rs") {
            let text = read(&path)?;
            let path = path.strip_prefix(root()).map_or_else(|_| path.clone(), Path::to_path_buf);
            found.push(Source { path, text });
        }
    }
    Ok(())
}
