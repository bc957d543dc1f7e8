//! A node without a vote follows the metadata log: it pulls what is committed from whoever leads. It keeps nothing of it on its
//! disk: what the cluster knows it asks for anew when it starts.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ottla_metadata::{DirectoryId, MetadataDelta};
use ottla_model::BrokerId;
use tokio::sync::watch;
use tokio::time::sleep;

use super::network::{pull, pull_snapshot};
use super::peer_codec::read_entry;
use super::pull::{News, Pull, PullSnapshot, Pulled};
use super::replayed::Replayed;
use super::snapshot::SnapshotState;
use crate::peers::{Peer, Peers};
use crate::publish::{Publisher, Source};

/// How long the leader may wait for something new.
const WAIT: Duration = Duration::from_secs(1);
/// Before another controller is asked.
const PAUSE: Duration = Duration::from_millis(10);
/// A snapshot longer than this is refused, so that no controller fills the memory.
const SNAPSHOT_LEN_MAX: u64 = 1 << 30;

/// What follows.
pub(crate) struct Observer {
    cluster_id: Arc<str>,
    directory_id: DirectoryId,
    peers: Peers,
    publisher: Arc<Publisher>,
    /// What was replayed does not reach what was published.
    is_behind: AtomicBool,
    /// False while this node has the log by its own quorum.
    wanted: watch::Receiver<bool>,
}

impl Observer {
    pub(crate) fn new(
        cluster_id: Arc<str>,
        directory_id: DirectoryId,
        peers: Peers,
        publisher: Arc<Publisher>,
        wanted: watch::Receiver<bool>,
    ) -> Self {
        Self { cluster_id, directory_id, peers, publisher, is_behind: AtomicBool::new(false), wanted }
    }

    /// Follows until it is aborted.
    pub(crate) async fn run(self) {
        let mut replayed = Replayed::new(Arc::clone(&self.cluster_id));
        let (mut leader, mut turn) = (BrokerId::NONE, 0);
        let mut wanted = self.wanted.clone();
        loop {
            if wanted.wait_for(|wanted| *wanted).await.is_err() {
                return;
            }
            let Some(peer) = self.whom_to_ask(leader, turn) else {
                sleep(PAUSE).await;
                continue;
            };
            match self.step(&peer, leader, &mut replayed).await {
                Ok(told) => leader = told,
                Err(error) => {
                    tracing::debug!(controller = %peer.id, %error, "nothing is pulled");
                    leader = BrokerId::NONE;
                }
            }
            if *wanted.borrow() {
                self.publisher.set_controller(leader);
            }
            if !self.can_ask(leader) {
                turn += 1;
                sleep(PAUSE).await;
            }
        }
    }

    /// Whether it is known where that leader is. What somebody says who does not lead may be long out of date, this node's own
    /// saying among it, if it is asked by itself: the next one may know better.
    fn can_ask(&self, leader: BrokerId) -> bool {
        leader != BrokerId::NONE && self.peers.voter(leader).is_some()
    }

    /// The leader, or one after the other while nobody knows it or where it is.
    fn whom_to_ask(&self, leader: BrokerId, turn: usize) -> Option<Peer> {
        if let Some(peer) = self.peers.voter(leader).filter(|_| leader != BrokerId::NONE) {
            return Some(peer);
        }
        let voters = self.peers.voters();
        let all = || voters.iter().chain(self.peers.bootstrap_servers());
        all().nth(turn % all().count().max(1)).cloned()
    }

    /// One question; gives who leads.
    async fn step(&self, peer: &Peer, leader: BrokerId, replayed: &mut Replayed) -> io::Result<BrokerId> {
        let question = Pull {
            directory_id: self.directory_id,
            last: replayed.last_applied,
            end_offset: replayed.end_offset(),
            leader,
            wait_ms: u32::try_from(WAIT.as_millis()).unwrap_or(u32::MAX),
        };
        let Pulled { leader, voters, news } =
            pull(&self.peers, &self.cluster_id, peer, question, WAIT).await?;
        self.peers.hear(voters);
        let news = match news {
            News::Entries(batches) => self.replay(&batches, replayed),
            News::Snapshot { name, len } => self.take_snapshot(peer, name, len, replayed).await,
        };
        if let Err(error) = news {
            // What is half replayed is of no use.
            *replayed = Replayed::new(Arc::clone(&self.cluster_id));
            self.is_behind.store(true, Ordering::Relaxed);
            return Err(error);
        }
        Ok(leader)
    }

    fn replay(&self, batches: &[Bytes], replayed: &mut Replayed) -> io::Result<()> {
        if batches.is_empty() {
            return Ok(());
        }
        let mut delta = MetadataDelta::default();
        for batch in batches {
            let entry = read_entry(batch)?;
            let follows = replayed.last_applied.map_or(0, |last| last.index + 1);
            if entry.log_id.index != follows {
                return Err(io::Error::other(format!("{} does not follow {follows}", entry.log_id)));
            }
            replayed.apply(entry, &mut delta)?;
        }
        self.publish(replayed, delta);
        Ok(())
    }

    /// Never an image that is behind the one before, as after a state that was given up.
    fn publish(&self, replayed: &Replayed, delta: MetadataDelta) {
        let published = self.publisher.image();
        if replayed.image.provenance().offset < published.provenance().offset {
            self.is_behind.store(true, Ordering::Relaxed);
            return;
        }
        let delta = match self.is_behind.swap(false, Ordering::Relaxed) {
            true => MetadataDelta::between(&published, &replayed.image),
            false => delta,
        };
        self.publisher.publish(Source::Observer, replayed.image.clone(), &delta);
    }

    async fn take_snapshot(
        &self,
        peer: &Peer,
        name: String,
        len: u64,
        replayed: &mut Replayed,
    ) -> io::Result<()> {
        if len > SNAPSHOT_LEN_MAX {
            return Err(io::Error::other(format!("a snapshot of {len} bytes is too long")));
        }
        let mut bytes = BytesMut::new();
        while (bytes.len() as u64) < len {
            let asked = PullSnapshot { name: name.clone(), pos: bytes.len() as u64 };
            let piece = pull_snapshot(&self.peers, &self.cluster_id, peer, asked).await?;
            if piece.is_empty() {
                return Err(io::Error::other("a snapshot is shorter than announced"));
            }
            bytes.extend_from_slice(&piece);
        }
        let state = SnapshotState::decode(Arc::clone(&self.cluster_id), &bytes)?;
        tracing::info!(snapshot = name, "the metadata goes on from a snapshot");
        let delta = MetadataDelta::between(&self.publisher.image(), &state.image);
        replayed.restore(state);
        self.publish(replayed, delta);
        Ok(())
    }
}
