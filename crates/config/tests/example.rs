//! `packaging/server.properties` shows defaults, and explains each.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::path::PathBuf;

use ottla_config::{DIFFERENCES, DefaultValue, Scope, definition};

/// Settings whose default says nothing: an example stands there.
const EXAMPLES: [&str; 1] = ["advertised.listeners"];

#[test]
fn every_line_of_the_example_is_an_explained_default() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../packaging/server.properties");
    let text = std::fs::read_to_string(path).unwrap();
    let mut explained = false;
    let mut count = 0;
    for line in text.lines() {
        let Some(setting) = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')) else {
            assert!(line.is_empty() || line.starts_with("# "), "{line}: a setting that is not a default");
            explained = !line.is_empty() && !line.starts_with("# ---");
            continue;
        };
        let (key, value) = setting.split_once('=').unwrap();
        assert!(explained, "{key} is not explained");
        let known = definition(Scope::Broker, key).unwrap_or_else(|| panic!("{key} is not a setting"));
        let ours = DIFFERENCES.iter().find(|difference| difference.name == key).map(|found| found.default);
        let default = match (ours, known.default) {
            (Some(ours), _) => ours,
            (None, DefaultValue::Text(text)) => Some(text),
            (None, DefaultValue::Null | DefaultValue::Required) => None,
        };
        assert!(default == Some(value) || EXAMPLES.contains(&key), "{key} is {default:?}, not {value}");
        count += 1;
    }
    assert!(count >= 20, "{count} settings");
}
