//! Envelope (KIP-590): a client's request that another broker has handed on to the controller.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use ottla_protocol::messages::{EnvelopeRequest, EnvelopeResponse};
use ottla_protocol::{ErrorCode, FRAME_PREFIX_LEN, RequestHeader};

use crate::cluster::{ControllerApi, flat};
use crate::dispatch::{Answer, Closed, Handler, Reply, RequestContext};
use crate::identity::Identity;

/// Opens envelopes, and has what is in them answered. The outer header's client id is the sender's cluster: at the address of its
/// controller may be another cluster's by now, as after a disk was emptied, and that one must not answer.
pub(crate) struct Envelope {
    pub inner: Vec<Arc<dyn ControllerApi>>,
    pub identity: Arc<Identity>,
}

impl Handler for Envelope {
    type Request = EnvelopeRequest;

    fn handle(&self, context: &RequestContext, request: EnvelopeRequest) -> Reply<EnvelopeResponse> {
        if context.client_id.as_deref() != Some(&*self.identity.cluster_id) {
            return Reply::Ready(refused(ErrorCode::NotController));
        }
        let mut body = BytesMut::from(&request.request_data[..]);
        let Ok(header) = RequestHeader::split_from(&mut body) else {
            return Reply::Ready(refused(ErrorCode::InvalidRequest));
        };
        let api = self.inner.iter().find(|api| api.key() == header.key);
        let Some(api) = api.filter(|_| header.key.spec().accepts(header.version)).cloned() else {
            return Reply::Ready(refused(ErrorCode::InvalidRequest));
        };
        let context = RequestContext {
            connection: Arc::clone(&context.connection),
            version: header.version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
            began_at: context.began_at,
        };
        Reply::ordered(async move { sealed(api.answer(context, body.freeze()).await) })
    }
}

/// `None`: this node is not the controller.
fn sealed(answer: Option<Result<Answer, Closed>>) -> EnvelopeResponse {
    match answer {
        None => refused(ErrorCode::NotController),
        Some(Err(error)) => {
            tracing::debug!(%error, "a request that was handed on has no answer");
            refused(ErrorCode::UnknownServerError)
        }
        Some(Ok(answer)) => {
            let mut data = flat(&answer);
            data.advance(FRAME_PREFIX_LEN);
            EnvelopeResponse::default().with_response_data(Some(data.freeze()))
        }
    }
}

fn refused(error: ErrorCode) -> EnvelopeResponse {
    EnvelopeResponse::default().with_response_data(None).with_error_code(error.code())
}
