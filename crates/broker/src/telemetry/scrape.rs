//! One scrape's text, made a piece at a time: with a row for each of many partitions it is far larger than what it is
//! made of, and is never in memory as a whole.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::Names;
use super::aliases::{self, Alias};
use super::metrics::head;
use super::rows::Table;

/// A piece is this long, or one line longer.
const PIECE_LEN: usize = 64 * 1024;

/// Pieces of whole lines, in Prometheus's text format.
#[derive(Debug)]
pub struct Scrape {
    tables: Vec<Table>,
    parts: VecDeque<Part>,
    /// The next row of the first part.
    row: usize,
}

/// What is written one behind the other.
#[derive(Debug)]
enum Part {
    Text(String),
    /// A series of a table, under our name or Kafka's.
    Rows {
        table: usize,
        series: usize,
        alias: Option<&'static Alias>,
    },
}

impl Scrape {
    /// `text` are the series that are few, `tail` is what has no other name.
    pub(super) fn new(text: String, tables: Vec<Table>, tail: String, names: Names) -> Self {
        let mut parts = VecDeque::new();
        let aliases = if names == Names::Ottla { Vec::new() } else { aliases::blocks(&text) };
        if names != Names::Jmx {
            parts.push_back(Part::Text(text));
            for (at, table) in tables.iter().enumerate().filter(|(_, table)| !table.is_empty()) {
                for (series, described) in table.series().iter().enumerate() {
                    let mut text = String::new();
                    head(&mut text, *described);
                    parts.extend([Part::Text(text), Part::Rows { table: at, series, alias: None }]);
                }
            }
        }
        for block in aliases {
            let rows = tables.iter().enumerate().filter(|(_, table)| !table.is_empty());
            let rows = rows.flat_map(|(at, table)| {
                block.aliases.iter().filter_map(move |alias| {
                    let series = table.series().iter().position(|series| series.name == alias.ours)?;
                    Some(Part::Rows { table: at, series, alias: Some(*alias) })
                })
            });
            let rows: Vec<Part> = rows.collect();
            if !block.samples.is_empty() || !rows.is_empty() {
                parts.push_back(Part::Text(format!("{}{}", block.head, block.samples)));
                parts.extend(rows);
            }
        }
        parts.push_back(Part::Text(tail));
        Self { tables, parts, row: 0 }
    }

    /// Rows from `self.row` on, until they or the piece end; whether they have.
    fn write_rows(&mut self, out: &mut String, table: usize, series: usize, alias: Option<&Alias>) -> bool {
        let Some(table) = self.tables.get(table) else { return true };
        let name = table.series().get(series).map_or("", |series| series.name);
        let mut value = String::new();
        for row in self.row..table.len() {
            if out.len() >= PIECE_LEN {
                self.row = row;
                return false;
            }
            value.clear();
            write_value(&mut value, table.value(row, series));
            match alias {
                Some(alias) => aliases::append_sample(out, alias, table.labels(row), &value),
                None => out.extend([name, table.labels(row), " ", &value, "\n"]),
            }
        }
        self.row = 0;
        true
    }
}

/// Whole numbers, which most are, need no search for the shortest decimal.
fn write_value(out: &mut String, value: f64) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and fits")]
        let whole = value as i64;
        let _ = write!(out, "{whole}");
    } else {
        let _ = write!(out, "{value}");
    }
}

impl Iterator for Scrape {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut out = String::with_capacity(PIECE_LEN + PIECE_LEN / 8);
        while out.len() < PIECE_LEN {
            match self.parts.pop_front() {
                None if out.is_empty() => return None,
                None => break,
                Some(Part::Text(text)) => out.push_str(&text),
                Some(Part::Rows { table, series, alias }) => {
                    if !self.write_rows(&mut out, table, series, alias) {
                        self.parts.push_front(Part::Rows { table, series, alias });
                    }
                }
            }
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::{PARTITION_LOG_BYTES, PARTITION_LOG_START, TOPIC_PRODUCE_BYTES};
    use super::super::rows::Row;
    use super::*;

    fn scrape(partitions: usize, names: Names) -> Scrape {
        let rows = (0..partitions).map(|at| {
            let label = at.to_string();
            Row::new(&[("topic", "t"), ("partition", &label)], [at as f64, 0.5])
        });
        let tables = vec![
            Table::new([TOPIC_PRODUCE_BYTES], vec![Row::new(&[("topic", "t")], [7.0])]),
            Table::new([PARTITION_LOG_START, PARTITION_LOG_BYTES], rows.collect()),
        ];
        Scrape::new("ottla_produce_bytes_total 9\n".to_owned(), tables, "tail 1\n".to_owned(), names)
    }

    #[test]
    fn series_of_both_names_stand_under_their_heads() {
        let text: String = scrape(1, Names::Both).collect();
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            lines,
            [
                "ottla_produce_bytes_total 9",
                "# TYPE ottla_topic_produce_bytes_total counter",
                "ottla_topic_produce_bytes_total{topic=\"t\"} 7",
                "# TYPE ottla_partition_log_start_offset gauge",
                "ottla_partition_log_start_offset{topic=\"t\",partition=\"0\"} 0",
                "# TYPE ottla_partition_log_size_bytes gauge",
                "ottla_partition_log_size_bytes{topic=\"t\",partition=\"0\"} 0.5",
                "# TYPE kafka_server_brokertopicmetrics_bytesin_total counter",
                "kafka_server_brokertopicmetrics_bytesin_total 9",
                "kafka_server_brokertopicmetrics_bytesin_total{topic=\"t\"} 7",
                "# TYPE kafka_log_log_size gauge",
                "kafka_log_log_size{topic=\"t\",partition=\"0\"} 0.5",
                "# TYPE kafka_log_log_logstartoffset gauge",
                "kafka_log_log_logstartoffset{topic=\"t\",partition=\"0\"} 0",
                "# TYPE kafka_topic_partition_oldest_offset gauge",
                "kafka_topic_partition_oldest_offset{topic=\"t\",partition=\"0\"} 0",
                "tail 1",
            ]
        );
    }

    #[test]
    fn one_of_the_names_may_be_enough() {
        let both: String = scrape(3, Names::Both).collect();
        let ours: String = scrape(3, Names::Ottla).collect();
        let jmx: String = scrape(3, Names::Jmx).collect();
        assert!(!ours.contains("kafka_") && !jmx.contains("ottla_"));
        let alone = ours.strip_suffix("tail 1\n").unwrap();
        assert_eq!(format!("{alone}{jmx}"), both);
    }

    #[test]
    fn pieces_are_short_and_whole_lines() {
        let whole: usize = scrape(20_000, Names::Both).map(|piece| piece.lines().count()).sum();
        // Our two, three of Kafka's.
        assert!(whole > 5 * 20_000, "{whole}");
        for piece in scrape(20_000, Names::Both) {
            assert!(piece.len() < PIECE_LEN + 1_024 && piece.ends_with('\n'), "{}", piece.len());
        }
    }
}
