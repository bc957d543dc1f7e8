//! Client metrics (KIP-714): which clients are asked for which of their metrics, and what they push.
//!
//! [`Manager`] is Kafka's rules, [`ClientSeries`] what came of the pushes; both are pure, and here is the lock around each.
//! Bounded: 16384 clients, of whose own names 256 bytes are kept; as many series as `ottla.metrics.client.series.max`, with
//! labels of 1 KiB each; a push unpacks to `telemetry.max.bytes`, and takes 16 times that while it is read.

mod client;
mod instances;
mod manager;
mod series;
mod subscriptions;

use bytes::Bytes;
use ottla_config::SubscriptionConfig;
use ottla_metadata::{ConfigResourceType, MetadataImage};
use ottla_model::MonoMs;
use ottla_model::batch::{Compression, decompress_section};
use ottla_protocol::ErrorCode;
use parking_lot::Mutex;
use uuid::Uuid;

pub(crate) use client::ClientDetails;
pub(crate) use manager::{Manager, PushHeader, Refusal, Subscribed};
pub(crate) use series::{ClientSeries, Family};

use crate::telemetry::{ClientMetricsCounters, PointDropped};
use series::Changes;

/// What a push may be packed with, the preferred first.
pub(crate) const COMPRESSIONS: [Compression; 4] =
    [Compression::Zstd, Compression::Lz4, Compression::Gzip, Compression::Snappy];

/// The state of all clients' metrics.
#[derive(Debug)]
pub(crate) struct ClientMetrics {
    manager: Mutex<Manager>,
    series: Mutex<ClientSeries>,
    push_bytes_max: usize,
    counters: ClientMetricsCounters,
}

impl ClientMetrics {
    pub(crate) fn new(push_bytes_max: usize, series_max: usize, counters: ClientMetricsCounters) -> Self {
        Self {
            manager: Mutex::new(Manager::new(push_bytes_max)),
            series: Mutex::new(ClientSeries::new(series_max)),
            push_bytes_max,
            counters,
        }
    }

    /// What a push may be, in bytes.
    pub(crate) const fn push_bytes_max(&self) -> usize {
        self.push_bytes_max
    }

    /// All subscriptions of the image at the start.
    pub(crate) fn start(&self, image: &MetadataImage) {
        let names = image.configs().resources(ConfigResourceType::ClientMetrics);
        names.for_each(|(name, _)| self.subscription_changed(name, image));
    }

    /// A subscription was made, changed or removed: it is now as the image says.
    pub(crate) fn subscription_changed(&self, name: &str, image: &MetadataImage) {
        let overrides = image.configs().overrides(ConfigResourceType::ClientMetrics, name);
        let mut manager = self.manager.lock();
        match overrides.filter(|overrides| !overrides.is_empty()).map(|all| SubscriptionConfig::new(all)) {
            None => manager.remove(name),
            Some(Ok(subscription)) => manager.set(name, subscription),
            Some(Err(error)) => {
                tracing::error!(subscription = name, %error, "client metrics subscription left out");
                manager.remove(name);
            }
        }
    }

    /// A client asks what it is to push; without an id it gets one.
    pub(crate) fn subscription(
        &self,
        id: Uuid,
        details: impl FnOnce(Uuid) -> ClientDetails,
        now: MonoMs,
    ) -> Result<Subscribed, Refusal> {
        let mut manager = self.manager.lock();
        let mut instance = id;
        while instance.is_nil() || (id.is_nil() && manager.knows(instance)) {
            instance = Uuid::new_v4();
        }
        let subscribed = manager.subscription(instance, details(instance), now);
        if subscribed.is_err() {
            self.counters.throttled.increment(1);
        }
        subscribed
    }

    /// A client pushes.
    pub(crate) fn push(
        &self,
        header: &PushHeader,
        details: ClientDetails,
        metrics: Bytes,
        now: MonoMs,
    ) -> Result<(), Refusal> {
        let accepted = self.manager.lock().push(header, details, now);
        let taken = accepted.and_then(|accepted| {
            if metrics.is_empty() {
                return Ok(());
            }
            let push = self.unpack(accepted.compression, metrics)?;
            let max = self.series.lock().max();
            let mut changes = Changes::read(&accepted.client, push, max).map_err(|_| Refusal::Malformed)?;
            let dropped = std::mem::take(&mut changes.dropped);
            let without_room =
                self.series.lock().apply(header.instance, &accepted.client, changes, accepted.expiry_ms, now);
            for why in PointDropped::ALL {
                self.counters.dropped(why, dropped[why.index()]);
            }
            self.counters.dropped(PointDropped::Series, without_room);
            Ok(())
        });
        self.counters.pushed(taken.map_or_else(Refusal::code, |()| ErrorCode::None));
        taken
    }

    /// Kafka 4.4.0 answers with the same error where a push is too large only when it is unpacked.
    fn unpack(&self, compression: Compression, metrics: Bytes) -> Result<Bytes, Refusal> {
        if compression == Compression::None {
            return Ok(metrics);
        }
        let unpacked = decompress_section(compression, &metrics, self.push_bytes_max);
        unpacked.map(Bytes::from).map_err(|_| Refusal::Malformed)
    }

    /// The connection of a client has ended.
    pub(crate) fn disconnected(&self, id: Uuid) {
        self.manager.lock().disconnected(id);
    }

    /// Brings the gauges up to date.
    pub(crate) fn measure(&self, now: MonoMs) {
        self.counters.instances.set(count(self.manager.lock().instance_count(now)));
        let mut series = self.series.lock();
        series.expire(now);
        self.counters.series.set(count(series.count()));
    }

    /// Shows the series to `read`.
    pub(crate) fn with_series<T>(&self, read: impl FnOnce(&ClientSeries) -> T) -> T {
        read(&self.series.lock())
    }
}

impl Refusal {
    /// What a client is told.
    pub(crate) const fn code(self) -> ErrorCode {
        match self {
            Self::ReservedId | Self::Terminated => ErrorCode::InvalidRequest,
            Self::TooSoon => ErrorCode::ThrottlingQuotaExceeded,
            Self::UnknownSubscription => ErrorCode::UnknownSubscriptionId,
            Self::UnknownCompression => ErrorCode::UnsupportedCompressionType,
            Self::TooLarge => ErrorCode::TelemetryTooLarge,
            Self::Malformed => ErrorCode::InvalidRecord,
        }
    }
}

fn count(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
