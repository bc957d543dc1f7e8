//! A broker: its disk, and the process on it, which dies and is started again.

mod apply;
mod coordinator;
mod follow;
mod isr;
mod process;
mod replica;
mod serve;
mod shell;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::{MonoMs, Now, Offset, TimestampMs, TopicIdPartition};
use ottla_storage::{FaultyDisk, SimDisk, StorageError};
use uuid::Uuid;

pub(crate) use coordinator::Shard;
pub(crate) use process::Process;
pub(crate) use replica::Replica;

use crate::message::Address;
use crate::topic_config::Settings;
use crate::world::Event;

/// Wall clocks begin there.
const EPOCH_MS: i64 = 1_700_000_000_000;

pub(crate) struct Node {
    pub(crate) id: Address,
    pub(crate) disk: SimDisk,
    pub(crate) process: Option<Process>,
    /// Which process of it this is, from 1.
    pub(crate) boot: u64,
    /// Of its disk.
    pub(crate) directory: u64,
    pub(crate) settings: Settings,
    /// Nothing moves before that; 0: it is awake.
    pub(crate) paused_until: u64,
    /// What has come to it while it was paused.
    pub(crate) put_off: Vec<Event>,
    /// What fails on its disk.
    faults: Option<FaultyDisk>,
    full_until: u64,
    /// What survives of the disk when the process ends because of it: the machine is started anew.
    pub(crate) ends_with_cut: Option<u64>,
    /// Its disk does not do what it should.
    pub(crate) is_sick: bool,
    /// How far each log of an earlier process was flushed when that ended.
    pub(crate) flushed: BTreeMap<TopicIdPartition, Offset>,
    /// What its wall clock is ahead.
    pub(crate) wall_ahead_ms: i64,
}

impl Node {
    pub(crate) fn new(id: Address, settings: Settings) -> Self {
        Self {
            id,
            disk: SimDisk::new(),
            process: None,
            boot: 0,
            directory: 1,
            settings,
            paused_until: 0,
            put_off: Vec::new(),
            wall_ahead_ms: 0,
            faults: None,
            full_until: 0,
            is_sick: false,
            ends_with_cut: None,
            flushed: BTreeMap::new(),
        }
    }

    pub(crate) fn empty_disk(&mut self) {
        self.disk = SimDisk::new();
        self.flushed.clear();
        self.directory += 1;
    }

    pub(crate) fn fill(&mut self, until: u64) {
        (self.full_until, self.is_sick) = (until, true);
        self.faults.iter().for_each(FaultyDisk::fill);
    }

    pub(crate) fn fail_once(&mut self, nth: u64) {
        self.is_sick = true;
        self.faults.iter().for_each(|disk| disk.fail_once(nth, std::io::ErrorKind::Other));
    }

    pub(crate) fn lose_at_fsync(&mut self, nth: u64) {
        self.is_sick = true;
        self.disk.lose_at_fsync(nth);
    }

    pub(crate) fn mend_disk(&mut self) {
        self.full_until = 0;
        self.is_sick = false;
        self.disk.lose_nothing();
        self.faults.iter().for_each(FaultyDisk::heal);
    }

    pub(crate) fn now(&self, time: u64) -> Now {
        let wall = EPOCH_MS + i64::try_from(time).unwrap_or(0) + self.wall_ahead_ms;
        Now { wall: TimestampMs(wall), mono: MonoMs(time) }
    }

    pub(crate) fn start(&mut self, time: u64) -> Result<(), StorageError> {
        self.boot += 1;
        let disk = FaultyDisk::new(Arc::new(self.disk.of_process()));
        if time < self.full_until {
            disk.fill();
        } else {
            // What is to lose at some fsync does so to this process, if it did not to the last one.
            self.is_sick = self.ends_with_cut.is_some();
        }
        self.faults = Some(disk.clone());
        let disk = Arc::new(disk);
        let directory =
            Uuid::from_u128(u128::from(self.directory) << 64 | u128::from(self.id.unsigned_abs()) << 1);
        let now = self.now(time);
        self.process = Some(Process::start(self.id, self.boot, disk, directory, self.settings, now)?);
        Ok(())
    }
}
