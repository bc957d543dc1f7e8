//! The catalogue of all series as Markdown, for `docs/METRICS.md`.

use std::fmt::Write as _;

use metrics::Unit;

use super::aliases::ALIASES;
use super::catalogue::{ALL, Kind, Series};

/// A table of all series under our names, and what each is called under Kafka's.
#[must_use]
pub fn catalogue_page() -> String {
    let mut page =
        String::from("| series | type | unit | labels | what | Kafka's name |\n|--|--|--|--|--|--|\n");
    for series in ALL {
        let labels: Vec<String> = series.labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | {} |",
            series.name,
            kind(series.kind),
            unit(series.unit),
            labels.join(", "),
            series.help,
            kafka_names(series),
        );
    }
    page
}

fn kafka_names(series: &Series) -> String {
    let aliases = ALIASES.iter().filter(|alias| alias.ours == series.name);
    aliases.map(|alias| format!("`{}`", alias.kafka)).collect::<Vec<_>>().join(", ")
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

const fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "bytes",
        Unit::Seconds => "seconds",
        _ => "",
    }
}
