//! Which client is asked for what, and whose pushes are taken: the rules of Kafka's `ClientMetricsManager` (KIP-714), in
//! its order.

use std::sync::Arc;

use ottla_config::SubscriptionConfig;
use ottla_model::MonoMs;
use ottla_model::batch::Compression;
use uuid::Uuid;

use super::client::ClientDetails;
use super::instances::{Instance, Instances};
use super::subscriptions::{Subscriptions, Wanted};

/// Ids that are no client's (`Uuid.RESERVED`).
const RESERVED: [Uuid; 2] = [Uuid::nil(), Uuid::from_u128(1)];

/// Why a client's request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no client has this id")]
    ReservedId,
    #[error("the client said that it ends")]
    Terminated,
    #[error("the interval has not passed")]
    TooSoon,
    #[error("something else is asked of the client by now")]
    UnknownSubscription,
    #[error("no such compression")]
    UnknownCompression,
    #[error("larger than a push may be")]
    TooLarge,
    /// Found when the push is read.
    #[error("not what a push is made of")]
    Malformed,
}

/// What a client is told to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscribed {
    pub instance: Uuid,
    pub subscription_id: i32,
    pub wanted: Arc<Wanted>,
}

/// A push before its content is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PushHeader {
    pub instance: Uuid,
    pub subscription_id: i32,
    pub terminating: bool,
    /// As on the wire: `CompressionType.id`.
    pub compression: i8,
    /// Packed, in bytes.
    pub len: usize,
}

/// A push whose content is to be read.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub client: Arc<ClientDetails>,
    pub compression: Compression,
    /// How long what it says holds.
    pub expiry_ms: u64,
}

/// The state; `now` is the monotone clock.
#[derive(Debug)]
pub(crate) struct Manager {
    subscriptions: Subscriptions,
    instances: Instances,
    push_bytes_max: usize,
}

impl Manager {
    pub(crate) fn new(push_bytes_max: usize) -> Self {
        Self { subscriptions: Subscriptions::default(), instances: Instances::default(), push_bytes_max }
    }

    pub(crate) fn set(&mut self, name: &str, subscription: SubscriptionConfig) {
        self.subscriptions.set(name, subscription);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.subscriptions.remove(name);
    }

    /// Whether the id is a client's that is remembered.
    pub(crate) fn knows(&self, id: Uuid) -> bool {
        self.instances.contains(id)
    }

    /// Clients that are remembered.
    pub(crate) fn instance_count(&mut self, now: MonoMs) -> usize {
        self.instances.expire(now);
        self.instances.len()
    }

    /// The connection of the client has ended.
    pub(crate) fn disconnected(&mut self, id: Uuid) {
        self.instances.remove(id);
    }

    /// A client asks what it is to push. `details` are those it has if nothing is known of it yet.
    pub(crate) fn subscription(
        &mut self,
        id: Uuid,
        details: ClientDetails,
        now: MonoMs,
    ) -> Result<Subscribed, Refusal> {
        let instance = self.instance(id, details, now);
        if !instance.begin_get(now) && !instance.may_ask_again {
            return Err(Refusal::TooSoon);
        }
        instance.may_ask_again = false;
        Ok(Subscribed {
            instance: id,
            subscription_id: instance.subscription_id,
            wanted: Arc::clone(&instance.wanted),
        })
    }

    /// A client pushes.
    pub(crate) fn push(
        &mut self,
        push: &PushHeader,
        details: ClientDetails,
        now: MonoMs,
    ) -> Result<Accepted, Refusal> {
        if RESERVED.contains(&push.instance) {
            return Err(Refusal::ReservedId);
        }
        let bytes_max = self.push_bytes_max;
        let instance = self.instance(push.instance, details, now);
        let accepted = accept(instance, push, bytes_max, now);
        instance.terminating = push.terminating;
        instance.may_ask_again =
            matches!(accepted, Err(Refusal::UnknownSubscription | Refusal::UnknownCompression));
        accepted
    }

    /// The client of this id, made anew where subscriptions have changed since.
    fn instance(&mut self, id: Uuid, details: ClientDetails, now: MonoMs) -> &mut Instance {
        self.instances.expire(now);
        let version = self.subscriptions.version();
        let subscriptions = &mut self.subscriptions;
        self.instances.heard(id, version, now, |known| {
            let details = known.unwrap_or_else(|| Arc::new(details));
            let wanted = subscriptions.wanted_of(&details);
            (details, wanted)
        })
    }
}

fn accept(
    instance: &mut Instance,
    push: &PushHeader,
    bytes_max: usize,
    now: MonoMs,
) -> Result<Accepted, Refusal> {
    if instance.terminating {
        return Err(Refusal::Terminated);
    }
    if !instance.begin_push(now) && !push.terminating {
        return Err(Refusal::TooSoon);
    }
    if push.subscription_id != instance.subscription_id {
        return Err(Refusal::UnknownSubscription);
    }
    let compression = Compression::from_id(push.compression.into()).ok_or(Refusal::UnknownCompression)?;
    if push.len > bytes_max {
        return Err(Refusal::TooLarge);
    }
    Ok(Accepted { client: Arc::clone(&instance.details), compression, expiry_ms: instance.expiry_ms() })
}

#[cfg(test)]
mod tests;
