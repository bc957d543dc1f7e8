//! Whole clusters: the world of brokers, on the production controllers in place of the log in memory. Each broker's process has an
//! observer, as a broker that is no controller has, and asks whomever that takes for the leader. The brokers' events and those of
//! the controllers happen in the order of their times, each once all tasks have run up to then; what the controllers' tasks have to
//! say to brokers comes back into the brokers' events. What the controllers suffer is drawn from a stream of chance of its own.

mod asking;
mod followers;
mod live;
mod plan;

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_metadata::MetadataImage;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep_until;

use super::world::{News, World as Controllers};
use crate::admin::Errand;
use crate::command::{Ask, Told};
use crate::message::{Address, CONTROLLERS};
use crate::world::Tells;

use followers::Follower;
pub(crate) use live::live;
pub(crate) use plan::Plan;

/// The controllers, as the world of brokers sees them.
pub(crate) struct Joint {
    controllers: Controllers,
    followers: BTreeMap<Address, Follower>,
    /// Which process it is of those brokers that are controllers, too.
    combined: BTreeMap<Address, u64>,
    /// To the administrator, who asks for one thing after the other.
    wishes: UnboundedSender<(Ask, Errand)>,
    tell: UnboundedSender<Said>,
    said: UnboundedReceiver<Said>,
}

/// What the tasks have to say to the world of brokers.
#[derive(Debug)]
enum Said {
    /// A broker is answered.
    Told { to: Address, request: u64, told: Option<Told> },
    /// The administrator is, whether or not it had asked `again`; `None`: it has been done, or not, or will be.
    Done { errand: Errand, told: Option<Told>, again: bool },
    /// The observer of a broker's process has a newer image.
    Followed { node: Address, boot: u64 },
}

/// What comes next.
enum Next {
    News(News),
    Said(Said),
    Time,
}

impl Joint {
    /// Is called in the runtime.
    fn new(plan: super::Plan, tells: Tells) -> Self {
        let controllers = Controllers::new(plan, tells);
        let (tell, said) = unbounded_channel();
        let (wishes, to_do) = unbounded_channel();
        tokio::spawn(asking::administrate(controllers.common.clone(), to_do, tell.clone()));
        let mut joint =
            Self { controllers, followers: BTreeMap::new(), combined: BTreeMap::new(), wishes, tell, said };
        for node in joint.controllers.nodes.values_mut() {
            node.cluster_id = Some(crate::controller::CLUSTER.to_owned());
        }
        joint
    }

    /// Waits for what comes next, up to a time.
    async fn next(&mut self, at: u64) -> Next {
        let due = self.controllers.began + std::time::Duration::from_millis(at);
        tokio::select! {
            biased;
            Some(news) = self.controllers.news.recv() => Next::News(news),
            Some(said) = self.said.recv() => Next::Said(said),
            () = sleep_until(due) => Next::Time,
        }
    }

    /// The newest image that a controller shows, if it is newer than the one that is known.
    fn newer(&self, known: &MetadataImage) -> Option<Arc<MetadataImage>> {
        let shared = self.controllers.common.lock();
        let shown = shared.there.range(self.controllers.plan.ids()).filter_map(|(_, there)| {
            let image = there.controller.as_ref()?.image();
            (image.provenance().offset > known.provenance().offset).then_some(image)
        });
        shown.max_by_key(|image| image.provenance().offset)
    }

    /// Has the administrator ask for something.
    pub(crate) fn command(&self, ask: Ask, errand: Errand) {
        if let Errand::Delete { name, .. } = &errand {
            self.controllers.common.lock().ledger.topics.doomed.insert(name.clone());
        }
        // The task goes on as long as the runtime does.
        let _ = self.wishes.send((ask, errand));
    }

    /// Whoever decides.
    pub(crate) fn leader(&self) -> Option<Address> {
        self.controllers.common.lock().active().map(|(id, ..)| id)
    }

    /// Of a link of the brokers' network: one with the controllers is one with each of them.
    fn links(&self, from: Address, to: Address) -> Vec<(Address, Address)> {
        match (from, to) {
            (CONTROLLERS, to) => self.controllers.plan.ids().map(|from| (from, to)).collect(),
            (from, CONTROLLERS) => self.controllers.plan.ids().map(|to| (from, to)).collect(),
            link => vec![link],
        }
    }

    pub(crate) fn cut(&self, from: Address, to: Address) {
        self.controllers.common.lock().cuts.extend(self.links(from, to));
    }

    pub(crate) fn mend(&self, from: Address, to: Address) {
        let mut shared = self.controllers.common.lock();
        for link in self.links(from, to) {
            shared.cuts.remove(&link);
        }
    }

    /// A broker's process stands still, and so does its observer.
    pub(crate) fn pause(&self, node: Address, until: u64) {
        self.controllers.common.lock().paused.insert(node, until);
    }
}
