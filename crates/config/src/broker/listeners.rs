//! `listeners`, `advertised.listeners` and the names that tie them together.

use super::layers::Layers;
use super::types::Listener;
use crate::ConfigError;

/// The listeners of a node, told apart.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) served: Vec<Listener>,
    pub(super) advertised: Vec<Listener>,
    pub(super) controller: Vec<Listener>,
    pub(super) inter_broker: String,
}

pub(super) fn resolve(layers: &Layers) -> Result<Listeners, ConfigError> {
    let controller_names: Vec<String> =
        layers.list("controller.listener.names").iter().map(|name| name.to_ascii_uppercase()).collect();
    let all = parse_list("listeners", &layers.list("listeners"))?;
    let (controller, served): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|listener| controller_names.contains(&listener.name));
    let advertised = parse_list("advertised.listeners", &layers.list("advertised.listeners"))?;
    let advertised = if advertised.is_empty() { served.clone() } else { advertised };
    let inter_broker = layers
        .non_empty("inter.broker.listener.name")
        .or_else(|| served.first().map(|listener| listener.name.clone()))
        .unwrap_or_default();
    Ok(Listeners { served, advertised, controller, inter_broker })
}

fn parse_list(name: &str, entries: &[String]) -> Result<Vec<Listener>, ConfigError> {
    entries.iter().map(|entry| parse(name, entry)).collect()
}

fn parse(name: &str, entry: &str) -> Result<Listener, ConfigError> {
    let bad = || ConfigError::invalid(name, entry, "Expected NAME://host:port");
    let (listener, address) = entry.split_once("://").ok_or_else(bad)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(bad)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().map_err(|_| bad())?;
    Ok(Listener { name: listener.to_ascii_uppercase(), host: host.to_owned(), port })
}
