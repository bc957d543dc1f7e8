//! How many connections may be open, and how fast they may come (`ConnectionQuotas`, KIP-402, KIP-612): `max.connections` and
//! `max.connection.creation.rate`, of all listeners and of one; `max.connections.per.ip` and its overrides.
//!
//! Who is over a listener's limit waits, and with him all who come after him to the listener; who is over an address's
//! is sent away.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ottla_config::NetConfig;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::connection_rate::ConnectionRate;

/// Counts the connections of all listeners.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: ArcSwap<Limits>,
    open: Mutex<Open>,
    rates: Mutex<Rates>,
    started: Instant,
    /// A connection has ended, or the limits are others.
    news: Notify,
}

#[derive(Debug)]
struct Limits {
    total_max: usize,
    rate_max: i32,
    /// By listener: what it may hold, and its rate.
    listeners: BTreeMap<String, (usize, i32)>,
    /// The listener for brokers, if there are others: the total does not bind it.
    protected: Option<String>,
    per_ip_max: usize,
    overrides: HashMap<IpAddr, usize>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    per_listener: HashMap<Arc<str>, usize>,
    per_ip: HashMap<IpAddr, usize>,
}

#[derive(Debug, Default)]
struct Rates {
    all: ConnectionRate,
    listeners: HashMap<Arc<str>, ConnectionRate>,
}

/// The right to one connection, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    listener: Arc<str>,
    ip: IpAddr,
}

/// An address has as many connections as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("max.connections.per.ip={0} is reached")]
pub(crate) struct TooMany(usize);

impl Admission {
    pub(crate) fn new(config: &NetConfig) -> Arc<Self> {
        Arc::new(Self {
            limits: ArcSwap::from_pointee(Limits::new(config)),
            open: Mutex::default(),
            rates: Mutex::default(),
            started: Instant::now(),
            news: Notify::new(),
        })
    }

    /// New limits for connections that come from now on, and for those that wait; those that are open stay.
    pub(crate) fn configure(&self, config: &NetConfig) {
        self.limits.store(Arc::new(Limits::new(config)));
        self.news.notify_waiters();
    }

    /// Counts one more connection of a listener from `ip`, as soon as the limits allow it.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        listener: &Arc<str>,
        ip: IpAddr,
    ) -> Result<Admitted, TooMany> {
        let pause = self.pause(listener, self.started.elapsed());
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        loop {
            let news = self.news.notified();
            if self.take_place(listener) {
                return self.of_address(listener, ip.to_canonical());
            }
            news.await;
        }
    }

    /// What the rates ask of a connection that has just come.
    fn pause(&self, listener: &Arc<str>, now: Duration) -> Duration {
        let limits = self.limits.load();
        let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut rates = self.rates.lock();
        let own = rates.listeners.entry(Arc::clone(listener)).or_default();
        let own = own.record(now_ms, limits.of_listener(listener).1);
        Duration::from_millis(own.max(rates.all.record(now_ms, limits.rate_max)))
    }

    fn take_place(&self, listener: &Arc<str>) -> bool {
        let limits = self.limits.load();
        let mut open = self.open.lock();
        let own = open.per_listener.get(listener).copied().unwrap_or(0);
        let is_protected = limits.protected.as_deref() == Some(&**listener);
        if own >= limits.of_listener(listener).0 || (open.total >= limits.total_max && !is_protected) {
            return false;
        }
        open.total += 1;
        open.per_listener.insert(Arc::clone(listener), own + 1);
        true
    }

    /// Counts the address, too; gives the place back if that has too many.
    fn of_address(self: &Arc<Self>, listener: &Arc<str>, ip: IpAddr) -> Result<Admitted, TooMany> {
        let limits = self.limits.load();
        let max = limits.overrides.get(&ip).copied().unwrap_or(limits.per_ip_max);
        let admitted = Admitted { admission: Arc::clone(self), listener: Arc::clone(listener), ip };
        let of_ip = {
            let mut open = self.open.lock();
            let count = open.per_ip.entry(ip).or_default();
            *count += 1;
            *count
        };
        if of_ip > max { Err(TooMany(max)) } else { Ok(admitted) }
    }
}

impl Limits {
    /// Names among the overrides are looked up here, once; an unknown one counts for nobody.
    fn new(config: &NetConfig) -> Self {
        let mut overrides = HashMap::new();
        for (host, limit) in &config.connections_per_ip_overrides {
            match (host.as_str(), 0).to_socket_addrs() {
                Ok(addresses) => overrides.extend(addresses.map(|address| (address.ip(), limit_of(*limit)))),
                Err(error) => tracing::warn!(%host, %error, "max.connections.per.ip.overrides: no such host"),
            }
        }
        let listeners = config.listener_limits.iter().map(|(name, own)| {
            let connections_max = own.connections_max.map_or(usize::MAX, limit_of);
            (name.clone(), (connections_max, own.creation_rate_max.unwrap_or(i32::MAX)))
        });
        let protected = (config.listeners.len() > 1).then(|| config.inter_broker_listener.clone());
        Self {
            total_max: limit_of(config.connections_max),
            rate_max: config.connection_creation_rate_max,
            listeners: listeners.collect(),
            protected,
            per_ip_max: limit_of(config.connections_per_ip_max),
            overrides,
        }
    }

    fn of_listener(&self, listener: &str) -> (usize, i32) {
        self.listeners.get(listener).copied().unwrap_or((usize::MAX, i32::MAX))
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock();
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.per_listener.get_mut(&self.listener) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = open.per_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                open.per_ip.remove(&self.ip);
            }
        }
        drop(open);
        self.admission.news.notify_waiters();
    }
}

fn limit_of(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use ottla_config::{BrokerConfig, ConfigMap};

    use super::*;

    fn config(settings: &[(&str, &str)]) -> NetConfig {
        let settings: ConfigMap =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        BrokerConfig::from_static(settings).expect("builds").net
    }

    fn ip(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    async fn admitted(
        admission: &Arc<Admission>,
        listener: &str,
        ip: IpAddr,
    ) -> Option<Result<Admitted, TooMany>> {
        let listener = Arc::from(listener);
        tokio::time::timeout(Duration::from_millis(20), admission.admit(&listener, ip)).await.ok()
    }

    #[tokio::test]
    async fn limits_hold_in_all_and_by_address() {
        let admission = Admission::new(&config(&[
            ("max.connections", "4"),
            ("max.connections.per.ip", "1"),
            ("max.connections.per.ip.overrides", "10.0.0.2:2"),
        ]));
        let admit = async |ip| admitted(&admission, "PLAINTEXT", ip).await;
        let first = admit(ip(1)).await.expect("at once").expect("is allowed");
        assert_eq!(admit(ip(1)).await.expect("at once").expect_err("is one too many"), TooMany(1));
        let _second = admit(ip(2)).await.expect("at once").expect("is allowed");
        let mapped = Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped().into();
        let _third = admit(mapped).await.expect("at once").expect("the same address in IPv6's dress");
        assert_eq!(admit(ip(2)).await.expect("at once").expect_err("is one too many"), TooMany(2));
        let _fourth = admit(ip(3)).await.expect("at once").expect("is allowed");
        assert!(admit(ip(4)).await.is_none(), "waits for a place");
        drop(first);
        assert!(admit(ip(1)).await.is_some_and(|admitted| admitted.is_ok()));
    }

    #[tokio::test]
    async fn one_who_waits_comes_in_when_a_place_is_free_or_the_limit_is_raised() {
        let admission = Admission::new(&config(&[("listener.name.plaintext.max.connections", "1")]));
        let listener: Arc<str> = Arc::from("PLAINTEXT");
        let first = admission.admit(&listener, ip(1)).await.expect("is allowed");
        let waiting = admission.admit(&listener, ip(1));
        let (second, ()) = tokio::join!(waiting, async { drop(first) });
        let _second = second.expect("is allowed");
        let waiting = admission.admit(&listener, ip(1));
        let (third, ()) = tokio::join!(waiting, async { admission.configure(&config(&[])) });
        assert!(third.is_ok());
    }

    #[tokio::test]
    async fn a_listeners_limit_is_its_own_and_the_brokers_listener_is_not_bound_by_the_total() {
        let admission = Admission::new(&config(&[
            ("listeners", "PLAINTEXT://127.0.0.1:1,CLIENTS://127.0.0.1:2"),
            ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CLIENTS:PLAINTEXT"),
            ("inter.broker.listener.name", "PLAINTEXT"),
            ("max.connections", "2"),
            ("listener.name.clients.max.connections", "1"),
        ]));
        let _first = admitted(&admission, "CLIENTS", ip(1)).await.expect("at once").expect("is allowed");
        assert!(admitted(&admission, "CLIENTS", ip(1)).await.is_none());
        let _second = admitted(&admission, "PLAINTEXT", ip(1)).await.expect("at once").expect("is allowed");
        let _third = admitted(&admission, "PLAINTEXT", ip(1)).await.expect("at once").expect("is protected");
    }

    #[test]
    fn the_slower_of_the_two_rates_holds() {
        let admission = Admission::new(&config(&[
            ("max.connection.creation.rate", "2"),
            ("listener.name.plaintext.max.connection.creation.rate", "1"),
        ]));
        let listener: Arc<str> = Arc::from("PLAINTEXT");
        for _ in 0..10 {
            assert_eq!(admission.pause(&listener, Duration::ZERO), Duration::ZERO);
        }
        assert_eq!(admission.pause(&listener, Duration::ZERO), Duration::from_secs(1));
        let other: Arc<str> = Arc::from("OTHER");
        assert_eq!(admission.pause(&other, Duration::ZERO), Duration::ZERO);
    }
}
