//! Producer ids, one after the other.

use std::sync::Arc;
use std::time::Duration;

use ottla_client::Client;
use ottla_protocol::messages::InitProducerIdRequest;
use tokio::time::sleep;

use super::History;
use super::session::{Interrupted, Site};

const PAUSE: Duration = Duration::from_millis(12);

pub(crate) async fn run(site: Site, history: Arc<History>) {
    while let Some(client) = site.client().await {
        while !site.stopped() && next(&client, &history).await.is_ok() {
            sleep(PAUSE).await;
        }
    }
}

/// A new producer id, which is also noted.
pub(crate) async fn next(client: &Client, history: &History) -> Result<i64, Interrupted> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(1_000)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let answer = client.call(&request).await?;
    if answer.error_code != 0 {
        return Err(super::session::later().await);
    }
    history.producer_id(answer.producer_id.0);
    Ok(answer.producer_id.0)
}
