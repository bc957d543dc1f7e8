//! `cargo xtask structure`: what the compiler cannot see of the architecture.

mod edges;
mod lengths;
mod purity;
mod source;

use std::path::PathBuf;

use crate::command::root;
use crate::error::{Error, Result};

/// Fails with every finding at once.
pub(crate) fn check() -> Result<()> {
    let sources = source::all()?;
    let mut findings = edges::check()?;
    findings.extend(purity::check(&sources)?);
    findings.extend(lengths::check(&sources));
    if findings.is_empty() {
        println!("structure: {} files, no finding", sources.len());
        Ok(())
    } else {
        Err(Error::Structure(findings))
    }
}

fn table(name: &str) -> PathBuf {
    root().join("xtask/structure").join(name)
}

/// The lines of a table that are neither empty nor a comment.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}
