//! The `ottla` binary.

use std::sync::Arc;
use std::time::Instant;

use ottla_broker::Server;
use ottla_broker::telemetry::{Health, Metrics};
use ottla_config::{BrokerConfig, ConfigMap};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let started = Instant::now();
    tracing_subscriber::fmt().with_env_filter(std::env::var("RUST_LOG").unwrap_or("info".into())).init();
    let mut fixed = ConfigMap::default();
    for arg in std::env::args().skip(1) {
        if let Some((k, v)) = arg.split_once('=') {
            fixed.insert(k.into(), v.into());
        }
    }
    let config = BrokerConfig::from_static(fixed).expect("config");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("runtime");
    runtime.block_on(async {
        let server = Server::start(config, Arc::new(Metrics::new(started)), Arc::new(Health::default()))
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        println!(
            "ready {:?} {} in {} ms",
            server.addresses(),
            server.cluster_id(),
            started.elapsed().as_millis()
        );
        let _ = tokio::signal::ctrl_c().await;
        server.stop().await;
    });
}
