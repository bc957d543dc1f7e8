//! A client that connects again and again while its broker dies and comes back.

use std::time::Duration;

use ottla_client::{Client, ClientError, ConnectionConfig};
use ottla_protocol::messages::{StrBytes, TopicName};
use tokio::sync::watch;
use tokio::time::sleep;

/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(5);
/// A broker that is killed closes its connections; this is for one that hangs.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Why an actor begins a new session.
#[derive(Debug)]
pub(super) struct Interrupted;

impl From<ClientError> for Interrupted {
    fn from(_: ClientError) -> Self {
        Self
    }
}

/// What an actor needs to know of the broker.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) address: String,
    pub(super) stop: watch::Receiver<bool>,
}

impl Site {
    pub(super) fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// A connection; `None` once the actors are to stop.
    pub(super) async fn client(&self) -> Option<Client> {
        while !self.stopped() {
            match connect(&self.address).await {
                Ok(client) => return Some(client),
                Err(_) => sleep(AGAIN).await,
            }
        }
        None
    }
}

pub(super) async fn connect(address: &str) -> Result<Client, ClientError> {
    let config = ConnectionConfig { timeout: ANSWER_WITHIN, ..ConnectionConfig::default() };
    Client::connect(address, config).await
}

/// An error code that is none of the protocol's promises: the broker has just started, or is about to do something.
pub(super) async fn later() -> Interrupted {
    sleep(AGAIN).await;
    Interrupted
}

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
