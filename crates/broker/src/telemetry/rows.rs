//! Series with a row for each topic, partition or group: read when they are asked for, kept for one scrape.

use std::fmt::Write as _;

use super::catalogue::Series;
use super::metrics::head;

/// The values of one row, in the order of its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<const SERIES: usize> {
    /// With braces.
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
        Self { labels: format!("{{{}}}", text.into_text()), values }
    }
}

/// Series that have the same labels.
#[derive(Debug)]
pub(super) struct Table {
    series: Vec<Series>,
    rows: Box<dyn Rows>,
}

impl Table {
    pub(super) fn new<const SERIES: usize>(series: [Series; SERIES], rows: Vec<Row<SERIES>>) -> Self {
        Self { series: series.into(), rows: Box::new(rows) }
    }

    pub(super) fn series(&self) -> &[Series] {
        &self.series
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// With braces.
    pub(super) fn labels(&self, row: usize) -> &str {
        self.rows.labels(row)
    }

    pub(super) fn value(&self, row: usize, series: usize) -> f64 {
        self.rows.value(row, series)
    }
}

/// Rows of any number of series.
trait Rows: std::fmt::Debug + Send {
    fn len(&self) -> usize;
    fn labels(&self, row: usize) -> &str;
    fn value(&self, row: usize, series: usize) -> f64;
}

impl<const SERIES: usize> Rows for Vec<Row<SERIES>> {
    fn len(&self) -> usize {
        self.len()
    }

    fn labels(&self, row: usize) -> &str {
        &self[row].labels
    }

    fn value(&self, row: usize, series: usize) -> f64 {
        self[row].values[series]
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
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let row = Row::new(&[("group", "a\"b\\c\nd"), ("topic", "t")], [0.0]);
        assert_eq!(row.labels, r#"{group="a\"b\\c\nd",topic="t"}"#);
    }
}
