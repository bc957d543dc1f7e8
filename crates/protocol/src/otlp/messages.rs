//! What we read of OTLP's messages. Nested messages are bytes: they are decoded one at a time.

use bytes::Bytes;
use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricsData {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) resource_metrics: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ResourceMetrics {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) resource: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(super) scope_metrics: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Resource {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) attributes: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ScopeMetrics {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(super) metrics: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Metric {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub(super) gauge: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "7")]
    pub(super) sum: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub(super) histogram: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "10")]
    pub(super) exponential_histogram: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "11")]
    pub(super) summary: Option<Bytes>,
}

/// A `Gauge`, a `Sum`, or what of the other kinds is the same.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Points {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) data_points: Vec<Bytes>,
    #[prost(int32, tag = "2")]
    pub(super) aggregation_temporality: i32,
    #[prost(bool, tag = "3")]
    pub(super) is_monotonic: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NumberDataPoint {
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub(super) attributes: Vec<Bytes>,
    #[prost(oneof = "number_data_point::Value", tags = "4, 6")]
    pub(super) value: Option<number_data_point::Value>,
}

pub(super) mod number_data_point {
    use super::Oneof;

    #[derive(Clone, Copy, PartialEq, Oneof)]
    pub(in super::super) enum Value {
        #[prost(double, tag = "4")]
        AsDouble(f64),
        #[prost(sfixed64, tag = "6")]
        AsInt(i64),
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AnyValue {
    #[prost(oneof = "any_value::Value", tags = "1, 2, 3, 4")]
    pub(super) value: Option<any_value::Value>,
}

pub(super) mod any_value {
    use super::Oneof;

    #[derive(Clone, PartialEq, Oneof)]
    pub(in super::super) enum Value {
        #[prost(string, tag = "1")]
        String(String),
        #[prost(bool, tag = "2")]
        Bool(bool),
        #[prost(int64, tag = "3")]
        Int(i64),
        #[prost(double, tag = "4")]
        Double(f64),
    }
}
