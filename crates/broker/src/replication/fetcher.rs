//! One fetcher: asks a leader for what its partitions lack, over and over, and hands the answers to the replicas.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use ottla_model::{BrokerId, LeaderEpoch, MonoMs, Offset, TopicId, TopicIdPartition};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::FetchResponse;
use ottla_protocol::messages::fetch_response::PartitionData;
use ottla_replication::truncation::EpochEnd;
use ottla_replication::{Ask, Fetcher};
use ottla_storage::{AppendError, StorageError};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::Side;
use super::fetchers::{FetchersParts, Mailbox};
use super::leader::{Leader, LeaderError};
use super::wire::{self, End, Follower};
use crate::partitions::{FetchedRecords, Partition};

/// The first pause before a leader that does not answer is tried again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// Whoever is to be followed now waits so long for others that are, before a long poll is given up for them,
const GATHERING: Duration = Duration::from_millis(1);
/// and so much longer for each replica that the next fetch has to name.
const GATHERING_EACH: Duration = Duration::from_micros(2);
/// Between two polls that are given up there is so much time for each of them: 10,000 partitions that come one by one would else
/// be asked for a thousand times, all of them.
const APART_EACH: Duration = Duration::from_micros(100);

/// A fetcher at work.
#[derive(Debug)]
pub(super) struct FetcherTask {
    leader: BrokerId,
    follower: Follower,
    parts: Arc<FetchersParts>,
    mailbox: Arc<Mailbox>,
    plan: Fetcher,
    replicas: HashMap<TopicIdPartition, Replica>,
    /// What the next fetch may have to wait for: it acknowledges what the logs hold then.
    unflushed: Vec<Arc<Partition>>,
    /// A log was cut below its recovery point: as it is written down, it would vouch for what takes the place of the cut.
    cut: bool,
    connection: Option<Leader>,
    pause: Duration,
    /// No poll is given up before.
    patient_until: Instant,
}

#[derive(Clone, Debug)]
struct Replica {
    partition: Arc<Partition>,
    leader_epoch: LeaderEpoch,
    /// Where the fetch that is out begins.
    fetch_offset: Offset,
}

/// Why a replica could not go on with an answer.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("the leader answers {0:?}")]
    Refused(ErrorCode),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Leader(#[from] LeaderError),
}

impl FetcherTask {
    pub(super) fn new(
        leader: BrokerId,
        follower: Follower,
        parts: Arc<FetchersParts>,
        mailbox: Arc<Mailbox>,
    ) -> Self {
        let backoff_ms = u64::try_from(parts.config.load().replication.fetch_backoff_ms).unwrap_or(0);
        Self {
            leader,
            follower,
            parts,
            mailbox,
            plan: Fetcher::new(backoff_ms),
            replicas: HashMap::new(),
            unflushed: Vec::new(),
            cut: false,
            connection: None,
            pause: FIRST_PAUSE,
            patient_until: Instant::now(),
        }
    }

    /// Runs until it is aborted.
    pub(super) async fn run(mut self) {
        let mut more = self.mailbox.more.subscribe();
        loop {
            more.mark_unchanged();
            self.read_letters();
            self.settle_logs().await;
            let Some(ask) = self.plan.next(self.now()) else {
                if self.plan.is_empty() {
                    self.hang_up();
                }
                let due = self.plan.due_at().map(|due| self.parts.clock.instant_of(due));
                tokio::select! {
                    _ = more.changed() => {}
                    () = until(due) => {}
                }
                continue;
            };
            // Whoever is to be followed now must not wait behind a long poll of the others.
            let (patient_until, gathering) = (self.patient_until, GATHERING + GATHERING_EACH * self.count());
            let answer = tokio::select! {
                answer = self.ask(&ask) => answer,
                () = called_off(&mut more, gathering, patient_until) => {
                    self.hang_up();
                    self.read_letters();
                    self.patient_until = Instant::now() + APART_EACH * self.count();
                    continue;
                }
            };
            match answer {
                Ok(answer) => {
                    self.pause = FIRST_PAUSE;
                    self.take(answer).await;
                }
                Err(error) => {
                    tracing::debug!(leader = %self.leader, %error, "a leader does not answer");
                    self.hang_up();
                    self.rest(&mut more).await;
                }
            }
        }
    }

    fn now(&self) -> MonoMs {
        self.parts.clock.now().mono
    }

    fn count(&self) -> u32 {
        u32::try_from(self.replicas.len()).unwrap_or(u32::MAX)
    }

    fn hang_up(&mut self) {
        self.connection = None;
        self.plan.lost();
    }

    /// Before the leader is tried again; another one to follow ends it.
    async fn rest(&mut self, more: &mut watch::Receiver<u64>) {
        let max_ms = u64::try_from(self.parts.config.load().replication.fetch_backoff_ms).unwrap_or(0);
        let pause = self.pause.min(Duration::from_millis(max_ms));
        self.pause = pause.saturating_mul(2).max(FIRST_PAUSE);
        tokio::select! {
            _ = more.changed() => {}
            () = sleep(pause) => {}
        }
    }

    fn read_letters(&mut self) {
        let letters = std::mem::take(&mut *self.mailbox.letters.lock());
        for (id, letter) in letters {
            let followed = letter.and_then(|partition| {
                let (_, leader_epoch) = partition.followed().filter(|(leader, _)| *leader == self.leader)?;
                Some(Replica { partition, leader_epoch, fetch_offset: Offset::ZERO })
            });
            match followed {
                Some(replica) => {
                    let position = replica.partition.fetch_position(replica.leader_epoch, self.max_bytes());
                    let Some(position) = position else { continue };
                    let fetch_offset = position.fetch_offset;
                    self.unflushed.push(Arc::clone(&replica.partition));
                    self.replicas.insert(id, Replica { fetch_offset, ..replica });
                    self.plan.follow(id, position);
                }
                None => self.forget(id),
            }
        }
    }

    /// `replica.fetch.max.bytes`.
    fn max_bytes(&self) -> i32 {
        self.parts.config.load().replication.fetch_bytes_max
    }

    fn forget(&mut self, id: TopicIdPartition) {
        self.replicas.remove(&id);
        self.plan.unfollow(id);
    }

    /// Has the partition fetched from where its log ends now, unless it follows this leader no more.
    fn go_on(&mut self, id: TopicIdPartition) {
        let max_bytes = self.max_bytes();
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        match replica.partition.fetch_position(replica.leader_epoch, max_bytes) {
            Some(position) => {
                replica.fetch_offset = position.fetch_offset;
                self.plan.advance(id, position);
            }
            None => self.forget(id),
        }
    }

    async fn ask(&mut self, ask: &Ask) -> Result<FetchResponse, LeaderError> {
        let config = self.parts.config.load_full();
        // A partition that is left out for a while is asked for again when it is due.
        let due_ms = self.plan.due_at().map_or(u64::MAX, |due| due.since_ms(self.now()));
        let max_wait_ms = config.replication.fetch_wait_max_ms.min(i32::try_from(due_ms).unwrap_or(i32::MAX));
        let request = wire::fetch(ask, self.follower, &config.replication, max_wait_ms);
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Leader::connect(self.leader, &self.parts).await?),
        };
        connection.fetch(&request).await
    }

    async fn take(&mut self, answer: FetchResponse) {
        match ErrorCode::from_code(answer.error_code) {
            Some(ErrorCode::None) => self.plan.answered(answer.session_id),
            code => {
                tracing::debug!(leader = %self.leader, ?code, "a leader begins the fetches anew");
                self.plan.lost();
                return;
            }
        }
        for topic in answer.responses {
            for partition in topic.partitions {
                let id = TopicIdPartition {
                    topic_id: TopicId(topic.topic_id),
                    partition: partition.partition_index,
                };
                self.take_partition(id, &partition).await;
            }
        }
        if let Ok(throttle_ms) = u64::try_from(answer.throttle_time_ms)
            && throttle_ms > 0
        {
            sleep(Duration::from_millis(throttle_ms)).await;
        }
    }

    /// What the logs owe the disk before the next fetch.
    async fn settle_logs(&mut self) {
        if std::mem::take(&mut self.cut) {
            self.parts.recovery_points.write_down().await;
        }
        while let Some(partition) = self.unflushed.pop() {
            let flushed = Arc::new(Notify::new());
            if let Some(end) = partition.unflushed()
                && partition.park_flush(end, Arc::clone(&flushed)).is_some()
            {
                self.parts.flusher.flush(&partition);
                flushed.notified().await;
            }
            // Where that has failed nothing more is asked for: a fetch would acknowledge what the disk has lost.
            self.go_on(partition.id);
        }
    }

    async fn take_partition(&mut self, id: TopicIdPartition, answered: &PartitionData) {
        // Answered as it was asked: no letter has been read meanwhile.
        let Some(replica) = self.replicas.get(&id).cloned() else { return };
        match self.apply(&replica, answered).await {
            Ok(()) => {
                self.plan.sound(id);
                self.go_on(id);
                self.throttle(id, &replica.partition, answered.records.as_ref().map_or(0, Bytes::len));
            }
            Err(failed) => {
                self.say(&replica, &failed);
                // First where its log ends now: an append may have failed half way.
                self.go_on(id);
                self.plan.delay(id, self.now());
            }
        }
    }

    /// A replica that is not in sync is left out while more has come than may, where its topic says so.
    fn throttle(&mut self, id: TopicIdPartition, partition: &Partition, len: usize) {
        if !partition.throttled.1.load(Ordering::Relaxed) || self.is_in_sync(id) {
            return;
        }
        self.parts.quotas.spend(Side::Follower, len);
        let due_in = self.parts.quotas.due_in(Side::Follower);
        if due_in > Duration::ZERO {
            let due_ms = u64::try_from(due_in.as_millis()).unwrap_or(u64::MAX);
            self.plan.hold(id, self.now().plus_ms(due_ms.saturating_add(1)));
        }
    }

    fn is_in_sync(&self, id: TopicIdPartition) -> bool {
        let image = self.parts.view.image();
        let partition = image.topic_by_id(id.topic_id).and_then(|topic| topic.partition(id.partition));
        partition.is_some_and(|partition| partition.isr.contains(&self.follower.broker_id))
    }

    async fn apply(&mut self, replica: &Replica, answered: &PartitionData) -> Result<(), Failed> {
        match ErrorCode::from_code(answered.error_code) {
            Some(ErrorCode::None) => {}
            Some(ErrorCode::OffsetOutOfRange) => return self.out_of_range(replica).await,
            code => return Err(Failed::Refused(code.unwrap_or(ErrorCode::UnknownServerError))),
        }
        let (partition, now) = (&replica.partition, self.parts.clock.now());
        let diverging = &answered.diverging_epoch;
        if diverging.epoch >= 0 {
            let end = EpochEnd {
                epoch: LeaderEpoch(diverging.epoch),
                end_offset: wire::offset(diverging.end_offset),
            };
            self.cut |= partition.truncate_diverging(replica.leader_epoch, end, now)?;
            return Ok(());
        }
        let fetched = FetchedRecords {
            leader_epoch: replica.leader_epoch,
            fetch_offset: replica.fetch_offset,
            records: answered.records.as_deref().unwrap_or_default(),
            high_watermark: wire::offset(answered.high_watermark),
            log_start: wire::offset(answered.log_start_offset),
        };
        let taken = partition.take_fetched(&fetched, now)?;
        let len = u64::try_from(fetched.records.len()).unwrap_or(0);
        self.parts.metrics.broker.replication_bytes_in.increment(len);
        if taken.flush_due {
            self.parts.flusher.flush(partition);
            self.unflushed.push(Arc::clone(partition));
        }
        if let Some(range) = taken.writeback {
            self.parts.flusher.write_back(range);
        }
        Ok(())
    }

    /// The leader has nothing at the offset: its log begins later (retention), or ends before (an unclean election).
    async fn out_of_range(&mut self, replica: &Replica) -> Result<(), Failed> {
        let Some(leader) = &self.connection else { return Ok(()) };
        let (partition, epoch) = (&replica.partition, replica.leader_epoch);
        let now = self.parts.clock.now();
        let end =
            leader.log_end(partition, epoch, End::Last, self.follower).await?.map_err(Failed::Refused)?;
        if end < partition.log_end_offset() {
            self.cut |= partition.truncate_to_end(epoch, end, now)?;
            return Ok(());
        }
        let start = leader.log_end(partition, epoch, End::First, self.follower).await?;
        let start = start.map_err(Failed::Refused)?;
        if start > partition.log_end_offset() {
            self.cut |= partition.restart_at(epoch, start, now)?;
        }
        Ok(())
    }

    fn say(&self, replica: &Replica, failed: &Failed) {
        let (partition, leader) = (&replica.partition.name, self.leader);
        match failed {
            // As around each change of leader.
            Failed::Refused(_) | Failed::Leader(_) => {
                tracing::debug!(%partition, %leader, %failed, "not fetched");
            }
            // What the disk does is said where the replica goes offline.
            Failed::Storage(_) | Failed::Append(AppendError::Storage(_)) => {}
            Failed::Append(_) => {
                tracing::error!(%partition, %leader, %failed, "what the leader has sent is not appended");
            }
        }
    }
}

/// Ends when there are more to follow, and it is time to.
async fn called_off(more: &mut watch::Receiver<u64>, gathering: Duration, patient_until: Instant) {
    if more.changed().await.is_ok() {
        sleep_until(patient_until.max(Instant::now() + gathering)).await;
    }
}

async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
