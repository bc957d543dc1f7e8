//! The logs that the start has found: each is opened when its topic claims it and its turn comes; what no topic claims is
//! set aside.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_model::{Now, TopicId, TopicPartition};
use ottla_storage::{LogConfig, LogDir, OpenedLog, StorageError};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{LogHome, WantedLog};

/// Settings of a partition's log.
type ConfigOf<'a> = &'a (dyn Fn(&TopicPartition, Option<TopicId>) -> Arc<LogConfig> + Sync);

/// Logs that were found at the start and are not served yet.
#[derive(Debug, Default)]
pub(super) struct FoundLogs {
    logs: Mutex<HashMap<TopicPartition, Found>>,
}

#[derive(Debug)]
struct Found {
    /// A topic of the metadata owns it.
    claimed: bool,
    log: FoundLog,
}

#[derive(Debug)]
enum FoundLog {
    Closed,
    /// It was opened to see which of two copies goes further.
    Open(Box<OpenedLog>),
    /// It cannot be opened, and stays as it is.
    Damaged(StorageError),
}

impl FoundLogs {
    fn insert(&self, name: &TopicPartition, log: FoundLog) {
        self.logs.lock().entry(name.clone()).or_insert(Found { claimed: false, log: FoundLog::Closed }).log =
            log;
    }

    /// Takes a log to be opened; in its place is an error, for whoever asks while that goes on or if it ends in a panic.
    fn take(&self, name: &TopicPartition) -> Result<Option<FoundLog>, StorageError> {
        let mut logs = self.logs.lock();
        let Some(found) = logs.get_mut(name) else { return Ok(None) };
        if let FoundLog::Damaged(error) = &found.log {
            return Err(error.clone());
        }
        let opening =
            StorageError::Corrupt { path: name.to_string().into(), what: "it is being opened".to_owned() };
        Ok(Some(std::mem::replace(&mut found.log, FoundLog::Damaged(opening))))
    }

    /// The log is its topic's, or gone.
    pub(super) fn forget(&self, name: &TopicPartition) {
        self.logs.lock().remove(name);
    }

    fn claim(&self, name: &TopicPartition) -> bool {
        let mut logs = self.logs.lock();
        let found = logs.get_mut(name).filter(|found| matches!(found.log, FoundLog::Closed));
        found.is_some_and(|found| !std::mem::replace(&mut found.claimed, true))
    }

    /// Takes what no topic has claimed; what is damaged stays where it is.
    fn take_strays(&self) -> Vec<TopicPartition> {
        let is_stray = |found: &mut Found| !found.claimed && !matches!(found.log, FoundLog::Damaged(_));
        self.logs.lock().extract_if(|_, found| is_stray(found)).map(|(name, _)| name).collect()
    }
}

impl LogHome {
    /// Finds every log that is there. A dir that fails goes offline. `config` is for the few that must be opened at once.
    ///
    /// # Errors
    /// The failure of the last dir, if none works.
    pub(crate) fn find_all(&self, config: ConfigOf<'_>, now: Now) -> Result<(), StorageError> {
        for (number, dir) in self.dirs.iter().enumerate() {
            if let Err(error) = self.find_in(number, dir, config, now) {
                dir.mark_offline();
                tracing::error!(dir = %dir.path().display(), %error, "log dir offline");
                if self.online().next().is_none() {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn find_in(
        &self,
        number: usize,
        dir: &LogDir,
        config: ConfigOf<'_>,
        now: Now,
    ) -> Result<(), StorageError> {
        let mut interrupted = Vec::new();
        for future in dir.futures()? {
            dir.discard(&future.path, &future.topic_partition, Uuid::new_v4())?;
            interrupted.push((future.topic_partition, number));
        }
        let found = dir.find_logs()?;
        self.interrupted.lock().extend(interrupted);
        self.remove_files(number, found.deleted, now);
        for name in found.logs {
            let twin = self.places.lock().of(&name);
            match twin {
                Some(other) => self.choose_twin(&name, other, number, config, now)?,
                None => {
                    self.places.lock().set(name.clone(), number);
                    self.found.insert(&name, FoundLog::Closed);
                }
            }
        }
        Ok(())
    }

    /// Of a partition in two dirs the log that goes further is it: a move was interrupted when both were complete. The
    /// other one is set aside.
    fn choose_twin(
        &self,
        name: &TopicPartition,
        other: usize,
        number: usize,
        config: ConfigOf<'_>,
        now: Now,
    ) -> Result<(), StorageError> {
        let open = |dir: usize| self.dirs[dir].open_found(name, config, now).map(Box::new);
        let earlier = match self.found.take(name) {
            Ok(Some(FoundLog::Open(log))) => Ok(log),
            Ok(_) => open(other),
            Err(error) => Err(error),
        };
        let later = open(number);
        let (place, log) = match (earlier, later) {
            (_, Err(error)) if error.is_of_the_disk() => return Err(error),
            (Ok(earlier), Ok(later)) => {
                let is_behind = later.log.log_end_offset() <= earlier.log.log_end_offset();
                let (loser, winner) = if is_behind { (number, other) } else { (other, number) };
                let dir = &self.dirs[loser];
                tracing::warn!(partition = %name, dir = %dir.path().display(), "a partition in two log dirs: this copy is set aside");
                dir.set_aside(std::slice::from_ref(name), Uuid::new_v4)?;
                (winner, FoundLog::Open(if is_behind { earlier } else { later }))
            }
            (Ok(log), Err(error)) => {
                self.report_damaged(name, &self.dirs[number], &error);
                (other, FoundLog::Open(log))
            }
            (Err(error), Ok(log)) => {
                self.report_damaged(name, &self.dirs[other], &error);
                (number, FoundLog::Open(log))
            }
            (Err(error), Err(_)) => {
                self.report_damaged(name, &self.dirs[other], &error);
                (other, FoundLog::Damaged(error))
            }
        };
        self.places.lock().set(name.clone(), place);
        self.found.insert(name, log);
        Ok(())
    }

    fn report_damaged(&self, name: &TopicPartition, dir: &LogDir, error: &StorageError) {
        if !matches!(error, StorageError::Offline { .. }) {
            tracing::error!(partition = %name, %error, "log could not be opened: it stays as it is, offline, until the file is mended (a partition.metadata may be removed)");
        }
        self.failures.report_of(error, dir.path());
    }

    /// Whether a log was found that is still to be opened and that nobody has claimed: its topic has now.
    pub(in crate::partitions) fn claim(&self, name: &TopicPartition) -> bool {
        self.found.claim(name)
    }

    /// The number of the log dir that a replica is in.
    pub(in crate::partitions) fn place_of(&self, name: &TopicPartition) -> Option<usize> {
        self.places.lock().of(name)
    }

    /// The log found at the start, opened.
    pub(super) fn take_found(
        &self,
        wanted: &WantedLog<'_>,
        now: Now,
    ) -> Result<Option<Box<OpenedLog>>, StorageError> {
        let name = wanted.name;
        match self.found.take(name)? {
            None => Ok(None),
            Some(FoundLog::Open(log)) => {
                self.found.forget(name);
                Ok(Some(log))
            }
            Some(_) => {
                let Some(dir) = self.place_of(name).and_then(|place| self.dirs.get(place)) else {
                    return Ok(None);
                };
                match dir.open_found(name, &|_, _| Arc::clone(&wanted.config), now) {
                    Ok(log) => {
                        self.found.forget(name);
                        Ok(Some(Box::new(log)))
                    }
                    Err(error) => {
                        self.report_damaged(name, dir, &error);
                        let is_damaged = matches!(error, StorageError::Corrupt { .. });
                        let left =
                            if is_damaged { FoundLog::Damaged(error.clone()) } else { FoundLog::Closed };
                        self.found.insert(name, left);
                        Err(error)
                    }
                }
            }
        }
    }

    /// The replica speaks for its log from now on, in the checkpoints too.
    pub(in crate::partitions) fn owned(&self, name: &TopicPartition) {
        if let Some(dir) = self.place_of(name).and_then(|place| self.dirs.get(place)) {
            dir.owned(name);
        }
    }

    /// The dir of a log that is not open yet, and the log's bytes.
    pub(crate) fn closed_size(&self, name: &TopicPartition) -> Option<(&Path, u64)> {
        let dir = self.dirs.get(self.place_of(name)?)?;
        Some((dir.path(), dir.size_of(name).ok()?))
    }

    /// Sets the logs found at the start that no topic owns aside: their topics were deleted while this broker was down,
    /// or the metadata is not the one they were written under.
    pub(crate) fn set_strays_aside(&self) {
        self.started.store(true, Ordering::Release);
        let strays = self.found.take_strays();
        for name in &strays {
            tracing::warn!(partition = %name, "a log that no topic owns: its directory is renamed to -stray, and kept");
        }
        if strays.is_empty() {
            return;
        }
        let _checkpoints = self.checkpoints_final.lock();
        for dir in self.dirs.iter().filter(|dir| !dir.is_offline()) {
            if let Err(error) = dir.set_aside(&strays, Uuid::new_v4) {
                tracing::error!(%error, partitions = strays.len(), "logs could not be set aside");
            }
        }
    }
}
