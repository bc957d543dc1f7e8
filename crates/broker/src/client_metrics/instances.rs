//! The clients that ask and push, as many as Kafka remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::MonoMs;
use uuid::Uuid;

use super::client::ClientDetails;
use super::subscriptions::Wanted;

/// The longest unheard gives way.
const INSTANCES_MAX: usize = 16_384;
/// A client is forgotten after three intervals, and not before.
const EXPIRY_MIN_MS: u64 = 60_000;

/// A client and where its conversation stands (`ClientMetricsInstance`).
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) details: Arc<ClientDetails>,
    pub(super) wanted: Arc<Wanted>,
    pub(super) subscription_id: i32,
    /// Of the subscriptions that `wanted` is made of.
    version: u64,
    last_get: Option<MonoMs>,
    last_push: Option<MonoMs>,
    pub(super) terminating: bool,
    /// The last answer was an error that a client gets over by asking again at once.
    pub(super) may_ask_again: bool,
    expires_at: MonoMs,
    /// Grows with each use of any.
    used: u64,
}

impl Instance {
    fn new(id: Uuid, version: u64, (details, wanted): (Arc<ClientDetails>, Arc<Wanted>)) -> Self {
        Self {
            subscription_id: wanted.subscription_id(id),
            details,
            wanted,
            version,
            last_get: None,
            last_push: None,
            terminating: false,
            may_ask_again: false,
            expires_at: MonoMs(0),
            used: 0,
        }
    }

    /// Whether the client may ask now; if so, it has.
    pub(super) fn begin_get(&mut self, now: MonoMs) -> bool {
        let due = self.is_due(self.last_get.max(self.last_push), now);
        if due {
            self.last_get = Some(now);
        }
        due
    }

    /// Whether the client may push now; if so, it has. It may, once, right after it has asked: intervals are jittered.
    pub(super) fn begin_push(&mut self, now: MonoMs) -> bool {
        let due = self.last_get > self.last_push || self.is_due(self.last_push, now);
        if due {
            self.last_push = Some(now);
        }
        due
    }

    fn is_due(&self, last: Option<MonoMs>, now: MonoMs) -> bool {
        last.is_none_or(|last| now.since_ms(last) >= u64::from(self.wanted.interval_ms))
    }

    /// How long nothing may be heard of it.
    pub(super) fn expiry_ms(&self) -> u64 {
        EXPIRY_MIN_MS.max(u64::from(self.wanted.interval_ms) * 3)
    }
}

/// The instances by id, by last use and by the time at which they are forgotten.
#[derive(Debug, Default)]
pub(super) struct Instances {
    by_id: BTreeMap<Uuid, Instance>,
    by_use: BTreeMap<u64, Uuid>,
    by_expiry: BTreeSet<(MonoMs, Uuid)>,
    uses: u64,
}

impl Instances {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn contains(&self, id: Uuid) -> bool {
        self.by_id.contains_key(&id)
    }

    /// The instance, of which something is heard now. If there is none, or what is wanted of it is older than `version`, it
    /// begins anew, as what `make` gives of what was known of the client.
    pub(super) fn heard(
        &mut self,
        id: Uuid,
        version: u64,
        now: MonoMs,
        make: impl FnOnce(Option<Arc<ClientDetails>>) -> (Arc<ClientDetails>, Arc<Wanted>),
    ) -> &mut Instance {
        let known = self.by_id.get(&id);
        let details = known.map(|instance| Arc::clone(&instance.details));
        if known.is_none_or(|instance| instance.version < version) {
            self.remove(id);
            self.make_room();
        }
        let instance = self.by_id.entry(id).or_insert_with(|| Instance::new(id, version, make(details)));
        self.uses += 1;
        self.by_use.remove(&instance.used);
        self.by_expiry.remove(&(instance.expires_at, id));
        instance.used = self.uses;
        instance.expires_at = now.plus_ms(instance.expiry_ms());
        self.by_use.insert(instance.used, id);
        self.by_expiry.insert((instance.expires_at, id));
        instance
    }

    fn make_room(&mut self) {
        if self.by_id.len() >= INSTANCES_MAX
            && let Some((_, longest_unheard)) = self.by_use.first_key_value()
        {
            self.remove(*longest_unheard);
        }
    }

    pub(super) fn remove(&mut self, id: Uuid) {
        if let Some(instance) = self.by_id.remove(&id) {
            self.by_use.remove(&instance.used);
            self.by_expiry.remove(&(instance.expires_at, id));
        }
    }

    /// Forgets those of which nothing was heard for too long.
    pub(super) fn expire(&mut self, now: MonoMs) {
        while let Some((expires_at, id)) = self.by_expiry.first()
            && *expires_at <= now
        {
            self.remove(*id);
        }
    }
}
