//! An API of the controller that clients ask brokers for: answered where the controller is.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_protocol::{ApiKey, DecodeError, Request};

use super::ErrorCodes;
use crate::dispatch::{Answer, Api, Closed, Handler, Reply, ReplyFuture, RequestContext, encoded};

/// An API of the controller on raw bytes.
pub(crate) trait ControllerApi: Send + Sync {
    fn key(&self) -> ApiKey;

    /// Whether the body is a request at all.
    fn check(&self, version: i16, body: Bytes) -> Result<(), DecodeError>;

    /// The answer of this node; `None` if it is not the active controller.
    fn answer(&self, context: RequestContext, body: Bytes) -> ReplyFuture<Option<Result<Answer, Closed>>>;

    /// The answer of this node, whatever it is.
    fn direct(&self, context: RequestContext, body: Bytes) -> ReplyFuture<Result<Answer, Closed>>;

    /// The answer that nobody has given in time.
    fn timed_out(&self, context: RequestContext, body: Bytes) -> ReplyFuture<Result<Answer, Closed>>;
}

/// Makes one of a handler.
#[derive(Debug)]
pub(crate) struct AtController<H>(pub H);

impl<H: Handler> AtController<H> {
    fn ask(
        &self,
        context: &RequestContext,
        body: Bytes,
    ) -> Result<Reply<<H::Request as Request>::Response>, Closed> {
        Ok(self.0.handle(context, H::Request::decode(body, context.version)?))
    }
}

async fn settle<T>(reply: Result<Reply<T>, Closed>) -> Result<T, Closed> {
    match reply? {
        Reply::Ready(response) => Ok(response),
        Reply::Parked(future) | Reply::Ordered(future) => Ok(future.await),
        Reply::Silent | Reply::Close => Err(Closed::Unanswerable),
    }
}

impl<H: Handler> ControllerApi for AtController<H>
where
    <H::Request as Request>::Response: ErrorCodes,
{
    fn key(&self) -> ApiKey {
        H::Request::KEY
    }

    fn check(&self, version: i16, body: Bytes) -> Result<(), DecodeError> {
        H::Request::decode(body, version).map(|_| ())
    }

    fn answer(&self, context: RequestContext, body: Bytes) -> ReplyFuture<Option<Result<Answer, Closed>>> {
        let reply = self.ask(&context, body);
        Box::pin(async move {
            match settle(reply).await {
                Ok(mut response) => {
                    let is_elsewhere = response.is_not_controller();
                    (!is_elsewhere).then(|| encoded(context.version, context.correlation_id, &response))
                }
                Err(closed) => Some(Err(closed)),
            }
        })
    }

    fn direct(&self, context: RequestContext, body: Bytes) -> ReplyFuture<Result<Answer, Closed>> {
        let reply = self.ask(&context, body);
        Box::pin(async move {
            let response = settle(reply).await?;
            encoded(context.version, context.correlation_id, &response)
        })
    }

    fn timed_out(&self, context: RequestContext, body: Bytes) -> ReplyFuture<Result<Answer, Closed>> {
        let reply = self.ask(&context, body);
        Box::pin(async move {
            let mut response = settle(reply).await?;
            response.time_out();
            encoded(context.version, context.correlation_id, &response)
        })
    }
}

/// The same on the controller's own listener: whoever asks there is told that the controller is elsewhere.
pub(crate) struct Direct(pub Arc<dyn ControllerApi>);

impl Api for Direct {
    fn key(&self) -> ApiKey {
        self.0.key()
    }

    fn call(&self, context: RequestContext, body: BytesMut) -> Reply<Result<Answer, Closed>> {
        Reply::Ordered(self.0.direct(context, body.freeze()))
    }
}
