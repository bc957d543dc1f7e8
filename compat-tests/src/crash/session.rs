//! Clients that connect again and again while their brokers die and come back.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ottla_client::{Client, ClientError};
use ottla_protocol::messages::{FindCoordinatorRequest, StrBytes, TopicName};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::admin::{leader_of, try_client};

/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(5);

/// Why an actor begins a new session.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl From<ClientError> for Interrupted {
    fn from(_: ClientError) -> Self {
        Self
    }
}

/// What an actor needs to know of the brokers.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    addresses: Arc<[String]>,
    /// A broker that is killed closes its connections; this is for one that hangs.
    patience: Duration,
    stop: watch::Receiver<bool>,
    turn: Arc<AtomicUsize>,
}

/// Where somebody is to be found: a leader or a coordinator.
#[derive(Debug, Clone, Copy)]
enum Wanted<'a> {
    Leader(&'a str, i32),
    Coordinator(&'a str),
}

impl Site {
    pub(crate) fn new(addresses: Vec<String>, patience: Duration, stop: watch::Receiver<bool>) -> Self {
        Self { addresses: addresses.into(), patience, stop, turn: Arc::default() }
    }

    pub(crate) fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// A connection to any broker, another one each time; `None` once the actors are to stop.
    pub(crate) async fn client(&self) -> Option<Client> {
        while !self.stopped() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.addresses.len();
            match try_client(&self.addresses[turn], self.patience).await {
                Ok(client) => return Some(client),
                Err(_) => sleep(AGAIN).await,
            }
        }
        None
    }

    /// A connection to the first broker, also when the actors have stopped.
    pub(crate) async fn last_client(&self) -> Client {
        loop {
            match try_client(&self.addresses[0], self.patience).await {
                Ok(client) => return client,
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    /// A connection to a partition's leader; `None` once the actors are to stop.
    pub(crate) async fn leader(&self, topic: &str, partition: i32) -> Option<Client> {
        while !self.stopped() {
            match self.found(Wanted::Leader(topic, partition)).await {
                Some(client) => return Some(client),
                None => sleep(AGAIN).await,
            }
        }
        None
    }

    /// A connection to a group's coordinator; `None` once the actors are to stop.
    pub(crate) async fn coordinator(&self, group: &str) -> Option<Client> {
        while !self.stopped() {
            match self.found(Wanted::Coordinator(group)).await {
                Some(client) => return Some(client),
                None => sleep(AGAIN).await,
            }
        }
        None
    }

    /// A connection to a group's coordinator, also when the actors have stopped.
    pub(crate) async fn last_coordinator(&self, group: &str) -> Client {
        loop {
            match self.found(Wanted::Coordinator(group)).await {
                Some(client) => return client,
                None => sleep(AGAIN).await,
            }
        }
    }

    /// What most brokers say: one that was cut off or stood still does not know that it is not asked any more.
    async fn found(&self, wanted: Wanted<'_>) -> Option<Client> {
        let mut asked = JoinSet::new();
        for address in self.addresses.iter() {
            let (address, patience) = (address.clone(), self.patience);
            match wanted {
                Wanted::Leader(topic, partition) => {
                    let topic = topic.to_owned();
                    asked.spawn(async move { leader_of(&address, &topic, partition, patience).await })
                }
                Wanted::Coordinator(group) => {
                    let group = group.to_owned();
                    asked.spawn(async move { coordinator_of(&address, patience, &group).await })
                }
            };
        }
        let mut votes: HashMap<String, usize> = HashMap::new();
        while let Some(answer) = asked.join_next().await {
            let Ok(Ok(Some(address))) = answer else { continue };
            let votes = votes.entry(address.clone()).or_default();
            *votes += 1;
            if 2 * *votes > self.addresses.len() {
                return try_client(&address, self.patience).await.ok();
            }
        }
        None
    }
}

/// The first one to ask has `__consumer_offsets` made.
async fn coordinator_of(
    address: &str,
    patience: Duration,
    group: &str,
) -> Result<Option<String>, ClientError> {
    let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(group)]);
    let answer = try_client(address, patience).await?.call(&request).await?;
    let found = answer.coordinators.first().filter(|found| found.error_code == 0);
    Ok(found.map(|found| format!("{}:{}", found.host, found.port)))
}

/// An error code that is none of the protocol's promises: the broker has just started, or is about to do something.
pub(crate) async fn later() -> Interrupted {
    sleep(AGAIN).await;
    Interrupted
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
