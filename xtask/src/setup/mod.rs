//! What the compat tests need on a machine, each through its ordinary client, into `compat-tests/.cache`.
//!
//! A part that is done leaves its inputs in a stamp file and is not done again until they change. Without CI a part
//! that cannot be had is said aloud and its tests skip; with `CI=true` it is an error.

mod clients;
mod java;
mod programs;
mod prometheus;
mod stamp;
mod suites;

use std::path::PathBuf;

use crate::command::{create_dir, in_ci, root};
use crate::error::{Error, Result};

pub(crate) use suites::rdkafka_performance;

/// A part's name and the function that brings it.
type Part = (&'static str, fn() -> Result<()>);

/// Sets everything up; `reference` adds a real Apache Kafka broker.
pub(crate) fn run(reference: bool) -> Result<()> {
    create_dir(&cache_dir())?;
    let mut parts: Vec<Part> = vec![
        ("programs", programs::install),
        ("official tools", java::tools),
        ("franz-go live tests", suites::kgo),
        ("rdkafka integration tests", suites::rdkafka),
        ("librdkafka's tests", suites::librdkafka),
        ("Python clients", clients::python),
        ("Node clients", clients::node),
        ("Go clients", clients::go),
        ("Prometheus", prometheus::unpack),
    ];
    if reference {
        parts.push(("reference broker", java::reference));
    }
    let failed: Vec<String> = parts.into_iter().filter_map(attempt).collect();
    if failed.is_empty() || !in_ci() { Ok(()) } else { Err(Error::Missing(failed)) }
}

/// The name of a part that failed.
fn attempt((name, part): Part) -> Option<String> {
    let error = part().err()?;
    eprintln!(
        "xtask: {name}: {error}\nxtask: tests that need it will {}",
        if in_ci() { "fail" } else { "skip" }
    );
    Some(name.to_owned())
}

/// The jars of the reference broker.
pub(crate) fn reference_libs() -> PathBuf {
    cache_dir().join("reference/libs")
}

/// The jars of the official tools.
pub(crate) fn tools_libs() -> PathBuf {
    cache_dir().join("tools/libs")
}

fn cache_dir() -> PathBuf {
    compat_dir().join(".cache")
}

fn compat_dir() -> PathBuf {
    root().join("compat-tests")
}
