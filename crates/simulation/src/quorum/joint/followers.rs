//! The brokers' processes as the controllers know them: each has an observer, and connections to it that break when it dies.

use std::time::Duration;

use ottla_controller::Controller;
use ottla_model::BrokerId;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::super::node::Node;
use super::super::wires::goes_on;
use super::super::world::{News, Said as Noticed};
use super::{Joint, Said};
use crate::ledger::Violation;
use crate::message::Address;
use crate::world::{Event, World};

/// As `broker/src/cluster/lifelines.rs`: before somebody who is not there is tried again.
const CONNECT_MS: u64 = 50;
/// A connection that breaks is noticed within so long.
const BREAK_MS: u64 = 6;

/// The observer in a broker's process.
pub(super) struct Follower {
    node: Node,
    /// Of the broker's process.
    boot: u64,
    watching: Option<AbortHandle>,
}

impl Joint {
    /// A broker's process has started.
    pub(crate) fn follow(&mut self, id: Address, boot: u64) {
        if self.is_controller(id) {
            self.combined.insert(id, boot);
            self.controllers.start(id);
            return self.notice(id, CONNECT_MS);
        }
        let follower = self.followers.entry(id).or_insert_with(|| {
            let mut node = Node::new(id, false);
            node.cluster_id = Some(crate::controller::CLUSTER.to_owned());
            Follower { node, boot, watching: None }
        });
        follower.boot = boot;
        follower.node.start(&self.controllers.plan, &self.controllers.common, &self.controllers.tell);
        self.notice(id, CONNECT_MS);
    }

    /// Whether that broker's process is a controller, too.
    fn is_controller(&self, id: Address) -> bool {
        self.controllers.plan.ids().contains(&id)
    }

    /// It is there no more.
    pub(crate) fn leave(&mut self, id: Address) {
        if self.is_controller(id) {
            self.controllers.end(id);
        }
        if let Some(follower) = self.followers.get_mut(&id).filter(|follower| follower.node.runs) {
            follower.watching.take().iter().for_each(AbortHandle::abort);
            follower.node.end(&self.controllers.common);
        }
    }

    /// The power has gone under it.
    pub(crate) fn power_cut(&mut self, id: Address, seed: u64) {
        if let Some(node) = self.controllers.nodes.get(&id) {
            node.disk.power_cut(seed);
        }
    }

    /// Whoever held a connection to it is refused the next one.
    pub(crate) fn gone(&self, id: Address) {
        if self.is_controller(id) {
            self.controllers.tell_of_death(id);
        }
        self.notice(id, BREAK_MS);
    }

    /// Within so long each controller that reaches the broker notices whether its process is there.
    fn notice(&self, id: Address, within_ms: u64) {
        let mut shared = self.controllers.common.lock();
        for to in self.controllers.plan.ids().filter(|to| *to != id) {
            let Some(boot) = shared.there.get(&to).map(|there| there.boot) else { continue };
            let (after, common) =
                (Duration::from_millis(1 + shared.chance.below(within_ms)), self.controllers.common.clone());
            tokio::spawn(async move {
                sleep(after).await;
                goes_on(&common, to).await;
                let shared = common.lock();
                let there = shared.there.get(&to).filter(|there| there.boot == boot);
                let is_cut = shared.cuts.contains(&(to, id)) || shared.cuts.contains(&(id, to));
                let Some(controller) = there.and_then(|there| there.controller.clone()) else { return };
                let is_there = shared.there.contains_key(&id);
                drop(shared);
                if !is_cut {
                    controller.note_process(BrokerId(id), is_there);
                }
            });
        }
    }

    /// Whether every broker's process has an observer that has all that `offset` says.
    pub(super) fn all_follow(&self, offset: ottla_model::Offset) -> Result<(), String> {
        let shared = self.controllers.common.lock();
        for (id, _) in self.followers.iter().filter(|(_, follower)| follower.node.runs) {
            let observer = shared.there.get(id).and_then(|there| there.controller.as_ref());
            let known = observer.map(|observer| observer.image().provenance().offset);
            if known != Some(offset) {
                return Err(format!(
                    "the observer of node {id} is at {known:?}, the controllers at {offset}"
                ));
            }
        }
        Ok(())
    }
}

impl World {
    /// A controller has something to say. Where it is in a broker's process, that follows it.
    pub(super) fn hear_controller(&mut self, news: News) -> Result<(), Violation> {
        let Some(joint) = &mut self.joint else { return Ok(()) };
        let (id, quorum) = (news.id, &mut joint.controllers);
        let is_there = quorum.nodes.get(&id).is_some_and(|node| node.boot == news.boot && node.runs);
        let started = match &news.said {
            Noticed::Started(controller) if is_there => Some(controller.clone()),
            _ => None,
        };
        quorum.now = self.now;
        quorum.hear(news)?;
        if let (Some(controller), Some(boot)) = (started, joint.combined.get(&id).copied()) {
            let watching = watch(&controller, id, boot, joint.tell.clone());
            quorum.nodes.entry(id).and_modify(|node| node.tasks.push(watching));
            self.observe(&controller, id, boot);
        }
        Ok(())
    }

    fn observe(&mut self, by: &Controller, id: Address, boot: u64) {
        if let Some(process) = self.nodes.get_mut(&id).and_then(|node| node.process.as_mut()) {
            process.observer = Some(by.subscribe());
        }
        self.later(0, Event::News { node: id, boot });
    }

    /// The observer of a broker's process says something.
    pub(super) fn hear_follower(&mut self, news: News) {
        let Some(joint) = &mut self.joint else { return };
        let Some(follower) = joint.followers.get_mut(&news.id) else { return };
        let Noticed::Started(observer) = news.said else { return };
        if follower.node.boot != news.boot || !follower.node.runs {
            tokio::spawn(async move { observer.shutdown().await });
            return;
        }
        let (id, boot) = (news.id, follower.boot);
        follower.watching = Some(watch(&observer, id, boot, joint.tell.clone()));
        let there = joint.controllers.common.clone();
        there.lock().there.entry(id).and_modify(|there| there.controller = Some(observer.clone()));
        self.observe(&observer, id, boot);
    }
}

fn watch(
    observer: &Controller,
    node: Address,
    boot: u64,
    tell: tokio::sync::mpsc::UnboundedSender<Said>,
) -> AbortHandle {
    let mut subscription = observer.subscribe();
    let watching = tokio::spawn(async move {
        while subscription.next().await.is_some() {
            // The world may have ended.
            let _ = tell.send(Said::Followed { node, boot });
        }
    });
    watching.abort_handle()
}
