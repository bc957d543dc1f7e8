//! AllocateProducerIds (KIP-730): a block of producer ids for a broker.

use ottla_controller::Controller;
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{AllocateProducerIdsRequest, AllocateProducerIdsResponse};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;

/// Gives out blocks.
#[derive(Debug)]
pub(crate) struct AllocateProducerIds {
    pub controller: Controller,
}

impl Handler for AllocateProducerIds {
    type Request = AllocateProducerIdsRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: AllocateProducerIdsRequest,
    ) -> Reply<AllocateProducerIdsResponse> {
        let controller = self.controller.clone();
        Reply::ordered(async move {
            let (id, epoch) = (BrokerId(request.broker_id.0), request.broker_epoch);
            match controller.allocate_producer_ids(id, epoch).await {
                Ok(Ok(block)) => {
                    let len = i32::try_from(block.ids.end - block.ids.start).unwrap_or(0);
                    AllocateProducerIdsResponse::default()
                        .with_producer_id_start(block.ids.start.into())
                        .with_producer_id_len(len)
                }
                Ok(Err(error)) => refused(error_map::broker(&error)),
                Err(error) => refused(error_map::controller(&error)),
            }
        })
    }
}

fn refused(error: ErrorCode) -> AllocateProducerIdsResponse {
    AllocateProducerIdsResponse::default().with_error_code(error.code())
}
