//! Any broker takes any request to the controller: where another node is it, the request goes on to it in an Envelope
//! (KIP-590), and its answer comes back. A client of a broker never hears NOT_CONTROLLER.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use ottla_protocol::messages::{EnvelopeRequest, EnvelopeResponse, StrBytes};
use ottla_protocol::{
    ApiKey, ErrorCode, FRAME_PREFIX_LEN, RequestHeader, Response as _, encode_request, split_response_header,
};
use tokio::time::{Instant, sleep};

use super::channel::TryError;
use super::{ControllerApi, ControllerChannel};
use crate::dispatch::{Answer, Api, Closed, Reply, RequestContext, of_bytes};

/// How long a request waits for a controller that takes it.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(30);
/// Before it is asked again who leads.
const PAUSE: Duration = Duration::from_millis(10);

/// An API of the controller, as a broker's listener serves it.
pub(crate) struct Forwarded {
    pub api: Arc<dyn ControllerApi>,
    pub channel: ControllerChannel,
}

impl Api for Forwarded {
    fn key(&self) -> ApiKey {
        self.api.key()
    }

    fn call(&self, context: RequestContext, body: BytesMut) -> Reply<Result<Answer, Closed>> {
        let body = body.freeze();
        // Refused here, whoever decides: the controller's answer could not say it.
        if let Err(error) = self.api.check(context.version, body.clone()) {
            return Reply::Ready(Err(error.into()));
        }
        let (api, channel) = (Arc::clone(&self.api), self.channel.clone());
        Reply::ordered(async move { answer(api.as_ref(), &channel, context, body).await })
    }
}

/// The controller's answer, of this node or another, whoever it is meanwhile.
async fn answer(
    api: &dyn ControllerApi,
    channel: &ControllerChannel,
    context: RequestContext,
    body: Bytes,
) -> Result<Answer, Closed> {
    let deadline = Instant::now() + FORWARD_TIMEOUT;
    let mut sealed = None;
    while Instant::now() + PAUSE < deadline {
        if channel.controller().is_active() {
            if let Some(answer) = api.answer(context.clone(), body.clone()).await {
                return answer;
            }
        } else {
            let envelope = match &sealed {
                Some(envelope) => envelope,
                None => {
                    let cluster_id = channel.controller().image().cluster_id().to_string();
                    sealed.insert(envelope(api.key(), &body, &context, cluster_id)?)
                }
            };
            match forward(channel, envelope, deadline).await {
                Ok(Some(frame)) => return Ok(framed(&frame)),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "a request is handed on again"),
            }
        }
        sleep(PAUSE).await;
    }
    api.timed_out(context, body).await
}

/// The answer's header and body; `None` if the one that was asked is not the controller.
async fn forward(
    channel: &ControllerChannel,
    envelope: &[u8],
    deadline: Instant,
) -> Result<Option<Bytes>, TryError> {
    let mut answer = channel.ask_remote(envelope, deadline).await?;
    split_response_header(ApiKey::Envelope, ENVELOPE_VERSION, &mut answer)?;
    let answer = EnvelopeResponse::decode(answer.freeze(), ENVELOPE_VERSION)?;
    if answer.error_code != ErrorCode::None.code() {
        tracing::debug!(code = answer.error_code, "the controller has not taken a request");
        return Ok(None);
    }
    Ok(answer.response_data)
}

const ENVELOPE_VERSION: i16 = 0;

/// `DefaultPrincipalData` version 0 of User:ANONYMOUS, without a token: as long as nobody logs in, everybody is.
const ANONYMOUS: &[u8] = b"\0\0\x05User\x0aANONYMOUS\0\0";

/// The request as a whole frame for the controller's listener; only a controller of that cluster opens it.
fn envelope(key: ApiKey, body: &[u8], context: &RequestContext, cluster_id: String) -> Result<Bytes, Closed> {
    let header = RequestHeader {
        key,
        version: context.version,
        correlation_id: context.correlation_id,
        client_id: context.client_id.clone(),
    };
    let mut request = BytesMut::with_capacity(body.len() + 64);
    header.encode(&mut request)?;
    request.put_slice(body);
    let address = match context.connection.peer.ip() {
        std::net::IpAddr::V4(ip) => Bytes::copy_from_slice(&ip.octets()),
        std::net::IpAddr::V6(ip) => Bytes::copy_from_slice(&ip.octets()),
    };
    let envelope = EnvelopeRequest::default()
        .with_request_data(request.freeze())
        .with_request_principal(Some(Bytes::from_static(ANONYMOUS)))
        .with_client_host_address(address);
    let header = RequestHeader {
        key: ApiKey::Envelope,
        version: ENVELOPE_VERSION,
        client_id: Some(StrBytes::from_string(cluster_id)),
        ..header
    };
    Ok(encode_request(&header, &envelope)?)
}

fn framed(answer: &[u8]) -> Answer {
    let mut frame = BytesMut::with_capacity(answer.len() + FRAME_PREFIX_LEN);
    frame.put_i32(i32::try_from(answer.len()).unwrap_or(i32::MAX));
    frame.put_slice(answer);
    of_bytes(frame.freeze())
}
