//! What bounds and counts connections, and the listeners that are served.

use std::sync::Arc;
use std::time::Duration;

use ottla_config::BrokerConfig;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cold_reads::ColdReads;
use crate::dispatch::Dispatcher;
use crate::memory::{Memory, available_memory};
use crate::net::{Admission, Listener, NetLimits};
use crate::start_error::StartError;
use crate::telemetry::Metrics;

/// Requests of one connection that are processed and not answered.
const UNANSWERED_MAX: usize = 100;

/// What bounds and counts connections, on whatever listener.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub metrics: Arc<Metrics>,
    limits: NetLimits,
    pub memory: Arc<Memory>,
    pub cold_reads: ColdReads,
    pub admission: Arc<Admission>,
}

impl Door {
    pub(crate) fn new(config: &BrokerConfig, metrics: Arc<Metrics>) -> Self {
        Self {
            limits: net_limits(config),
            memory: Arc::new(Memory::new(&config.memory, available_memory())),
            cold_reads: ColdReads::new(metrics.broker.cold_reads.clone()),
            admission: Admission::new(&config.net),
            metrics,
        }
    }
}

/// Listeners that are served, until they are told to stop.
#[derive(Debug)]
pub(crate) struct Serving {
    pub dispatcher: Arc<Dispatcher>,
    /// Where, as `host:port`.
    pub addresses: Vec<String>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Serving {
    pub(crate) fn start(listeners: Vec<Listener>, dispatcher: Arc<Dispatcher>, door: &Door) -> Self {
        let (stop, stopped) = watch::channel(false);
        let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok());
        let addresses = addresses.map(|address| address.to_string()).collect();
        let mut tasks = JoinSet::new();
        for listener in listeners {
            tasks.spawn(listener.serve(
                Arc::clone(&dispatcher),
                door.limits,
                Arc::clone(&door.memory),
                door.cold_reads.clone(),
                Arc::clone(&door.admission),
                stopped.clone(),
            ));
        }
        Self { dispatcher, addresses, stop, tasks }
    }

    pub(crate) fn tell(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Opens the sockets, and serves nobody yet.
pub(crate) async fn bind(
    named: &[ottla_config::Listener],
    config: &BrokerConfig,
) -> Result<Vec<Listener>, StartError> {
    let mut listeners = Vec::new();
    for listener in named {
        let host = if listener.host.is_empty() { "0.0.0.0" } else { &listener.host };
        let address = format!("{host}:{}", listener.port);
        let bound = Listener::bind(&listener.name, &address, &config.net).await;
        listeners.push(bound.map_err(|source| StartError::Bind { address, source })?);
    }
    Ok(listeners)
}

fn net_limits(config: &BrokerConfig) -> NetLimits {
    let idle_ms = u64::try_from(config.net.connections_max_idle_ms).unwrap_or(u64::from(u32::MAX));
    NetLimits {
        frame_max_len: usize::try_from(config.net.request_bytes_max).unwrap_or(0),
        unanswered_max: UNANSWERED_MAX,
        sendfile_min_len: usize::try_from(config.fetch.sendfile_min_bytes).unwrap_or(0),
        idle_timeout: Duration::from_millis(idle_ms),
        stall_timeout: Duration::from_millis(u64::try_from(config.memory.stall_timeout_ms).unwrap_or(1)),
        slow_after: u64::try_from(config.net.slow_request_ms).ok().map(Duration::from_millis),
    }
}
