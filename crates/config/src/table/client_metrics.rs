//! Client metrics subscriptions (KIP-714).

use super::{Definition, TELEMETRY, int, list};
use crate::Check::{Any, ListOf};
use crate::DefaultValue::Text;
use crate::Effect::Inert;
use crate::UpdateMode::ClusterWide;

pub(super) const ROWS: &[Definition] = &[
    int("interval.ms", Text("300000"), Any, ClusterWide, Inert(TELEMETRY)),
    list("match", Text(""), ListOf { words: &[], may_be_empty: true }, ClusterWide, Inert(TELEMETRY)),
    list("metrics", Text(""), ListOf { words: &[], may_be_empty: true }, ClusterWide, Inert(TELEMETRY)),
];
