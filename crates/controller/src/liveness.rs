//! Which brokers the active controller has heard of lately. Only it knows, and only in memory: what follows from it is a
//! record.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use ottla_model::BrokerId;

use crate::command::{BrokerHeartbeat, HeartbeatAnswer};

/// A broker that has registered, and says nothing more, is not there any more after so long: fenced brokers beat every 20 ms.
const FIRST_BEAT: Duration = Duration::from_secs(1);

/// The brokers that are not fenced, with when each was last heard of, and the processes that are there. `now` is a time since any
/// fixed moment.
#[derive(Clone, Debug, Default)]
pub struct Liveness {
    /// `broker.session.timeout.ms`; zero where nobody's silence counts.
    session: Duration,
    heard: BTreeMap<BrokerId, (i64, Duration)>,
    /// Broker epochs of processes, fenced or not, that were heard of, and until when that counts.
    there: BTreeMap<BrokerId, (i64, Duration)>,
    /// How many heartbeats wait for their answers: a broker says nothing more before it has that, and it is not the one that is
    /// slow.
    unanswered: BTreeMap<BrokerId, u32>,
    /// Broker epochs up to which a broker's processes have gone for certain. Every controller knows of them, whoever leads.
    dead: BTreeMap<BrokerId, i64>,
}

impl Liveness {
    #[must_use]
    pub fn new(session: Duration) -> Self {
        Self { session, ..Self::default() }
    }

    pub(crate) fn set_session(&mut self, session: Duration) {
        self.session = session;
    }

    /// A heartbeat of the broker in its epoch. One of an earlier epoch is of a process that another one has followed.
    pub fn heard(&mut self, id: BrokerId, epoch: i64, now: Duration) {
        if self.is_dead(id, epoch) {
            return;
        }
        if self.heard.get(&id).is_none_or(|(known, _)| *known <= epoch) {
            self.heard.insert(id, (epoch, now));
        }
        self.is_there(id, epoch, now + self.session);
    }

    /// A heartbeat waits to be decided, as [`Self::heard`].
    pub(crate) fn asked(&mut self, id: BrokerId, epoch: i64, now: Duration) {
        *self.unanswered.entry(id).or_default() += 1;
        self.heard(id, epoch, now);
    }

    /// It does not wait any more; the broker's silence counts from now on.
    pub(crate) fn answered(&mut self, id: BrokerId, epoch: i64, now: Duration) {
        if let Entry::Occupied(mut waiting) = self.unanswered.entry(id) {
            *waiting.get_mut() -= 1;
            if *waiting.get() == 0 {
                waiting.remove();
            }
        }
        // Unless it was fenced meanwhile.
        if self.heard.get(&id).is_some_and(|(known, _)| *known == epoch) {
            self.heard.insert(id, (epoch, now));
        }
    }

    /// A process of the broker registers in that epoch.
    pub fn registered(&mut self, id: BrokerId, epoch: i64, now: Duration) {
        self.is_there(id, epoch, now + self.session.min(FIRST_BEAT));
    }

    fn is_there(&mut self, id: BrokerId, epoch: i64, until: Duration) {
        if self.there.get(&id).is_none_or(|(known, _)| *known <= epoch) {
            self.there.insert(id, (epoch, until));
        }
    }

    /// The process may have gone: its connection was closed, or it was told that it may. It is there again with its next heartbeat.
    pub fn gone(&mut self, id: BrokerId) {
        self.there.remove(&id);
    }

    /// The process of that epoch has gone for certain: its connection was closed, and the next one refused.
    pub fn died(&mut self, id: BrokerId, epoch: i64) {
        self.gone(id);
        self.dead.insert(id, epoch);
    }

    /// There is a process that takes connections.
    pub(crate) fn lives(&mut self, id: BrokerId) {
        self.dead.remove(&id);
    }

    pub(crate) fn is_dead(&self, id: BrokerId, epoch: i64) -> bool {
        self.dead.get(&id).is_some_and(|last| epoch <= *last)
    }

    /// What a heartbeat is answered that has outlived its process: it must not let the broker in, and make it lead.
    #[must_use]
    pub fn answer_to_dead(&self, beat: &BrokerHeartbeat) -> Option<HeartbeatAnswer> {
        let answer = HeartbeatAnswer { is_caught_up: false, is_fenced: true, should_shut_down: false };
        self.is_dead(beat.broker_id, beat.broker_epoch).then_some(answer)
    }

    /// Whether the process that has registered in that epoch is known to be there (Kafka's `hasValidSession`).
    #[must_use]
    pub fn has_session(&self, id: BrokerId, epoch: i64, now: Duration) -> bool {
        self.there.get(&id).is_some_and(|(known, until)| *known == epoch && now < *until)
    }

    /// Follows who is not fenced: whoever is new among them has a whole session from now on, as everybody has whom a new
    /// controller finds.
    pub fn follow(&mut self, unfenced: &BTreeMap<BrokerId, i64>, now: Duration) {
        self.heard.retain(|id, _| unfenced.contains_key(id));
        for (id, epoch) in unfenced {
            let entry = self.heard.entry(*id).or_insert((*epoch, now));
            if entry.0 != *epoch {
                *entry = (*epoch, now);
            }
        }
    }

    /// The broker has been fenced for its silence. A heartbeat that has waited to be decided may let it in again before
    /// [`Self::follow`] sees that it was out: a whole session from then on, too.
    pub(crate) fn fenced(&mut self, id: BrokerId) {
        self.heard.remove(&id);
    }

    /// Nobody is known any more but the dead.
    pub(crate) fn forget(&mut self) {
        self.heard.clear();
        self.there.clear();
    }

    /// Whether the broker of that epoch has been silent for a session, as [`Self::expired`] says of all.
    pub(crate) fn is_silent(&self, id: BrokerId, epoch: i64, now: Duration) -> bool {
        let is_over =
            |(known, at): &(i64, Duration)| *known == epoch && now.saturating_sub(*at) >= self.session;
        !self.unanswered.contains_key(&id) && self.heard.get(&id).is_some_and(is_over)
    }

    /// Brokers, with their epochs, that have been silent for a session.
    #[must_use]
    pub fn expired(&self, now: Duration) -> Vec<(BrokerId, i64)> {
        let heard = self.heard.iter().filter(|(id, _)| !self.unanswered.contains_key(id));
        let silent = heard.filter(|(_, (_, at))| now.saturating_sub(*at) >= self.session);
        silent.map(|(id, (epoch, _))| (*id, *epoch)).collect()
    }
}

#[cfg(test)]
mod tests {
    use ottla_model::Offset;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn silence_for_a_session_expires() {
        let (a, b) = (BrokerId(1), BrokerId(2));
        let mut liveness = Liveness::new(ms(100));
        let mut unfenced: BTreeMap<_, _> = [(a, 10), (b, 11)].into();
        liveness.follow(&unfenced, ms(0));
        liveness.heard(a, 10, ms(80));
        assert_eq!(liveness.expired(ms(99)), []);
        assert_eq!(liveness.expired(ms(100)), [(b, 11)]);
        // Fenced, then registered anew: a whole session again.
        unfenced.remove(&b);
        liveness.follow(&unfenced, ms(100));
        unfenced.insert(b, 20);
        liveness.follow(&unfenced, ms(150));
        assert_eq!(liveness.expired(ms(179)), []);
        assert_eq!(liveness.expired(ms(249)), [(a, 10)]);
        assert_eq!(liveness.expired(ms(250)), [(a, 10), (b, 20)]);
        // Another process of the same broker; what its predecessor still says is not heard.
        unfenced.insert(b, 30);
        liveness.follow(&unfenced, ms(250));
        liveness.heard(b, 20, ms(340));
        assert_eq!(liveness.expired(ms(350)), [(a, 10), (b, 30)]);
        // Let in again at once.
        liveness.fenced(a);
        liveness.follow(&unfenced, ms(350));
        assert_eq!(liveness.expired(ms(449)), [(b, 30)]);
        assert_eq!(liveness.expired(ms(450)), [(a, 10), (b, 30)]);
        liveness.forget();
        assert_eq!(liveness.expired(ms(1_000)), []);
    }

    #[test]
    fn who_waits_for_an_answer_is_not_silent() {
        let id = BrokerId(1);
        let mut liveness = Liveness::new(ms(100));
        liveness.follow(&[(id, 10)].into(), ms(0));
        liveness.asked(id, 10, ms(10));
        liveness.asked(id, 10, ms(20));
        liveness.answered(id, 10, ms(150));
        assert_eq!(liveness.expired(ms(400)), [], "one waits yet");
        assert!(!liveness.is_silent(id, 10, ms(400)));
        liveness.answered(id, 10, ms(400));
        assert_eq!(liveness.expired(ms(499)), []);
        assert_eq!(liveness.expired(ms(500)), [(id, 10)]);
        assert!(!liveness.is_silent(id, 10, ms(499)) && liveness.is_silent(id, 10, ms(500)));
        assert!(!liveness.is_silent(id, 9, ms(500)), "another epoch's");
    }

    #[test]
    fn what_a_dead_process_had_said_lets_nobody_in() {
        let id = BrokerId(1);
        let beat = |broker_epoch| BrokerHeartbeat {
            broker_id: id,
            broker_epoch,
            current_metadata_offset: Offset(9),
            want_fence: false,
            want_shut_down: false,
        };
        let mut liveness = Liveness::new(ms(5_000));
        liveness.heard(id, 10, ms(0));
        assert_eq!(liveness.answer_to_dead(&beat(10)), None);
        liveness.died(id, 10);
        liveness.heard(id, 10, ms(1));
        assert!(!liveness.has_session(id, 10, ms(1)));
        assert!(liveness.answer_to_dead(&beat(10)).is_some_and(|answer| answer.is_fenced));
        // The next process has registered before anybody has connected to it.
        assert_eq!(liveness.answer_to_dead(&beat(11)), None);
        liveness.forget();
        assert!(liveness.is_dead(id, 10), "whoever leads next");
        liveness.lives(id);
        assert!(!liveness.is_dead(id, 10));
    }

    #[test]
    fn a_process_is_there_until_it_is_silent_or_its_connection_closes() {
        let id = BrokerId(1);
        let mut liveness = Liveness::new(ms(5_000));
        assert!(!liveness.has_session(id, 10, ms(0)), "nobody has heard of it");
        liveness.registered(id, 10, ms(0));
        assert!(liveness.has_session(id, 10, ms(999)) && !liveness.has_session(id, 10, ms(1_000)));
        liveness.heard(id, 10, ms(900));
        assert!(liveness.has_session(id, 10, ms(5_899)) && !liveness.has_session(id, 10, ms(5_900)));
        assert!(!liveness.has_session(id, 9, ms(1_000)), "another epoch's");
        liveness.heard(id, 9, ms(1_000));
        assert!(liveness.has_session(id, 10, ms(1_000)));
        liveness.gone(id);
        assert!(!liveness.has_session(id, 10, ms(1_000)));
        liveness.heard(id, 10, ms(1_100));
        assert!(liveness.has_session(id, 10, ms(1_100)), "it has said that it lives");
    }
}
