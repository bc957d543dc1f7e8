//! `listeners`, `advertised.listeners` and the names that tie them together.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::Layers;
use super::types::{Listener, Roles};
use crate::ConfigError;

/// The listeners of a node, told apart.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) served: Vec<Listener>,
    pub(super) advertised: Vec<Listener>,
    pub(super) controller: Vec<Listener>,
    pub(super) advertised_controller: Vec<Listener>,
    pub(super) inter_broker: String,
}

/// `controller.listener.names`, in upper case.
pub(super) fn controller_names(layers: &Layers) -> Vec<String> {
    layers.list("controller.listener.names").iter().map(|name| name.to_ascii_uppercase()).collect()
}

pub(super) fn resolve(layers: &Layers, roles: Roles) -> Result<Listeners, ConfigError> {
    let controller_names = controller_names(layers);
    let all = parse_list("listeners", layers)?;
    check_distinct(&all, layers)?;
    let protocols = protocols(layers)?;
    for listener in &all {
        let is_controller = controller_names.contains(&listener.name);
        check_protocol(listener, &protocols, is_controller, &layers.list("listeners"))?;
    }
    let (controller, served): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|listener| controller_names.contains(&listener.name));
    let advertised_controller = advertised_controller(layers, &controller, &controller_names)?;
    if !roles.broker {
        // Of a controller that serves no clients the rest is not looked at.
        return Ok(Listeners {
            served,
            advertised: Vec::new(),
            controller,
            advertised_controller,
            inter_broker: String::new(),
        });
    }
    if served.is_empty() && !controller.is_empty() && roles.controller {
        return Err(ConfigError::conflict(
            "requirement failed: There must be at least one broker advertised listener. Perhaps all listeners appear in \
             controller.listener.names?",
        ));
    }
    if served.is_empty() && controller.is_empty() {
        let listeners = layers.text("listeners").unwrap_or_default();
        return Err(ConfigError::invalid(
            "listeners",
            listeners,
            "There must be at least one broker listener",
        ));
    }
    let advertised = advertised(layers, &served, &controller_names)?;
    let inter_broker = inter_broker(layers, &served)?;
    Ok(Listeners { served, advertised, controller, advertised_controller, inter_broker })
}

/// Where other nodes find each controller listener.
fn advertised_controller(
    layers: &Layers,
    controller: &[Listener],
    controller_names: &[String],
) -> Result<Vec<Listener>, ConfigError> {
    let mut named = parse_list("advertised.listeners", layers)?;
    named.retain(|listener| controller_names.contains(&listener.name));
    let of = |own: &Listener| named.iter().find(|listener| listener.name == own.name).unwrap_or(own).clone();
    Ok(controller.iter().map(of).collect())
}

/// One for each served listener, in the same order.
fn advertised(
    layers: &Layers,
    served: &[Listener],
    controller_names: &[String],
) -> Result<Vec<Listener>, ConfigError> {
    let mut named = parse_list("advertised.listeners", layers)?;
    named.retain(|listener| !controller_names.contains(&listener.name));
    if named.is_empty() {
        named = served.to_vec();
    }
    if let Some(stranger) = named.iter().find(|listener| served.iter().all(|own| own.name != listener.name)) {
        let names = |listeners: &[Listener]| {
            listeners.iter().map(|listener| listener.name.clone()).collect::<Vec<_>>().join(",")
        };
        return Err(ConfigError::conflict(format!(
            "advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. \
             Found {} ({} is not in {})",
            names(&named),
            stranger.name,
            names(served)
        )));
    }
    if named.iter().any(|listener| listener.host == "0.0.0.0") {
        return Err(ConfigError::conflict(
            "requirement failed: advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address.",
        ));
    }
    let of = |own: &Listener| named.iter().find(|listener| listener.name == own.name).unwrap_or(own).clone();
    Ok(served.iter().map(of).collect())
}

fn inter_broker(layers: &Layers, served: &[Listener]) -> Result<String, ConfigError> {
    let Some(name) = layers.non_empty("inter.broker.listener.name") else {
        return Ok(served.first().map(|listener| listener.name.clone()).unwrap_or_default());
    };
    if layers.set("security.inter.broker.protocol").is_some() {
        return Err(ConfigError::conflict(
            "Only one of inter.broker.listener.name and security.inter.broker.protocol should be set.",
        ));
    }
    let name = name.to_ascii_uppercase();
    if served.iter().any(|listener| listener.name == name) {
        return Ok(name);
    }
    let options: Vec<&str> = served.iter().map(|listener| listener.name.as_str()).collect();
    Err(ConfigError::conflict(format!(
        "inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid options \
         based on currently configured listeners are {}",
        options.join(",")
    )))
}

fn parse_list(name: &str, layers: &Layers) -> Result<Vec<Listener>, ConfigError> {
    let entries = layers.text(name).map(|text| crate::value::split_list(text.trim())).unwrap_or_default();
    entries.iter().map(|entry| parse(name, entry)).collect()
}

fn parse(name: &str, entry: &str) -> Result<Listener, ConfigError> {
    let bad = || ConfigError::invalid(name, entry, "Expected NAME://host:port, separated by commas");
    let (listener, address) = entry.split_once("://").ok_or_else(bad)?;
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if listener.is_empty() || !listener.chars().all(word) {
        return Err(bad());
    }
    let (host, port) = crate::check::host_and_port(address).ok_or_else(bad)?;
    Ok(Listener { name: listener.to_ascii_uppercase(), host: host.to_owned(), port })
}

fn check_distinct(listeners: &[Listener], layers: &Layers) -> Result<(), ConfigError> {
    let text = layers.text("listeners").unwrap_or_default();
    let names: BTreeSet<&str> = listeners.iter().map(|listener| listener.name.as_str()).collect();
    if names.len() < listeners.len() {
        return Err(ConfigError::conflict(format!(
            "Each listener must have a different name unless you have exactly one listener on IPv4 and the other \
             IPv6 on the same port, listeners: {text}"
        )));
    }
    let ports: Vec<u16> = listeners.iter().map(|listener| listener.port).filter(|port| *port != 0).collect();
    let distinct: BTreeSet<u16> = ports.iter().copied().collect();
    if distinct.len() < ports.len() {
        return Err(ConfigError::conflict(format!(
            "Each listener must have a different port, listeners: {text}"
        )));
    }
    Ok(())
}

/// `listener.security.protocol.map`: listener name -> protocol, both in upper case.
pub(super) fn protocols(layers: &Layers) -> Result<BTreeMap<String, String>, ConfigError> {
    const NAME: &str = "listener.security.protocol.map";
    let mut protocols = BTreeMap::new();
    for entry in layers.list(NAME).iter().filter(|entry| !entry.is_empty()) {
        let Some((listener, protocol)) = entry.split_once(':') else {
            return Err(ConfigError::invalid(
                NAME,
                entry,
                "Expected LISTENER:PROTOCOL pairs separated by commas",
            ));
        };
        let protocol = protocol.trim().to_ascii_uppercase();
        if !["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"].contains(&protocol.as_str()) {
            let reason = "Protocol must be one of: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL";
            return Err(ConfigError::invalid(NAME, entry, reason));
        }
        protocols.insert(listener.trim().to_ascii_uppercase(), protocol);
    }
    Ok(protocols)
}

fn check_protocol(
    listener: &Listener,
    protocols: &BTreeMap<String, String>,
    is_controller: bool,
    all: &[String],
) -> Result<(), ConfigError> {
    match protocols.get(&listener.name).map(String::as_str) {
        Some("PLAINTEXT") => Ok(()),
        Some(protocol) => Err(ConfigError::not_yet(
            "listeners",
            &format!("{}://{}:{}", listener.name, listener.host, listener.port),
            &format!("a {protocol} listener"),
            "map it to PLAINTEXT, or remove it",
        )),
        // Kafka maps controller listeners without an entry to PLAINTEXT.
        None if is_controller => Ok(()),
        None => Err(ConfigError::conflict(format!(
            "Error creating broker listeners from '[{}]': No security protocol defined for listener {}",
            all.join(", "),
            listener.name
        ))),
    }
}
