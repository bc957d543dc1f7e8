//! All fetchers of this broker: who follows whom, in step with the roles of the replicas.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use ottla_config::BrokerConfig;
use ottla_model::{BrokerId, TopicIdPartition};
use ottla_replication::RoleChange;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::fetcher::FetcherTask;
use super::wire::Follower;
use super::{RecoveryPoints, ReplicationQuotas};
use crate::clock::Clock;
use crate::metadata_view::MetadataView;
use crate::partitions::{Flusher, Partition};
use crate::telemetry::Metrics;

/// What fetchers are made of.
#[derive(Debug)]
pub(crate) struct FetchersParts {
    pub broker_id: BrokerId,
    pub view: Arc<MetadataView>,
    pub config: Arc<ArcSwap<BrokerConfig>>,
    pub flusher: Arc<Flusher>,
    pub metrics: Arc<Metrics>,
    pub quotas: Arc<ReplicationQuotas>,
    pub recovery_points: RecoveryPoints,
    pub clock: Clock,
    /// Where fetchers run, whoever starts them.
    pub runtime: Handle,
}

/// The fetchers: `num.replica.fetchers` for each leader that something is followed of.
#[derive(Debug)]
pub(crate) struct Fetchers {
    parts: Arc<FetchersParts>,
    broker_epoch: AtomicI64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: BTreeMap<(BrokerId, usize), Running>,
    followed: BTreeMap<TopicIdPartition, Followed>,
    closed: bool,
}

#[derive(Debug)]
struct Running {
    mailbox: Arc<Mailbox>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Followed {
    partition: Arc<Partition>,
    fetcher: (BrokerId, usize),
}

/// What a fetcher is told of its partitions.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    /// The latest word on each: the replica to follow, or none any more.
    pub(super) letters: Mutex<BTreeMap<TopicIdPartition, Option<Arc<Partition>>>>,
    /// Grows with each replica more to follow.
    pub(super) more: watch::Sender<u64>,
}

impl Fetchers {
    pub(crate) fn new(parts: FetchersParts) -> Self {
        Self { parts: Arc::new(parts), broker_epoch: AtomicI64::new(-1), state: Mutex::default() }
    }

    /// This broker is registered: before that it follows nobody.
    pub(crate) fn registered(&self, broker_epoch: i64) {
        self.broker_epoch.store(broker_epoch, Ordering::Release);
    }

    /// A replica has another role.
    pub(crate) fn role_changed(&self, partition: &Arc<Partition>, role: RoleChange) {
        match role {
            RoleChange::Follower { leader: Some(leader), .. } => self.follow(partition, leader),
            RoleChange::Follower { leader: None, .. } | RoleChange::Leader { .. } | RoleChange::Offline => {
                self.leave(partition.id);
            }
        }
    }

    /// A replica is no longer fetched for.
    pub(crate) fn leave(&self, id: TopicIdPartition) {
        let mut state = self.state.lock();
        if let Some(followed) = state.followed.remove(&id) {
            state.post(followed.fetcher, id, None);
        }
    }

    /// `num.replica.fetchers` may have changed.
    pub(crate) fn configure(&self) {
        let followed: Vec<_> = {
            let state = self.state.lock();
            let followed = state.followed.iter().filter(|(id, followed)| {
                let (leader, _) = followed.fetcher;
                self.fetcher_of(leader, **id) != followed.fetcher
            });
            followed.map(|(_, followed)| (Arc::clone(&followed.partition), followed.fetcher.0)).collect()
        };
        for (partition, leader) in followed {
            self.follow(&partition, leader);
        }
    }

    /// Ends all fetches; nothing is followed any more.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.followed.clear();
        for running in std::mem::take(&mut state.running).into_values() {
            running.task.abort();
        }
    }

    fn follow(&self, partition: &Arc<Partition>, leader: BrokerId) {
        let (id, fetcher) = (partition.id, self.fetcher_of(leader, partition.id));
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        let followed = Followed { partition: Arc::clone(partition), fetcher };
        let before = state.followed.insert(id, followed);
        if let Some(before) = before.filter(|before| before.fetcher != fetcher) {
            state.post(before.fetcher, id, None);
        }
        state.running.entry(fetcher).or_insert_with(|| self.start(leader));
        state.post(fetcher, id, Some(Arc::clone(partition)));
    }

    fn start(&self, leader: BrokerId) -> Running {
        let mailbox = Arc::new(Mailbox::default());
        let follower = Follower {
            broker_id: self.parts.broker_id,
            broker_epoch: self.broker_epoch.load(Ordering::Acquire),
        };
        let task = FetcherTask::new(leader, follower, Arc::clone(&self.parts), Arc::clone(&mailbox));
        Running { mailbox, task: self.parts.runtime.spawn(task.run()).abort_handle() }
    }

    fn fetcher_of(&self, leader: BrokerId, id: TopicIdPartition) -> (BrokerId, usize) {
        let count = usize::try_from(self.parts.config.load().replication.fetchers).unwrap_or(1).max(1);
        let (high, low) = id.topic_id.0.as_u64_pair();
        let hash = (high ^ low).wrapping_add(u64::from(id.partition.unsigned_abs()));
        (leader, usize::try_from(hash % u64::try_from(count).unwrap_or(1)).unwrap_or(0))
    }
}

impl State {
    fn post(&self, fetcher: (BrokerId, usize), id: TopicIdPartition, letter: Option<Arc<Partition>>) {
        let Some(running) = self.running.get(&fetcher) else { return };
        let is_more = letter.is_some();
        running.mailbox.letters.lock().insert(id, letter);
        if is_more {
            running.mailbox.more.send_modify(|count| *count += 1);
        }
    }
}
