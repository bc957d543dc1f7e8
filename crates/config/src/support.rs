//! Whether Ottla does what a value asks for: what is not built yet may only be what it is by default.

use crate::{ConfigError, Definition, Effect, broker_default};

/// # Errors
/// [`ConfigError::NotYet`]: the value is not the default, and asks for what is not built yet.
pub(crate) fn check_supported(definition: &Definition, text: &str) -> Result<(), ConfigError> {
    let Effect::NotYet(missing) = definition.effect else { return Ok(()) };
    if is_default(definition, text) {
        return Ok(());
    }
    let value = if definition.is_sensitive() { "[hidden]" } else { text };
    let hint = match default(definition) {
        Some("") => "remove it".to_owned(),
        Some(default) => format!("remove it, or set it to {default}"),
        None => "remove it".to_owned(),
    };
    Err(ConfigError::not_yet(definition.name, value, missing, &hint))
}

/// Whether the text means what the setting is anyway.
fn is_default(definition: &Definition, text: &str) -> bool {
    default(definition).map(|default| definition.normalised(default)) == Some(definition.normalised(text))
}

fn default(definition: &Definition) -> Option<&'static str> {
    let of_broker = crate::definition(crate::Scope::Broker, definition.name);
    if of_broker.is_some_and(|of_broker| std::ptr::eq(of_broker, definition)) {
        return broker_default(definition.name);
    }
    definition.default.text()
}
