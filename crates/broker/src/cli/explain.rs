//! One line for the operator: what could not be done, and what would help.

use std::error::Error;
use std::io;

use ottla_controller::StartError as ControllerStartError;
use ottla_storage::StorageError;

use crate::StartError;

/// The error, its causes that it does not print itself, and a hint, as one line.
#[must_use]
pub fn explain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut hint = hint_of(error);
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        hint = hint.or_else(|| hint_of(error));
        cause = error.source();
    }
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match hint {
        Some(hint) => format!("{line} ({hint})"),
        None => line,
    }
}

fn hint_of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<StartError>() {
        return hint_of_start(error);
    }
    let kind = error.downcast_ref::<io::Error>()?.kind();
    Some(match kind {
        io::ErrorKind::AddrInUse => {
            "another process has this port; --listen and --metrics-listen choose others"
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have this address",
        io::ErrorKind::PermissionDenied => "the user that runs ottla may not do this",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is mounted read-only",
        io::ErrorKind::NotADirectory => "there is a file where a directory is needed",
        io::ErrorKind::WouldBlock => "another process holds the lock",
        _ => return None,
    })
}

/// What an operator can do about directories that are not what they should be. What is damaged in the metadata log says so
/// itself.
fn hint_of_start(error: &StartError) -> Option<&'static str> {
    match error {
        StartError::Storage(StorageError::Corrupt { .. }) => Some(
            "bring it back from a backup; a meta.properties may also be written anew: version=1, cluster.id, node.id \
             and directory.id, of which the next start says what does not fit",
        ),
        StartError::Storage(StorageError::Foreign { .. }) => {
            Some("log.dirs names another node's directory, or its meta.properties is damaged")
        }
        StartError::Storage(StorageError::Locked { .. }) => {
            Some("stop the other process, or choose another directory with --data-dir or log.dirs")
        }
        StartError::Controller(
            ControllerStartError::WrongCluster { .. }
            | ControllerStartError::WrongNode { .. }
            | ControllerStartError::WrongDirectory { .. },
        ) => Some(
            "meta.properties in the directory above has to name what was found here, or metadata.log.dir another place",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Example {
        #[error("cannot listen on 127.0.0.1:9092: {source}")]
        Bind { source: io::Error },
        #[error("cannot start\nthe logs")]
        Logs(#[source] io::Error),
    }

    #[test]
    fn is_one_line_with_its_cause_and_a_hint() {
        let error = Example::Bind { source: io::Error::from_raw_os_error(98) };
        assert_eq!(
            explain(&error),
            "cannot listen on 127.0.0.1:9092: Address already in use (os error 98) (another process has this port; \
             --listen and --metrics-listen choose others)"
        );
        let error = Example::Logs(io::Error::from_raw_os_error(28));
        assert_eq!(
            explain(&error),
            "cannot start the logs: No space left on device (os error 28) (the disk is full)"
        );
    }
}
