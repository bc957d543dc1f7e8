//! The release binaries. They are static, so that they run wherever the kernel does, and the tests run what is shipped.

use std::path::PathBuf;

use crate::command::{cargo, command, output, run, target_dir};
use crate::error::{Error, Result};

pub(crate) const RUSTFLAGS: &str = "-C target-feature=+crt-static";

/// Builds the broker.
pub(crate) fn build() -> Result<()> {
    build_packages(&["ottla-broker"])
}

/// Builds packages that belong together. For a named target, so that build scripts stay as they are.
pub(crate) fn build_packages(packages: &[&str]) -> Result<()> {
    let mut command = cargo();
    command.arg("build").args(flags()?);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    run(command.env("RUSTFLAGS", RUSTFLAGS))
}

/// What else is built as the release binaries are shares their dependencies with [`RUSTFLAGS`] and these arguments of cargo.
pub(crate) fn flags() -> Result<[String; 3]> {
    Ok(["--release".to_owned(), "--target".to_owned(), host()?])
}

/// The broker that was built.
pub(crate) fn broker() -> Result<PathBuf> {
    program("ottla")
}

/// One of the programs that were built.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    Ok(target_dir().join(host()?).join("release").join(name))
}

/// The target that this machine is.
pub(crate) fn host() -> Result<String> {
    let said = output(command("rustc").arg("-vV"))?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Error::Usage("rustc -vV names no host".to_owned()))
}
