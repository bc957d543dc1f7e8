//! What a broker asks of its logs.

use std::collections::BTreeMap;

use ottla_model::{LeaderEpoch, Offset, TopicPartition};
use ottla_storage::{
    CleanError, CleanerSettings, CleaningStep, ClosingLog, CopyStep, LogConfig, MoveError, OffsetCheckpoint,
    copy_step,
};
use uuid::Uuid;

use crate::part::{Kind, Part};
use crate::world::{PowerOff, World};

impl World {
    /// One operation of what chance gives, on one partition or a log dir.
    pub(crate) fn op(&mut self) -> Result<(), PowerOff> {
        self.ms += 10;
        let at = usize::try_from(self.random.below(self.parts.len() as u64)).unwrap();
        match self.random.below(40) {
            0..=19 => self.append(at),
            20..=22 => self.flush(at),
            23 => self.roll(at),
            24 | 25 => self.checkpoint(),
            26 | 27 => self.delete_records(at),
            28 => self.retain(at),
            29 | 30 => self.remove_deleted(at),
            31..=33 => self.compact(),
            34 => self.delete_and_create(at),
            35 | 36 => self.move_log(at),
            37 | 38 => self.new_epoch(at),
            _ => self.close(),
        }
    }

    fn append(&mut self, at: usize) -> Result<(), PowerOff> {
        self.step = "append";
        let (ms, now) = (self.ms, self.now());
        let appended = self.parts[at].append(&mut self.random, ms, now);
        self.alive(appended)
    }

    fn flush(&mut self, at: usize) -> Result<(), PowerOff> {
        self.step = "flush";
        let now = self.now();
        let flushed = self.parts[at].flush(now);
        self.alive(flushed)
    }

    fn roll(&mut self, at: usize) -> Result<(), PowerOff> {
        self.step = "roll";
        let now = self.now();
        let rolled = self.parts[at].log().roll(now);
        self.alive(rolled)
    }

    /// One of the files of each dir, as housekeeping writes them.
    fn checkpoint(&mut self) -> Result<(), PowerOff> {
        self.step = "checkpoint";
        let which =
            [OffsetCheckpoint::RecoveryPoint, OffsetCheckpoint::LogStart, OffsetCheckpoint::Replication];
        let which = which[usize::try_from(self.random.below(3)).unwrap()];
        for number in 0..self.dirs.len() {
            self.write_checkpoint(number, which)?;
        }
        if which == OffsetCheckpoint::LogStart {
            for part in &mut self.parts {
                // Until the directory is durable there is no log that could have a start.
                part.start_answered = if part.exists { part.log().log_start_offset().get() } else { 0 };
            }
        }
        Ok(())
    }

    fn write_checkpoint(&mut self, number: usize, which: OffsetCheckpoint) -> Result<(), PowerOff> {
        let here = |part: &mut Part| {
            let log = part.log();
            let offset = match which {
                OffsetCheckpoint::RecoveryPoint => Some(log.recovery_point()),
                OffsetCheckpoint::LogStart => log.log_start_to_checkpoint(),
                OffsetCheckpoint::Replication => Some(log.log_end_offset()),
                OffsetCheckpoint::Cleaner => log.cleaned_to(),
            };
            Some((part.name.clone(), offset?))
        };
        let parts = self.parts.iter_mut().filter(|part| part.dir == number);
        let offsets: BTreeMap<TopicPartition, Offset> = parts.filter_map(here).collect();
        let written = self.dirs[number].write_checkpoint(which, &offsets);
        self.alive(written)
    }

    /// DeleteRecords, and what retention makes of it.
    fn delete_records(&mut self, at: usize) -> Result<(), PowerOff> {
        self.step = "retention";
        let now = self.now();
        let log = self.parts[at].log();
        let (start, end) = (log.log_start_offset().get(), log.log_end_offset());
        let to = start + i64::try_from(self.random.below((end.get() - start).unsigned_abs() + 1)).unwrap();
        let part = &mut self.parts[at];
        part.start_max = part.start_max.max(to);
        part.log().increment_log_start_offset(Offset(to));
        let retained = part.log().apply_retention(now, end);
        self.alive(retained).map(|_| ())
    }

    /// `retention.bytes`.
    fn retain(&mut self, at: usize) -> Result<(), PowerOff> {
        self.step = "retention";
        let (now, bytes) = (self.now(), self.random.below(3_000));
        let part = &mut self.parts[at];
        let usual = part.kind.config();
        let retention_bytes = i64::try_from(bytes).unwrap();
        let end = part.log().log_end_offset();
        if part.kind != Kind::Compacted {
            part.start_max = end.get();
        }
        part.log().set_config(LogConfig { retention_bytes, ..(*usual).clone() }.into());
        let retained = part.log().apply_retention(now, end);
        part.log().set_config(usual);
        part.start_max = if retained.is_ok() { part.log().log_start_offset().get() } else { part.start_max };
        self.alive(retained).map(|_| ())
    }

    fn remove_deleted(&mut self, at: usize) -> Result<(), PowerOff> {
        self.step = "removal of deleted segments";
        let now = self.now();
        let removed = self.parts[at].log().remove_deleted_files(now);
        self.alive(removed)
    }

    fn compact(&mut self) -> Result<(), PowerOff> {
        self.step = "compaction";
        let Some(at) = self.parts.iter().position(|part| part.kind == Kind::Compacted) else { return Ok(()) };
        let cleaned = self.clean(at);
        self.alive(cleaned)?;
        // As after every round of a cleaner thread.
        self.write_checkpoint(self.parts[at].dir, OffsetCheckpoint::Cleaner)
    }

    fn clean(&mut self, at: usize) -> Result<(), CleanError> {
        let settings = CleanerSettings {
            dedupe_buffer_bytes: 24 * (2 + self.random.below(14)),
            dedupe_load_factor: 0.9,
            io_buffer_bytes: 300,
        };
        let now = self.now();
        let part = &mut self.parts[at];
        let end = part.log().log_end_offset();
        let cleanable = part.log().cleanable(end, now)?;
        part.touched = part.touched.max(cleanable.first_uncleanable_offset.get());
        let log = part.log();
        let mut cleaning = log.begin_cleaning(&cleanable, settings, now)?;
        loop {
            match cleaning.step()? {
                CleaningStep::Worked { .. } => {}
                CleaningStep::WantsFiles => log.create_replacement(&mut cleaning, now)?,
                CleaningStep::WantsSwap => {
                    if let Some(names) = log.begin_swap(&mut cleaning)? {
                        names.run()?;
                        if let Some(names) = log.finish_swap(&mut cleaning, now)? {
                            names.run()?;
                        }
                    }
                }
                CleaningStep::Done => return log.finish_cleaning(&cleaning).map(|_| ()),
            }
        }
    }

    fn new_epoch(&mut self, at: usize) -> Result<(), PowerOff> {
        let part = &mut self.parts[at];
        part.epoch += 1;
        let epoch = LeaderEpoch(part.epoch);
        part.log().assign_epoch(epoch);
        Ok(())
    }

    fn delete_and_create(&mut self, at: usize) -> Result<(), PowerOff> {
        self.step = "topic deletion";
        self.delete(at)?;
        self.gone.push(self.parts[at].id.0);
        self.step = "topic creation";
        let unique = self.unique();
        self.parts[at] = Part::new(self.parts[at].name.clone(), unique);
        self.create(at)
    }

    /// Gives the partition an empty log.
    pub(crate) fn create(&mut self, at: usize) -> Result<(), PowerOff> {
        let now = self.now();
        let part = &mut self.parts[at];
        let created = self.dirs[part.dir].create_partition(&part.name, part.id, part.kind.config(), now);
        let log = self.alive(created)?;
        self.parts[at].log = Some(log);
        Ok(())
    }

    /// Removes a partition's log.
    pub(crate) fn delete(&mut self, at: usize) -> Result<(), PowerOff> {
        let unique = Uuid::from_u128(self.unique() << 64);
        let part = &mut self.parts[at];
        part.doomed = true;
        part.log().retire();
        let (name, number) = (part.name.clone(), part.dir);
        let deleted = self.dirs[number].delete_partitions(&[name], || unique);
        self.parts[at].log = None;
        for deleted in self.alive(deleted)? {
            if self.random.eighths(4) {
                let removed = self.dirs[number].remove_deleted(&deleted);
                self.alive(removed)?;
            }
        }
        Ok(())
    }

    fn move_log(&mut self, at: usize) -> Result<(), PowerOff> {
        self.step = "move to another log dir";
        let moved = self.move_to_other_dir(at);
        self.alive(moved)
    }

    fn move_to_other_dir(&mut self, at: usize) -> Result<(), MoveError> {
        let (now, ms, unique) = (self.now(), self.ms, self.unique() << 64);
        let part = &mut self.parts[at];
        let (from, to) = (&self.dirs[part.dir], &self.dirs[1 - part.dir]);
        let id = part.id;
        let mut future = to.create_future(part.log(), id, Uuid::from_u128(unique), now)?;
        loop {
            let log = part.log();
            if copy_step(&mut future, |offset| log.read_to_copy(offset, 500), now)? == CopyStep::CaughtUp {
                break;
            }
            if self.random.eighths(1) {
                part.append(&mut self.random, ms, now).map_err(MoveError::Refused)?;
            }
        }
        // The new dir's checkpoint does not know the start yet, only the first batch's.
        (part.start_answered, part.moved) = (0, true);
        let mut unique = (unique + 1..).map(Uuid::from_u128);
        let moved = to.replace_by_future(from, part.log(), future, || unique.next().unwrap_or_default(), now);
        let moved = moved.map_err(MoveError::To)?;
        part.dir = 1 - part.dir;
        part.answer();
        let old = moved.old.map_err(MoveError::From)?;
        from.forget_moved(&part.name).map_err(MoveError::From)?;
        from.remove_deleted(&old).map_err(MoveError::From)
    }

    /// A clean shutdown, in which a power cut may still fall.
    fn close(&mut self) -> Result<(), PowerOff> {
        self.step = "clean close";
        let now = self.now();
        for (number, dir) in self.dirs.iter().enumerate() {
            let parts = self.parts.iter_mut().filter(|part| part.dir == number);
            let closing = parts.map(|part| {
                let log = part.log();
                ClosingLog { high_watermark: log.log_end_offset(), log }
            });
            let closed = dir.close(closing.collect(), 1, 7, now);
            self.alive(closed)?;
        }
        for part in &mut self.parts {
            part.answer();
            part.start_answered = part.log().log_start_offset().get();
        }
        self.step = "closed";
        Ok(())
    }
}
