//! What must hold at any time: one leader in a term, votes that are not taken back, metadata that is the same at the same offset
//! wherever it is seen, and nothing lost of what was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_controller::ProducerIdBlock;
use ottla_controller::simulated::{Claim, Promise};
use ottla_metadata::MetadataImage;
use ottla_model::BrokerId;

use crate::ledger::Violation;
use crate::message::Address;

/// A node with a disk of its own: with another disk it is another voter.
pub(super) type Voter = (Address, u128);

#[derive(Debug, Default)]
pub(super) struct Ledger {
    leaders: BTreeMap<u64, BrokerId>,
    /// Whom it has promised its vote in a term.
    promises: BTreeMap<(Voter, u64), BrokerId>,
    /// The highest term that it has promised anything in, and the process that did.
    terms: BTreeMap<Voter, (u64, u64)>,
    /// The metadata up to an offset.
    images: BTreeMap<i64, Arc<MetadataImage>>,
    /// How far a process has come.
    reached: BTreeMap<(Address, u64), i64>,
    pub(super) topics: Topics,
    /// Somebody was told that `kraft.version` is 1.
    pub(super) raised: bool,
    /// Producer ids that were given out, from and to.
    blocks: BTreeMap<i64, i64>,
    pub(super) violation: Option<Violation>,
}

/// Topics by name; each name that is ever deleted is asked for once.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics {
    pub(super) created: BTreeSet<String>,
    /// Whose deletion was asked for.
    pub(super) doomed: BTreeSet<String>,
    pub(super) deleted: BTreeSet<String>,
}

impl Ledger {
    pub(super) fn violated(&mut self, check: &'static str, what: impl Into<String>) {
        self.violation.get_or_insert_with(|| Violation::new(check, what));
    }

    pub(super) fn claims(&mut self, voter: Voter, boot: u64, claim: Claim) {
        match claim {
            Claim::Leads { term, leader } => {
                let known = *self.leaders.entry(term).or_insert(leader);
                if known != leader || leader != BrokerId(voter.0) {
                    self.violated("one leader in a term", format!("{known} and {} in {term}", voter.0));
                }
            }
            Claim::Stands { term, candidate } => self.promises(voter, boot, Promise { term, candidate }),
        }
    }

    pub(super) fn promises(&mut self, voter: Voter, boot: u64, promise: Promise) {
        let Promise { term, candidate } = promise;
        let known = *self.promises.entry((voter, term)).or_insert(candidate);
        if known != candidate {
            let what =
                format!("{} votes for {candidate} in term {term}, where it had voted for {known}", voter.0);
            self.violated("a vote is not taken back", what);
        }
        let (highest, by) = *self.terms.get(&voter).unwrap_or(&(term, boot));
        if term < highest && by != boot {
            let what =
                format!("{} votes for {candidate} in term {term}, and has voted in {highest}", voter.0);
            self.violated("a vote is not taken back", what);
        }
        if term >= highest {
            self.terms.insert(voter, (term, boot));
        }
    }

    /// A process shows this image.
    pub(super) fn shown(&mut self, node: Address, boot: u64, image: &MetadataImage) {
        let offset = image.provenance().offset.get();
        let before = self.reached.insert((node, boot), offset).unwrap_or(-1);
        if offset < before {
            self.violated("metadata does not go back", format!("node {node} shows {offset} after {before}"));
        }
        let mut image = image.clone();
        image.set_controller(BrokerId::NONE);
        match self.images.get(&offset) {
            None => drop(self.images.insert(offset, Arc::new(image))),
            Some(known) if **known == image => {}
            Some(known) => {
                let what = format!("node {node} at offset {offset}: {}", difference(known, &image));
                self.violated("metadata is the same everywhere", what);
            }
        }
    }

    pub(super) fn given(&mut self, block: &ProducerIdBlock) {
        let before = self.blocks.range(..block.ids.end).next_back().map(|(_, end)| *end);
        if before.is_some_and(|end| end > block.ids.start) {
            self.violated("producer ids are given once", format!("{:?}", block.ids));
        }
        self.blocks.insert(block.ids.start, block.ids.end);
    }

    /// Whether an image that follows all that `answered` says has it; but for what is to be deleted since.
    pub(super) fn holds(&mut self, node: Address, image: &MetadataImage, answered: &Topics) {
        let lost = answered
            .created
            .iter()
            .find(|name| !self.topics.doomed.contains(*name) && image.topic(name).is_none());
        if let Some(name) = lost {
            let what = format!("{name}, on node {node} at {}", image.provenance().offset);
            self.violated("no acknowledged topic is lost", what);
        }
        if let Some(name) = answered.deleted.iter().find(|name| image.topic(name).is_some()) {
            let what = format!("{name}, on node {node} at {}", image.provenance().offset);
            self.violated("no deleted topic comes back", what);
        }
    }
}

fn difference(one: &MetadataImage, other: &MetadataImage) -> String {
    let (one_records, other_records) = (one.to_records(), other.to_records());
    let differs = one_records.iter().zip(&other_records).find(|(one, other)| one != other);
    let (one, other) = (one.provenance(), other.provenance());
    let (ones, others) = (one_records.len(), other_records.len());
    format!("{one:?} and {other:?}, {ones} and {others} records; {differs:?}")
}
