//! A difference between two answers as the list `differential/differences.txt` writes it: see [`crate::listed`].

use super::compare::Difference;
use crate::listed::{self, Columns};

/// A difference found, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub id: String,
    /// Which of the conversation's reactions, from 1.
    pub reaction: usize,
    pub difference: Difference,
}

impl Columns for Found {
    fn columns(&self) -> [String; 4] {
        let Difference { path, kafka, ours } = &self.difference;
        [self.id.clone(), format!("{}:{path}", self.reaction), kafka.clone(), ours.clone()]
    }
}

/// As a line of the file, without its reason.
impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&listed::line(self))
    }
}
