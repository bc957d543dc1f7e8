//! Which brokers the active controller has heard of lately. Only it knows, and only in memory: what follows from it is a
//! record.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_model::BrokerId;

/// The brokers that are not fenced, with when each was last heard of. `now` is a time since any fixed moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Liveness {
    heard: BTreeMap<BrokerId, (i64, Duration)>,
}

impl Liveness {
    /// A heartbeat of the broker in its epoch.
    pub(crate) fn heard(&mut self, id: BrokerId, epoch: i64, now: Duration) {
        self.heard.insert(id, (epoch, now));
    }

    /// Follows who is not fenced: whoever is new among them has a whole session from now on, as everybody has whom a new
    /// controller finds.
    pub(crate) fn follow(&mut self, unfenced: &BTreeMap<BrokerId, i64>, now: Duration) {
        self.heard.retain(|id, _| unfenced.contains_key(id));
        for (id, epoch) in unfenced {
            let entry = self.heard.entry(*id).or_insert((*epoch, now));
            if entry.0 != *epoch {
                *entry = (*epoch, now);
            }
        }
    }

    /// Nobody is known any more.
    pub(crate) fn forget(&mut self) {
        self.heard.clear();
    }

    /// Brokers, with their epochs, that have been silent for a session.
    pub(crate) fn expired(&self, session: Duration, now: Duration) -> Vec<(BrokerId, i64)> {
        let silent = self.heard.iter().filter(|(_, (_, at))| now.saturating_sub(*at) >= session);
        silent.map(|(id, (epoch, _))| (*id, *epoch)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn silence_for_a_session_expires() {
        let (a, b) = (BrokerId(1), BrokerId(2));
        let mut liveness = Liveness::default();
        let mut unfenced: BTreeMap<_, _> = [(a, 10), (b, 11)].into();
        liveness.follow(&unfenced, ms(0));
        liveness.heard(a, 10, ms(80));
        assert_eq!(liveness.expired(ms(100), ms(99)), []);
        assert_eq!(liveness.expired(ms(100), ms(100)), [(b, 11)]);
        // Fenced, then registered anew: a whole session again.
        unfenced.remove(&b);
        liveness.follow(&unfenced, ms(100));
        unfenced.insert(b, 20);
        liveness.follow(&unfenced, ms(150));
        assert_eq!(liveness.expired(ms(100), ms(249)), [(a, 10)]);
        assert_eq!(liveness.expired(ms(100), ms(250)), [(a, 10), (b, 20)]);
        // Another process of the same broker.
        unfenced.insert(b, 30);
        liveness.follow(&unfenced, ms(250));
        assert_eq!(liveness.expired(ms(100), ms(300)), [(a, 10)]);
        liveness.forget();
        assert_eq!(liveness.expired(ms(0), ms(1_000)), []);
    }
}
