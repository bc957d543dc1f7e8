//! A client's way to its coordinator: one request at a time.

use std::sync::Arc;

use ottla_storage::Seeded;

use super::ask::GroupAsk;
use crate::message::{Address, Body, Message};

/// Longer than a message may be on its way: what is given up then has arrived, or never will.
pub(super) const TIMEOUT_MS: u64 = 300;

#[derive(Debug)]
pub(super) struct Caller {
    pub(super) address: Address,
    /// The partition of `__consumer_offsets`.
    pub(super) index: i32,
    pub(super) chance: Seeded,
    coordinator: Option<Address>,
    asked: Option<Asked>,
    next_request: u64,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    request: u64,
    at: u64,
    until: u64,
}

impl Caller {
    pub(super) fn new(address: Address, index: i32, chance: Seeded) -> Self {
        Self { address, index, chance, coordinator: None, asked: None, next_request: 0 }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether a request has just been given up.
    pub(super) fn gives_up(&mut self, now: u64) -> bool {
        let gone = self.asked.take_if(|asked| now >= asked.until).is_some();
        if gone {
            self.coordinator = None;
        }
        gone
    }

    /// Whom to ask: as it was told last, or `leader`, who leads now.
    pub(super) fn find(&mut self, leader: Option<Address>) -> Option<Address> {
        // It asks who coordinates only when it must, and now and then.
        if self.coordinator.is_none() || self.chance.below(10) == 0 {
            self.coordinator = leader;
        }
        self.coordinator
    }

    pub(super) fn ask(&mut self, now: u64, wait_ms: u64, to: Address, ask: GroupAsk, out: &mut Vec<Message>) {
        self.next_request += 1;
        let request = self.next_request;
        self.asked = Some(Asked { request, at: now, until: now + wait_ms });
        let body = Body::AskGroup { request, index: self.index, ask: Arc::new(ask) };
        out.push(Message { from: self.address, to, body });
    }

    /// When the request was sent that is answered now; `None` if nobody waits for the answer.
    pub(super) fn answered(&mut self, request: u64) -> Option<u64> {
        self.asked.take_if(|asked| asked.request == request).map(|asked| asked.at)
    }

    /// Somebody else may coordinate.
    pub(super) fn look_again(&mut self) {
        self.coordinator = None;
    }
}
