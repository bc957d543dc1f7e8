//! What a developer command can fail with.

use std::fmt;
use std::path::PathBuf;

/// Why a command failed; its text is what the developer reads.
#[derive(Debug)]
pub(crate) enum Error {
    Usage(String),
    /// A program could not be started.
    Start {
        command: String,
        cause: std::io::Error,
    },
    /// A program ended with a failure.
    Failed {
        command: String,
        status: String,
    },
    File {
        path: PathBuf,
        cause: std::io::Error,
    },
    /// Programs that are missing and that we may not install.
    Missing(Vec<String>),
    /// The structure check's findings, one a line.
    Structure(Vec<String>),
    /// Steps of `cargo xtask test` that failed.
    Steps(Vec<String>),
    Metadata(String),
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(given) => write!(f, "no such command: {given}"),
            Error::Start { command, cause } => write!(f, "cannot start `{command}`: {cause}"),
            Error::Failed { command, status } => write!(f, "`{command}` ended with {status}"),
            Error::File { path, cause } => write!(f, "{}: {cause}", path.display()),
            Error::Missing(programs) => write!(f, "missing: {}", programs.join(", ")),
            Error::Structure(findings) => write!(f, "structure:\n  {}", findings.join("\n  ")),
            Error::Steps(steps) => write!(f, "failed: {}", steps.join(", ")),
            Error::Metadata(what) => write!(f, "cargo metadata: {what}"),
        }
    }
}
