//! What is asked of which client (KIP-714).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_config::SubscriptionConfig;
use ottla_model::batch::crc32c;
use uuid::Uuid;

use super::client::ClientDetails;

/// Every metric.
const ALL_METRICS: &str = "*";

/// What all subscriptions that select a client ask of it together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Prefixes of names, sorted; `*` alone: all; nothing: none.
    pub metrics: Vec<String>,
    /// Between two pushes.
    pub interval_ms: u32,
    crc: u32,
}

impl Wanted {
    fn new(selecting: &[&SubscriptionConfig]) -> Self {
        let intervals = selecting.iter().map(|subscription| subscription.interval_ms);
        let interval_ms =
            intervals.chain([SubscriptionConfig::INTERVAL_DEFAULT_MS]).min().unwrap_or_default();
        let metrics: BTreeSet<&str> =
            selecting.iter().flat_map(|subscription| &subscription.metrics).map(String::as_str).collect();
        let metrics: Vec<String> = if metrics.contains(ALL_METRICS) {
            vec![ALL_METRICS.to_owned()]
        } else {
            metrics.into_iter().map(str::to_owned).collect()
        };
        let crc = crc32c(format!("[{}]{interval_ms}", metrics.join(", ")).as_bytes());
        Self { metrics, interval_ms, crc }
    }

    /// Another one where the client, or what is asked of it, is another. What Kafka makes of it, too, where there is one
    /// metric; several are in no order there, and sorted here, so that every broker has the same.
    pub(super) fn subscription_id(&self, instance: Uuid) -> i32 {
        let (high, low) = instance.as_u64_pair();
        let both = high ^ low;
        let hash = (both >> 32) ^ (both & u64::from(u32::MAX));
        (u32::try_from(hash).unwrap_or_default() ^ self.crc).cast_signed()
    }
}

/// The subscriptions by name, and a version that grows with each change.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_name: BTreeMap<String, SubscriptionConfig>,
    version: u64,
    /// What was asked of clients since, by the subscriptions that select them: most clients are asked for the same.
    asked: BTreeMap<Vec<String>, Arc<Wanted>>,
}

impl Subscriptions {
    pub(super) fn set(&mut self, name: &str, subscription: SubscriptionConfig) {
        self.by_name.insert(name.to_owned(), subscription);
        self.changed();
    }

    pub(super) fn remove(&mut self, name: &str) {
        if self.by_name.remove(name).is_some() {
            self.changed();
        }
    }

    fn changed(&mut self) {
        self.version += 1;
        self.asked.clear();
    }

    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn wanted_of(&mut self, client: &ClientDetails) -> Arc<Wanted> {
        let selecting = self.by_name.iter().filter(|(_, subscription)| client.is_selected_by(subscription));
        let (names, selecting): (Vec<String>, Vec<&SubscriptionConfig>) =
            selecting.map(|(name, subscription)| (name.clone(), subscription)).unzip();
        let wanted = self.asked.entry(names).or_insert_with(|| Arc::new(Wanted::new(&selecting)));
        Arc::clone(wanted)
    }
}

#[cfg(test)]
mod tests {
    use ottla_config::ConfigMap;

    use super::*;

    fn subscription(settings: &[(&str, &str)]) -> SubscriptionConfig {
        let settings: ConfigMap =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        SubscriptionConfig::new(&settings).expect("is allowed")
    }

    fn client(client_id: Option<&str>) -> ClientDetails {
        ClientDetails::new(Uuid::from_u128(7), client_id, ("apache-kafka-java", "4.4.0"), "127.0.0.1", 4711)
    }

    #[test]
    fn a_client_is_asked_for_what_all_that_select_it_want() {
        let mut all = Subscriptions::default();
        all.set(
            "a",
            subscription(&[("metrics", "x,y"), ("interval.ms", "2000"), ("match", "client_id=c.*")]),
        );
        all.set("b", subscription(&[("metrics", "y,b"), ("match", "client_source_port=4711")]));
        all.set("c", subscription(&[("metrics", "*"), ("interval.ms", "100"), ("match", "client_id=d")]));
        let wanted = |all: &mut Subscriptions, id| {
            let wanted = all.wanted_of(&client(id));
            (wanted.metrics.join(" "), wanted.interval_ms)
        };
        assert_eq!(wanted(&mut all, Some("c1")), ("b x y".to_owned(), 2_000));
        assert_eq!(wanted(&mut all, Some("d")), ("*".to_owned(), 100));
        assert_eq!(wanted(&mut all, None), ("b y".to_owned(), 300_000));
        all.remove("b");
        assert_eq!(wanted(&mut all, None), (String::new(), 300_000));
        assert_eq!(all.version(), 4);
        all.remove("b");
        assert_eq!(all.version(), 4, "there was none");
    }

    #[test]
    fn clients_of_the_same_subscriptions_share_what_is_asked() {
        let mut all = Subscriptions::default();
        all.set("a", subscription(&[("metrics", "x")]));
        let (one, two) = (all.wanted_of(&client(None)), all.wanted_of(&client(Some("z"))));
        assert!(Arc::ptr_eq(&one, &two));
    }

    /// As Kafka computes it: the CRC-32C of `[]300000` and of `[*]100`, XORed with `Uuid.hashCode`.
    #[test]
    fn the_id_is_of_the_client_and_of_what_is_asked() {
        let nothing = Wanted::new(&[]);
        assert_eq!(nothing.crc, crc32c(b"[]300000"));
        let all = Wanted::new(&[&subscription(&[("metrics", "*,a"), ("interval.ms", "100")])]);
        assert_eq!(all.crc, crc32c(b"[*]100"));
        let id = Uuid::from_u64_pair(0x0000_0001_0000_0002, 0x0000_0010_0000_0020);
        assert_eq!(all.subscription_id(id), (all.crc ^ 0x11 ^ 0x22).cast_signed());
    }
}
