//! The network between nodes: requests and answers are late, lost, repeated, cut off one way or both. What a dead process sends
//! reaches nobody.

use std::time::Duration;

use bytes::Bytes;
use ottla_controller::simulated::{claim, promise, tell};
use ottla_controller::{Peer, PeerAnswerFuture, PeerError, PeerTransport, Peers};
use tokio::time::{sleep, timeout};

use super::common::{Common, Shared};
use crate::message::Address;
use crate::world::Tells;

/// One process's end of the network.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) own: Address,
    pub(super) boot: u64,
    pub(super) common: Common,
}

/// What becomes of a request.
enum Way {
    /// Nobody ever answers.
    Lost,
    Refused(Duration),
    Arrives {
        after: Duration,
        boot: u64,
        peers: Peers,
        again: Option<Duration>,
    },
}

impl PeerTransport for Wire {
    fn call(&self, peer: &Peer, request: Bytes, limit: Duration) -> PeerAnswerFuture {
        // Its port says which node it is, also where nobody knows its id yet.
        let (from, own_boot, to, common) = (self.own, self.boot, i32::from(peer.port), self.common.clone());
        Box::pin(async move {
            goes_on(&common, from).await;
            let way = common.lock().send(from, own_boot, to, &request);
            let (after, boot, peers, again) = match way {
                Way::Lost => {
                    sleep(limit).await;
                    return Err(PeerError::Timeout(limit));
                }
                Way::Refused(after) => {
                    sleep(after).await;
                    return Err(PeerError::Unreachable("not there".to_owned()));
                }
                Way::Arrives { after, boot, peers, again } => (after, boot, peers, again),
            };
            sleep(after).await;
            if !common.lock().is_there(to, boot) {
                return Err(PeerError::Unreachable("gone".to_owned()));
            }
            if let Some(later) = again {
                tokio::spawn(serve_unheard(
                    common.clone(),
                    (to, boot),
                    peers.clone(),
                    request.clone(),
                    later,
                ));
            }
            let paused_for = common.lock().paused_for(to);
            if let Some(pause) = paused_for.filter(|pause| *pause >= limit) {
                // It lies there until the process goes on; whoever has sent it has given up by then.
                tokio::spawn(serve_unheard(common, (to, boot), peers, request, pause));
                sleep(limit).await;
                return Err(PeerError::Timeout(limit));
            }
            goes_on(&common, to).await;
            let answer =
                timeout(limit, peers.serve(request.clone())).await.map_err(|_| PeerError::Timeout(limit))?;
            goes_on(&common, to).await;
            let back = {
                let mut shared = common.lock();
                shared.promised(to, boot, &request, &answer);
                shared.answer((from, own_boot), (to, boot), &answer)
            };
            let Some(after) = back else {
                sleep(limit).await;
                return Err(PeerError::Timeout(limit));
            };
            sleep(after).await;
            goes_on(&common, from).await;
            Ok(answer)
        })
    }
}

/// What arrives after so long, and whose answer nobody waits for.
async fn serve_unheard(common: Common, to: (Address, u64), peers: Peers, request: Bytes, after: Duration) {
    sleep(after).await;
    if common.lock().is_there(to.0, to.1) {
        let answer = peers.serve(request.clone()).await;
        common.lock().promised(to.0, to.1, &request, &answer);
    }
}

/// Until the process does not stand still.
pub(super) async fn goes_on(common: &Common, id: Address) {
    loop {
        let paused_for = common.lock().paused_for(id);
        let Some(pause) = paused_for else { return };
        sleep(pause).await;
    }
}

impl Shared {
    fn lateness(&mut self) -> Duration {
        let rarely = if self.chance.below(50) == 0 { self.chance.below(60) } else { 0 };
        Duration::from_millis(self.chance.below(self.delay_ms) + rarely)
    }

    fn send(&mut self, from: Address, own_boot: u64, to: Address, request: &Bytes) -> Way {
        let Some(sender) = self.there.get(&from).filter(|there| there.boot == own_boot) else {
            return Way::Lost;
        };
        let voter = (from, sender.directory);
        self.messages += 1;
        self.note(&[u64::from(from.unsigned_abs()), u64::from(to.unsigned_abs())], request);
        if let Some(claim) = claim(request) {
            self.ledger.claims(voter, own_boot, claim);
        }
        if self.tells == Tells::Everything {
            let what: String = tell(request).chars().take(600).collect();
            self.tell(|| format!("{from} -> {to}: {what}"));
        }
        if self.cuts.contains(&(from, to)) || self.chance.below(100) < self.loss_percent {
            return Way::Lost;
        }
        let after = self.lateness();
        let repeats = self.chance.below(100) < self.repeat_percent;
        let again = repeats.then(|| self.lateness());
        match self.there.get(&to) {
            None => Way::Refused(after),
            Some(there) => Way::Arrives { after, boot: there.boot, peers: there.peers.clone(), again },
        }
    }

    /// The answer's way back; none of what a process says that is not there any more.
    fn answer(&mut self, from: (Address, u64), to: (Address, u64), answer: &[u8]) -> Option<Duration> {
        if !self.is_there(to.0, to.1) || !self.is_there(from.0, from.1) {
            return None;
        }
        self.note(&[u64::from(to.0.unsigned_abs()), u64::from(from.0.unsigned_abs())], answer);
        let is_lost = self.cuts.contains(&(to.0, from.0)) || self.chance.below(100) < self.loss_percent;
        (!is_lost).then(|| self.lateness())
    }

    fn promised(&mut self, by: Address, boot: u64, request: &Bytes, answer: &[u8]) {
        let Some(there) = self.there.get(&by).filter(|there| there.boot == boot) else { return };
        let voter = (by, there.directory);
        if let Some(promise) = promise(request, answer) {
            self.counts.add("quorum: vote promised");
            self.ledger.promises(voter, boot, promise);
        }
    }
}
