//! InitProducerId for idempotent producers (KIP-98).

use std::sync::Arc;

use ottla_model::ProducerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::producer_ids::ProducerIds;

/// Gives out producer ids.
#[derive(Debug)]
pub(crate) struct InitProducerId {
    pub producer_ids: Arc<ProducerIds>,
}

impl Handler for InitProducerId {
    type Request = InitProducerIdRequest;

    fn handle(&self, _: &RequestContext, request: InitProducerIdRequest) -> Reply<InitProducerIdResponse> {
        match &request.transactional_id {
            // Kafka, too: an id is something, or null.
            Some(id) if id.is_empty() => return Reply::Ready(refused(ErrorCode::InvalidRequest)),
            // Transactions are not built yet. Of the codes that say "no", this is the one that the Java client and
            // librdkafka both treat as fatal at once; most others make one of them try for ever.
            Some(_) => return Reply::Ready(refused(ErrorCode::TransactionalIdAuthorizationFailed)),
            None => {}
        }
        let none = ProducerId::NONE.get();
        if (request.producer_id.0 == none) != (request.producer_epoch == -1) {
            return Reply::Ready(refused(ErrorCode::InvalidRequest));
        }
        if let Some(id) = self.producer_ids.try_next() {
            return Reply::Ready(given(id));
        }
        let producer_ids = Arc::clone(&self.producer_ids);
        Reply::ordered(async move {
            match producer_ids.next().await {
                Ok(id) => given(id),
                Err(error) => {
                    tracing::warn!(%error, "no producer ids");
                    refused(ErrorCode::CoordinatorNotAvailable)
                }
            }
        })
    }
}

/// Without a transactional id every request is given a new id, whatever id it came with.
fn given(id: ProducerId) -> InitProducerIdResponse {
    InitProducerIdResponse::default().with_producer_id(id.get().into()).with_producer_epoch(0)
}

fn refused(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse::default()
        .with_error_code(error.code())
        .with_producer_id(ProducerId::NONE.get().into())
        .with_producer_epoch(-1)
}
