//! All sessions of a broker, and which of them gives way when there are too many.

use std::collections::{BTreeMap, BTreeSet};

use ottla_model::MonoMs;

use super::fetch_session::{FetchKey, FetchPartition, FetchSession, PartitionAnswer};

const NO_SESSION: i32 = 0;
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;

/// `max.incremental.fetch.session.cache.slots`, how many partitions all sessions may have (Kafka knows no such limit), and
/// `min.incremental.fetch.session.eviction.ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchSessionConfig {
    pub slots: usize,
    pub partitions: usize,
    pub eviction_ms: u64,
}

impl Default for FetchSessionConfig {
    fn default() -> Self {
        Self { slots: 1_000, partitions: usize::MAX, eviction_ms: 120_000 }
    }
}

/// The session part of a Fetch request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    pub session_id: i32,
    pub epoch: i32,
    /// The request's version addresses topics by id.
    pub uses_topic_ids: bool,
    /// It comes from a follower, whose session a consumer's never displaces.
    pub privileged: bool,
}

/// Why a request has no session. The client begins again with a full fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchSessionError {
    /// `FETCH_SESSION_ID_NOT_FOUND`.
    #[error("no fetch session {0}")]
    IdNotFound(i32),
    /// `INVALID_FETCH_SESSION_EPOCH`.
    #[error("fetch session epoch {found}, expected {expected}")]
    InvalidEpoch { found: i32, expected: i32 },
    /// `FETCH_SESSION_TOPIC_ID_ERROR`: the client has crossed Fetch v13 within a session.
    #[error("the session addresses topics the other way")]
    TopicId,
}

/// How to serve a request.
#[derive(Debug)]
pub enum FetchContext<A> {
    /// Serve these, answer all; no session.
    Sessionless(Vec<(FetchKey, FetchPartition)>),
    /// Serve these, answer all, and make a session of them with [`FetchSessionCache::create`].
    Full(Vec<(FetchKey, FetchPartition)>),
    /// Serve the session's partitions, answer what is news, check the session in.
    Incremental(Box<FetchSession<A>>),
}

/// The cache: at most `slots` sessions, with at most `partitions` in all. A stale one (unused for `eviction_ms`) always gives way; one that has lived that
/// long gives way to one that has at least as many partitions; a follower's gives way to no consumer's.
#[derive(Debug)]
pub struct FetchSessionCache<A> {
    config: FetchSessionConfig,
    entries: BTreeMap<i32, Entry<A>>,
    last_used: BTreeSet<(MonoMs, i32)>,
    evictable_by_all: BTreeSet<EvictableKey>,
    evictable_by_privileged: BTreeSet<EvictableKey>,
    evictions: u64,
    refusals: u64,
    partition_count: usize,
}

/// (privileged, partitions, id): the least goes first.
type EvictableKey = (bool, usize, i32);

#[derive(Debug)]
struct Entry<A> {
    /// `None` while handed out.
    session: Option<Box<FetchSession<A>>>,
    last_used: MonoMs,
    evictable_key: EvictableKey,
    epoch: i32,
    created: MonoMs,
    uses_topic_ids: bool,
}

impl<A: Default> FetchSessionCache<A> {
    #[must_use]
    pub const fn new(config: FetchSessionConfig) -> Self {
        Self {
            config,
            entries: BTreeMap::new(),
            last_used: BTreeSet::new(),
            evictable_by_all: BTreeSet::new(),
            evictable_by_privileged: BTreeSet::new(),
            evictions: 0,
            refusals: 0,
            partition_count: 0,
        }
    }

    /// Finds the session of a request and applies the request to it: `wanted` are added or changed, `forgotten` leave.
    pub fn begin(
        &mut self,
        request: SessionRequest,
        wanted: Vec<(FetchKey, FetchPartition)>,
        forgotten: &[FetchKey],
        now: MonoMs,
    ) -> Result<FetchContext<A>, FetchSessionError> {
        match request.epoch {
            FINAL_EPOCH => {
                self.remove(request.session_id);
                Ok(FetchContext::Sessionless(wanted))
            }
            INITIAL_EPOCH => {
                self.remove(request.session_id);
                Ok(FetchContext::Full(wanted))
            }
            _ => self.resume(request, wanted, forgotten, now),
        }
    }

    /// After a full fetch: makes a session of what was asked and answered, if there is room or something gives way.
    /// Returns its id, or 0 for none. `fresh_id` yields random numbers; those taken or not positive are passed over.
    pub fn create(
        &mut self,
        request: SessionRequest,
        partitions: impl ExactSizeIterator<Item = (FetchKey, FetchPartition, PartitionAnswer)>,
        mut fresh_id: impl FnMut() -> i32,
        now: MonoMs,
    ) -> i32 {
        if !self.make_room(request.privileged, partitions.len(), now) {
            self.refusals += 1;
            return NO_SESSION;
        }
        // Ids are sparse: a source that gives no free one in so many tries is broken.
        let free = |id: &i32| *id > NO_SESSION && !self.entries.contains_key(id);
        let Some(id) = std::iter::repeat_with(&mut fresh_id).take(64).find(free) else {
            return NO_SESSION;
        };
        let mut session = FetchSession::new(id, request.uses_topic_ids, request.privileged, now);
        for (key, wanted, answer) in partitions {
            session.remember(key, wanted, &answer);
        }
        self.put(Box::new(session), now);
        id
    }

    /// Takes a session back after its answer. One that was closed or evicted meanwhile is dropped.
    pub fn check_in(&mut self, session: Box<FetchSession<A>>) {
        // An id may have been given anew meanwhile; the incarnation is told apart by its epoch and creation.
        if let Some(entry) = self.entries.get_mut(&session.id)
            && entry.session.is_none()
            && (entry.epoch, entry.created) == (session.epoch, session.created)
        {
            entry.session = Some(session);
        }
    }

    /// Sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Partitions of all sessions.
    #[must_use]
    pub const fn partition_count(&self) -> usize {
        self.partition_count
    }

    /// Fetches that got no session, and sessions that grew too large, ever.
    #[must_use]
    pub const fn refusals(&self) -> u64 {
        self.refusals
    }

    /// Sessions that have given way to others, ever.
    #[must_use]
    pub const fn evictions(&self) -> u64 {
        self.evictions
    }

    fn resume(
        &mut self,
        request: SessionRequest,
        wanted: Vec<(FetchKey, FetchPartition)>,
        forgotten: &[FetchKey],
        now: MonoMs,
    ) -> Result<FetchContext<A>, FetchSessionError> {
        let id = request.session_id;
        let entry = self.entries.get_mut(&id).ok_or(FetchSessionError::IdNotFound(id))?;
        if entry.epoch != request.epoch {
            return Err(FetchSessionError::InvalidEpoch { found: request.epoch, expected: entry.epoch });
        }
        if entry.uses_topic_ids != request.uses_topic_ids {
            return Err(FetchSessionError::TopicId);
        }
        // Handed out: a second request before the first was answered, or one whose connection was dropped.
        let Some(mut session) = entry.session.take() else {
            self.remove(id);
            return Err(FetchSessionError::IdNotFound(id));
        };
        session.change(wanted, forgotten);
        if session.is_empty() {
            self.remove(id);
            return Ok(FetchContext::Sessionless(Vec::new()));
        }
        let others = self.partition_count - self.entries.get(&id).map_or(0, |entry| entry.evictable_key.1);
        if others + session.len() > self.config.partitions {
            // It has grown beyond what there is room for: the client begins again, and is judged as a newcomer.
            self.refusals += 1;
            self.remove(id);
            return Err(FetchSessionError::IdNotFound(id));
        }
        session.epoch = next_epoch(session.epoch);
        self.touch(&session, now);
        Ok(FetchContext::Incremental(session))
    }

    fn put(&mut self, session: Box<FetchSession<A>>, now: MonoMs) {
        let entry = Entry {
            last_used: now,
            evictable_key: (session.privileged, session.len(), session.id),
            epoch: session.epoch,
            created: session.created,
            uses_topic_ids: session.uses_topic_ids,
            session: Some(session),
        };
        let id = entry.evictable_key.2;
        self.partition_count += entry.evictable_key.1;
        self.list(&entry, now);
        self.entries.insert(id, entry);
    }

    fn touch(&mut self, session: &FetchSession<A>, now: MonoMs) {
        let Some(mut entry) = self.entries.remove(&session.id) else { return };
        self.unlist(&entry);
        self.partition_count = self.partition_count + session.len() - entry.evictable_key.1;
        entry.last_used = now;
        entry.epoch = session.epoch;
        entry.evictable_key = (session.privileged, session.len(), session.id);
        self.list(&entry, now);
        self.entries.insert(session.id, entry);
    }

    fn remove(&mut self, id: i32) {
        if let Some(entry) = self.entries.remove(&id) {
            self.unlist(&entry);
            self.partition_count -= entry.evictable_key.1;
        }
    }

    fn list(&mut self, entry: &Entry<A>, now: MonoMs) {
        let key = entry.evictable_key;
        let settled = now.since_ms(entry.created) > self.config.eviction_ms;
        self.last_used.insert((entry.last_used, key.2));
        if !key.0 || settled {
            self.evictable_by_privileged.insert(key);
        }
        if settled {
            self.evictable_by_all.insert(key);
        }
    }

    fn unlist(&mut self, entry: &Entry<A>) {
        self.last_used.remove(&(entry.last_used, entry.evictable_key.2));
        self.evictable_by_privileged.remove(&entry.evictable_key);
        self.evictable_by_all.remove(&entry.evictable_key);
    }

    /// Has others give way until there is room for a session of `size` partitions.
    fn make_room(&mut self, privileged: bool, size: usize, now: MonoMs) -> bool {
        if size > self.config.partitions {
            return false;
        }
        while self.entries.len() >= self.config.slots || self.partition_count + size > self.config.partitions
        {
            if !self.evict(privileged, size, now) {
                return false;
            }
        }
        true
    }

    fn evict(&mut self, privileged: bool, size: usize, now: MonoMs) -> bool {
        let Some((last_used, id)) = self.last_used.first().copied() else { return false };
        let victim = if now.since_ms(last_used) > self.config.eviction_ms {
            Some(id)
        } else {
            let evictable = if privileged { &self.evictable_by_privileged } else { &self.evictable_by_all };
            // Id 0 sorts before all others: equal in kind and size, the old one stays.
            let newcomer = (privileged, size, NO_SESSION);
            evictable.first().filter(|key| newcomer >= **key).map(|key| key.2)
        };
        let Some(victim) = victim else { return false };
        self.remove(victim);
        self.evictions += 1;
        true
    }
}

#[cfg(test)]
impl<A> FetchSessionCache<A> {
    /// What every index must say, computed anew from the entries.
    pub(super) fn check(&self, now: MonoMs) {
        let keys: BTreeSet<_> = self.entries.values().map(|entry| entry.evictable_key).collect();
        let last_used = self.entries.iter().map(|(id, entry)| (entry.last_used, *id));
        assert_eq!(self.last_used, last_used.collect());
        assert!(self.evictable_by_all.is_subset(&keys) && self.evictable_by_privileged.is_subset(&keys));
        assert!(self.evictable_by_all.is_subset(&self.evictable_by_privileged));
        let consumers = keys.iter().filter(|key| !key.0);
        assert!(consumers.into_iter().all(|key| self.evictable_by_privileged.contains(key)));
        let settled = self.evictable_by_all.iter().filter_map(|key| self.entries.get(&key.2));
        assert!(settled.into_iter().all(|entry| now.since_ms(entry.created) > self.config.eviction_ms));
        assert_eq!(self.partition_count, keys.iter().map(|key| key.1).sum::<usize>());
        assert!(self.entries.len() <= self.config.slots);
        assert!(self.partition_count <= self.config.partitions);
        for (id, entry) in &self.entries {
            assert_eq!(*id, entry.evictable_key.2);
            if let Some(session) = &entry.session {
                assert_eq!((session.len(), session.epoch), (entry.evictable_key.1, entry.epoch));
            }
        }
    }
}

/// Epochs run 1, 2 ... `i32::MAX`, 1 ...
const fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}
