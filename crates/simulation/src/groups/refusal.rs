//! Why a coordinator refuses, for the counts.

use ottla_coordinator::{NotActive, WriteError};
use ottla_group_coordinator::GroupError;

pub(super) fn refusal(error: &GroupError) -> &'static str {
    match error {
        GroupError::NotActive(NotActive::Loading) => "group refused: loading",
        GroupError::NotActive(NotActive::Closed) => "group refused: not the coordinator",
        GroupError::Write(WriteError::NotLeader) => "group refused: write without leadership",
        GroupError::Write(WriteError::NotEnoughReplicas) => "group refused: not enough replicas",
        GroupError::Write(WriteError::TimedOut) => "group refused: write timed out",
        GroupError::Write(WriteError::Closed) => "group refused: closed while it waited",
        GroupError::Write(_) => "group refused: write failed",
        _ => "group refused",
    }
}
