//! Levels of loggers as IncrementalAlterConfigs changes them (`RuntimeLoggerManager`, KIP-412). They are not kept.

use ottla_controller::AlterConfigOp;
use ottla_model::BrokerId;

use super::{Refused, WantedOp};
use crate::telemetry::{LogLevel, Loggers, ROOT_LOGGER};

/// Changes the levels, if all of it is allowed; `validate_only` changes nothing.
pub(super) fn alter(
    loggers: &Loggers,
    node_id: BrokerId,
    name: &str,
    ops: &[WantedOp],
    validate_only: bool,
) -> Result<(), Refused> {
    check_node(name, node_id)?;
    let levels = ops.iter().map(|op| Ok((op.name.as_str(), level(op)?)));
    let levels: Vec<(&str, Option<LogLevel>)> = levels.collect::<Result<_, Refused>>()?;
    if !validate_only {
        for (logger, level) in levels {
            let level_name = level.map_or("(the root's)", LogLevel::name);
            tracing::warn!(logger, level = level_name, "log level changed");
            loggers.set(logger, level);
        }
    }
    Ok(())
}

fn check_node(name: &str, node_id: BrokerId) -> Result<(), Refused> {
    let id: i32 = name
        .parse()
        .map_err(|_| Refused::invalid_request(format!("Node id must be an integer, but it is: {name}")))?;
    if id == node_id.get() {
        return Ok(());
    }
    Err(Refused::invalid_request(format!("Unexpected node id. Expected {node_id}, but received {id}")))
}

/// The level that an operation sets; `None` where it removes the logger's own.
fn level(op: &WantedOp) -> Result<Option<LogLevel>, Refused> {
    let logger = op.name.as_str();
    let not_allowed = |operation: &str| {
        Refused::invalid_request(format!("{operation} is not allowed for the BROKER_LOGGER resource"))
    };
    match AlterConfigOp::from_id(op.op) {
        Some(AlterConfigOp::Set) => {
            check_exists(logger)?;
            let text = op.value.as_ref().map_or("", |value| value.as_str());
            let level = LogLevel::settable(text).ok_or_else(|| {
                Refused::invalid_config(format!(
                    "Cannot set the log level of {logger} to {text} as it is not a supported log level. Valid log \
                     levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"
                ))
            })?;
            Ok(Some(level))
        }
        Some(AlterConfigOp::Delete) => {
            check_exists(logger)?;
            if logger == ROOT_LOGGER {
                let why = "Removing the log level of the root logger is not allowed";
                return Err(Refused::invalid_request(why));
            }
            Ok(None)
        }
        Some(AlterConfigOp::Append) => Err(not_allowed("APPEND operation")),
        Some(AlterConfigOp::Subtract) => Err(not_allowed("SUBTRACT operation")),
        None => Err(not_allowed(&format!("Unknown operation type {}", op.op))),
    }
}

fn check_exists(logger: &str) -> Result<(), Refused> {
    if Loggers::exists(logger) {
        return Ok(());
    }
    Err(Refused::invalid_config(format!("Logger {logger} does not exist!")))
}
