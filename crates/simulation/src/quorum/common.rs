//! What all tasks of a world share: who is there, the network, the ledger, the trace.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use ottla_controller::{Controller, Peers};
use ottla_storage::Seeded;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::ledger::Ledger;
use crate::counts::Counts;
use crate::message::Address;
use crate::world::Tells;

pub(super) type Common = Arc<Mutex<Shared>>;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) there: BTreeMap<Address, There>,
    pub(super) chance: Seeded,
    pub(super) cuts: BTreeSet<(Address, Address)>,
    /// Who stands still, and until when.
    pub(super) paused: BTreeMap<Address, u64>,
    pub(super) delay_ms: u64,
    pub(super) loss_percent: u64,
    pub(super) repeat_percent: u64,
    pub(super) ledger: Ledger,
    pub(super) counts: Counts,
    /// Nobody asks for anything new any more, but for the probe.
    pub(super) healing: bool,
    /// Something was answered after the healing.
    pub(super) probed: bool,
    pub(super) messages: u64,
    pub(super) trace: u64,
    pub(super) tells: Tells,
    pub(super) story: Vec<String>,
    began: Instant,
}

/// A process.
#[derive(Clone, Debug)]
pub(super) struct There {
    pub(super) boot: u64,
    pub(super) directory: u128,
    pub(super) peers: Peers,
    /// Once it has started.
    pub(super) controller: Option<Controller>,
}

impl Shared {
    pub(super) fn new(chance: Seeded, tells: Tells) -> Self {
        Self {
            there: BTreeMap::new(),
            chance,
            cuts: BTreeSet::new(),
            paused: BTreeMap::new(),
            delay_ms: 3,
            loss_percent: 0,
            repeat_percent: 0,
            ledger: Ledger::default(),
            counts: Counts::default(),
            healing: false,
            probed: false,
            messages: 0,
            trace: 0xcbf2_9ce4_8422_2325,
            tells,
            story: Vec::new(),
            began: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Adds a line to the story.
    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.tells != Tells::Nothing {
            self.story.push(format!("{:>6} ms  {}", self.now(), line()));
        }
    }

    /// What distinguishes one run from another.
    pub(super) fn note(&mut self, words: &[u64], bytes: &[u8]) {
        let mut hasher = std::hash::DefaultHasher::new();
        hasher.write_u64(self.now());
        words.iter().for_each(|word| hasher.write_u64(*word));
        hasher.write(bytes);
        self.trace = (self.trace ^ hasher.finish()).wrapping_mul(0x0000_0100_0000_01b3);
    }

    pub(super) fn is_there(&self, id: Address, boot: u64) -> bool {
        self.there.get(&id).is_some_and(|there| there.boot == boot)
    }

    /// How long it stands still yet.
    pub(super) fn paused_for(&self, id: Address) -> Option<Duration> {
        let left = self.paused.get(&id)?.saturating_sub(self.now());
        (left > 0).then(|| Duration::from_millis(left))
    }

    /// Whoever decides, and its process.
    pub(super) fn active(&self) -> Option<(Address, u64, Controller)> {
        self.there.iter().filter(|(id, _)| self.paused_for(**id).is_none()).find_map(|(id, there)| {
            let controller = there.controller.as_ref().filter(|controller| controller.is_active())?;
            Some((*id, there.boot, controller.clone()))
        })
    }

    /// One of the processes that have started.
    pub(super) fn any(&mut self) -> Option<(Address, u64, Controller)> {
        let started: Vec<_> = self
            .there
            .iter()
            .filter(|(id, _)| self.paused_for(**id).is_none())
            .filter_map(|(id, there)| Some((*id, there.boot, there.controller.clone()?)))
            .collect();
        let at = self.chance.below(started.len().max(1) as u64);
        started.into_iter().nth(usize::try_from(at).unwrap_or(0))
    }
}
