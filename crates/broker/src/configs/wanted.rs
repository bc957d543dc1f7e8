//! What a request wants of one resource, and the checks that need no state (`ConfigAdminManager.preprocess`).

use std::collections::BTreeSet;

use ottla_controller::{AlterConfigOp, ConfigChange, ConfigOp};
use ottla_protocol::messages::StrBytes;

use super::Refused;

/// One resource of a request.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The resource's type as the request has it.
    pub kind: i8,
    pub name: StrBytes,
    pub change: WantedChange,
}

/// How the request says what shall change.
#[derive(Clone, Debug)]
pub(crate) enum WantedChange {
    Operations(Vec<WantedOp>),
    Replacement(Vec<(StrBytes, Option<StrBytes>)>),
}

/// One operation of IncrementalAlterConfigs.
#[derive(Clone, Debug)]
pub(crate) struct WantedOp {
    pub name: StrBytes,
    pub op: i8,
    pub value: Option<StrBytes>,
}

impl Wanted {
    /// The resources that a request names more than once.
    pub(super) fn repeated(all: &[Self]) -> BTreeSet<(i8, &str)> {
        let mut seen = BTreeSet::new();
        all.iter().map(Self::resource).filter(|resource| !seen.insert(*resource)).collect()
    }

    pub(super) fn resource(&self) -> (i8, &str) {
        (self.kind, self.name.as_str())
    }

    /// No key twice, no null.
    pub(super) fn check_keys(&self) -> Result<(), Refused> {
        let keys: Vec<(&str, bool)> = match &self.change {
            WantedChange::Operations(ops) => {
                let is_null = |op: &WantedOp| op.value.is_none() && op.op != AlterConfigOp::Delete.id();
                ops.iter().map(|op| (op.name.as_str(), is_null(op))).collect()
            }
            WantedChange::Replacement(configs) => {
                configs.iter().map(|(name, value)| (name.as_str(), value.is_none())).collect()
            }
        };
        let distinct: BTreeSet<&str> = keys.iter().map(|(name, _)| *name).collect();
        if distinct.len() < keys.len() {
            return Err(Refused::invalid_request("Error due to duplicate config keys"));
        }
        let null: Vec<&str> = keys.iter().filter(|(_, is_null)| *is_null).map(|(name, _)| *name).collect();
        if null.is_empty() {
            return Ok(());
        }
        Err(Refused::invalid_request(format!("Null value not supported for : {}", null.join(", "))))
    }

    /// As the controller takes it.
    pub(super) fn command(&self) -> Result<ConfigChange, Refused> {
        let text = |value: &Option<StrBytes>| value.as_ref().map(ToString::to_string).unwrap_or_default();
        match &self.change {
            WantedChange::Operations(ops) => {
                let ops = ops.iter().map(|op| {
                    let known = AlterConfigOp::from_id(op.op).ok_or_else(|| {
                        Refused::invalid_request(format!("Unknown operations type {}", op.op))
                    })?;
                    Ok(ConfigOp { name: op.name.to_string(), op: known, value: text(&op.value) })
                });
                Ok(ConfigChange::Operations(ops.collect::<Result<_, _>>()?))
            }
            WantedChange::Replacement(configs) => {
                let configs = configs.iter().map(|(name, value)| (name.to_string(), text(value)));
                Ok(ConfigChange::Replacement(configs.collect()))
            }
        }
    }
}
