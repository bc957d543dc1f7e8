//! Refusals of what is on the disk: one line that names the file, says what is wrong with it, and what can be done.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// What an operator can do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Remedy {
    /// Nothing here says what is lost.
    Backup,
    /// The log ends too early, which is all that is wrong with it.
    LostTail,
}

impl Remedy {
    const fn text(self) -> &'static str {
        match self {
            Self::Backup => {
                "bring __cluster_metadata-0 back from a backup, or move it away to begin a new cluster, \
                 which keeps the topics' records in directories renamed to -stray"
            }
            Self::LostTail => {
                "bring __cluster_metadata-0 back from a backup, or remove quorum-state.copy in it to go on \
                 without what is lost"
            }
        }
    }
}

pub(super) fn damaged(path: &Path, what: impl Display, remedy: Remedy) -> io::Error {
    let text = format!("{}: {what}; {}", path.display(), remedy.text());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Whether what is on the disk is to blame, and not the disk.
pub(super) fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData)
}
