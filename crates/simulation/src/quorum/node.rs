//! A node: its disk, and the process on it, which dies and is started again.

use std::sync::Arc;

use ottla_config::BrokerConfig;
use ottla_controller::simulated::{self, remembers};
use ottla_controller::{Attendance, Controller, ObserverConfig, Peer, Peers, VoteWish};
use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;
use ottla_storage::{FaultyDisk, SimDisk};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::common::{Common, There};
use super::plan::{Plan, Shape};
use super::wires::Wire;
use super::world::{News, Said, TellWorld};
use crate::message::Address;

pub(super) struct Node {
    pub(super) id: Address,
    pub(super) is_controller: bool,
    pub(super) disk: SimDisk,
    pub(super) directory: u128,
    /// Which process of it this is, from 1.
    pub(super) boot: u64,
    /// Whether there is one.
    pub(super) runs: bool,
    /// Once it has learnt it.
    pub(super) cluster_id: Option<String>,
    /// Its disk fails soon; with it the power goes, and the seed says what is left.
    pub(super) dying: Option<(u64, u64)>,
    /// Its process's way to the disk, which may lack room.
    faulty: FaultyDisk,
    is_full: bool,
    /// This process has met a disk without room: it may end.
    pub(super) was_full: bool,
    /// Its file names no voters any more, and asks for its vote.
    pub(super) asks_servers: bool,
    pub(super) tasks: Vec<AbortHandle>,
}

impl Node {
    pub(super) fn new(id: Address, is_controller: bool) -> Self {
        let disk = SimDisk::new();
        Self {
            id,
            is_controller,
            faulty: FaultyDisk::new(Arc::new(disk.clone())),
            disk,
            directory: u128::from(id.unsigned_abs()),
            boot: 0,
            runs: false,
            cluster_id: None,
            dying: None,
            is_full: false,
            was_full: false,
            asks_servers: false,
            tasks: Vec::new(),
        }
    }

    /// A new, empty disk in the old one's place.
    pub(super) fn empty_disk(&mut self) {
        self.disk = SimDisk::new();
        self.is_full = false;
        self.directory += 100;
    }

    /// Whether it does not start, or go on, for the log names the disk that it had before, which its file cannot know.
    pub(super) fn is_displaced(&self, plan: &Plan, why: &str) -> bool {
        let is_emptied = self.directory != u128::from(self.id.unsigned_abs());
        is_emptied && plan.raises_kraft_version() && why.contains("controller.quorum.bootstrap.servers")
    }

    /// There is no room on its disk any more.
    pub(super) fn fill(&mut self) {
        (self.is_full, self.was_full) = (true, true);
        self.faulty.fill();
    }

    pub(super) fn make_room(&mut self) {
        self.is_full = false;
        self.faulty.heal();
    }

    pub(super) fn peer(&self) -> Peer {
        Peer { directory_id: directory_id(self.directory), ..peer(self.id) }
    }

    /// A new process, which says when it has started.
    pub(super) fn start(&mut self, plan: &Plan, common: &Common, tell: &TellWorld) {
        self.boot += 1;
        self.runs = true;
        let (id, boot) = (self.id, self.boot);
        let wire = Arc::new(Wire { own: id, boot, common: common.clone() });
        let peers = self.peers(plan, wire);
        let there = There { boot, directory: self.directory, peers: peers.clone(), controller: None };
        common.lock().there.insert(id, there);
        let (tell, known, is_controller) = (tell.clone(), self.cluster_id.clone(), self.is_controller);
        self.faulty = FaultyDisk::new(Arc::new(self.disk.of_process()));
        self.was_full = false;
        if self.is_full {
            self.fill();
        }
        let disk = self.faulty.clone();
        let directory_id = directory_id(self.directory);
        let (segment_bytes, snapshot_every_entries) = (plan.segment_bytes, plan.snapshot_every_entries);
        let starting = tokio::spawn(async move {
            let said = |said| drop(tell.send(News { id, boot, said }));
            let cluster_id = match known {
                Some(known) => known,
                None => peers.agree_on_cluster_id(|| format!("named-by-{id}")).await,
            };
            said(Said::Cluster(cluster_id.clone()));
            if !is_controller {
                let controller = Controller::observe(ObserverConfig { cluster_id, directory_id, peers });
                return said(Said::Started(controller));
            }
            let file = [("node.id".to_owned(), id.to_string())];
            let node = simulated::Node {
                id: BrokerId(id),
                directory_id,
                cluster_id,
                broker: BrokerConfig::from_static(file.into()).expect("a plain file"),
                segment_bytes,
                snapshot_every_entries,
                peers,
            };
            match simulated::start(Arc::new(disk), node).await {
                Ok(controller) => said(Said::Started(controller)),
                Err(error) => said(Said::Failed(error.to_string())),
            }
        });
        self.tasks.push(starting.abort_handle());
    }

    fn peers(&self, plan: &Plan, wire: Arc<Wire>) -> Peers {
        let timeout = std::time::Duration::from_millis(plan.election_ms);
        let own = BrokerId(self.id);
        let all = || plan.ids().map(peer);
        let attendance = |wish: VoteWish| Attendance { host: HOST.to_owned(), port: port(self.id), wish };
        match (plan.shape, plan.shape.wish()) {
            (Shape::Joined(wish), _) if self.id == plan.first => {
                Peers::alone(own, attendance(wish), wire, timeout)
            }
            (_, None) if !self.asks_servers => {
                let peers = Peers::new(own, all().collect(), wire, timeout);
                if self.is_controller { peers.attend(attendance(VoteWish::Watch)) } else { peers }
            }
            (shape, wish) => {
                let wish = wish.unwrap_or(VoteWish::Vote);
                let servers = match shape {
                    Shape::Joined(_) if self.is_controller => vec![Peer::at(HOST, port(plan.first))],
                    _ => plan.ids().map(|id| Peer::at(HOST, port(id))).collect(),
                };
                let peers = Peers::bootstrap(own, servers, wire, timeout);
                if self.is_controller { peers.attend(attendance(wish)) } else { peers }
            }
        }
    }

    /// The process is gone: nobody hears of it any more, and its disk is not its any more.
    pub(super) fn end(&mut self, common: &Common) {
        self.runs = false;
        self.dying = None;
        self.tasks.drain(..).for_each(|task| task.abort());
        let gone = common.lock().there.remove(&self.id);
        self.disk.kill();
        let Some(There { peers, controller, .. }) = gone else { return };
        match controller {
            // What is left of it ends by itself, unheard.
            Some(controller) => drop(tokio::spawn(async move { controller.shutdown().await })),
            None => simulated::close(&peers),
        }
    }
}

impl There {
    /// Whether it votes as one that knows what it has promised.
    pub(super) fn remembers(&self) -> bool {
        self.controller.is_some() && remembers(&self.peers)
    }
}

const HOST: &str = "sim";

fn peer(id: Address) -> Peer {
    Peer::of_id(BrokerId(id), HOST, port(id))
}

fn port(id: Address) -> u16 {
    u16::try_from(id).unwrap_or(0)
}

pub(super) fn directory_id(directory: u128) -> DirectoryId {
    DirectoryId(Uuid::from_u128(directory))
}
