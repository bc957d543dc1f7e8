//! What an operator sees of a running broker: logs, metrics, health.

mod aliases;
mod api_metrics;
mod broker_metrics;
mod catalogue;
mod cleaner_metrics;
mod client_metrics_counters;
mod health;
mod histogram;
mod loggers;
mod logging;
mod metrics;
mod openmetrics;
mod page;
mod pieces;
mod process;
mod quantiles;
mod rows;
mod scrape;
mod server;
mod sharded;
mod slow;

pub use api_metrics::{ApiMetrics, ParkedRequest};
pub use broker_metrics::{BrokerMetrics, GroupState, MEMORY_POOLS};
pub use cleaner_metrics::CleanerMetrics;
pub use client_metrics_counters::{ClientMetricsCounters, PointDropped};
pub use health::Health;
pub use histogram::Histogram;
pub use loggers::Loggers;
pub(crate) use loggers::{LogLevel, ROOT as ROOT_LOGGER};
pub use logging::{LogFormat, LoggingError, init as init_logging};
pub use metrics::{Metrics, Names, PerObject, Refresh};
pub use page::catalogue_page;
pub use rows::{Labels, Row};
pub use scrape::Scrape;
pub use server::{MetricsServer, ServerError};
pub use slow::{SlowLog, SlowRequest};
