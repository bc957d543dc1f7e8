//! What the parts of a process share while they work: what is to be sent, proposed, scheduled and counted.

use std::collections::BTreeMap;

use ottla_model::TopicIdPartition;
use ottla_replication::IsrProposal;

use crate::counts::Counts;
use crate::message::{Address, Message};

#[derive(Debug, Default)]
pub(crate) struct Shell {
    pub(crate) own: Address,
    pub(crate) out: Vec<Message>,
    /// Flushes that end after so many milliseconds.
    pub(crate) flushes: Vec<TopicIdPartition>,
    pub(crate) proposals: BTreeMap<TopicIdPartition, IsrProposal>,
    /// Something has changed that fetches may wait for.
    pub(crate) woken: bool,
    /// A log was cut.
    pub(crate) cut: bool,
    /// The disk has failed under a replica.
    pub(crate) dir_failed: bool,
    pub(crate) counts: Counts,
    /// What can only be a defect: which check, and what was seen.
    pub(crate) complaints: Vec<(&'static str, String)>,
}

impl Shell {
    pub(crate) fn count(&mut self, what: &'static str) {
        self.counts.add(what);
    }

    pub(crate) fn complain(&mut self, check: &'static str, what: String) {
        self.complaints.push((check, what));
    }
}
