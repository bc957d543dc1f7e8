//! After the trouble: somebody leads, everybody has all that was answered, and all are alike.

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
