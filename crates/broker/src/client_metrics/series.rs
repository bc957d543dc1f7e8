//! What clients have pushed, as it is shown on `/metrics`: a bounded number of series, each of bounded length.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use ottla_config::ClientSelector;
use ottla_model::MonoMs;
use ottla_protocol::otlp::{OtlpError, Point, PointKind, read_metrics};
use uuid::Uuid;

use super::client::ClientDetails;
use crate::telemetry::{Labels, PointDropped};

/// Of one series.
const LABELS_LEN_MAX: usize = 1024;

/// How a series is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Gauge,
    Counter,
}

#[derive(Clone, Copy, Debug)]
struct Value {
    family: Family,
    value: f64,
    expires_at: MonoMs,
}

#[derive(Debug)]
struct Client {
    info: String,
    /// By labels, as they are shown.
    series: BTreeMap<Box<str>, Value>,
}

/// The series of all clients; `now` is the monotone clock.
#[derive(Debug)]
pub(crate) struct ClientSeries {
    by_client: BTreeMap<Uuid, Client>,
    count: usize,
    max: usize,
}

/// A push that was read: what it does to the series.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    changes: Vec<(Box<str>, PointKind, f64)>,
    /// Points that are not shown, and why.
    pub dropped: [u64; PointDropped::ALL.len()],
}

impl Changes {
    /// What the push of `client` says, in up to `max` points.
    ///
    /// # Errors
    /// It is no OTLP.
    pub(crate) fn read(client: &ClientDetails, push: Bytes, max: usize) -> Result<Self, OtlpError> {
        let mut read = Self::default();
        let unread = read_metrics(push, |point| {
            let labels = labels(client, point);
            if labels.len() > LABELS_LEN_MAX {
                read.drop_point(PointDropped::Labels);
            } else if read.changes.len() >= max {
                read.drop_point(PointDropped::Series);
            } else {
                read.changes.push((labels.into_boxed_str(), point.kind, point.value));
            }
        })?;
        read.dropped[PointDropped::Kind.index()] = unread;
        Ok(read)
    }

    const fn drop_point(&mut self, why: PointDropped) {
        self.dropped[why.index()] += 1;
    }
}

impl ClientSeries {
    pub(crate) const fn new(max: usize) -> Self {
        Self { by_client: BTreeMap::new(), count: 0, max }
    }

    pub(crate) const fn max(&self) -> usize {
        self.max
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Takes in what a client pushed; it holds for `expiry_ms`. Gives how many points found no room.
    pub(crate) fn apply(
        &mut self,
        id: Uuid,
        details: &ClientDetails,
        changes: Changes,
        expiry_ms: u64,
        now: MonoMs,
    ) -> u64 {
        if self.count + changes.changes.len() > self.max {
            self.expire(now);
        }
        let client = self
            .by_client
            .entry(id)
            .or_insert_with(|| Client { info: info(details), series: BTreeMap::new() });
        let before = client.series.len();
        let mut room = self.max - self.count;
        let mut dropped = 0;
        for (labels, kind, number) in changes.changes {
            let known = client.series.get(&labels).copied();
            if known.is_none() {
                if room == 0 {
                    dropped += 1;
                    continue;
                }
                room -= 1;
            }
            let value = value_after(known, kind, number, now.plus_ms(expiry_ms));
            client.series.insert(labels, value);
        }
        self.count += client.series.len() - before;
        if client.series.is_empty() {
            self.by_client.remove(&id);
        }
        dropped
    }

    /// Forgets what was not pushed again for too long.
    pub(crate) fn expire(&mut self, now: MonoMs) {
        self.by_client.retain(|_, client| {
            client.series.retain(|_, value| value.expires_at > now);
            !client.series.is_empty()
        });
        self.count = self.by_client.values().map(|client| client.series.len()).sum();
    }

    /// Labels and value of every series of a family.
    pub(crate) fn of(&self, family: Family) -> impl Iterator<Item = (&str, f64)> {
        let series = self.by_client.values().flat_map(|client| &client.series);
        series
            .filter(move |(_, value)| value.family == family)
            .map(|(labels, value)| (&**labels, value.value))
    }

    /// Labels of what is known of each client.
    pub(crate) fn clients(&self) -> impl Iterator<Item = &str> {
        self.by_client.values().map(|client| client.info.as_str())
    }
}

/// What was added is added, a whole takes the place of what was there.
fn value_after(known: Option<Value>, kind: PointKind, number: f64, expires_at: MonoMs) -> Value {
    let (family, delta) = match kind {
        PointKind::Gauge => (Family::Gauge, false),
        PointKind::Sum { delta } => (Family::Gauge, delta),
        PointKind::Counter { delta } => (Family::Counter, delta),
    };
    let before = known.filter(|known| delta && known.family == family).map_or(0.0, |known| known.value);
    Value { family, value: before + number, expires_at }
}

fn labels(client: &ClientDetails, point: &Point<'_>) -> String {
    let mut labels = Labels::default();
    labels.push("metric", point.metric);
    for selector in [ClientSelector::ClientId, ClientSelector::InstanceId] {
        labels.push(selector.name(), client.value(selector).unwrap_or_default());
    }
    let mut taken: Vec<String> = Vec::new();
    for (name, value) in point.attributes.iter().chain(point.resource) {
        let name = label_name(name);
        let is_ours = ["metric", "client_id", "client_instance_id"].contains(&name.as_str());
        if is_ours || taken.contains(&name) || name.starts_with("__") {
            continue;
        }
        labels.push(&name, value);
        if labels.len() > LABELS_LEN_MAX {
            break;
        }
        taken.push(name);
    }
    labels.into_text()
}

fn info(client: &ClientDetails) -> String {
    let mut labels = Labels::default();
    for selector in ClientSelector::ALL {
        if selector != ClientSelector::SourcePort {
            labels.push(selector.name(), client.value(selector).unwrap_or_default());
        }
    }
    labels.into_text()
}

/// What is no letter, digit or underscore becomes one.
fn label_name(name: &str) -> String {
    let mut out = String::new();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('_');
    }
    for c in name.chars() {
        let _ = out.write_char(if c.is_ascii_alphanumeric() { c } else { '_' });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 3;

    fn client(n: u128) -> ClientDetails {
        ClientDetails::new(Uuid::from_u128(n), Some("c\"1"), ("java", "4"), "10.0.0.1", 5)
    }

    fn push(store: &mut ClientSeries, n: u128, points: &[(&str, PointKind, f64)], at: u64) -> u64 {
        let changes = points.iter().map(|(labels, kind, value)| ((*labels).into(), *kind, *value)).collect();
        let changes = Changes { changes, ..Changes::default() };
        store.apply(Uuid::from_u128(n), &client(n), changes, 60_000, MonoMs(at))
    }

    fn shown(store: &ClientSeries, family: Family) -> Vec<(String, f64)> {
        store.of(family).map(|(labels, value)| (labels.to_owned(), value)).collect()
    }

    const DELTA: PointKind = PointKind::Counter { delta: true };
    const WHOLE: PointKind = PointKind::Counter { delta: false };
    const RISE: PointKind = PointKind::Sum { delta: true };

    #[test]
    fn what_was_added_adds_up_and_a_whole_replaces() {
        let mut store = ClientSeries::new(MAX);
        for value in [2.0, 3.0] {
            let points = [("a", DELTA, value), ("b", WHOLE, value), ("c", PointKind::Gauge, value)];
            push(&mut store, 7, &points, 0);
        }
        assert_eq!(shown(&store, Family::Counter), [("a".to_owned(), 5.0), ("b".to_owned(), 3.0)]);
        assert_eq!(shown(&store, Family::Gauge), [("c".to_owned(), 3.0)]);
        push(&mut store, 7, &[("a", RISE, 1.0)], 0);
        push(&mut store, 7, &[("a", RISE, -4.0)], 0);
        assert_eq!(shown(&store, Family::Gauge), [("a".to_owned(), -3.0), ("c".to_owned(), 3.0)]);
    }

    #[test]
    fn there_are_as_many_as_the_setting_says_until_they_are_forgotten() {
        let mut store = ClientSeries::new(MAX);
        let points = [("a", DELTA, 1.0), ("b", DELTA, 1.0)];
        assert_eq!(push(&mut store, 1, &points, 0), 0);
        assert_eq!(push(&mut store, 2, &points, 1), 1);
        assert_eq!(push(&mut store, 1, &points, 2), 0, "what is there goes on");
        assert_eq!((store.count(), store.clients().count()), (3, 2));
        assert_eq!(push(&mut store, 3, &points, 60_000), 2);
        assert_eq!(push(&mut store, 3, &points, 60_001), 1, "that of 2 is gone");
        store.expire(MonoMs(60_002));
        assert_eq!((store.count(), store.clients().count()), (1, 1));
        store.expire(MonoMs(120_001));
        assert_eq!((store.count(), store.clients().count()), (0, 0));
    }

    #[test]
    fn a_client_that_found_no_room_is_not_there() {
        let mut store = ClientSeries::new(0);
        assert_eq!(push(&mut store, 1, &[("a", DELTA, 1.0)], 0), 1);
        assert_eq!(store.clients().count(), 0);
    }

    #[test]
    fn labels_are_the_clients_the_points_and_the_resources() {
        let own = |text: &str| text.to_owned();
        let resource = [(own("group_id"), own("g")), (own("client_id"), own("x")), (own("x"), own("2"))];
        let attributes = [(own("node.id"), own("n\n1")), (own("x"), own("1")), (own("1st"), own("y"))];
        let attributes = [&attributes[..], &[(own("__name__"), own("z"))]].concat();
        let kind = PointKind::Gauge;
        let point = Point { metric: "a.b", kind, resource: &resource, attributes: &attributes, value: 1.0 };
        assert_eq!(
            labels(&client(1), &point),
            r#"metric="a.b",client_id="c\"1",client_instance_id="AAAAAAAAAAAAAAAAAAAAAQ",node_id="n\n1",x="1",_1st="y",group_id="g""#
        );
        assert_eq!(
            info(&client(1)),
            r#"client_instance_id="AAAAAAAAAAAAAAAAAAAAAQ",client_id="c\"1",client_software_name="java",client_software_version="4",client_source_address="10.0.0.1""#
        );
    }
}
