//! `/metrics`, `/health/live` and `/health/ready` over HTTP/1.1, on a listener of their own.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::pieces::Pieces;
use super::{Health, Metrics, Names, openmetrics};

/// A scraper opens one connection; more than this many at once are left waiting.
const CONNECTIONS_MAX: usize = 16;
/// One request and its answer, whoever is slow.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
type Body = Either<Full<Bytes>, Pieces>;

const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics listener cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for metrics: {source}")]
pub struct ServerError {
    pub address: String,
    pub source: std::io::Error,
}

/// The bound listener.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl MetricsServer {
    /// Binds `address` (`HOST:PORT`).
    ///
    /// # Errors
    /// The port is taken, not permitted, or the host is not one of ours.
    pub async fn bind(address: &str) -> Result<Self, ServerError> {
        let failed = |source| ServerError { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address: bound })
    }

    /// The bound address; its port is the chosen one where 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` ends.
    pub async fn serve(self, metrics: Arc<Metrics>, health: Arc<Health>, stop: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                Some(_) = connections.join_next() => {}
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                    match accepted {
                        Ok((stream, _)) => {
                            connections.spawn(exchange(stream, Arc::clone(&metrics), Arc::clone(&health)));
                        }
                        // Out of descriptors: accepting again at once would spin.
                        Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                    }
                }
            }
        }
    }
}

/// One connection, one request: nothing is kept open between scrapes.
async fn exchange(stream: TcpStream, metrics: Arc<Metrics>, health: Arc<Health>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (metrics, health) = (Arc::clone(&metrics), Arc::clone(&health));
        async move { Ok::<_, Infallible>(answer(&request, metrics, &health).await) }
    });
    let connection = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    // A peer that hangs up or dawdles is its own affair.
    let _ = timeout(EXCHANGE_TIMEOUT, connection).await;
}

async fn answer<B>(request: &Request<B>, metrics: Arc<Metrics>, health: &Health) -> Response<Body> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "GET only\n".to_owned());
    }
    match request.uri().path() {
        "/metrics" => scrape(request, metrics).await,
        "/health/live" => text(StatusCode::OK, "live\n".to_owned()),
        "/health/ready" => {
            let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            text(status, format!("{}\n", health.line()))
        }
        _ => text(StatusCode::NOT_FOUND, "/metrics, /health/live, /health/ready\n".to_owned()),
    }
}

/// The series, as the query and the accepted types say.
async fn scrape<B>(request: &Request<B>, metrics: Arc<Metrics>) -> Response<Body> {
    let names = match format(request.uri().query().unwrap_or_default()) {
        None => Names::Both,
        Some("ottla") => Names::Ottla,
        Some("jmx") => Names::Jmx,
        Some(_) => return text(StatusCode::BAD_REQUEST, "format: jmx or ottla\n".to_owned()),
    };
    let open = wants_openmetrics(request.headers().get(ACCEPT));
    match Pieces::of(metrics, names, open).await {
        Some(pieces) => {
            let content_type = if open { openmetrics::CONTENT_TYPE } else { PROMETHEUS_TEXT };
            typed(StatusCode::OK, Body::Right(pieces), content_type)
        }
        None => text(StatusCode::INTERNAL_SERVER_ERROR, "the series cannot be read\n".to_owned()),
    }
}

/// The value of `format` in a query.
fn format(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("format="))
}

fn wants_openmetrics(accept: Option<&HeaderValue>) -> bool {
    accept
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("application/openmetrics-text"))
}

fn text(status: StatusCode, body: String) -> Response<Body> {
    typed(status, Body::Left(Full::new(Bytes::from(body))), PROMETHEUS_TEXT)
}

fn typed(status: StatusCode, body: Body, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        get_with(address, path, "").await
    }

    async fn get_with(address: SocketAddr, path: &str, header: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).await.expect("sends");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("reads to the end");
        answer
    }

    #[tokio::test]
    async fn readiness_follows_the_start() {
        let server = MetricsServer::bind("127.0.0.1:0").await.expect("binds");
        let address = server.address();
        let metrics = Arc::new(Metrics::new(Instant::now()));
        let health = Arc::new(Health::default());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let until = async move { drop(stopped.await) };
        let serving = tokio::spawn(server.serve(Arc::clone(&metrics), Arc::clone(&health), until));

        health.progress("recovered 12 of 100 logs");
        let answer = get(address, "/health/ready").await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.ends_with("\r\n\r\nrecovered 12 of 100 logs\n"), "{answer}");
        assert!(get(address, "/health/live").await.starts_with("HTTP/1.1 200 "));

        health.ready();
        assert!(get(address, "/health/ready").await.starts_with("HTTP/1.1 200 "));
        let answer = get(address, "/metrics").await;
        assert!(answer.contains("text/plain; version=0.0.4"), "{answer}");
        assert!(answer.contains("\nottla_build_info{version="), "{answer}");
        let jmx = get(address, "/metrics?format=jmx").await;
        assert!(jmx.contains("\nkafka_server_replicamanager_partitioncount 0\n"), "{jmx}");
        assert!(!jmx.contains("ottla_"), "{jmx}");
        let ours = get(address, "/metrics?format=ottla").await;
        assert!(ours.contains("\nottla_partitions 0\n") && !ours.contains("\nkafka_"), "{ours}");
        assert!(get(address, "/metrics?format=x").await.starts_with("HTTP/1.1 400 "));
        let open =
            get_with(address, "/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n").await;
        assert!(open.contains("application/openmetrics-text; version=1.0.0"), "{open}");
        assert!(open.ends_with("# EOF\n\r\n0\r\n\r\n"), "the last piece, and the end of the body: {open}");
        assert!(get(address, "/nothing").await.starts_with("HTTP/1.1 404 "));

        drop(stop);
        serving.await.expect("ends");
    }

    #[tokio::test]
    async fn a_taken_port_names_itself() {
        let first = MetricsServer::bind("127.0.0.1:0").await.expect("binds");
        let address = first.address().to_string();
        let error = MetricsServer::bind(&address).await.expect_err("is taken");
        assert!(error.to_string().starts_with(&format!("cannot listen on {address} for metrics: ")));
    }
}
