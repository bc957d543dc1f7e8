//! What a single node's settings must agree on: roles, voters, ids, log dirs.

use ottla_model::BrokerId;

use super::layers::Layers;
use super::listeners::Listeners;
use crate::ConfigError;

/// # Errors
/// The first rule that does not hold.
pub(super) fn check(layers: &Layers) -> Result<(), ConfigError> {
    check_ids(layers)?;
    check_roles(layers)?;
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

/// Kafka's rules of roles, voters and controller listeners, in its order (`KafkaConfig.validateValues`). One relaxation: a node
/// of both roles that names neither voters nor controllers is a quorum of its own, and needs no controller listener.
fn check_roles(layers: &Layers) -> Result<(), ConfigError> {
    let roles = super::groups::roles(layers);
    let listeners = super::listeners::resolve(layers, roles)?;
    let quorum = Quorum::of(layers)?;
    if !(roles.broker && roles.controller) && quorum.voters.is_empty() && !quorum.has_bootstrap_servers {
        return Err(ConfigError::conflict(
            "If using process.roles, either controller.quorum.bootstrap.servers must contain the set of bootstrap controllers or \
             controller.quorum.voters must contain a parseable set of controllers.",
        ));
    }
    if !roles.controller {
        return check_broker_only(layers, &listeners, &quorum);
    }
    if !roles.broker && !listeners.served.is_empty() {
        return Err(required(
            "The listeners config must only contain KRaft controller listeners from controller.listener.names when \
             process.roles=controller",
        ));
    }
    check_controller(layers, &listeners, &quorum)
}

/// What the settings say of the quorum.
struct Quorum {
    voters: Vec<BrokerId>,
    has_bootstrap_servers: bool,
    node_id: BrokerId,
}

impl Quorum {
    fn of(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            voters: super::groups::voters(layers)?.into_iter().map(|voter| voter.id).collect(),
            has_bootstrap_servers: !super::groups::bootstrap_servers(layers)?.is_empty(),
            node_id: super::groups::node_id(layers)?,
        })
    }

    /// As Scala shows a set.
    fn shown(&self) -> String {
        let ids: Vec<String> = self.voters.iter().map(ToString::to_string).collect();
        format!("controller.quorum.voters=Set({})", ids.join(", "))
    }
}

fn check_broker_only(layers: &Layers, listeners: &Listeners, quorum: &Quorum) -> Result<(), ConfigError> {
    if layers.boolean("controller.quorum.auto.join.enable")? {
        return Err(required(
            "controller.quorum.auto.join.enable is only supported when process.roles contains the 'controller' role.",
        ));
    }
    if quorum.voters.contains(&quorum.node_id) {
        return Err(required(&format!(
            "If process.roles contains just the 'broker' role, the node id {} must not be included in the set of voters {}",
            quorum.node_id,
            quorum.shown()
        )));
    }
    if !listeners.controller.is_empty() {
        return Err(required(
            "controller.listener.names must not contain a value appearing in the 'listeners' configuration when running KRaft with \
             just the broker role",
        ));
    }
    let protocols = super::listeners::protocols(layers)?;
    let is_mapped_by_default = layers.set("listener.security.protocol.map").is_none();
    let names = super::listeners::controller_names(layers);
    match names.iter().find(|name| !is_mapped_by_default && !protocols.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(ConfigError::conflict(format!(
            "Controller listener with name {name} defined in controller.listener.names not found in \
             listener.security.protocol.map  (an explicit security mapping for each controller listener is required if \
             listener.security.protocol.map is non-empty, or if there are security protocols other than PLAINTEXT in use)"
        ))),
    }
}

fn check_controller(layers: &Layers, listeners: &Listeners, quorum: &Quorum) -> Result<(), ConfigError> {
    if !quorum.voters.is_empty() && !quorum.voters.contains(&quorum.node_id) {
        return Err(required(&format!(
            "If process.roles contains the 'controller' role, the node id {} must be included in the set of voters {}",
            quorum.node_id,
            quorum.shown()
        )));
    }
    let is_alone = quorum.voters.len() < 2 && !quorum.has_bootstrap_servers;
    if listeners.controller.is_empty() {
        if is_alone {
            return Ok(());
        }
        return Err(required(
            "controller.listener.names must contain at least one value appearing in the 'listeners' configuration when running the \
             KRaft controller role",
        ));
    }
    let is_there = |name: &String| listeners.controller.iter().any(|listener| listener.name == *name);
    if super::listeners::controller_names(layers).iter().all(is_there) {
        return Ok(());
    }
    Err(required(
        "controller.listener.names must only contain values appearing in the 'listeners' configuration when running the KRaft \
         controller role",
    ))
}

/// In the words of Scala's `require`.
fn required(what: &str) -> ConfigError {
    ConfigError::conflict(format!("requirement failed: {what}"))
}
