//! Client metrics subscriptions (KIP-714).

use super::{Definition, int, list};
use crate::Check::{Any, ListOf};
use crate::DefaultValue::Text;
use crate::Effect::Honoured;
use crate::UpdateMode::ClusterWide;

pub(super) const ROWS: &[Definition] = &[
    int("interval.ms", Text("300000"), Any, ClusterWide, Honoured),
    list("match", Text(""), ListOf { words: &[], may_be_empty: true }, ClusterWide, Honoured),
    list("metrics", Text(""), ListOf { words: &[], may_be_empty: true }, ClusterWide, Honoured),
];
