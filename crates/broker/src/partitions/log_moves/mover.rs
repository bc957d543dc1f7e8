//! The thread of [`super::LogMoves`]: a step of each move in turn.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ottla_metadata::DirectoryId;
use ottla_model::TopicPartition;
use ottla_storage::{CopyStep, MoveError, Moved, PartitionLog, copy_step};
use uuid::Uuid;

use super::{Move, Mover, Plan};
use crate::throttle::Throttle;

/// Bytes of one step of a copy: fewer where a throttle would have it wait for long afterwards.
const STEP_BYTES: u32 = 1 << 20;
const STEP_BYTES_MIN: u32 = 16 << 10;
/// Steps that may be left to do under the partition's lock.
const LAST_STEPS: usize = 2;
/// How long a throttled copy sleeps before it looks at the settings again.
const NAP: Duration = Duration::from_millis(100);

/// What a round of the mover's thread works on.
#[derive(Debug)]
struct Round {
    moves: Vec<Move>,
    version: u64,
}

/// The future logs of the mover's thread, with their moves' ids.
type Futures = BTreeMap<TopicPartition, (u64, usize, PartitionLog)>;

enum Progress {
    Copied(u64),
    Done,
}

impl Mover {
    pub(super) fn work(&self) {
        let (mut futures, mut throttle) = (Futures::new(), Throttle::new(Instant::now()));
        while let Some(round) = self.next_round(&futures) {
            self.give_up(&mut futures, &round.moves);
            for job in &round.moves {
                if let Err(error) = self.begin(job, &mut futures) {
                    self.end(job, Some(error), &mut futures);
                }
            }
            for job in &round.moves {
                if !self.may_go_on(&round, &mut throttle) {
                    break;
                }
                let progress = self.advance(job, &mut futures);
                if let Ok(Progress::Copied(bytes)) = progress {
                    throttle.spend(bytes);
                } else {
                    self.end(job, progress.err(), &mut futures);
                }
            }
        }
    }

    /// The moves to go on with, once there are any or a future log is to be given up; `None` at the end.
    fn next_round(&self, futures: &Futures) -> Option<Round> {
        let mut plan = self.plan.lock();
        while !plan.closed && plan.moves.is_empty() && futures.is_empty() {
            self.news.wait(&mut plan);
        }
        plan.moves.retain(|_, job| !job.partition.is_closed());
        let moves = plan.moves.values().cloned().collect();
        (!plan.closed).then_some(Round { moves, version: plan.version })
    }

    /// Sleeps while the copies are ahead of `replica.alter.log.dirs.io.max.bytes.per.second`; false if there is another
    /// round to begin, or the end.
    fn may_go_on(&self, round: &Round, throttle: &mut Throttle) -> bool {
        let is_out_of_date = |plan: &Plan| {
            plan.version != round.version || round.moves.iter().any(|job| job.partition.is_closed())
        };
        let mut plan = self.plan.lock();
        loop {
            if plan.closed || is_out_of_date(&plan) {
                return false;
            }
            if throttle.may_go_on(self.rate(), Instant::now()) {
                return true;
            }
            self.news.wait_for(&mut plan, NAP);
        }
    }

    fn rate(&self) -> i64 {
        self.parts.config.load().log.alter_bytes_per_second
    }

    fn step_bytes(&self) -> u32 {
        u32::try_from(self.rate()).unwrap_or(u32::MAX).clamp(STEP_BYTES_MIN, STEP_BYTES)
    }

    /// Drops the future logs whose moves were taken back or replaced.
    fn give_up(&self, futures: &mut Futures, moves: &[Move]) {
        let is_wanted = |name: &TopicPartition, id: u64| {
            moves.iter().any(|job| job.id == id && job.partition.name == *name)
        };
        for (name, (_, to, future)) in futures.extract_if(.., |name, (id, ..)| !is_wanted(name, *id)) {
            self.discard(&name, to, &future);
        }
    }

    fn discard(&self, name: &TopicPartition, to: usize, future: &PartitionLog) {
        match self.dir(to).discard(future.dir(), name, Uuid::new_v4()) {
            Ok(deleted) => self.parts.logs.remove_files(to, vec![deleted], self.parts.clock.now()),
            Err(error) => {
                tracing::warn!(partition = %name, %error, "a future log stays until the next start")
            }
        }
    }

    /// Makes the future log of a move; no throttle holds that back.
    fn begin(&self, job: &Move, futures: &mut Futures) -> Result<(), MoveError> {
        let name = &job.partition.name;
        if futures.contains_key(name) {
            return Ok(());
        }
        job.partition.await_paused_cleaning();
        let (to, now, id) = (self.dir(job.to), self.parts.clock.now(), job.partition.id.topic_id);
        let made = job.partition.lend_log(|log| to.create_future(log, id, Uuid::new_v4(), now));
        if let Some(made) = made {
            futures.insert(name.clone(), (job.id, job.to, made?));
        }
        Ok(())
    }

    /// One step of a move.
    fn advance(&self, job: &Move, futures: &mut Futures) -> Result<Progress, MoveError> {
        if job.partition.is_closed() {
            return Ok(Progress::Done);
        }
        let name = &job.partition.name;
        // Without one the move was given up since the round began.
        let Some((_, _, mut future)) = futures.remove(name) else { return Ok(Progress::Done) };
        let step_bytes = self.step_bytes();
        let step = copy_step(
            &mut future,
            |from| job.partition.read_to_copy(from, step_bytes),
            self.parts.clock.now(),
        );
        let progress = match step {
            Ok(CopyStep::Copied { bytes }) => Ok(Progress::Copied(bytes)),
            Ok(CopyStep::CaughtUp) => return self.finish(job, future, futures),
            Err(error) => Err(error),
        };
        self.note(job, &future);
        futures.insert(name.clone(), (job.id, job.to, future));
        progress
    }

    fn note(&self, job: &Move, future: &PartitionLog) {
        let mut plan = self.plan.lock();
        if let Some(running) = plan.moves.get_mut(&job.partition.name).filter(|running| running.id == job.id)
        {
            running.size = future.size_bytes().unwrap_or(running.size);
            running.log_end_offset = future.log_end_offset();
        }
    }

    /// Puts the future log in its log's place: the last few records are copied, and synced, under the partition's lock.
    fn finish(
        &self,
        job: &Move,
        mut future: PartitionLog,
        futures: &mut Futures,
    ) -> Result<Progress, MoveError> {
        future.flush_now(self.parts.clock.now()).map_err(MoveError::To)?;
        let dirs = self.parts.logs.dirs();
        let from_path = job.partition.log_dir();
        let Some(from) = dirs.iter().position(|dir| from_path.as_deref() == Some(dir.path())) else {
            return Ok(Progress::Done);
        };
        // Of the new dir: another one would not know of the log that is about to be there.
        let checkpoints = self.parts.logs.hold_checkpoints();
        let replaced = job.partition.lend_log(|log| {
            let now = self.parts.clock.now();
            let mut steps = 0;
            loop {
                match copy_step(&mut future, |from| log.read_to_copy(from, STEP_BYTES), now)? {
                    CopyStep::CaughtUp => break,
                    CopyStep::Copied { .. } if steps == LAST_STEPS => return Ok(Err(future)),
                    CopyStep::Copied { .. } => steps += 1,
                }
            }
            let moved = self.dir(job.to).replace_by_future(&dirs[from], log, future, Uuid::new_v4, now);
            moved.map(Ok).map_err(MoveError::To)
        });
        drop(checkpoints);
        match replaced {
            None => Ok(Progress::Done),
            Some(Ok(Ok(moved))) => {
                self.moved(job, from, moved);
                Ok(Progress::Done)
            }
            Some(Ok(Err(behind))) => {
                futures.insert(job.partition.name.clone(), (job.id, job.to, behind));
                Ok(Progress::Copied(u64::from(STEP_BYTES)))
            }
            Some(Err(error)) => Err(error),
        }
    }

    fn moved(&self, job: &Move, from: usize, moved: Moved) {
        let (name, logs) = (&job.partition.name, &self.parts.logs);
        logs.moved(name, self.dir(from), job.to);
        job.partition.tell_high_watermark();
        self.parts.assignments.assign(job.partition.id, DirectoryId(self.dir(job.to).directory_id()));
        match moved.old {
            Ok(deleted) => logs.remove_files(from, vec![deleted], self.parts.clock.now()),
            Err(error) => {
                tracing::error!(partition = %name, %error, "the old log could not be removed");
                logs.failures().report_of(&error, self.dir(from).path());
            }
        }
        let (from, to) = (self.dir(from).path().display(), self.dir(job.to).path().display());
        tracing::info!(partition = %name, %from, %to, "moved to another log dir");
    }

    /// A move is over, well or not.
    fn end(&self, job: &Move, error: Option<MoveError>, futures: &mut Futures) {
        let name = &job.partition.name;
        if let Some(error) = error {
            tracing::error!(partition = %name, %error, "a move to another log dir has failed");
            self.report(job, &error);
        }
        if let Some((_, to, future)) = futures.remove(name) {
            self.discard(name, to, &future);
        }
        let mut plan = self.plan.lock();
        if plan.moves.get(name).is_some_and(|running| running.id == job.id) {
            plan.remove(name);
        }
    }

    fn report(&self, job: &Move, error: &MoveError) {
        let failures = self.parts.logs.failures();
        match error {
            MoveError::To(error) => failures.report_of(error, self.dir(job.to).path()),
            MoveError::From(error) => {
                if let Some(dir) = job.partition.log_dir() {
                    failures.report_of(error, &dir);
                }
            }
            MoveError::Refused(_) => {}
        }
    }
}
