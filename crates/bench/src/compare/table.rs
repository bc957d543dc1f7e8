//! The figures of a run and what they are held against.

use std::fmt;
use std::path::Path;

use super::load::Latencies;
use super::sides::Side;
use crate::report::machine;
use crate::samples::Samples;

/// One figure of each side, of every round.
#[derive(Clone, Debug, Default)]
pub(super) struct Three {
    pub(super) floor: Samples,
    pub(super) kafka: Samples,
    pub(super) ottla: Samples,
}

impl Three {
    pub(super) fn of_ottla(ottla: Samples) -> Self {
        Self { ottla, ..Self::default() }
    }

    /// A figure that Ottla alone has, of one round.
    pub(super) fn one(value: f64) -> Self {
        let mut figures = Self::default();
        figures.push(Side::Ottla, value);
        figures
    }

    pub(super) fn push(&mut self, side: Side, value: f64) {
        self.of_mut(side).push(value);
    }

    /// Of the last of several.
    pub(super) fn set(&mut self, side: Side, value: f64) {
        *self.of_mut(side) = Samples::default();
        self.push(side, value);
    }

    pub(super) fn of(&self, side: Side) -> &Samples {
        match side {
            Side::Floor => &self.floor,
            Side::Kafka => &self.kafka,
            Side::Ottla => &self.ottla,
        }
    }

    fn of_mut(&mut self, side: Side) -> &mut Samples {
        match side {
            Side::Floor => &mut self.floor,
            Side::Kafka => &mut self.kafka,
            Side::Ottla => &mut self.ottla,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        Side::ALL.iter().all(|side| self.of(*side).is_empty())
    }

    /// Ottla's over another's, round by round; the median.
    fn ratio(&self, other: Side) -> Option<f64> {
        let other = self.of(other);
        (!other.is_empty() && !self.ottla.is_empty()).then(|| self.ottla.over(other).median())
    }
}

/// What Ottla's figure shall be of another's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    against: Side,
    factor: f64,
    is_least: bool,
}

impl Target {
    pub(super) const fn at_most(factor: f64, against: Side) -> Self {
        Self { against, factor, is_least: false }
    }

    pub(super) const fn at_least(factor: f64, against: Side) -> Self {
        Self { against, factor, is_least: true }
    }
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) figures: Three,
    targets: Vec<Target>,
    /// In the row's own unit, and whether it is the least.
    limit: Option<(f64, bool)>,
    /// What it measures is not there yet.
    is_later: bool,
}

impl Metric {
    pub(super) fn new(name: String, unit: &'static str, figures: Three) -> Self {
        Self { name, unit, figures, targets: Vec::new(), limit: None, is_later: false }
    }

    /// A place for what cannot be measured yet.
    pub(super) fn later(name: String, unit: &'static str) -> Self {
        Self { is_later: true, ..Self::new(name, unit, Three::default()) }
    }

    pub(super) fn with(mut self, targets: &[Target]) -> Self {
        self.targets.extend_from_slice(targets);
        self
    }

    pub(super) fn at_most(mut self, limit: f64) -> Self {
        self.limit = Some((limit, false));
        self
    }

    pub(super) fn at_least(mut self, limit: f64) -> Self {
        self.limit = Some((limit, true));
        self
    }

    /// Whether each target is met, and how it reads.
    fn verdicts(&self) -> Vec<(bool, String)> {
        // To the digits that are shown: a figure that reads as the target meets it.
        let met = |value: f64, wanted: f64, is_least: bool| {
            if is_least { value > wanted - 0.005 } else { value < wanted + 0.005 }
        };
        let sign = |is_least| if is_least { ">=" } else { "<=" };
        let of_side = self.targets.iter().filter_map(|target| {
            let Target { against, factor, is_least } = *target;
            let ratio = self.figures.ratio(against)?;
            Some((met(ratio, factor, is_least), format!("{} {factor}x {}", sign(is_least), against.name())))
        });
        let limit = self.limit.filter(|_| !self.figures.ottla.is_empty());
        let of_limit = limit.map(|(limit, is_least)| {
            let is_met = met(self.figures.ottla.median(), limit, is_least);
            (is_met, format!("{} {limit} {}", sign(is_least), self.unit))
        });
        of_side.chain(of_limit).collect()
    }

    fn is_met(&self) -> bool {
        self.verdicts().iter().all(|(met, _)| *met)
    }
}

/// All rows, in the order in which they were measured.
#[derive(Debug)]
pub(super) struct Table {
    machine: String,
    rounds: usize,
    pub(super) metrics: Vec<Metric>,
    /// Latencies of each side, whole.
    pub(super) curves: Vec<(String, [Latencies; 3])>,
}

impl Table {
    pub(super) fn new(broker: &Path, rounds: usize) -> Self {
        Self { machine: machine(broker), rounds, metrics: Vec::new(), curves: Vec::new() }
    }

    pub(super) fn extend(&mut self, metrics: Vec<Metric>) {
        self.metrics.extend(metrics);
    }

    pub(super) fn curves(&mut self, name: &str, curves: [Latencies; 3]) {
        self.curves.push((name.to_owned(), curves));
    }

    pub(super) fn all_met(&self) -> bool {
        self.metrics.iter().all(Metric::is_met)
    }
}

/// Median, and the spread of the rounds.
fn cell(samples: &Samples) -> String {
    if samples.is_empty() {
        return "-".to_owned();
    }
    let digits = if samples.median() >= 100.0 {
        0
    } else if samples.median() >= 10.0 {
        1
    } else {
        2
    };
    let median = format!("{:.digits$}", samples.median());
    if samples.len() < 2 {
        return median;
    }
    format!("{median} ({:.digits$} .. {:.digits$})", samples.min(), samples.max())
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}; {} rounds, median (least .. most).\n", self.machine, self.rounds)?;
        writeln!(f, "| work | unit | floor | Kafka 4.4.0 | Ottla | of the floor | of Kafka | target | |")?;
        writeln!(f, "|--|--|--|--|--|--|--|--|--|")?;
        for metric in &self.metrics {
            let ratio = |side| {
                metric.figures.ratio(side).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}x"))
            };
            let verdicts = metric.verdicts();
            let targets: Vec<&str> = verdicts.iter().map(|(_, text)| text.as_str()).collect();
            let verdict = match (verdicts.is_empty(), metric.is_met()) {
                (true, _) if metric.is_later => "later",
                (true, _) => "",
                (false, true) => "ok",
                (false, false) => "MISSED",
            };
            let Three { floor, kafka, ottla } = &metric.figures;
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {verdict} |",
                metric.name,
                metric.unit,
                cell(floor),
                cell(kafka),
                cell(ottla),
                ratio(Side::Floor),
                ratio(Side::Kafka),
                targets.join(", "),
            )?;
        }
        Ok(())
    }
}
