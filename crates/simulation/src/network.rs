//! The network: messages are late, lost, repeated; links are cut, one way or both.

use std::collections::BTreeSet;

use ottla_storage::Seeded;

use crate::message::{Address, Message};

#[derive(Debug)]
pub(crate) struct Network {
    chance: Seeded,
    /// From, to.
    cuts: BTreeSet<(Address, Address)>,
    pub(crate) delay_ms: u64,
    pub(crate) loss_percent: u64,
    pub(crate) repeat_percent: u64,
    /// Some of what brokers ask each other comes seconds later.
    pub(crate) straggles: bool,
}

/// What becomes of a message: when its copies arrive.
pub(crate) enum Fate {
    Cut,
    Lost,
    Arrives(u64, Option<u64>),
}

impl Network {
    pub(crate) fn new(chance: Seeded) -> Self {
        Self {
            chance,
            cuts: BTreeSet::new(),
            delay_ms: 3,
            loss_percent: 0,
            repeat_percent: 0,
            straggles: false,
        }
    }

    pub(crate) fn cut(&mut self, from: Address, to: Address) {
        self.cuts.insert((from, to));
    }

    pub(crate) fn is_cut(&self, from: Address, to: Address) -> bool {
        self.cuts.contains(&(from, to))
    }

    pub(crate) fn mend(&mut self, from: Address, to: Address) {
        self.cuts.remove(&(from, to));
    }

    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
        (self.delay_ms, self.loss_percent, self.repeat_percent) = (3, 0, 0);
        self.straggles = false;
    }

    pub(crate) fn send(&mut self, message: &Message) -> Fate {
        if self.cuts.contains(&(message.from, message.to)) {
            return Fate::Cut;
        }
        if self.chance.below(100) < self.loss_percent {
            return Fate::Lost;
        }
        let repeats = message.body.may_repeat() && self.chance.below(100) < self.repeat_percent;
        let straggles = self.straggles && message.body.may_straggle() && self.chance.below(20) == 0;
        let mut delay = || {
            1 + self.chance.below(self.delay_ms)
                + if self.chance.below(50) == 0 { self.chance.below(60) } else { 0 }
                + if straggles { self.chance.below(1_500) } else { 0 }
        };
        let first = delay();
        Fate::Arrives(first, repeats.then(delay))
    }
}
