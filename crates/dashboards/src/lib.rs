//! Grafana dashboards and Prometheus alert rules as code.
//!
//! `grafana/` holds what [`files`] makes; `compat-tests/tests/dashboards.rs` keeps both equal and has a Prometheus that
//! scrapes a loaded broker evaluate every query.

mod alerts;
mod boards;
mod grafana;

use serde_json::Value;

pub use alerts::{ALERTS, Alert};
pub use boards::boards;

/// How a panel shows its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Count,
    PerSecond,
    Bytes,
    BytesPerSecond,
    Seconds,
    /// 0 to 1.
    Share,
}

/// A PromQL query and what its series are called.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    pub expr: &'static str,
    /// Grafana's legend format.
    pub legend: &'static str,
}

/// One panel.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    pub title: &'static str,
    pub unit: Unit,
    /// One number instead of curves.
    pub is_stat: bool,
    pub queries: &'static [Query],
}

/// A variable that its user chooses: the values of a label.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    pub name: &'static str,
    /// The series whose label it is.
    pub series: &'static str,
}

/// One dashboard.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    pub uid: &'static str,
    pub title: &'static str,
    pub variables: &'static [Variable],
    pub panels: &'static [Panel],
}

/// Paths below `grafana/`, and what is in them.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = boards()
        .iter()
        .map(|board| (format!("dashboards/{}.json", board.uid), grafana::board(board)))
        .collect();
    files.push(("alerts.yml".to_owned(), alerts::rules()));
    files
}

/// JSON as it is committed.
fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
