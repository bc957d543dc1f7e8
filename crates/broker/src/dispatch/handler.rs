//! What an API implements, and the adapter that decodes for it and encodes its answer.

use bytes::BytesMut;
use ottla_protocol::{ApiKey, Request};

use super::{Answer, Closed, Reply, RequestContext, encoded};

/// One API with typed messages. The implementing struct holds the one service the API needs.
pub(crate) trait Handler: Send + Sync + 'static {
    type Request: Request;

    /// Answers a request of a version within Kafka's range. Errors travel in the response.
    fn handle(
        &self,
        context: &RequestContext,
        request: Self::Request,
    ) -> Reply<<Self::Request as Request>::Response>;
}

/// One API on raw bytes: what the dispatcher calls. Implemented by [`Typed`], and by the hot path's own handlers.
pub(crate) trait Api: Send + Sync {
    fn key(&self) -> ApiKey;

    /// Answers the request whose body is `body`.
    fn call(&self, context: RequestContext, body: BytesMut) -> Reply<Result<Answer, Closed>>;
}

/// Makes an [`Api`] of a [`Handler`].
#[derive(Debug)]
pub(crate) struct Typed<H>(pub H);

impl<H: Handler> Api for Typed<H> {
    fn key(&self) -> ApiKey {
        H::Request::KEY
    }

    fn call(&self, context: RequestContext, body: BytesMut) -> Reply<Result<Answer, Closed>> {
        let (version, correlation_id) = (context.version, context.correlation_id);
        let request = match H::Request::decode(body.freeze(), version) {
            Ok(request) => request,
            Err(error) => return Reply::Ready(Err(error.into())),
        };
        self.0.handle(&context, request).map(move |response| encoded(version, correlation_id, &response))
    }
}
