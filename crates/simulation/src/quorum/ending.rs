//! After the trouble: somebody leads, everybody has all that was answered, and all are alike.

use ottla_metadata::{DirectoryId, KRAFT_VERSION, MetadataImage};

use super::common::Shared;
use super::plan::Shape;
use super::world::World;
use crate::ledger::Violation;

fn stuck(what: impl Into<String>) -> Violation {
    Violation::new("after healing the quorum is well", what)
}

impl World {
    /// Whether all is as it should be; else what is not.
    pub(super) fn is_well(&self) -> Result<(), Violation> {
        let shared = self.common.lock();
        let Some((leader, _, active)) = shared.active() else { return Err(stuck("nobody leads")) };
        if !shared.probed {
            return Err(stuck(format!("nothing is answered, {leader} leads")));
        }
        let image = active.image();
        for id in self.nodes.keys() {
            let controller = shared.there.get(id).and_then(|there| there.controller.as_ref());
            let Some(controller) = controller else {
                return Err(stuck(format!("node {id} has not started")));
            };
            let known = controller.image();
            if known.provenance() != image.provenance() || known.controller_id() != image.controller_id() {
                let (known, image) = (known.provenance(), image.provenance());
                return Err(stuck(format!("node {id} is at {known:?}, the leader {leader} at {image:?}")));
            }
        }
        if self.plan.shape == Shape::Static { self.go_by_log_or_files(&shared, &image) } else { Ok(()) }
    }

    /// Of nodes whose files name the voters: where `kraft.version` is 1 all go by the log, and by the same; else none does.
    fn go_by_log_or_files(&self, shared: &Shared, image: &MetadataImage) -> Result<(), Violation> {
        let level = image.features().level(KRAFT_VERSION);
        if shared.ledger.raised && level < 1 {
            return Err(Violation::new("no acknowledged kraft.version is lost", format!("it is {level}")));
        }
        let voters_of = |id| shared.there.get(&id).map(|there| there.peers.voters());
        let leader = voters_of(image.controller_id().get());
        for (id, node) in &self.nodes {
            let voters = voters_of(*id);
            let mut known = voters.iter().flat_map(|voters| voters.iter());
            let are_named = known.all(|voter| voter.directory_id != DirectoryId::UNASSIGNED);
            let follows_log = shared.there.get(id).is_some_and(|there| there.peers.is_dynamic());
            let is_well = if level < 1 {
                // An observer may have heard of what was not committed; whom it asks are the same.
                !(are_named || follows_log) || !node.is_controller || node.asks_servers
            } else {
                are_named && voters == leader
            };
            if !is_well {
                return Err(stuck(format!("node {id} has the voters {voters:?}, kraft.version is {level}")));
            }
        }
        Ok(())
    }

    pub(super) fn at_the_end(&mut self) -> Result<(), Violation> {
        let mut shared = self.common.lock();
        shared.counts.add("quorum: well in the end");
        let answered = shared.ledger.topics.clone();
        for id in self.nodes.keys() {
            let there = shared.there.get(id).and_then(|there| Some((there.boot, there.controller.clone()?)));
            let Some((boot, controller)) = there else { continue };
            let image = controller.image();
            shared.ledger.shown(*id, boot, &image);
            shared.ledger.holds(*id, &image, &answered);
        }
        shared.ledger.violation.take().map_or(Ok(()), Err)
    }
}
