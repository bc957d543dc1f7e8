//! What the documents say of settings is what the table says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use ottla_config::{
    DIFFERENCES, DefaultValue, Definition, Effect, Scope, UpdateMode, definitions, dynamic_only_definitions,
};

const BEGIN: &str =
    "<!-- begin: settings (cargo test -p ottla-config --test pages, with OTTLA_UPDATE=1 to rewrite) -->\n";
const END: &str = "<!-- end: settings -->\n";

#[test]
fn the_page_of_settings_is_what_the_table_says() {
    let tables = [
        (
            "Broker",
            Scope::Broker,
            "server.properties, `--override`, and (not the read-only ones) `kafka-configs --entity-type brokers`",
        ),
        ("Topic", Scope::Topic, "CreateTopics and `kafka-configs --entity-type topics`"),
        ("Group", Scope::Group, "`kafka-configs --entity-type groups`"),
        ("Client metrics", Scope::ClientMetrics, "`kafka-configs --entity-type client-metrics`"),
    ];
    let mut text = String::new();
    for (title, scope, by) in tables {
        write!(text, "\n## {title}\n\nSet by {by}.\n\n{HEAD}").unwrap();
        definitions(scope).for_each(|definition| text.push_str(&row(scope, definition)));
        if scope == Scope::Broker {
            dynamic_only_definitions().for_each(|definition| text.push_str(&row(scope, definition)));
        }
    }
    check("docs/CONFIGURATION.md", &text);
}

#[test]
fn the_readme_lists_what_is_refused() {
    let mut by_feature: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for scope in [Scope::Broker, Scope::Topic, Scope::Group, Scope::ClientMetrics] {
        for definition in definitions(scope) {
            if let Effect::NotYet(missing) = definition.effect {
                by_feature.entry(missing).or_default().push(format!("`{}`", definition.name));
            }
        }
    }
    let mut text = String::new();
    for (missing, mut names) in by_feature {
        names.dedup();
        writeln!(text, "- {missing}: {}", names.join(", ")).unwrap();
    }
    check("README.md", &text);
}

const HEAD: &str = "| key | type | default | allowed | update | what Ottla does |\n|--|--|--|--|--|--|\n";

fn row(scope: Scope, definition: &Definition) -> String {
    let difference = DIFFERENCES.iter().find(|d| scope == Scope::Broker && d.name == definition.name);
    let default = match (difference, definition.default) {
        (Some(difference), _) => difference.default,
        (None, DefaultValue::Text(text)) => Some(text),
        (None, DefaultValue::Null | DefaultValue::Required) => None,
    };
    let default =
        default.map_or_else(|| "null".to_owned(), |text| format!("`{text}`").replace("``", "empty"));
    let update = match definition.update {
        UpdateMode::ReadOnly => "read-only",
        UpdateMode::PerBroker => "per-broker",
        UpdateMode::ClusterWide => "cluster-wide",
    };
    let effect = match definition.effect {
        Effect::Honoured => "honoured".to_owned(),
        Effect::Inert(why) => format!("accepted, without effect: {why}"),
        Effect::NotYet(missing) => {
            format!("**refused** away from the default: {missing} is not supported yet")
        }
    };
    let own = difference.map(|d| format!(" (Kafka's default differs: {})", d.why)).unwrap_or_default();
    let allowed = definition.check.to_string().replace('|', "\\|");
    let name = definition.config_type.name().to_ascii_lowercase();
    format!("| `{}` | {name} | {default} | {allowed} | {update} | {effect}{own} |\n", definition.name)
}

fn check(file: &str, expected: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    let page = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the page has the list's begin");
    let (found, tail) = rest.split_once(END).expect("the page has the list's end");
    if std::env::var_os("OTTLA_UPDATE").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{expected}{END}{tail}")).unwrap();
    } else {
        assert_eq!(found, expected, "run the test with OTTLA_UPDATE=1");
    }
}
