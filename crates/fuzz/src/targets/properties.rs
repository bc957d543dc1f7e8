//! `server.properties`.

use ottla_config::{BrokerConfig, ConfigMap, Properties, Scope, definitions};

use super::Target;

pub(crate) const PROPERTIES: Target = Target {
    name: "properties",
    about: "a server.properties file: refused, or a configuration",
    run,
    quick: 200,
    seeds,
};

fn run(bytes: &[u8]) {
    let Ok(properties) = Properties::parse(bytes) else { return };
    let settings: ConfigMap =
        properties.iter().map(|(name, property)| (name.to_owned(), property.value.clone())).collect();
    let _ = BrokerConfig::load(settings);
}

/// Each setting by itself, with a number, a word and nothing.
fn seeds() -> Vec<Vec<u8>> {
    let of = |name: &str| {
        ["12", "-1", "PLAINTEXT://:9092", ""].map(|value| format!("{name} = {value}\n").into_bytes())
    };
    definitions(Scope::Broker).flat_map(|definition| of(definition.name)).collect()
}
