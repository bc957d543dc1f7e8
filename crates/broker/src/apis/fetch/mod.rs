//! Fetch: session, read, long poll, answer. The hot path: an API of its own around file slices.

mod request;
mod respond;
mod round;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ottla_protocol::messages::FetchRequest;
use ottla_protocol::{ApiKey, ErrorCode, Request};
use ottla_replication::session::{FetchContext, SessionRequest};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::clock::Clock;
use crate::cold_reads::ColdReads;
use crate::dispatch::{Answer, Api, Closed, Reply, RequestContext};
use crate::memory::{Charge, Pool};
use crate::metadata_view::MetadataView;
use crate::partitions::opening::{Opening, any_over};
use crate::partitions::{PartitionRead, Partitions};
use crate::replication::{ReplicationQuotas, Side};
use crate::telemetry::Metrics;
use request::{Asked, Neighbourhood};
use round::{Round, Target};
pub(crate) use watches::FetchSessions;
use watches::Watches;

/// What a fetch holds while it waits, beside what it holds for each partition: what was asked, its place among those
/// that wait, and the last round's read of it.
const PARKED_LEN: usize = 1024;
const PARKED_PARTITION_LEN: usize = 512;
/// Looking up an offset on a cold disk takes so many steps at most (the index is searched, then the log), if nothing is
/// driven out of memory meanwhile.
const COLD_STEPS_MAX: usize = 20;
/// The longest that a client is asked to wait in our stead.
const THROTTLE_MAX: Duration = Duration::from_secs(1);

/// Serves consumers, followers and the replica verification tool.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub partitions: Arc<Partitions>,
    pub sessions: Arc<Mutex<FetchSessions>>,
    pub view: Arc<MetadataView>,
    pub metrics: Arc<Metrics>,
    /// What fetches that wait may hold.
    pub parked: Arc<Pool>,
    pub cold_reads: ColdReads,
    pub clock: Clock,
    /// `fetch.max.bytes`.
    pub response_max_len: usize,
    pub quotas: Arc<ReplicationQuotas>,
    /// `replica.selector.class`: consumers are sent to a replica in their rack.
    pub to_closest_replica: bool,
}

impl Api for Fetch {
    fn key(&self) -> ApiKey {
        ApiKey::Fetch
    }

    fn call(&self, context: RequestContext, body: BytesMut) -> Reply<Result<Answer, Closed>> {
        let request = match FetchRequest::decode(body.freeze(), context.version) {
            Ok(request) => request,
            Err(error) => return Reply::Ready(Err(error.into())),
        };
        let (image, now) = (self.view.image(), self.clock.now().mono);
        let mut asked =
            Asked::from_request(&request, context.version, self.response_max_len, &image, &self.quotas, now);
        drop(image);
        if self.to_closest_replica {
            asked.limits.neighbourhood = Neighbourhood::of(&request, context.version, self.view.image_arc());
        }
        let mut poll = match self.begin(&context, asked) {
            Ok(poll) => poll,
            Err(error) => {
                return Reply::Ready(respond::refused(&context, error));
            }
        };
        if !matches!(request.isolation_level, 0 | 1) && poll.has_something_to_read() {
            // There is no such level. Kafka finds that out when it begins to read, has no error for it and fails.
            return Reply::Ready(poll.fail(&request));
        }
        let round = Round::read_in_memory(&poll.targets, &poll.limits);
        poll.limits.replica.noted();
        let round = match round {
            Ok(round) if poll.is_enough(&round) => return Reply::Ready(poll.answer(round)),
            round => round,
        };
        let memory = if poll.limits.replica.is_follower() {
            // There are as many as there are fetchers. None waits for the clients of this broker to make room.
            Some(self.parked.charge(poll.parked_len()))
        } else {
            self.parked.try_charge(poll.parked_len())
        };
        match (memory, round) {
            (Some(memory), _) => Reply::parked(poll.wait(memory)),
            (None, Ok(round)) => Reply::Ready(poll.answer_and_throttle(round)),
            (None, Err(_)) => {
                // The disk has to be waited for, room or not; for more records not.
                let memory = self.parked.charge(poll.parked_len());
                poll.throttle();
                Reply::parked(poll.wait(memory))
            }
        }
    }
}

impl Fetch {
    fn begin(&self, context: &RequestContext, asked: Asked) -> Result<Poll, ErrorCode> {
        let now = self.clock.now();
        let session = SessionRequest {
            session_id: asked.session_id,
            epoch: asked.session_epoch,
            uses_topic_ids: context.version >= 13,
            privileged: asked.replica.is_follower(),
        };
        let begun = self.sessions.lock().begin(session, asked.wanted, &asked.forgotten, now.mono);
        let mut fetch = begun.map_err(|error| crate::error_map::fetch_session(&error))?;
        if let FetchContext::Incremental(session) = &mut fetch {
            watches::ask(session, asked.replica);
            watches::listen(session);
        }
        Ok(Poll {
            targets: targets(&self.partitions, &fetch),
            // A piece of the request's frame, whose memory a long poll must not keep.
            context: RequestContext { client_id: None, ..context.clone() },
            fetch,
            session,
            partitions: Arc::clone(&self.partitions),
            sessions: Arc::clone(&self.sessions),
            view: Arc::clone(&self.view),
            metrics: Arc::clone(&self.metrics),
            cold_reads: self.cold_reads.clone(),
            clock: self.clock,
            limits: asked.limits,
            deadline: context.began_at + asked.max_wait,
            min_len: asked.min_len,
            may_wait: asked.max_wait > Duration::ZERO,
            throttle: Duration::ZERO,
        })
    }
}

/// What is to be read for it.
fn targets(partitions: &Partitions, fetch: &FetchContext<Watches>) -> Vec<Target> {
    let find = |slot, key, wanted| Target::find(partitions, slot, key, wanted);
    match fetch {
        FetchContext::Sessionless(wanted) | FetchContext::Full(wanted) => {
            wanted.iter().map(|(key, wanted)| find(None, key, *wanted)).collect()
        }
        FetchContext::Incremental(session) => {
            session.due().map(|(slot, key, wanted)| find(Some(slot), key, wanted)).collect()
        }
    }
}

/// A fetch in work.
#[derive(Debug)]
struct Poll {
    context: RequestContext,
    fetch: FetchContext<Watches>,
    session: SessionRequest,
    partitions: Arc<Partitions>,
    sessions: Arc<Mutex<FetchSessions>>,
    view: Arc<MetadataView>,
    metrics: Arc<Metrics>,
    cold_reads: ColdReads,
    clock: Clock,
    targets: Vec<Target>,
    limits: round::Limits,
    deadline: Instant,
    min_len: usize,
    may_wait: bool,
    /// How long the client is asked to wait before it asks again.
    throttle: Duration,
}

impl Poll {
    /// Whether the answer leaves now: enough bytes, something that must not wait, or nothing to wait for.
    fn is_enough(&self, round: &Round) -> bool {
        !self.may_wait || self.partition_count() == 0 || round.is_urgent || round.len >= self.min_len
    }

    fn has_something_to_read(&self) -> bool {
        self.partition_count() > self.targets.iter().filter(|target| target.absent().is_some()).count()
    }

    /// Those that need not be read are waited for, too.
    fn partition_count(&self) -> usize {
        match &self.fetch {
            FetchContext::Incremental(session) => session.len(),
            _ => self.targets.len(),
        }
    }

    /// Those for which the session's bell has rung are read, too.
    fn listen(&mut self) {
        if let FetchContext::Incremental(session) = &mut self.fetch {
            let due = session.due().count();
            watches::listen(session);
            if session.due().count() > due {
                self.targets = targets(&self.partitions, &self.fetch);
            }
        }
    }

    /// What tells the request that it is worth reading again.
    fn waiter(&self) -> Arc<Notify> {
        match &self.fetch {
            FetchContext::Incremental(session) => Arc::clone(&watches::bell(session).notify),
            _ => Arc::new(Notify::new()),
        }
    }

    fn fail(self, request: &FetchRequest) -> Result<Answer, Closed> {
        if let FetchContext::Incremental(session) = self.fetch {
            self.sessions.lock().check_in(session);
        }
        respond::failed(&self.context, request)
    }

    /// What it holds while it waits, in bytes.
    fn parked_len(&self) -> usize {
        PARKED_LEN + self.targets.len() * PARKED_PARTITION_LEN
    }

    /// There is no room to wait here: the client does so, as KIP-219 has it.
    fn answer_and_throttle(mut self, round: Round) -> Result<Answer, Closed> {
        self.throttle();
        self.answer(round)
    }

    fn throttle(&mut self) {
        self.throttle = self.deadline.saturating_duration_since(Instant::now()).min(THROTTLE_MAX);
        self.metrics.api(ApiKey::Fetch).throttled(self.throttle);
        self.may_wait = false;
    }

    fn answer(self, round: Round) -> Result<Answer, Closed> {
        if self.limits.replica.is_follower() {
            let throttled = round.reads.iter().flatten().filter(|read| read.throttled);
            self.limits.quotas.spend(Side::Leader, throttled.map(PartitionRead::len).sum());
            self.metrics.broker.replication_bytes_out.increment(u64::try_from(round.len).unwrap_or(0));
        } else {
            self.metrics.broker.fetched(round.len);
            round.count(&self.targets);
        }
        for error in round.reads.iter().filter_map(|read| read.as_ref().err()) {
            self.metrics.broker.fetch_rejected();
            self.metrics.api(ApiKey::Fetch).error(*error);
        }
        respond::answer(self, round)
    }

    /// A round for which the disk may have to be waited for, elsewhere.
    async fn read(&self) -> Round {
        for _ in 0..COLD_STEPS_MAX {
            match Round::read_in_memory(&self.targets, &self.limits) {
                Ok(round) => return round,
                Err(lacks) => {
                    let len = lacks.0.iter().map(|slice| slice.length as usize).sum();
                    self.metrics.broker.fetched_from_disk(len);
                    self.cold_reads.warm(lacks.0).await;
                }
            }
        }
        Round::read(&self.targets, &self.limits)
    }

    /// Reads again whenever a partition has something new, until it is enough or the time is up.
    async fn wait(mut self, _memory: Charge) -> Result<Answer, Closed> {
        let waiter = self.waiter();
        loop {
            self.listen();
            let openings = self.openings();
            let parked = round::Parked::park(&self.targets, &waiter, self.limits.replica.is_follower());
            // What came in between the last read and the parking is seen by this one.
            let round = self.read().await;
            if self.is_enough(&round) || Instant::now() >= self.deadline || !parked.is_complete() {
                drop(parked);
                return self.answer(round);
            }
            let until = if round.is_throttled {
                self.deadline.min(Instant::now() + self.limits.quotas.due_in(Side::Leader))
            } else {
                self.deadline
            };
            drop(round);
            let news = async {
                tokio::select! {
                    () = waiter.notified() => {}
                    () = any_over(openings) => {}
                }
            };
            let _ = timeout_at(until, news).await;
        }
    }

    /// Of the partitions whose logs are not open yet.
    fn openings(&mut self) -> Vec<Opening> {
        let opening = self.targets.iter().filter(|target| target.is_opening()).map(Target::name);
        let openings = self.partitions.opening(opening);
        // After that, so that none is opened unseen in between.
        for target in &mut self.targets {
            target.look_again(&self.partitions);
        }
        openings
    }
}
