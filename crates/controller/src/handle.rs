//! The controller as the broker sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ottla_config::BrokerConfig;
use ottla_metadata::{DirectoryId, MetadataImage};
use ottla_model::{BrokerId, Offset};
use ottla_storage::{Disk, RealDisk};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::command::{
    AlterConfigs, AlterPartition, AlterPartitionReassignments, BrokerHeartbeat, BrokerRegistrationRequest,
    ConfigAnswers, CreatePartitions, CreateTopics, CreatedTopic, DeleteTopics, DeletedTopic,
    DirectoryAnswers, ElectLeaders, HeartbeatAnswer, IsrAnswers, ProducerIdBlock, ReassignmentAnswers,
    ReplicaDirectories, TopicAnswers, TopicElections,
};
use crate::decision::{self, Context, Decision, Settings};
use crate::decision_loop::{DecisionLoop, Job, Need, Outcome};
use crate::error::{BrokerError, ControllerError, StartError};
use crate::liveness::Liveness;
use crate::peers::Peers;
use crate::publish::{MetadataSubscription, Publisher};
use crate::raft::{PeerDoor, Quorum, QuorumConfig, QuorumStatus, SnapshotLimits};

/// The metadata log's directory below `metadata.log.dir`.
const LOG_DIR: &str = "__cluster_metadata-0";
/// Commands that wait to be decided; a caller waits when there are more.
pub(crate) const QUEUE_LEN: usize = 1_024;

/// How often it is looked at who is silent.
const LIVENESS_CHECK: Duration = Duration::from_millis(100);

/// What a controller needs to know before its log says the rest.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// `metadata.log.dir`: the metadata log lives below it, in `__cluster_metadata-0`.
    pub dir: PathBuf,
    pub node_id: BrokerId,
    pub cluster_id: String,
    /// Of `dir`, from its `meta.properties`.
    pub directory_id: DirectoryId,
    /// The file's settings: defaults of new topics, and what topic configs are checked against.
    pub broker: BrokerConfig,
    /// Entries after which a snapshot is taken and the log before it purged.
    pub snapshot_every_entries: u64,
    /// The voters; `None` where this node is the only one, and nobody else ever asks it.
    pub peers: Option<Peers>,
}

/// A heartbeat that waits for its answer; one whose caller has gone does not.
struct Waits<'a> {
    controller: &'a Controller,
    id: BrokerId,
    epoch: i64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let Controller { liveness, began, .. } = self.controller;
        liveness.lock().answered(self.id, self.epoch, began.elapsed());
    }
}

/// A running controller; clones share it. Every method that changes something answers only after the change is
/// durable and in [`Self::image`].
#[derive(Clone, Debug)]
pub struct Controller {
    jobs: mpsc::Sender<Job>,
    publisher: Arc<Publisher>,
    /// Why the metadata log cannot go on.
    failure: watch::Receiver<Option<String>>,
    leading: watch::Receiver<bool>,
    stop: Arc<watch::Sender<bool>>,
    liveness: Arc<Mutex<Liveness>>,
    /// A node's process has gone.
    died: Arc<Notify>,
    /// Times of liveness are since then.
    began: Instant,
    /// Where voters are added and removed; `None` of a node that is no controller, or that nobody can join.
    pub(crate) door: Option<Arc<PeerDoor>>,
}

impl Controller {
    /// Opens the metadata log, or formats an empty directory, and leads once it returns (one voter).
    ///
    /// # Errors
    /// I/O, a damaged log, or one that belongs to another node or cluster.
    pub async fn start(config: ControllerConfig) -> Result<Self, StartError> {
        Self::start_on(Arc::new(RealDisk), config).await
    }

    /// The same on a disk around the real one; sled knows the real one only.
    pub async fn start_on(disk: Arc<dyn Disk>, config: ControllerConfig) -> Result<Self, StartError> {
        let quorum_config = quorum_config(&config);
        create_dir(disk.as_ref(), &config, &quorum_config)?;
        let publisher = Arc::new(Publisher::new(MetadataImage::new(quorum_config.cluster_id.clone())));
        let quorum = Quorum::start(quorum_config, disk, publisher.clone()).await?;
        Self::run(config, quorum, publisher).await
    }

    /// Begins to decide. A voter that is alone leads, and has given a new cluster its features, when this returns.
    pub(crate) async fn run(
        config: ControllerConfig,
        quorum: Quorum,
        publisher: Arc<Publisher>,
    ) -> Result<Self, StartError> {
        let (jobs, queue) = mpsc::channel(QUEUE_LEN);
        let is_alone = config.peers.as_ref().is_none_or(Peers::is_alone);
        let leading = quorum.leading();
        let is_dynamic = config.peers.as_ref().is_some_and(Peers::is_dynamic);
        let settings =
            Settings { node_id: config.node_id, broker: Arc::new(config.broker), dynamic_voters: is_dynamic };
        let door = config.peers.as_ref().map(|peers| Arc::clone(&peers.door));
        let (tell, failure) = watch::channel(None);
        let failing = quorum.failure();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                why = failing => drop(tell.send_replace(Some(why))),
                // Nobody asks any more.
                () = tell.closed() => {}
            }
        });
        let (stop, stopping) = watch::channel(false);
        let decisions = DecisionLoop::new(quorum, publisher.clone(), settings, stopping);
        tokio::spawn(decisions.run(queue));
        let controller = Self { door, ..Self::of(jobs, publisher, failure, leading, stop) };
        if is_alone {
            match controller.bootstrap().await {
                // Others have come meanwhile, and one of them leads, who gives a new cluster its features.
                Err(ControllerError::NotController { .. }) if controller.door.is_some() => {}
                outcome => outcome.map_err(|error| StartError::Raft(error.to_string()))?,
            }
        }
        Ok(controller)
    }

    pub(crate) fn of(
        jobs: mpsc::Sender<Job>,
        publisher: Arc<Publisher>,
        failure: watch::Receiver<Option<String>>,
        leading: watch::Receiver<bool>,
        stop: watch::Sender<bool>,
    ) -> Self {
        let (liveness, died) = (Arc::default(), Arc::default());
        let stop = Arc::new(stop);
        let began = Instant::now();
        Self { jobs, publisher, failure, leading, stop, liveness, died, began, door: None }
    }

    /// Ends when the metadata log cannot go on, and says why.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        let why = failure.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        match why {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// The newest applied image.
    #[must_use]
    pub fn image(&self) -> Arc<MetadataImage> {
        self.publisher.image()
    }

    /// Follows the image from now on.
    #[must_use]
    pub fn subscribe(&self) -> MetadataSubscription {
        self.publisher.subscribe()
    }

    /// CreateTopics: one answer per topic, in the request's order.
    pub async fn create_topics(
        &self,
        request: CreateTopics,
    ) -> Result<TopicAnswers<CreatedTopic>, ControllerError> {
        self.decide(Need::Growth, move |context| decision::create_topics(&request, context)).await
    }

    /// DeleteTopics: one answer per topic, in the request's order.
    pub async fn delete_topics(
        &self,
        request: DeleteTopics,
    ) -> Result<TopicAnswers<DeletedTopic>, ControllerError> {
        self.decide(Need::Relief, move |context| decision::delete_topics(&request, context)).await
    }

    /// CreatePartitions: one answer per topic, in the request's order.
    pub async fn create_partitions(
        &self,
        request: CreatePartitions,
    ) -> Result<TopicAnswers<()>, ControllerError> {
        self.decide(Need::Growth, move |context| decision::create_partitions(&request, context)).await
    }

    /// AlterConfigs and IncrementalAlterConfigs: one answer per resource, in the request's order.
    pub async fn alter_configs(&self, request: AlterConfigs) -> Result<ConfigAnswers, ControllerError> {
        self.decide(Need::Change, move |context| decision::alter_configs(&request, context)).await
    }

    /// ElectLeaders: what came of each election.
    pub async fn elect_leaders(&self, request: ElectLeaders) -> Result<Vec<TopicElections>, ControllerError> {
        self.decide(Need::Change, move |context| decision::elect_leaders(&request, context)).await
    }

    /// AlterPartitionReassignments: one answer per partition, by topic, in the request's order.
    pub async fn alter_partition_reassignments(
        &self,
        request: AlterPartitionReassignments,
    ) -> Result<ReassignmentAnswers, ControllerError> {
        self.decide(Need::Change, move |context| decision::alter_partition_reassignments(&request, context))
            .await
    }

    /// UnregisterBroker: forgets a broker.
    pub async fn unregister_broker(
        &self,
        broker_id: BrokerId,
    ) -> Result<Result<(), BrokerError>, ControllerError> {
        self.decide(Need::Relief, move |context| decision::unregister_broker(broker_id, context)).await
    }

    /// Registers a starting broker; answers its broker epoch.
    pub async fn register_broker(
        &self,
        request: BrokerRegistrationRequest,
    ) -> Result<Result<i64, BrokerError>, ControllerError> {
        let (liveness, now) = (Arc::clone(&self.liveness), self.began.elapsed());
        self.decide(Need::Relief, move |context| {
            let mut liveness = liveness.lock();
            let id = request.broker_id;
            let has_session = |epoch| liveness.has_session(id, epoch, now);
            let decision = decision::register_broker(&request, has_session, context);
            if let Ok(epoch) = decision.answer {
                // The next of this batch already finds it.
                liveness.registered(id, epoch, now);
            }
            decision
        })
        .await
    }

    /// Gives a node that joins a free id; the same to whoever asks again with the same `wish`.
    pub async fn give_broker_id(&self, wish: Uuid) -> Result<BrokerId, ControllerError> {
        let quorum = self.describe_quorum().await?;
        let replicas = quorum.voters.iter().chain(&quorum.observers).map(|replica| replica.id);
        let others: BTreeSet<BrokerId> = replicas.chain(quorum.nodes.iter().map(|node| node.id)).collect();
        self.decide(Need::Growth, move |context| decision::give_broker_id(wish, &others, context)).await
    }

    /// BrokerHeartbeat: lets a broker in that has caught up, and out that wants to go.
    pub async fn broker_heartbeat(
        &self,
        beat: BrokerHeartbeat,
    ) -> Result<Result<HeartbeatAnswer, BrokerError>, ControllerError> {
        let (id, epoch) = (beat.broker_id, beat.broker_epoch);
        self.liveness.lock().asked(id, epoch, self.began.elapsed());
        let waits = Waits { controller: self, id, epoch };
        let liveness = Arc::clone(&self.liveness);
        let decide = move |context: &mut Context<'_>| {
            let of_dead = liveness.lock().answer_to_dead(&beat);
            match of_dead {
                Some(answer) => Decision::answer_only(Ok(answer)),
                None => decision::broker_heartbeat(&beat, context),
            }
        };
        let answer = self.decide(Need::Relief, decide).await;
        drop(waits);
        if matches!(&answer, Ok(Ok(answer)) if answer.should_shut_down) {
            // Its successor does not wait for it.
            self.liveness.lock().gone(id);
        }
        answer
    }

    /// AlterPartition: one answer per partition, in the request's order.
    pub async fn alter_partition(
        &self,
        request: AlterPartition,
    ) -> Result<Result<IsrAnswers, BrokerError>, ControllerError> {
        self.decide(Need::Relief, move |context| decision::alter_partition(&request, context)).await
    }

    /// A node's process is there, or has gone for certain: whoever is the active controller fences its broker.
    pub fn note_process(&self, id: BrokerId, is_there: bool) {
        let mut liveness = self.liveness.lock();
        if is_there {
            liveness.lives(id);
            return;
        }
        liveness.gone(id);
        if let Some(broker) = self.image().brokers().get(id) {
            liveness.died(id, broker.epoch);
        }
        self.died.notify_one();
    }

    /// A node's process has closed its connection: it may have gone. Until it is heard of again another one may register in its
    /// place.
    pub fn note_closed(&self, id: BrokerId) {
        self.liveness.lock().gone(id);
    }

    /// Fences brokers that have been silent for `session`, while this node is the active controller. Runs until it is
    /// aborted.
    pub async fn watch_brokers(self, session: Duration) {
        let check = session.min(LIVENESS_CHECK);
        self.liveness.lock().set_session(session);
        let mut leading = self.leading.clone();
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep(check) => {}
                () = self.died.notified() => {}
                // Whoever leads now knows of the dead at once.
                changed = leading.changed() => if changed.is_err() { return },
            }
            if !self.is_active() {
                self.liveness.lock().forget();
                continue;
            }
            let image = self.image();
            let unfenced: BTreeMap<BrokerId, i64> =
                image.brokers().unfenced().map(|broker| (broker.id, broker.epoch)).collect();
            let (silent, gone) = {
                let (mut liveness, now) = (self.liveness.lock(), self.began.elapsed());
                liveness.follow(&unfenced, now);
                let is_dead = |(id, epoch): &(BrokerId, i64)| liveness.is_dead(*id, *epoch);
                let gone: Vec<_> = unfenced.into_iter().filter(is_dead).collect();
                (liveness.expired(now), gone)
            };
            let silent = silent.into_iter().map(|broker| (broker, "it was silent for a session"));
            let gone = gone.into_iter().map(|broker| (broker, "its process is gone"));
            for ((id, epoch), why) in silent.chain(gone) {
                match self.fence_absent(id, epoch).await {
                    Ok(Ok(false)) => tracing::debug!(broker = %id, why, "heard of again, and not fenced"),
                    Ok(Ok(true)) => {
                        tracing::warn!(broker = %id, why, "fenced");
                        self.liveness.lock().fenced(id);
                    }
                    // Another process of it has registered meanwhile.
                    Ok(Err(error)) => tracing::debug!(broker = %id, why, ?error, "not fenced"),
                    Err(error) => tracing::warn!(broker = %id, why, %error, "could not be fenced"),
                }
            }
        }
    }

    /// Fences a broker that is gone or silent when this is decided, and says whether: while the decision has waited for a majority
    /// the broker may have been heard of again.
    pub(crate) async fn fence_absent(
        &self,
        id: BrokerId,
        epoch: i64,
    ) -> Result<Result<bool, BrokerError>, ControllerError> {
        let (liveness, began) = (Arc::clone(&self.liveness), self.began);
        self.decide(Need::Relief, move |context| {
            let is_absent = {
                let liveness = liveness.lock();
                liveness.is_dead(id, epoch) || liveness.is_silent(id, epoch, began.elapsed())
            };
            if !is_absent {
                return Decision::answer_only(Ok(false));
            }
            let Decision { records, answer } = decision::fence_broker(id, epoch, context);
            Decision { records, answer: answer.map(|()| true) }
        })
        .await
    }

    /// Begins a broker's controlled shutdown.
    pub async fn controlled_shutdown(
        &self,
        broker_id: BrokerId,
        broker_epoch: i64,
    ) -> Result<Result<(), BrokerError>, ControllerError> {
        self.decide(Need::Relief, move |context| {
            decision::controlled_shutdown(broker_id, broker_epoch, context)
        })
        .await
    }

    /// AssignReplicasToDirs: notes where a broker keeps its replicas.
    pub async fn assign_replicas_to_dirs(
        &self,
        request: ReplicaDirectories,
    ) -> Result<Result<DirectoryAnswers, BrokerError>, ControllerError> {
        self.decide(Need::Relief, move |context| decision::assign_replicas_to_dirs(&request, context)).await
    }

    /// Notes which log dirs of a broker still work.
    pub async fn set_online_log_dirs(
        &self,
        broker_id: BrokerId,
        broker_epoch: i64,
        online: Vec<DirectoryId>,
    ) -> Result<Result<(), BrokerError>, ControllerError> {
        self.decide(Need::Relief, move |context| {
            decision::set_online_log_dirs(broker_id, broker_epoch, &online, context)
        })
        .await
    }

    /// AllocateProducerIds: a block of 1,000 ids for a broker.
    pub async fn allocate_producer_ids(
        &self,
        broker_id: BrokerId,
        broker_epoch: i64,
    ) -> Result<Result<ProducerIdBlock, BrokerError>, ControllerError> {
        self.decide(Need::Change, move |context| {
            decision::allocate_producer_ids(broker_id, broker_epoch, context)
        })
        .await
    }

    /// DescribeQuorum: how the quorum stands.
    pub async fn describe_quorum(&self) -> Result<QuorumStatus, ControllerError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(Job::Describe(reply)).await.map_err(|_| ControllerError::Closed)?;
        answer.await.ok().flatten().ok_or(ControllerError::NotController { leader: None })
    }

    /// Stops: nothing is answered or written afterwards. Everything answered before stays.
    pub async fn shutdown(&self) {
        let (done, wait) = oneshot::channel();
        self.stop.send_replace(true);
        if self.jobs.send(Job::Stop(done)).await.is_ok() {
            // An error says that the loop has ended already.
            let _ = wait.await;
        }
    }

    /// Whether this node is the active controller, and may decide.
    #[must_use]
    pub fn is_active(&self) -> bool {
        *self.leading.borrow()
    }

    /// Ends once the image has the record at `offset`.
    pub async fn reached(&self, offset: Offset) {
        let mut subscription = self.subscribe();
        while subscription.current().provenance().offset < offset {
            if subscription.next().await.is_none() {
                return;
            }
        }
    }

    /// The first decision gives a new cluster its features.
    async fn bootstrap(&self) -> Result<(), ControllerError> {
        self.decide(Need::Relief, |_| Decision { records: Vec::new(), answer: () }).await
    }

    /// Elections from outside the in-sync and the eligible replicas that this node has decided: each may have lost records.
    #[must_use]
    pub fn unclean_elections(&self) -> u64 {
        self.publisher.unclean_elections()
    }

    pub(crate) async fn decide<A: Send + 'static>(
        &self,
        need: Need,
        decide: impl FnOnce(&mut Context<'_>) -> Decision<A> + Send + 'static,
    ) -> Result<A, ControllerError> {
        let (reply, answer) = oneshot::channel();
        let decide = Box::new(move |context: &mut Context<'_>| {
            let Decision { records, answer } = decide(context);
            // Nobody waits any more if the caller was cancelled: the records stand all the same.
            let finish = move |result: Result<(), ControllerError>| drop(reply.send(result.map(|()| answer)));
            Outcome { records, finish: Box::new(finish) }
        });
        self.jobs.send(Job::Decide(need, decide)).await.map_err(|_| ControllerError::Closed)?;
        answer.await.map_err(|_| ControllerError::NotController { leader: None })?
    }
}

fn quorum_config(config: &ControllerConfig) -> QuorumConfig {
    let settings = &config.broker.controller;
    QuorumConfig {
        dir: config.dir.join(LOG_DIR),
        node_id: config.node_id,
        directory_id: config.directory_id,
        cluster_id: config.cluster_id.as_str().into(),
        segment_bytes: u64::try_from(settings.segment_bytes).unwrap_or(0),
        snapshot_every_entries: config.snapshot_every_entries,
        peers: config.peers.clone(),
        snapshots: SnapshotLimits {
            bytes_max: u64::try_from(settings.record_bytes_between_snapshots_max).unwrap_or(0),
            // 0: by size only.
            interval: u64::try_from(settings.snapshot_interval_max_ms)
                .ok()
                .filter(|ms| *ms > 0)
                .map(Duration::from_millis),
        },
    }
}

fn create_dir(disk: &dyn Disk, config: &ControllerConfig, quorum: &QuorumConfig) -> Result<(), StartError> {
    let created = disk.create_dir(&quorum.dir).and_then(|()| disk.sync_dir(&config.dir));
    created.map_err(|source| StartError::Io { path: quorum.dir.clone(), source })
}
