//! What a follower asks a leader for next: its partitions, where each goes on, and what of that the leader's session
//! (KIP-227) does not know yet.
//!
//! ```text
//!          follow / unfollow             Fetcher::next ── an Ask ── the leader
//! roles ───────────────────►  Fetcher                                 │
//!                             advance, delay  ◄── for each partition ─┘
//!                             answered        ◄── the session's id
//!                             lost            ◄── no answer: the next Ask names everything
//! ```

use std::collections::{BTreeMap, BTreeSet};

use ottla_model::{MonoMs, TopicIdPartition};
use ottla_planted::planted;

use crate::session::FetchPartition;

/// The first pause after a failure, in milliseconds; each further one is twice as long. Short, for a new leader is often
/// known here before it knows itself.
const FIRST_DELAY_MS: u64 = 10;

/// One request, as far as partitions and the session go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// 0 where there is none.
    pub session_id: i32,
    /// 0 begins a session: then `wanted` are all partitions.
    pub session_epoch: i32,
    pub wanted: Vec<(TopicIdPartition, FetchPartition)>,
    pub forgotten: Vec<TopicIdPartition>,
}

/// The partitions that are fetched over one connection.
#[derive(Debug)]
pub struct Fetcher {
    partitions: BTreeMap<TopicIdPartition, Followed>,
    /// What the leader is to be told of, if there is a session.
    changed: BTreeSet<TopicIdPartition>,
    forgotten: BTreeSet<TopicIdPartition>,
    delayed: BTreeSet<(MonoMs, TopicIdPartition)>,
    session: Session,
    /// The longest pause after failures.
    delay_max_ms: u64,
}

#[derive(Debug)]
struct Followed {
    position: FetchPartition,
    /// Whether the leader's session has it.
    told: bool,
    delayed_until: Option<MonoMs>,
    failures: u32,
}

/// As the leader knows it.
#[derive(Clone, Copy, Debug, Default)]
struct Session {
    id: i32,
    next_epoch: i32,
}

impl Fetcher {
    #[must_use]
    pub fn new(delay_max_ms: u64) -> Self {
        Self {
            partitions: BTreeMap::new(),
            changed: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            delayed: BTreeSet::new(),
            session: Session::default(),
            delay_max_ms,
        }
    }

    /// Fetches a partition from `position` on, at once: also one that was fetched before, from another leader or epoch.
    pub fn follow(&mut self, id: TopicIdPartition, position: FetchPartition) {
        let before = self.partitions.remove(&id);
        if let Some(until) = before.as_ref().and_then(|before| before.delayed_until) {
            self.delayed.remove(&(until, id));
        }
        let told = before.is_some_and(|before| before.told);
        self.partitions.insert(id, Followed { position, told, delayed_until: None, failures: 0 });
        self.forgotten.remove(&id);
        self.changed.insert(id);
    }

    /// Fetches a partition no more.
    pub fn unfollow(&mut self, id: TopicIdPartition) {
        let Some(before) = self.partitions.remove(&id) else { return };
        if let Some(until) = before.delayed_until {
            self.delayed.remove(&(until, id));
        }
        self.changed.remove(&id);
        if before.told {
            self.forgotten.insert(id);
        }
    }

    /// The leader has answered for a partition, which goes on from `position`.
    pub fn advance(&mut self, id: TopicIdPartition, position: FetchPartition) {
        let Some(followed) = self.partitions.get_mut(&id) else { return };
        if followed.position != position {
            followed.position = position;
            self.changed.insert(id);
        }
    }

    /// What the leader has answered for a partition was sound: pauses begin anew.
    pub fn sound(&mut self, id: TopicIdPartition) {
        if let Some(followed) = self.partitions.get_mut(&id) {
            followed.failures = 0;
        }
    }

    /// Something is wrong with a partition: it is left out for a while, for longer each time.
    pub fn delay(&mut self, id: TopicIdPartition, now: MonoMs) {
        let Some(followed) = self.partitions.get_mut(&id) else { return };
        if followed.delayed_until.is_some() {
            return;
        }
        let pause_ms = FIRST_DELAY_MS << followed.failures.min(20);
        followed.failures = followed.failures.saturating_add(1);
        self.hold(id, now.plus_ms(pause_ms.min(self.delay_max_ms)));
    }

    /// Leaves a partition out until then.
    pub fn hold(&mut self, id: TopicIdPartition, until: MonoMs) {
        let Some(followed) = self.partitions.get_mut(&id) else { return };
        if followed.delayed_until.is_some() {
            return;
        }
        followed.delayed_until = Some(until);
        self.delayed.insert((until, id));
        self.changed.remove(&id);
        if std::mem::take(&mut followed.told) {
            self.forgotten.insert(id);
        }
    }

    /// When a partition that is left out is due again.
    #[must_use]
    pub fn due_at(&self) -> Option<MonoMs> {
        self.delayed.first().map(|(until, _)| *until)
    }

    /// What to ask for now; `None` if there is nothing.
    pub fn next(&mut self, now: MonoMs) -> Option<Ask> {
        while let Some((until, id)) = self.delayed.first().copied().filter(|(until, _)| *until <= now) {
            self.delayed.remove(&(until, id));
            if let Some(followed) = self.partitions.get_mut(&id) {
                followed.delayed_until = None;
                self.forgotten.remove(&id);
                if !planted!("delayed_partition_forgotten") {
                    self.changed.insert(id);
                }
            }
        }
        if self.partitions.len() == self.delayed.len() {
            // The leader's session ends with the connection.
            return None;
        }
        let Session { id: session_id, next_epoch: session_epoch } = self.session;
        let is_full = session_epoch == 0;
        let (changed, forgotten) = (std::mem::take(&mut self.changed), std::mem::take(&mut self.forgotten));
        let mut wanted = Vec::new();
        if is_full {
            let all = self.partitions.iter_mut().filter(|(_, followed)| followed.delayed_until.is_none());
            wanted.extend(all.map(|(id, followed)| tell(*id, followed)));
        } else {
            for id in changed {
                wanted.extend(self.partitions.get_mut(&id).map(|followed| tell(id, followed)));
            }
        }
        let forgotten = if is_full { Vec::new() } else { forgotten.into_iter().collect() };
        Some(Ask { session_id, session_epoch, wanted, forgotten })
    }

    /// The leader has answered under this session; 0 if it keeps none.
    pub fn answered(&mut self, session_id: i32) {
        if session_id == 0 {
            self.lost();
        } else if session_id == self.session.id && self.session.next_epoch > 0 {
            // 0 would begin a new one.
            self.session.next_epoch = self.session.next_epoch.checked_add(1).unwrap_or(1);
        } else {
            self.session = Session { id: session_id, next_epoch: 1 };
        }
    }

    /// What the leader knows of this follower is not known: it is told everything anew.
    pub fn lost(&mut self) {
        if !planted!("session_goes_on_after_loss") {
            self.session = Session { next_epoch: 0, ..self.session };
        }
        self.changed.clear();
        self.forgotten.clear();
        for followed in self.partitions.values_mut() {
            followed.told = false;
        }
    }

    /// The partitions of this fetcher, those that are left out included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }
}

fn tell(id: TopicIdPartition, followed: &mut Followed) -> (TopicIdPartition, FetchPartition) {
    followed.told = true;
    (id, followed.position)
}

#[cfg(test)]
mod tests {
    use ottla_model::{LeaderEpoch, Offset, TopicId};

    use super::*;

    fn id(partition: i32) -> TopicIdPartition {
        TopicIdPartition { topic_id: TopicId::ZERO, partition }
    }

    fn at(offset: i64) -> FetchPartition {
        FetchPartition {
            fetch_offset: Offset(offset),
            log_start: Offset(0),
            max_bytes: 1,
            current_leader_epoch: Some(LeaderEpoch(1)),
            last_fetched_epoch: None,
        }
    }

    fn names(ask: &Ask) -> (i32, i32, Vec<i32>, Vec<i32>) {
        let wanted = ask.wanted.iter().map(|(id, _)| id.partition).collect();
        (ask.session_id, ask.session_epoch, wanted, ask.forgotten.iter().map(|id| id.partition).collect())
    }

    fn following(count: i32) -> Fetcher {
        let mut fetcher = Fetcher::new(1_000);
        (0..count).for_each(|partition| fetcher.follow(id(partition), at(0)));
        fetcher
    }

    #[test]
    fn a_session_is_told_what_has_changed() {
        let mut fetcher = following(3);
        assert_eq!(names(&fetcher.next(MonoMs(0)).unwrap()), (0, 0, vec![0, 1, 2], vec![]));
        fetcher.answered(7);
        fetcher.advance(id(1), at(5));
        fetcher.advance(id(2), at(0));
        fetcher.unfollow(id(0));
        assert_eq!(names(&fetcher.next(MonoMs(1)).unwrap()), (7, 1, vec![1], vec![0]));
        fetcher.answered(7);
        assert_eq!(names(&fetcher.next(MonoMs(2)).unwrap()), (7, 2, vec![], vec![]));
        fetcher.lost();
        assert_eq!(names(&fetcher.next(MonoMs(3)).unwrap()), (7, 0, vec![1, 2], vec![]));
        fetcher.answered(0);
        assert_eq!(names(&fetcher.next(MonoMs(4)).unwrap()), (7, 0, vec![1, 2], vec![]));
    }

    #[test]
    fn a_partition_that_fails_is_left_out_for_longer_each_time_and_holds_nothing_else_back() {
        let mut fetcher = following(2);
        fetcher.next(MonoMs(0)).unwrap();
        fetcher.answered(7);
        fetcher.delay(id(0), MonoMs(100));
        assert_eq!(names(&fetcher.next(MonoMs(100)).unwrap()), (7, 1, vec![], vec![0]));
        fetcher.answered(7);
        assert_eq!(fetcher.due_at(), Some(MonoMs(110)));
        assert_eq!(names(&fetcher.next(MonoMs(110)).unwrap()), (7, 2, vec![0], vec![]));
        fetcher.answered(7);
        let mut now = 1_000;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            fetcher.delay(id(0), MonoMs(now));
            let due = fetcher.due_at().unwrap().0;
            pauses.push(due - now);
            now = due;
            fetcher.next(MonoMs(now)).unwrap();
        }
        assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        fetcher.sound(id(0));
        fetcher.delay(id(0), MonoMs(now));
        assert_eq!(fetcher.due_at(), Some(MonoMs(now + 10)), "after a sound answer it begins anew");
        fetcher.follow(id(0), at(3));
        assert_eq!(fetcher.due_at(), None, "a new leader is asked at once");
    }

    #[test]
    fn nothing_is_asked_for_while_all_are_left_out() {
        let mut fetcher = following(1);
        fetcher.next(MonoMs(0)).unwrap();
        fetcher.answered(7);
        fetcher.delay(id(0), MonoMs(0));
        assert_eq!(fetcher.next(MonoMs(9)), None);
        assert_eq!(names(&fetcher.next(MonoMs(10)).unwrap()), (7, 1, vec![0], vec![]));
        fetcher.unfollow(id(0));
        assert_eq!(fetcher.next(MonoMs(11)), None);
        assert!(fetcher.is_empty());
    }
}
