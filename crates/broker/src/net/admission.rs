//! How many connections may be open: `max.connections`, `max.connections.per.ip` and its overrides.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use arc_swap::ArcSwap;
use ottla_config::NetConfig;
use parking_lot::Mutex;

/// Counts the connections of all listeners.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: ArcSwap<Limits>,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Limits {
    total_max: usize,
    per_ip_max: usize,
    overrides: HashMap<IpAddr, usize>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    per_ip: HashMap<IpAddr, usize>,
}

/// The right to one connection, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    ip: IpAddr,
}

/// Which limit a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("max.connections={0} is reached")]
    Total(usize),
    #[error("max.connections.per.ip={0} is reached")]
    PerIp(usize),
}

impl Admission {
    pub(crate) fn new(config: &NetConfig) -> Arc<Self> {
        Arc::new(Self { limits: ArcSwap::from_pointee(Limits::new(config)), open: Mutex::default() })
    }

    /// New limits for connections that come from now on; those that are open stay.
    pub(crate) fn configure(&self, config: &NetConfig) {
        self.limits.store(Arc::new(Limits::new(config)));
    }

    /// Counts one more connection from `ip`, if that is allowed.
    pub(crate) fn admit(self: &Arc<Self>, ip: IpAddr) -> Result<Admitted, Refused> {
        let ip = ip.to_canonical();
        let limits = self.limits.load();
        let per_ip_max = limits.overrides.get(&ip).copied().unwrap_or(limits.per_ip_max);
        let mut open = self.open.lock();
        if open.total >= limits.total_max {
            return Err(Refused::Total(limits.total_max));
        }
        let of_ip = open.per_ip.get(&ip).copied().unwrap_or(0);
        if of_ip >= per_ip_max {
            return Err(Refused::PerIp(per_ip_max));
        }
        open.total += 1;
        open.per_ip.insert(ip, of_ip + 1);
        Ok(Admitted { admission: Arc::clone(self), ip })
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
        Self {
            total_max: limit_of(config.connections_max),
            per_ip_max: limit_of(config.connections_per_ip_max),
            overrides,
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock();
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.per_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                open.per_ip.remove(&self.ip);
            }
        }
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

    fn admission(settings: &[(&str, &str)]) -> Arc<Admission> {
        let settings: ConfigMap =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Admission::new(&BrokerConfig::from_static(settings).expect("builds").net)
    }

    fn ip(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[test]
    fn limits_hold_in_all_and_by_address() {
        let admission = admission(&[
            ("max.connections", "4"),
            ("max.connections.per.ip", "1"),
            ("max.connections.per.ip.overrides", "10.0.0.2:2"),
        ]);
        let first = admission.admit(ip(1)).expect("is allowed");
        assert_eq!(admission.admit(ip(1)).expect_err("is one too many"), Refused::PerIp(1));
        let _second = admission.admit(ip(2)).expect("is allowed");
        let mapped = Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped().into();
        let _third = admission.admit(mapped).expect("the same address in IPv6's dress");
        assert_eq!(admission.admit(ip(2)).expect_err("is one too many"), Refused::PerIp(2));
        let _fourth = admission.admit(ip(3)).expect("is allowed");
        assert_eq!(admission.admit(ip(4)).expect_err("is one too many"), Refused::Total(4));
        drop(first);
        assert!(admission.admit(ip(1)).is_ok());
    }
}
