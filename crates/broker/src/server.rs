//! The broker as a whole: starts its parts in order, serves, and stops them in the opposite order.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_controller::MetadataSubscription;
use ottla_metadata::{ConfigResourceType, DirectoryId, MetadataImage};
use ottla_model::Offset;
use ottla_replication::session::FetchSessionConfig;
use ottla_storage::{Disk, RealDisk, StorageError};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::apis::FetchSessions;
use crate::auto_topics::AutoTopics;
use crate::client_metrics::ClientMetrics;
use crate::clock::Clock;
use crate::cluster::{self, ControllerChannel, Membership};
use crate::dispatch::Dispatcher;
use crate::gauges;
use crate::groups::{Groups, GroupsParts};
use crate::identity::Identity;
use crate::memory::SESSION_PARTITION_LEN;
use crate::metadata_view::MetadataView;
use crate::net::Admission;
use crate::node_base::NodeBase;
use crate::partitions::opening::{self, Opened, OpenedLogs, Opener, OpeningQueue};
use crate::partitions::{
    Checker, Cleaner, DirAssignments, DirFailureHandler, Flusher, Housekeeping, LogHome, LogMoves,
    LogMovesParts, Partitions, ReplicaDriver,
};
use crate::producer_ids::ProducerIds;
use crate::registration;
use crate::replication::{Fetchers, FetchersParts, IsrManager, RecoveryPoints, ReplicationQuotas, watch_lag};
use crate::services::Services;
use crate::serving::{Door, Serving, bind};
use crate::start_error::StartError;
use crate::telemetry::{Health, Loggers, Metrics};

/// How often it is tried again to make logs for which there was no room.
const ROOM_RETRY: Duration = Duration::from_secs(1);
/// How long a stopping broker waits for others to take over what it leads.
const LEAVE_MAX: Duration = Duration::from_secs(5);
/// Threads that run fdatasync.
const FLUSH_THREADS: usize = 2;
/// Opened logs that are made to serve at once, at most.
const INSTALLED_AT_ONCE: usize = 256;

/// A running broker.
#[derive(Debug)]
pub struct Server {
    services: Arc<Services>,
    opener: Arc<Opener>,
    health: Arc<Health>,
    serving: Serving,
    /// The controller's listeners, where there are other voters.
    gate: Option<Serving>,
    membership: Option<Arc<Membership>>,
    /// What runs until the broker stops: metadata and housekeeping.
    background: JoinSet<()>,
    broker_epoch: i64,
}

impl Server {
    /// Binds the listeners, opens the metadata log, finds the partitions' logs, and serves: each log once it is open, the
    /// first that is asked for first.
    ///
    /// # Errors
    /// Whatever keeps the broker from serving; its text is one clear line.
    pub async fn start(
        config: BrokerConfig,
        loggers: Arc<Loggers>,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
    ) -> Result<Self, StartError> {
        Self::start_on(Arc::new(RealDisk), config, loggers, metrics, health).await
    }

    /// The same on a disk around the real one, for tests.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_on(
        disk: Arc<dyn Disk>,
        config: BrokerConfig,
        loggers: Arc<Loggers>,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
    ) -> Result<Self, StartError> {
        let clock = Clock::start();
        // Bound first, so that a port in use is found before anything is written.
        let listeners = bind(&config.net.listeners, &config).await?;
        let door = Door::new(&config, Arc::clone(&metrics));
        let admission = Arc::clone(&door.admission);
        let base = NodeBase::start(disk, &config, &door).await?;
        let is_alone = base.is_alone();
        let log_dirs = base.home.directory_ids.clone();
        let previous_broker_epoch = base.home.previous_broker_epoch;
        let mut background = JoinSet::new();
        base.watch_nodes(&config, &mut background);
        let NodeBase { home, identity, controller, channel, peers, gate, .. } = base;
        let services = services(config, identity, loggers, clock, channel, home.logs, door.clone())?;
        let controllers_own = crate::apis::controller_table(&services.of_controller());
        services.channel.serve_locally(controllers_own.clone());
        if let Some(gate) = &gate {
            gate.dispatcher.open(controllers_own);
        }
        let registering = async {
            let config = services.config.load_full();
            if is_alone {
                let epoch = registration::register_alone(&controller, &config, &listeners, &log_dirs).await?;
                if let Some(epoch) = epoch {
                    return Ok::<_, StartError>(epoch);
                }
            }
            let identity = &services.identity;
            let introduction =
                registration::introduction(&config, identity, &listeners, &log_dirs, previous_broker_epoch);
            let epoch = cluster::register(&services.channel, &introduction).await?;
            // Before that the image may not know of topics whose logs are here.
            controller.reached(Offset(epoch)).await;
            Ok(epoch)
        };
        let broker_epoch = unless_failed(controller.failed(), registering).await??;

        services.fetchers.registered(broker_epoch);
        gauges::register(&metrics, &services);
        let queue = Arc::new(OpeningQueue::default());
        let driver = replica_driver(&services, &queue);
        let subscription = services.controller.subscribe();
        let image = Arc::clone(subscription.current());
        services.client_metrics.start(&image);
        let groups = Arc::clone(&services.groups);
        let starting = move || {
            driver.start(Arc::clone(&image))?;
            groups.start(&image);
            Ok::<_, StorageError>(driver)
        };
        let started = tokio::task::spawn_blocking(starting).await;
        let driver = started.map_err(|error| StartError::Internal(error.to_string()))??;
        let (logs, clock) = (Arc::clone(&services.logs), services.clock);
        let (opener, opened) = Opener::start(Arc::clone(&queue), logs, services.logs.thread_count(), clock)
            .map_err(StartError::Threads)?;
        services.cleaner.configure();
        let followers = Followers {
            groups: Arc::clone(&services.groups),
            client_metrics: Arc::clone(&services.client_metrics),
            admission: Arc::clone(&admission),
            cleaner: Arc::clone(&services.cleaner),
            log_moves: Arc::clone(&services.log_moves),
            health: Arc::clone(&health),
        };
        background.spawn(follow(driver, followers, subscription, opened));
        let (reporting, partitions) =
            (opening::report(queue, Arc::clone(&health)), Arc::clone(&services.partitions));
        background.spawn(async move {
            reporting.await;
            opening::learn_sizes(partitions).await;
        });
        background.spawn(Arc::clone(&services.groups).measure_memory());
        background.spawn(Arc::new(housekeeping(&services)).run());
        background.spawn(isr_manager(&services, broker_epoch).run());
        let lag_ms = u64::try_from(services.config.load().replication.lag_time_max_ms).unwrap_or(0);
        let partitions = Arc::clone(&services.partitions);
        background.spawn(watch_lag(partitions, Duration::from_millis(lag_ms), services.clock));
        background.spawn(Arc::new(dir_failures(&services, broker_epoch, log_dirs)).run());
        background.spawn(Arc::clone(&services.dir_assignments).run(
            services.channel.clone(),
            services.identity.node_id,
            broker_epoch,
        ));
        let dispatcher = Arc::new(Dispatcher::new(crate::apis::table(&services), metrics));
        let serving = Serving::start(listeners, dispatcher, &door);
        let (services, opener) = (Arc::new(services), Arc::new(opener));
        let membership = match peers {
            Some(_) => {
                let membership = membership(&services, broker_epoch);
                background.spawn(Arc::clone(&membership).run());
                unless_failed(controller.failed(), membership.let_in()).await?;
                Some(membership)
            }
            None => None,
        };
        Ok(Self { services, opener, health, serving, gate, membership, background, broker_epoch })
    }

    /// Where clients are served.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.serving.addresses
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.services.identity.cluster_id
    }

    /// Ends when the broker cannot go on, as when no log dir works any more, and says why.
    pub async fn failed(&self) -> String {
        let dirs = self.services.logs.failures();
        tokio::select! {
            why = dirs.fatal() => why,
            why = self.services.controller.failed() => {
                format!("Shutdown broker because the metadata log has failed: {why}")
            }
        }
    }

    /// Answers what is parked, flushes and closes everything.
    pub async fn stop(mut self) {
        self.health.stopping();
        if let Some(membership) = self.membership.take() {
            membership.leave(LEAVE_MAX).await;
        }
        self.serving.tell();
        self.services.groups.close_all();
        self.serving.ended().await;
        self.services.fetchers.close();
        self.background.shutdown().await;
        self.services.controller.shutdown().await;
        if let Some(gate) = &mut self.gate {
            gate.tell();
            gate.ended().await;
        }
        let (services, opener) = (Arc::clone(&self.services), Arc::clone(&self.opener));
        let broker_epoch = self.broker_epoch;
        let closing = move || {
            close_threads(&services, &opener);
            services.logs.close(&services.partitions.all(), broker_epoch, services.clock.now())
        };
        match tokio::task::spawn_blocking(closing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "logs could not be closed cleanly"),
            Err(error) => tracing::error!(%error, "logs could not be closed"),
        }
    }
}

/// One that is dropped, as in a test, leaves its files as they are, and no thread that goes on with them.
impl Drop for Server {
    fn drop(&mut self) {
        close_threads(&self.services, &self.opener);
    }
}

/// Ends what has threads of its own.
fn close_threads(services: &Services, opener: &Opener) {
    services.fetchers.close();
    opener.close();
    services.log_moves.close();
    services.cleaner.close();
    services.checker.close();
    services.flusher.close();
}

/// Waits as long as the metadata log works: without it nobody ever lets this broker in.
async fn unless_failed<T>(
    failed: impl Future<Output = String>,
    waiting: impl Future<Output = T>,
) -> Result<T, StartError> {
    tokio::select! {
        biased;
        done = waiting => Ok(done),
        why = failed => Err(StartError::MetadataLog(why)),
    }
}

fn membership(services: &Services, broker_epoch: i64) -> Arc<Membership> {
    let interval_ms = u64::try_from(services.config.load().controller.heartbeat_interval_ms).unwrap_or(0);
    let interval = Duration::from_millis(interval_ms.max(1));
    let (channel, view) = (services.channel.clone(), Arc::clone(&services.metadata));
    Arc::new(Membership::new(channel, view, services.identity.node_id, broker_epoch, interval))
}

fn services(
    config: BrokerConfig,
    identity: Arc<Identity>,
    loggers: Arc<Loggers>,
    clock: Clock,
    channel: ControllerChannel,
    logs: Arc<LogHome>,
    door: Door,
) -> Result<Services, StartError> {
    let Door { memory, cold_reads, metrics, .. } = door;
    let metadata =
        Arc::new(MetadataView::new(Arc::new(MetadataImage::new(Arc::clone(&identity.cluster_id)))));
    let sessions = FetchSessionConfig {
        slots: usize::try_from(config.fetch.session_cache_slots).unwrap_or(0),
        partitions: usize::try_from(memory.fetch_sessions.limit() / SESSION_PARTITION_LEN)
            .unwrap_or(usize::MAX),
        ..FetchSessionConfig::default()
    };
    let producer_ids = ProducerIds::new(channel.clone(), Arc::clone(&identity), Arc::clone(&metadata));
    let flusher = Flusher::start(FLUSH_THREADS, clock, &metrics).map_err(StartError::Threads)?;
    let enable = config.topics.auto_create_enable;
    let config = Arc::new(ArcSwap::from_pointee(config));
    let (view, config_of_topics) = (Arc::clone(&metadata), Arc::clone(&config));
    let auto_topics = AutoTopics { channel: channel.clone(), view, config: config_of_topics, enable };
    let partitions = Arc::new(Partitions::default());
    let cleaner = Cleaner::new(
        Arc::clone(&partitions),
        Arc::clone(&logs),
        Arc::clone(&config),
        clock,
        Arc::clone(&metrics),
    );
    let parts = GroupsParts {
        node_id: identity.node_id,
        clock,
        config,
        view: Arc::clone(&metadata),
        partitions,
        flusher: Arc::new(flusher),
        auto_topics: Arc::new(auto_topics),
        memory: Arc::clone(&memory.groups),
    };
    let dir_assignments = Arc::new(DirAssignments::default());
    let moves = LogMovesParts {
        logs: Arc::clone(&logs),
        partitions: Arc::clone(&parts.partitions),
        assignments: Arc::clone(&dir_assignments),
        config: Arc::clone(&parts.config),
        clock,
    };
    let checker = Checker::start(logs.failures()).map_err(StartError::Threads)?;
    let log_moves = LogMoves::start(moves).map_err(StartError::Threads)?;
    let net = &parts.config.load().net;
    let client_metrics = ClientMetrics::new(
        usize::try_from(net.telemetry_bytes_max).unwrap_or_default(),
        usize::try_from(net.client_series_max).unwrap_or_default(),
        metrics.clients.clone(),
    );
    let quotas = Arc::new(ReplicationQuotas::new(Arc::clone(&parts.config)));
    let fetchers = FetchersParts {
        quotas: Arc::clone(&quotas),
        broker_id: identity.node_id,
        view: Arc::clone(&metadata),
        config: Arc::clone(&parts.config),
        flusher: Arc::clone(&parts.flusher),
        metrics: Arc::clone(&metrics),
        recovery_points: RecoveryPoints(Some((Arc::clone(&logs), Arc::clone(&parts.partitions)))),
        clock,
        runtime: Handle::current(),
    };
    Ok(Services {
        fetchers: Arc::new(Fetchers::new(fetchers)),
        isr_proposals: Arc::default(),
        replication_quotas: quotas,
        client_metrics: Arc::new(client_metrics),
        identity,
        loggers,
        clock,
        config: Arc::clone(&parts.config),
        metrics,
        memory,
        cold_reads,
        metadata,
        controller: channel.controller().clone(),
        channel,
        auto_topics: Arc::clone(&parts.auto_topics),
        producer_ids: Arc::new(producer_ids),
        partitions: Arc::clone(&parts.partitions),
        flusher: Arc::clone(&parts.flusher),
        cleaner: Arc::new(cleaner),
        checker: Arc::new(checker),
        logs,
        log_moves: Arc::new(log_moves),
        dir_assignments,
        fetch_sessions: Arc::new(Mutex::new(FetchSessions::new(sessions))),
        groups: Arc::new(Groups::new(parts)),
    })
}

fn replica_driver(services: &Services, opening: &Arc<OpeningQueue>) -> ReplicaDriver {
    ReplicaDriver {
        opening: Arc::clone(opening),
        flusher: Arc::clone(&services.flusher),
        partitions: Arc::clone(&services.partitions),
        view: Arc::clone(&services.metadata),
        logs: Arc::clone(&services.logs),
        assignments: Arc::clone(&services.dir_assignments),
        fetchers: Arc::clone(&services.fetchers),
        proposals: Arc::clone(&services.isr_proposals),
        config: Arc::clone(&services.config),
        node_id: services.identity.node_id,
        clock: services.clock,
        producers: Arc::clone(&services.memory.producers),
        waiting: Mutex::default(),
    }
}

fn housekeeping(services: &Services) -> Housekeeping {
    Housekeeping {
        partitions: Arc::clone(&services.partitions),
        logs: Arc::clone(&services.logs),
        flusher: Arc::clone(&services.flusher),
        config: Arc::clone(&services.config),
        clock: services.clock,
    }
}

fn isr_manager(services: &Services, broker_epoch: i64) -> IsrManager {
    IsrManager {
        proposals: Arc::clone(&services.isr_proposals),
        partitions: Arc::clone(&services.partitions),
        flusher: Arc::clone(&services.flusher),
        channel: services.channel.clone(),
        metrics: Arc::clone(&services.metrics),
        clock: services.clock,
        broker_id: services.identity.node_id,
        broker_epoch,
    }
}

fn dir_failures(services: &Services, broker_epoch: i64, log_dirs: Vec<DirectoryId>) -> DirFailureHandler {
    let timeout_ms = u64::try_from(services.config.load().log.failure_timeout_ms).unwrap_or(0);
    DirFailureHandler {
        failures: services.logs.failures(),
        logs: Arc::clone(&services.logs),
        partitions: Arc::clone(&services.partitions),
        channel: services.channel.clone(),
        view: Arc::clone(&services.metadata),
        log_dirs,
        node_id: services.identity.node_id,
        broker_epoch,
        metadata_dir: services.config.load().controller.metadata_dir.clone(),
        timeout: Duration::from_millis(timeout_ms),
    }
}

/// Who else is told of a new image, after the replicas.
#[derive(Clone)]
struct Followers {
    groups: Arc<Groups>,
    client_metrics: Arc<ClientMetrics>,
    admission: Arc<Admission>,
    cleaner: Arc<Cleaner>,
    log_moves: Arc<LogMoves>,
    health: Arc<Health>,
}

/// Applies every later image, and takes the logs that have been opened; the file I/O runs on a blocking thread.
async fn follow(
    driver: ReplicaDriver,
    followers: Followers,
    mut subscription: MetadataSubscription,
    mut opened: OpenedLogs,
) {
    let driver = Arc::new(driver);
    let (mut batch, mut all_open) = (Vec::new(), false);
    loop {
        let next = tokio::select! {
            next = subscription.next() => next,
            count = opened.recv_many(&mut batch, INSTALLED_AT_ONCE), if !all_open => {
                all_open = count == 0;
                if all_open {
                    followers.log_moves.resume();
                    followers.health.ready();
                } else {
                    install(&driver, &followers.groups, std::mem::take(&mut batch)).await;
                }
                continue;
            }
            () = tokio::time::sleep(ROOM_RETRY), if driver.is_waiting() => {
                retry(&driver, &followers.groups).await;
                continue;
            }
        };
        let Some(update) = next else { return };
        let (driver, followers) = (Arc::clone(&driver), followers.clone());
        let applying = move || {
            driver.apply(Arc::clone(&update.image), &update.delta);
            followers.groups.apply(&update.image, &update.delta);
            for subscription in update
                .delta
                .configs
                .iter()
                .filter(|resource| resource.kind == ConfigResourceType::ClientMetrics)
            {
                followers.client_metrics.subscription_changed(&subscription.name, &update.image);
            }
            if update.delta.configs.iter().any(|resource| resource.kind == ConfigResourceType::Broker) {
                followers.admission.configure(&driver.config.load().net);
                followers.cleaner.configure();
            }
            driver.view.followed();
        };
        let applied = tokio::task::spawn_blocking(applying).await;
        if let Err(error) = applied {
            tracing::error!(%error, "metadata could not be applied");
        }
    }
}

/// Has the replicas served whose logs are open now.
async fn install(driver: &Arc<ReplicaDriver>, groups: &Arc<Groups>, opened: Vec<Opened>) {
    let (driver, groups) = (Arc::clone(driver), Arc::clone(groups));
    let installing = move || {
        let (image, delta) = driver.install(opened);
        if !delta.topics.is_empty() {
            groups.apply(&image, &delta);
        }
    };
    if let Err(error) = tokio::task::spawn_blocking(installing).await {
        tracing::error!(%error, "opened logs could not be served");
    }
}

/// Makes the logs for which there was no room.
async fn retry(driver: &Arc<ReplicaDriver>, groups: &Arc<Groups>) {
    let (driver, groups) = (Arc::clone(driver), Arc::clone(groups));
    let retrying = move || {
        let (image, delta) = driver.retry();
        groups.apply(&image, &delta);
    };
    if let Err(error) = tokio::task::spawn_blocking(retrying).await {
        tracing::error!(%error, "logs could not be made");
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures_util::FutureExt as _;

    use super::*;

    /// What has come of it at once.
    fn now(
        failed: impl Future<Output = String>,
        waiting: impl Future<Output = i32>,
    ) -> Option<Result<i32, String>> {
        let result = unless_failed(failed, waiting).now_or_never()?;
        Some(result.map_err(|error| error.to_string()))
    }

    #[test]
    fn a_start_ends_with_its_metadata_log() {
        let why = || ready("the disk is gone".to_owned());
        let error = Some(Err("the metadata log has failed: the disk is gone".to_owned()));
        assert_eq!(now(why(), pending()), error, "nobody ever lets this broker in");
        assert_eq!(now(pending(), ready(7)), Some(Ok(7)));
        assert_eq!(now(why(), ready(7)), Some(Ok(7)), "what is done is done");
        assert_eq!(now(pending(), pending()), None, "it waits for either");
    }
}
