//! Series with a row for each topic, partition or group: written when they are asked for, kept nowhere.

use std::fmt::Write as _;

use super::catalogue::Series;
use super::metrics::head;

/// The values of one row, in the order of its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<const SERIES: usize> {
    labels: String,
    values: [f64; SERIES],
}

impl<const SERIES: usize> Row<SERIES> {
    /// `labels`: names and values.
    pub fn new(labels: &[(&str, &str)], values: [f64; SERIES]) -> Self {
        let mut text = Labels::default();
        for (name, value) in labels {
            text.push(name, value);
        }
        Self { labels: text.into_text(), values }
    }
}

/// Labels as the text format has them, without the braces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(String);

impl Labels {
    /// One more; the value may hold anything.
    pub fn push(&mut self, name: &str, value: &str) {
        let comma = if self.0.is_empty() { "" } else { "," };
        let _ = write!(self.0, "{comma}{name}=\"");
        escape(&mut self.0, value);
        self.0.push('"');
    }

    /// Bytes of the text so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.0
    }
}

/// Writes rows of one series whose labels are text already; their values may be what no value of ours is.
pub(super) fn append_labelled<'a>(
    out: &mut String,
    series: Series,
    rows: impl Iterator<Item = (&'a str, f64)>,
) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    head(out, series);
    for (labels, value) in rows {
        let _ = match value {
            f64::INFINITY => writeln!(out, "{}{{{labels}}} +Inf", series.name),
            f64::NEG_INFINITY => writeln!(out, "{}{{{labels}}} -Inf", series.name),
            value => writeln!(out, "{}{{{labels}}} {value}", series.name),
        };
    }
}

/// Writes the rows of several series that have the same labels.
pub(super) fn append<const SERIES: usize>(out: &mut String, series: [Series; SERIES], rows: &[Row<SERIES>]) {
    if rows.is_empty() {
        return;
    }
    for (at, series) in series.into_iter().enumerate() {
        head(out, series);
        for row in rows {
            let _ = writeln!(out, "{}{{{}}} {}", series.name, row.labels, row.values[at]);
        }
    }
}

/// As the text format has it.
fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::{TOPIC_FETCH_BYTES, TOPIC_PRODUCE_BYTES};
    use super::*;

    #[test]
    fn rows_stand_under_the_head_of_their_series() {
        let rows = [Row::new(&[("topic", "a")], [1.0, 2.0]), Row::new(&[("topic", "b")], [3.0, 4.0])];
        let mut out = String::new();
        append(&mut out, [TOPIC_PRODUCE_BYTES, TOPIC_FETCH_BYTES], &rows);
        let lines: Vec<&str> = out.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            lines,
            [
                "# TYPE ottla_topic_produce_bytes_total counter",
                "ottla_topic_produce_bytes_total{topic=\"a\"} 1",
                "ottla_topic_produce_bytes_total{topic=\"b\"} 3",
                "# TYPE ottla_topic_fetch_bytes_total counter",
                "ottla_topic_fetch_bytes_total{topic=\"a\"} 2",
                "ottla_topic_fetch_bytes_total{topic=\"b\"} 4",
            ]
        );
    }

    #[test]
    fn names_may_hold_anything() {
        let row = Row::new(&[("group", "a\"b\\c\nd"), ("topic", "t")], [0.0]);
        assert_eq!(row.labels, r#"group="a\"b\\c\nd",topic="t""#);
    }

    #[test]
    fn no_rows_have_no_head() {
        let mut out = String::new();
        append(&mut out, [TOPIC_FETCH_BYTES], &[]);
        assert_eq!(out, "");
    }
}
