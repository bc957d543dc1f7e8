//! One fetch session: its partitions, in the order in which they are served, and what the client was last told of each.

use std::sync::Arc;

use ottla_model::{LeaderEpoch, MonoMs, Offset, TopicId};

use super::ordered::{OrderedMap, SlotId};

/// A topic as the client addresses it: by id from Fetch v13 on, by name before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FetchTopic {
    Id(TopicId),
    Name(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetchKey {
    pub topic: FetchTopic,
    pub partition: i32,
}

/// What a client wants of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    pub fetch_offset: Offset,
    /// A follower's log start; [`Offset::NONE`] from consumers.
    pub log_start: Offset,
    /// Bytes.
    pub max_bytes: i32,
    pub current_leader_epoch: Option<LeaderEpoch>,
    pub last_fetched_epoch: Option<LeaderEpoch>,
}

/// What an answer holds for one partition, as far as the session cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionAnswer {
    pub high_watermark: Offset,
    pub log_start: Offset,
    /// Bytes of records.
    pub records_len: usize,
    pub is_error: bool,
    /// It names a preferred read replica or a diverging epoch: always worth telling.
    pub redirects: bool,
}

#[derive(Clone, Debug)]
struct Cached {
    request: FetchPartition,
    told_high_watermark: Offset,
    told_log_start: Offset,
}

/// A session, handed out by [`FetchSessionCache::begin`](super::FetchSessionCache::begin) and to be checked in again.
///
/// Most partitions of a large session have nothing new most of the time. Whoever can tell when that changes lets them
/// [`rest`](Self::rest), so that a request costs what has changed and not what is in the session.
#[derive(Debug)]
pub struct FetchSession<A> {
    pub(super) id: i32,
    /// The epoch that the next request must carry.
    pub(super) epoch: i32,
    pub(super) uses_topic_ids: bool,
    pub(super) privileged: bool,
    pub(super) created: MonoMs,
    partitions: OrderedMap<FetchKey, Cached>,
    /// What the owner keeps with the session, and loses with it.
    pub attached: A,
}

/// The HW that a client has from an answer. After an error it counts as untold: the next sound answer says it. So it does after
/// a redirection: a follower that cuts its log, or a consumer that goes elsewhere, takes no HW from it.
fn told(answer: &PartitionAnswer) -> Offset {
    if answer.is_error || answer.redirects { Offset::NONE } else { answer.high_watermark }
}

impl<A: Default> FetchSession<A> {
    pub(super) fn new(id: i32, uses_topic_ids: bool, privileged: bool, created: MonoMs) -> Self {
        let (partitions, attached) = (OrderedMap::new(), A::default());
        Self { id, epoch: 1, uses_topic_ids, privileged, created, partitions, attached }
    }
}

impl<A> FetchSession<A> {
    #[must_use]
    pub const fn id(&self) -> i32 {
        self.id
    }

    /// Partitions in the session.
    #[must_use]
    pub fn len(&self) -> usize {
        self.partitions.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.partitions.is_empty()
    }

    /// What to read, in the order in which to spend the request's byte limit: all that do not rest.
    pub fn due(&self) -> impl Iterator<Item = (SlotId, &FetchKey, FetchPartition)> {
        self.partitions.due().map(|(slot, key, cached)| (slot, key, cached.request))
    }

    /// A partition need not be read before [`wake`](Self::wake), or before a request names it: what has been settled of it
    /// says all, and there is nothing to read.
    pub fn rest(&mut self, slot: SlotId) {
        self.partitions.rest(slot);
    }

    /// A partition may have something new. One too many costs a read.
    pub fn wake(&mut self, slot: SlotId) {
        self.partitions.wake(slot);
    }

    /// Where the client's next fetch of a partition begins, if it is in the session.
    #[must_use]
    pub fn fetch_offset(&self, key: &FetchKey) -> Option<Offset> {
        self.partitions.get(key).map(|cached| cached.request.fetch_offset)
    }

    /// Whether `answer` would be told: it has records, an error, a redirection, or a HW or log start that the client does
    /// not know. Changes nothing, for a long poll that asks whether it is time.
    #[must_use]
    pub fn is_news(&self, key: &FetchKey, answer: &PartitionAnswer) -> bool {
        self.partitions.get(key).is_none_or(|cached| cached.is_news(answer))
    }

    /// Decides whether a partition goes into the answer and, if so, remembers what it says. A partition that has records
    /// moves to the end, so that each gets its turn at the byte limit.
    pub fn settle(&mut self, slot: SlotId, answer: &PartitionAnswer) -> bool {
        let Some(cached) = self.partitions.at_mut(slot) else { return false };
        if !cached.is_news(answer) {
            return false;
        }
        cached.told_high_watermark = told(answer);
        cached.told_log_start = answer.log_start;
        if answer.records_len > 0 {
            self.partitions.move_to_end(slot);
        }
        true
    }

    pub(super) fn remember(&mut self, key: FetchKey, request: FetchPartition, answer: &PartitionAnswer) {
        let told_high_watermark = told(answer);
        let told_log_start = answer.log_start;
        self.partitions.insert(key, Cached { request, told_high_watermark, told_log_start });
    }

    pub(super) fn change(&mut self, wanted: Vec<(FetchKey, FetchPartition)>, forgotten: &[FetchKey]) {
        for (key, request) in wanted {
            if let Some(slot) = self.partitions.slot(&key) {
                if let Some(cached) = self.partitions.at_mut(slot) {
                    cached.request = request;
                }
                self.partitions.wake(slot);
                continue;
            }
            let (told_high_watermark, told_log_start) = (Offset::NONE, Offset::NONE);
            self.partitions.insert(key, Cached { request, told_high_watermark, told_log_start });
        }
        for key in forgotten {
            self.partitions.remove(key);
        }
    }
}

impl Cached {
    fn is_news(&self, answer: &PartitionAnswer) -> bool {
        answer.records_len > 0
            || answer.is_error
            || answer.redirects
            || answer.high_watermark != self.told_high_watermark
            || answer.log_start != self.told_log_start
    }
}
