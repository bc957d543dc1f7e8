//! What a single node's settings must agree on: roles, voters, ids, log dirs.

use super::layers::Layers;
use crate::ConfigError;

/// # Errors
/// The first rule that does not hold.
pub(super) fn check(layers: &Layers) -> Result<(), ConfigError> {
    check_ids(layers)?;
    check_roles(layers)?;
    check_voters(layers)?;
    check_cordoned(layers)
}

/// KIP-1066. The words are those of Scala's `require`.
fn check_cordoned(layers: &Layers) -> Result<(), ConfigError> {
    const NAME: &str = "cordoned.log.dirs";
    let cordoned = layers.list(NAME);
    let named: Vec<&str> = cordoned.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    if named.contains(&"*") {
        return match named.len() {
            1 => Ok(()),
            _ => Err(ConfigError::conflict(format!(
                "requirement failed: When {NAME} is set to *, it must not contain other values"
            ))),
        };
    }
    if named.is_empty() {
        return Ok(());
    }
    let dirs = super::groups::log_dirs(layers)?;
    let missing: Vec<&str> =
        named.into_iter().filter(|name| !dirs.iter().any(|dir| dir.as_os_str() == *name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(ConfigError::conflict(format!(
        "requirement failed: All entries in {NAME} must be present in log.dirs or log.dir. Missing entries : {}",
        missing.join(", ")
    )))
}

/// `broker.id` is the old name of `node.id`.
fn check_ids(layers: &Layers) -> Result<(), ConfigError> {
    let (Some(node), Some(broker)) = (layers.set("node.id"), layers.set("broker.id")) else { return Ok(()) };
    if node.trim() == broker.trim() || broker.trim() == "-1" {
        return Ok(());
    }
    Err(ConfigError::conflict(
        "`node.id` and `broker.id` must be set to the same value. `broker.id` is deprecated, please use `node.id` \
         instead.",
    ))
}

fn check_roles(layers: &Layers) -> Result<(), ConfigError> {
    let roles = layers.list("process.roles");
    if ["broker", "controller"].iter().all(|role| roles.iter().any(|have| have == role)) {
        return Ok(());
    }
    let reason = "Only broker,controller is supported so far: each node serves clients and votes";
    Err(ConfigError::invalid("process.roles", &roles.join(","), reason))
}

fn check_voters(layers: &Layers) -> Result<(), ConfigError> {
    const NAME: &str = "controller.quorum.voters";
    let voters = super::groups::voters(layers)?;
    if voters.is_empty() {
        return Ok(());
    }
    let node_id = super::groups::node_id(layers)?;
    if !voters.iter().any(|voter| voter.id == node_id) {
        let ids: Vec<String> = voters.iter().map(|voter| voter.id.to_string()).collect();
        return Err(ConfigError::conflict(format!(
            "requirement failed: If process.roles contains the 'controller' role, the node id {node_id} must be included in the set of \
             voters {NAME}=Set({})",
            ids.join(", ")
        )));
    }
    if voters.len() > 1 && super::listeners::resolve(layers)?.controller.is_empty() {
        return Err(ConfigError::conflict(
            "requirement failed: controller.listener.names must contain at least one value appearing in the 'listeners' \
             configuration when running the KRaft controller role",
        ));
    }
    Ok(())
}
