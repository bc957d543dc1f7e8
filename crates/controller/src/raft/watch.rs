//! What a voter sees of the quorum as it changes: who leads, who votes, and whether it has caught up itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openraft::async_runtime::watch::WatchReceiver;
use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use super::attending::is_member;
use super::followers::Followers;
use super::meta_store::MetaStore;
use super::quorum::{OurRaft, broker_id, leading_term, peers_of};
use super::serving::Serving;
use super::standing::Standing;
use super::types::StoredMembership;
use super::voters::voter_of;
use crate::peers::Peers;
use crate::publish::Publisher;
use crate::surroundings::blocking;

/// Says who leads, and lets a voter vote that has caught up.
pub(super) struct Watch {
    pub(super) raft: OurRaft,
    pub(super) publisher: Arc<Publisher>,
    pub(super) meta: Arc<dyn MetaStore>,
    pub(super) may_vote: Arc<AtomicBool>,
    pub(super) standing: Standing,
    pub(super) peers: Option<Peers>,
    pub(super) leads: watch::Sender<bool>,
    pub(super) tell_leader: watch::Sender<BrokerId>,
    pub(super) serving: Arc<Serving>,
    pub(super) followers: Arc<Mutex<Followers>>,
    pub(super) directory_id: DirectoryId,
    /// Whether this node has to pull what the quorum does not send it.
    pub(super) tell_pulling: watch::Sender<bool>,
    /// Whether time passes for openraft: for one voter alone it need not.
    pub(super) ticks: bool,
    /// Whether the log is sent to this node, which has no vote.
    pub(super) learns: bool,
}

/// Who has no vote, and hears of no leader for so many election timeouts, asks for itself who leads.
const FORGOTTEN_TIMEOUTS: u32 = 4;

impl Watch {
    pub(super) async fn run(mut self) {
        let mut metrics = self.raft.metrics();
        loop {
            let (leader, leads, applied) = {
                let metrics = metrics.borrow_watched();
                let applied = metrics.last_applied.map(|log_id| log_id.index + 1);
                self.followers.lock().hear(&metrics, &self.serving.log);
                self.learn(&metrics.membership_config, metrics.current_leader == Some(metrics.id));
                (metrics.current_leader, leading_term(&metrics).is_some(), applied)
            };
            let leader = leader.map_or(BrokerId::NONE, broker_id);
            if !*self.tell_pulling.borrow() {
                self.publisher.set_controller(leader);
            }
            let changed = |known: &mut BrokerId| std::mem::replace(known, leader) != leader;
            if self.tell_leader.send_if_modified(changed) {
                self.serving.observers.lock().forget();
            }
            self.leads.send_if_modified(|led| std::mem::replace(led, leads) != leads);
            self.catch_up(applied.unwrap_or(0)).await;
            let changed = metrics.changed();
            let changed = match self.peers.as_ref().filter(|_| self.learns) {
                // Silence is no change.
                Some(peers) => timeout(peers.election_timeout, changed).await.unwrap_or(Ok(())),
                None => changed.await,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Whether the log that is to be sent to this node is not. What says so may be an entry that was never committed, or the one that says
    /// otherwise may have come too late to be sent here. A voter would ask for votes; who has none, or may not vote with this disk yet,
    /// only sees that nobody sends anything.
    fn is_forgotten(&mut self, peers: &Peers, membership: &StoredMembership, leads: bool) -> bool {
        let is_sent = peers.is_dynamic() && is_member(membership, peers.own, self.directory_id);
        let votes = voter_of(membership, peers.own).is_some() && self.may_vote.load(Ordering::Acquire);
        self.learns = is_sent && !leads && !votes;
        self.learns && peers.door.silent_for() > peers.election_timeout * FORGOTTEN_TIMEOUTS
    }

    /// Who votes, as the log has it; of a log that is not sent to this node any more nothing.
    fn learn(&mut self, membership: &StoredMembership, leads: bool) {
        let Some(peers) = self.peers.clone() else { return };
        peers.follow_membership(membership, &self.publisher);
        // A log that is replayed from its beginning tells of voters that were: alone, with the disk that is gone, this node would elect
        // itself. Who is forgotten may be needed yet: what took its vote may be in no other log than its own, as openraft knows.
        let is_member = !peers.is_dynamic() || is_member(membership, peers.own, self.directory_id);
        let elects = is_member && self.may_vote.load(Ordering::Acquire);
        let pulls = self.is_forgotten(&peers, membership, leads) || !is_member;
        self.raft.runtime_config().elect(elects);
        self.tell_pulling.send_if_modified(|pulled| std::mem::replace(pulled, pulls) != pulls);
        if pulls {
            return;
        }
        if !self.ticks && membership.nodes().count() > 1 {
            self.ticks = true;
            self.raft.runtime_config().tick(true);
            self.raft.runtime_config().heartbeat(true);
        }
        peers.learn(peers_of(membership.membership()));
        peers.door.know(peers.voters().to_vec());
    }

    async fn catch_up(&mut self, log_len: u64) {
        let Standing::CatchingUp { log_len: wanted } = self.standing else { return };
        if log_len < wanted {
            return;
        }
        let meta = Arc::clone(&self.meta);
        let saved = blocking(move || Standing::Member.save(meta.as_ref())).await;
        if let Err(error) = saved {
            tracing::error!(%error, "a voter that has caught up cannot say so");
            return;
        }
        tracing::info!(log_len, "this voter has caught up, and votes");
        self.standing = Standing::Member;
        if let Some(peers) = &self.peers {
            peers.door.stand(&self.standing);
        }
        self.may_vote.store(true, Ordering::Release);
        // Of changing voters the log says of each entry whether this node is one.
        if !*self.tell_pulling.borrow() {
            self.raft.runtime_config().elect(true);
        }
    }
}
