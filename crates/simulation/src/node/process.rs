//! One process of a broker: it opens its log dir, registers, follows the metadata, and serves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use ottla_controller::{
    AlterPartition, BrokerHeartbeat, BrokerRegistrationRequest, IsrChange, MetadataSubscription,
    ReplicaDirectories,
};
use ottla_metadata::{
    BrokerEndpoint, BrokerFeature, DirectoryId, FEATURES, LeaderRecoveryState, MetadataDelta, MetadataImage,
    SecurityProtocol,
};
use ottla_model::{Now, Offset, TopicIdPartition, TopicPartition};
use ottla_replication::session::FetchSessionCache;
use ottla_replication::{AlterPartitionAnswer, IsrProposal};
use ottla_storage::{ClosingLog, Disk, LogDir, MetaProperties, OffsetCheckpoint, StorageError};
use uuid::Uuid;

use super::coordinator::Coordinators;
use super::follow::Follower;
use super::replica::Replica;
use super::serve::{self, Poll};
use super::shell::Shell;
use crate::command::{Ask, Told};
use crate::controller::CLUSTER;
use crate::message::{Address, Body, CONTROLLERS, Message, broker};
use crate::topic_config::Settings;

const BEAT_MS: u64 = 200;
const ASK_TIMEOUT_MS: u64 = 400;
const PULL_MS: u64 = 300;
const CHECKPOINT_MS: u64 = 700;

/// How a registration stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Unregistered,
    Registered { epoch: i64 },
}

pub(crate) struct Process {
    pub(crate) own: Address,
    pub(crate) settings: Settings,
    pub(crate) dir: LogDir,
    /// Logs that the start has found and nobody has claimed.
    pub(crate) found: BTreeSet<TopicPartition>,
    pub(crate) replicas: BTreeMap<TopicIdPartition, Replica>,
    pub(crate) image: MetadataImage,
    /// Where the image comes from on a quorum of controllers.
    pub(crate) observer: Option<MetadataSubscription>,
    pub(crate) standing: Standing,
    incarnation: Uuid,
    previous_broker_epoch: i64,
    /// The image has been applied once: the broker is caught up.
    pub(crate) started: bool,
    pub(crate) followers: BTreeMap<Address, Follower>,
    pub(crate) sessions: FetchSessionCache<()>,
    pub(crate) next_session: i32,
    pub(crate) polls: Vec<Poll>,
    pub(crate) next_request: u64,
    beat: Option<(u64, u64)>,
    beat_at: u64,
    pulled_at: u64,
    checkpoint_at: u64,
    lag_at: u64,
    isr: Option<(u64, u64, BTreeMap<TopicIdPartition, IsrProposal>)>,
    isr_at: u64,
    /// Where replicas are that the metadata believes elsewhere, and the request that says so.
    pub(crate) directories: BTreeMap<TopicIdPartition, DirectoryId>,
    directories_asked: Option<(u64, u64)>,
    /// Replicas for whose logs there was no room.
    pub(crate) waiting: MetadataDelta,
    pub(crate) coordinators: Coordinators,
    /// Wants to go.
    pub(crate) leaving: bool,
    /// The controller lets it go.
    pub(crate) may_go: bool,
    pub(crate) unique: u128,
    pub(crate) shell: Shell,
}

impl Process {
    pub(crate) fn start(
        own: Address,
        boot: u64,
        disk: Arc<dyn Disk>,
        directory: Uuid,
        settings: Settings,
        now: Now,
    ) -> Result<Self, StorageError> {
        let identity =
            MetaProperties { cluster_id: CLUSTER.to_owned(), node_id: own, directory_id: Some(directory) };
        let dir = LogDir::open(disk, PathBuf::from("/data"), &identity)?;
        let previous_broker_epoch = dir.clean_shutdown().unwrap_or(-1);
        let found = dir.find_logs()?;
        for deleted in &found.deleted {
            dir.remove_deleted(deleted)?;
        }
        Ok(Self {
            own,
            settings,
            dir,
            found: found.logs.into_iter().collect(),
            replicas: BTreeMap::new(),
            image: MetadataImage::new(CLUSTER),
            observer: None,
            standing: Standing::Unregistered,
            incarnation: Uuid::from_u128(u128::from(boot) << 32 | u128::from(own.unsigned_abs())),
            previous_broker_epoch,
            started: false,
            followers: BTreeMap::new(),
            sessions: serve::sessions(),
            next_session: 0,
            polls: Vec::new(),
            next_request: boot << 32,
            beat: None,
            beat_at: now.mono.0,
            pulled_at: 0,
            checkpoint_at: now.mono.0 + CHECKPOINT_MS,
            lag_at: now.mono.0,
            isr: None,
            isr_at: 0,
            directories: BTreeMap::new(),
            directories_asked: None,
            waiting: MetadataDelta::default(),
            coordinators: Coordinators::new(settings.groups),
            leaving: false,
            may_go: false,
            unique: u128::from(boot) << 64,
            shell: Shell { own, ..Shell::default() },
        })
    }

    pub(crate) fn broker_epoch(&self) -> Option<i64> {
        match self.standing {
            Standing::Unregistered => None,
            Standing::Registered { epoch } => Some(epoch),
        }
    }

    pub(crate) fn receive(&mut self, message: &Message, now: Now) {
        let from = message.from;
        match &message.body {
            Body::Fetch { request, broker_epoch, plan, max_wait_ms } => {
                self.serve_fetch(from, *request, *broker_epoch, plan, *max_wait_ms, now);
            }
            Body::Fetched { request, outcome } => self.fetched(from, *request, outcome, now),
            Body::Ends { request, id, leader_epoch } => {
                let outcome = self.serve_ends(*id, *leader_epoch);
                self.shell.answer(from, Body::EndsAre { request: *request, outcome });
            }
            Body::EndsAre { request, outcome, .. } => self.ends_are(from, *request, *outcome, now),
            Body::Told { request, told } => self.told(*request, told.as_deref(), now),
            Body::News { from, records } => self.news(*from, records, now),
            Body::Produce { request, id, records, acks_all } => match self.replicas.get_mut(id) {
                Some(replica) => {
                    replica.produce(from, *request, records, *acks_all, now, &mut self.shell);
                }
                None => {
                    let outcome = Err(crate::message::Refusal::UnknownTopic);
                    self.shell.answer(from, Body::Produced { request: *request, outcome });
                }
            },
            Body::Consume { request, id, offset, leader_only } => {
                let outcome = self.serve_consumer(*id, *offset, *leader_only);
                self.shell.answer(from, Body::Consumed { request: *request, outcome });
            }
            Body::AskGroup { request, index, ask } => self.serve_group(from, *request, *index, ask, now),
            _ => {}
        }
        self.after(now);
    }

    pub(crate) fn tick(&mut self, now: Now) {
        let time = now.mono.0;
        self.look_for_lag(now);
        self.talk_to_controller(time);
        if time >= self.checkpoint_at {
            self.checkpoint_at = time + CHECKPOINT_MS;
            self.checkpoint();
        }
        self.fetch(now);
        self.open_waiting(now);
        self.assign(time);
        self.load_groups(now);
        for replica in self.replicas.values_mut() {
            replica.flush_wanted |=
                replica.log.unflushed_ms(now).is_some_and(|ms| ms >= self.settings.flush_ms);
        }
        if self.has_poll_due(now) {
            self.shell.woken = true;
        }
        self.after(now);
    }

    pub(crate) fn end_flush(&mut self, id: TopicIdPartition, now: Now) {
        if let Some(replica) = self.replicas.get_mut(&id) {
            replica.end_flush(now, &mut self.shell);
            self.fetch(now);
        }
        self.after(now);
    }

    /// What every step may leave to do.
    fn after(&mut self, now: Now) {
        if std::mem::take(&mut self.shell.cut) {
            // Before anything is appended where something else was flushed: a recovery point of what was cut would vouch for it.
            self.checkpoint();
        }
        self.coordinate(now);
        self.propose(now);
        while std::mem::take(&mut self.shell.woken) {
            self.poll_again(now);
        }
        for replica in self.replicas.values_mut() {
            if replica.flush_wanted && replica.begin_flush(&mut self.shell) {
                self.shell.flushes.push(replica.id);
            }
        }
    }

    fn look_for_lag(&mut self, now: Now) {
        if now.mono.0 >= self.lag_at {
            self.lag_at = now.mono.0 + self.settings.lag_ms / 2;
            for replica in self.replicas.values_mut() {
                let effects = replica.machine.tick(now.mono);
                replica.settle(&effects, &mut self.shell);
            }
        }
    }

    fn talk_to_controller(&mut self, time: u64) {
        if time >= self.pulled_at {
            self.pulled_at = time + PULL_MS;
            self.pull();
        }
        if self.beat.is_some_and(|(_, until)| time >= until) {
            self.beat = None;
        }
        if self.isr.as_ref().is_some_and(|(_, until, _)| time >= *until) {
            // Whether it was applied nobody knows.
            self.settle_isr(&BTreeMap::new(), Now { mono: ottla_model::MonoMs(time), ..Now::default() });
        }
        if self.beat.is_none() && time >= self.beat_at {
            let ask = match self.standing {
                Standing::Unregistered => Ask::Register(self.registration()),
                Standing::Registered { epoch } => Ask::Beat(BrokerHeartbeat {
                    broker_id: broker(self.own),
                    broker_epoch: epoch,
                    current_metadata_offset: if self.started {
                        self.image.provenance().offset
                    } else {
                        Offset::NONE
                    },
                    want_fence: false,
                    want_shut_down: self.leaving,
                }),
            };
            self.beat_at = time + BEAT_MS;
            let request = self.ask(ask);
            self.beat = Some((request, time + ASK_TIMEOUT_MS));
        }
    }

    pub(crate) fn pull(&mut self) {
        let from = self.image.provenance().offset.plus(1);
        self.shell.answer(CONTROLLERS, Body::Pull { from });
    }

    fn ask(&mut self, ask: Ask) -> u64 {
        self.next_request += 1;
        let request = self.next_request;
        self.shell.answer(CONTROLLERS, Body::Ask { request, ask: Arc::new(ask) });
        request
    }

    fn registration(&self) -> BrokerRegistrationRequest {
        BrokerRegistrationRequest {
            broker_id: broker(self.own),
            incarnation_id: self.incarnation,
            endpoints: vec![BrokerEndpoint {
                name: "PLAINTEXT".to_owned(),
                host: "sim".to_owned(),
                port: 9092,
                security_protocol: SecurityProtocol::Plaintext,
            }],
            features: FEATURES
                .iter()
                .map(|def| BrokerFeature {
                    name: def.name.to_owned(),
                    min_supported_version: def.min_supported,
                    max_supported_version: def.max_supported,
                })
                .collect(),
            rack: None,
            log_dirs: vec![DirectoryId(self.dir.directory_id())],
            previous_broker_epoch: self.previous_broker_epoch,
            fenced: true,
        }
    }

    fn told(&mut self, request: u64, told: Option<&Told>, now: Now) {
        if self.beat.is_some_and(|(asked, _)| asked == request) {
            self.beat = None;
            match told {
                Some(Told::Registered(Ok(epoch))) => {
                    self.standing = Standing::Registered { epoch: *epoch };
                    self.beat_at = now.mono.0;
                    self.begin(now);
                    self.pull();
                }
                Some(Told::Beat(Ok(answer))) => {
                    self.may_go |= self.leaving && answer.should_shut_down;
                    if answer.is_fenced {
                        self.shell.count("heartbeat of a fenced broker");
                        self.beat_at = now.mono.0 + BEAT_MS / 4;
                    }
                }
                _ => {}
            }
        }
        if self.directories_asked.is_some_and(|(asked, _)| asked == request) {
            self.directories_asked = None;
            if matches!(told, Some(Told::Directories(Ok(_)))) {
                self.directories.clear();
            }
        }
        if self.isr.as_ref().is_some_and(|(asked, ..)| *asked == request) {
            let answers = match (told, &self.isr) {
                (Some(Told::Isr(Ok(answers))), Some((_, _, asked))) => {
                    asked.keys().copied().zip(answers.iter().map(super::isr::answer)).collect()
                }
                _ => BTreeMap::new(),
            };
            self.settle_isr(&answers, now);
        }
    }

    /// Tells the controller where replicas are.
    fn assign(&mut self, time: u64) {
        if self.directories_asked.is_some_and(|(_, until)| time >= until) {
            self.directories_asked = None;
        }
        let Some(broker_epoch) = self.broker_epoch() else { return };
        if self.directories.is_empty() || self.directories_asked.is_some() {
            return;
        }
        let directories = self.directories.iter().map(|(id, directory)| (*id, *directory)).collect();
        let request = ReplicaDirectories { broker_id: broker(self.own), broker_epoch, directories };
        let request = self.ask(Ask::Directories(request));
        self.directories_asked = Some((request, time + ASK_TIMEOUT_MS));
    }

    /// Sends what leaders here propose: one request at a time.
    fn propose(&mut self, now: Now) {
        let Some(broker_epoch) = self.broker_epoch() else { return };
        if self.isr.is_some() || now.mono.0 < self.isr_at || self.shell.proposals.is_empty() {
            return;
        }
        let mut proposals = std::mem::take(&mut self.shell.proposals);
        proposals.retain(|id, proposal| {
            let (Some(end), Some(replica)) = (proposal.flush_first, self.replicas.get_mut(id)) else {
                return true;
            };
            replica.flush_now(now, &mut self.shell);
            replica.machine.log().flushed >= end
        });
        if proposals.is_empty() {
            return;
        }
        let mut partitions = Vec::new();
        for (id, proposal) in &proposals {
            let own = |id| (id == broker(self.own)).then_some(broker_epoch);
            let isr = proposal
                .isr
                .iter()
                .map(|member| (member.broker, own(member.broker).or(member.broker_epoch).unwrap_or(-1)));
            partitions.push(IsrChange {
                id: *id,
                leader_epoch: proposal.leader_epoch,
                partition_epoch: proposal.partition_epoch,
                isr: isr.collect(),
                leader_recovery_state: LeaderRecoveryState::Recovered,
            });
        }
        self.shell.count("in-sync set proposed");
        let request =
            self.ask(Ask::Isr(AlterPartition { broker_id: broker(self.own), broker_epoch, partitions }));
        self.isr = Some((request, now.mono.0 + ASK_TIMEOUT_MS, proposals));
    }

    fn settle_isr(&mut self, answers: &BTreeMap<TopicIdPartition, AlterPartitionAnswer>, now: Now) {
        let Some((_, _, proposals)) = self.isr.take() else { return };
        for (id, proposal) in proposals {
            let answer = answers.get(&id).cloned().unwrap_or(AlterPartitionAnswer::Retry);
            if matches!(answer, AlterPartitionAnswer::Retry | AlterPartitionAnswer::Rejected) {
                self.isr_at = now.mono.0 + 50;
            }
            if let Some(replica) = self.replicas.get_mut(&id) {
                let effects =
                    replica.machine.alter_partition_answered(proposal.partition_epoch, answer, now.mono);
                replica.settle(&effects, &mut self.shell);
            }
        }
    }

    fn checkpoint(&mut self) {
        for which in
            [OffsetCheckpoint::RecoveryPoint, OffsetCheckpoint::Replication, OffsetCheckpoint::LogStart]
        {
            let mut offsets = self.dir.unowned_offsets(which);
            for replica in self.replicas.values() {
                let offset = match which {
                    OffsetCheckpoint::RecoveryPoint => Some(replica.log.recovery_point()),
                    OffsetCheckpoint::Replication => Some(replica.machine.high_watermark()),
                    _ => replica.log.log_start_to_checkpoint(),
                };
                offsets.extend(offset.map(|offset| (replica.name.clone(), offset)));
            }
            if let Err(error) = self.dir.write_checkpoint(which, &offsets) {
                self.shell.dir_failed |= error.is_of_the_disk() && !error.is_for_lack_of_room();
            }
        }
    }

    /// Closes everything in order, so that the next start is a clean one.
    pub(crate) fn stop(mut self, now: Now) -> Result<(), StorageError> {
        let epoch = self.broker_epoch().unwrap_or(-1);
        let closing = self.replicas.values_mut().map(|replica| {
            let high_watermark = replica.machine.high_watermark();
            ClosingLog { log: &mut replica.log, high_watermark }
        });
        self.dir.close(closing.collect(), 1, epoch, now)
    }
}
