//! Doing a part of the setup once, until its inputs change.

use std::path::{Path, PathBuf};

use crate::command::{create_dir, read, remove_dir, write};
use crate::error::Result;

/// Runs `work` in a fresh `dir` unless the stamp there holds the same inputs.
pub(super) fn once(dir: &Path, inputs: &[PathBuf], work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut wanted = String::new();
    for input in inputs {
        wanted.push_str(&read(input)?);
    }
    let stamp = dir.join("stamp");
    if read(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    println!("setting up {}", dir.display());
    remove_dir(dir)?;
    create_dir(dir)?;
    work(dir)?;
    write(&stamp, &wanted)
}
