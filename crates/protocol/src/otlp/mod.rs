//! The metrics that clients push (KIP-714): OTLP's `MetricsData`, read a data point at a time.
//!
//! Clients choose what is in there. A level is decoded when it is visited, its elements as slices of the push: a push takes
//! at most some 16 times its length in memory, however many empty elements it claims.
//! Source: opentelemetry-proto, `metrics/v1/metrics.proto`, `common/v1/common.proto`, `resource/v1/resource.proto`.

mod messages;

use bytes::Bytes;
use prost::Message as _;

use messages::{AnyValue, KeyValue, Metric, MetricsData, NumberDataPoint, Points, Resource, ResourceMetrics};
use messages::{ScopeMetrics, any_value, number_data_point};

/// A name and its value, as text.
pub type Attribute = (String, String);

/// What a data point counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointKind {
    /// The value at a time.
    Gauge,
    /// A sum that may fall, or what was added to it.
    Sum { delta: bool },
    /// A sum that only grows, or what was added to it.
    Counter { delta: bool },
}

/// A number of a metric.
#[derive(Debug)]
pub struct Point<'a> {
    pub metric: &'a str,
    pub kind: PointKind,
    /// Of the client as a whole: `client_rack`, `group_id`.
    pub resource: &'a [Attribute],
    /// What the number is of: `node_id`, `topic`.
    pub attributes: &'a [Attribute],
    pub value: f64,
}

/// The push is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not OTLP metrics: {0}")]
pub struct OtlpError(#[from] prost::DecodeError);

/// Shows every number of a push to `visit`, and gives how many data points were none (histograms, summaries).
///
/// # Errors
/// The bytes are no `MetricsData`; what was shown before stays shown.
pub fn read_metrics(push: Bytes, mut visit: impl FnMut(&Point<'_>)) -> Result<u64, OtlpError> {
    let mut unread = 0;
    for resource_metrics in MetricsData::decode(push)?.resource_metrics {
        let resource_metrics = ResourceMetrics::decode(resource_metrics)?;
        let resource = attributes(Resource::decode(resource_metrics.resource)?.attributes)?;
        for scope_metrics in resource_metrics.scope_metrics {
            for metric in ScopeMetrics::decode(scope_metrics)?.metrics {
                unread += read_metric(&Metric::decode(metric)?, &resource, &mut visit)?;
            }
        }
    }
    Ok(unread)
}

fn read_metric(
    metric: &Metric,
    resource: &[Attribute],
    visit: &mut impl FnMut(&Point<'_>),
) -> Result<u64, OtlpError> {
    let numbers = metric.gauge.iter().map(|points| (points, false));
    for (points, is_sum) in numbers.chain(metric.sum.iter().map(|points| (points, true))) {
        let points = Points::decode(points.clone())?;
        let kind = if is_sum { sum_kind(&points) } else { PointKind::Gauge };
        for point in points.data_points {
            let point = NumberDataPoint::decode(point)?;
            let attributes = attributes(point.attributes)?;
            let Some(value) = point.value else { continue };
            let value = match value {
                number_data_point::Value::AsDouble(value) => value,
                number_data_point::Value::AsInt(value) => value as f64,
            };
            visit(&Point { metric: &metric.name, kind, resource, attributes: &attributes, value });
        }
    }
    let others = [&metric.histogram, &metric.exponential_histogram, &metric.summary];
    others.into_iter().flatten().try_fold(0, |unread, points| {
        let points = Points::decode(points.clone())?.data_points.len();
        Ok(unread + u64::try_from(points).unwrap_or(u64::MAX))
    })
}

const DELTA: i32 = 1;

fn sum_kind(points: &Points) -> PointKind {
    let delta = points.aggregation_temporality == DELTA;
    if points.is_monotonic { PointKind::Counter { delta } } else { PointKind::Sum { delta } }
}

/// Those whose value is one: text, a number, a truth.
fn attributes(encoded: Vec<Bytes>) -> Result<Vec<Attribute>, OtlpError> {
    let mut attributes = Vec::new();
    for attribute in encoded {
        let KeyValue { key, value } = KeyValue::decode(attribute)?;
        if let Some(value) = AnyValue::decode(value)?.value {
            attributes.push((key, text(value)));
        }
    }
    Ok(attributes)
}

fn text(value: any_value::Value) -> String {
    match value {
        any_value::Value::String(text) => text,
        any_value::Value::Bool(value) => value.to_string(),
        any_value::Value::Int(value) => value.to_string(),
        any_value::Value::Double(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests;
