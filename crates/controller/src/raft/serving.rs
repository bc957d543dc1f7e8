//! Answers observers: only entries that are applied here, and so committed, leave this node.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use ottla_model::BrokerId;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::log_store::LogStore;
use super::observers::Observers;
use super::pull::{News, Pull, PullSnapshot, Pulled};
use super::snapshot::SnapshotStore;
use super::types::LogId;
use crate::peers::Peer;
use crate::surroundings::wall_clock;

/// Bytes of one answer, and one batch more.
const ANSWER_BYTES: usize = 1 << 20;
const SNAPSHOT_PIECE_BYTES: usize = 1 << 20;
/// The longest that a pull waits.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What observers are answered from.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) own: BrokerId,
    pub(super) log: LogStore,
    pub(super) snapshots: SnapshotStore,
    pub(super) applied: watch::Receiver<Option<LogId>>,
    /// Who leads, as this node knows; it gives entries only while it leads itself.
    pub(super) leader: watch::Receiver<BrokerId>,
    pub(super) observers: Mutex<Observers>,
}

impl Serving {
    /// What is new behind `pull.last`; waits for it while this node leads, and the observer knows that.
    pub(super) async fn pull(&self, from: BrokerId, pull: &Pull, voters: Vec<Peer>) -> io::Result<Pulled> {
        let (mut applied, mut leader) = (self.applied.clone(), self.leader.clone());
        let wait = Duration::from_millis(u64::from(pull.wait_ms)).min(WAIT_MAX);
        let until = Instant::now() + wait;
        loop {
            let leads = *leader.borrow_and_update();
            let committed = *applied.borrow_and_update();
            if leads != self.own {
                return Ok(Pulled { leader: leads, voters, news: News::Entries(Vec::new()) });
            }
            self.observers.lock().pulled(from, pull, self.log.next_offset(), wall_clock());
            let is_news = committed > pull.last || leads != pull.leader;
            if is_news || Instant::now() >= until {
                let news = self.news(pull.last, committed)?;
                return Ok(Pulled { leader: leads, voters, news });
            }
            let changed = async {
                tokio::select! {
                    biased;
                    changed = applied.changed() => changed.is_ok(),
                    changed = leader.changed() => changed.is_ok(),
                }
            };
            if timeout_at(until, changed).await == Ok(false) {
                return Err(io::Error::other("the quorum has stopped here"));
            }
        }
    }

    fn news(&self, last: Option<LogId>, committed: Option<LogId>) -> io::Result<News> {
        if committed <= last {
            return Ok(News::Entries(Vec::new()));
        }
        match self.log.committed_batches(last, committed, ANSWER_BYTES)? {
            Some(batches) => Ok(News::Entries(batches)),
            None => match self.snapshots.current()? {
                Some((name, len)) => Ok(News::Snapshot { name, len }),
                None => Err(io::Error::other("the log begins later, and there is no snapshot yet")),
            },
        }
    }

    /// Bytes of the snapshot of that name; none behind its end.
    pub(super) fn snapshot_piece(&self, asked: &PullSnapshot) -> io::Result<Bytes> {
        self.snapshots.piece(&asked.name, asked.pos, SNAPSHOT_PIECE_BYTES)
    }
}
