//! A broker's storage as the broker drives it: two log dirs, several partitions, and the power that fails.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use ottla_model::{MonoMs, Now, TimestampMs, TopicPartition};
use ottla_storage::{FailedChange, LogDir, MetaProperties, OpenedLog, Seeded, SimDisk};
use uuid::Uuid;

use crate::part::{Kind, Part};

const DIRS: [&str; 2] = ["/a", "/b"];
/// Changes of a life, about: cuts fall before.
const CHANGES: u64 = 260;
const NEVER: u64 = u64::MAX - 1;

/// How often the power failed in a step, by its name.
pub(crate) type Cuts = BTreeMap<&'static str, u64>;

/// The process has ended.
#[derive(Debug)]
pub(crate) struct PowerOff;

pub(crate) struct World {
    pub disk: SimDisk,
    pub cuts: Cuts,
    pub(crate) random: Seeded,
    pub(crate) ms: i64,
    pub(crate) dirs: Vec<LogDir>,
    pub(crate) parts: Vec<Part>,
    /// What was deleted for good.
    pub(crate) gone: Vec<Uuid>,
    pub(crate) step: &'static str,
    unique: u128,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            disk: SimDisk::new(),
            cuts: Cuts::new(),
            random: Seeded::new(seed),
            ms: 1_000,
            dirs: Vec::new(),
            parts: Vec::new(),
            gone: Vec::new(),
            step: "recovery",
            unique: 0,
        };
        world.parts =
            ["p", "f", "c"].map(|topic| Part::new(TopicPartition::new(topic, 0), world.unique())).into();
        world
    }

    /// Some lives, each ended by a power cut.
    pub(crate) fn run(seed: u64, lives: usize) -> Self {
        let mut world = Self::new(seed);
        world.recover();
        for _ in 0..lives {
            let changes = world.random.below(CHANGES);
            world.live(changes);
        }
        world
    }

    /// One life, ended after that many changes.
    pub(crate) fn run_until(seed: u64, changes: u64) -> Self {
        let mut world = Self::new(seed);
        world.recover();
        world.live(changes);
        world
    }

    fn live(&mut self, changes: u64) {
        self.disk.fail_after(changes);
        for _ in 0..20 + self.random.below(30) {
            let ended = self.op().is_err();
            self.tell();
            if ended || self.step == "closed" {
                break;
            }
        }
        if self.disk.failed().is_none() {
            self.step = "idle";
        }
        self.cut();
        self.recover();
    }

    pub(crate) fn now(&self) -> Now {
        Now { wall: TimestampMs(self.ms), mono: MonoMs(self.ms.unsigned_abs()) }
    }

    pub(crate) fn unique(&mut self) -> u128 {
        self.unique += 1;
        self.unique
    }

    /// Only a power cut may fail anything.
    pub(crate) fn alive<T, E: Debug>(&self, outcome: Result<T, E>) -> Result<T, PowerOff> {
        outcome.map_err(|error| {
            assert!(self.disk.failed().is_some(), "{} fails: {error:?}", self.step);
            PowerOff
        })
    }

    fn cut(&mut self) {
        for name in names(self.step, self.disk.failed()) {
            *self.cuts.entry(name).or_default() += 1;
        }
        self.dirs.clear();
        for part in &mut self.parts {
            part.log = None;
        }
        let seed = self.random.bits();
        if is_told() {
            println!("power cut by {seed}, {}: {:?}", self.step, self.disk.failed());
        }
        self.disk.power_cut(seed);
    }

    /// What a seed that is run by itself has come to.
    fn tell(&self) {
        if is_told() {
            let parts: Vec<String> = self.parts.iter().map(Part::told).collect();
            println!("{:28} {}", self.step, parts.join(", "));
        }
    }

    /// The power may fail again while the dirs are opened.
    fn recover(&mut self) {
        self.step = "recovery";
        for attempt in 0.. {
            let is_cut = attempt < 3 && self.random.eighths(2);
            let changes = if is_cut { self.random.below(60) } else { NEVER };
            self.disk.fail_after(changes);
            match self.open() {
                Ok(()) => {
                    self.tell();
                    break;
                }
                Err(PowerOff) => self.cut(),
            }
        }
        self.disk.fail_after(NEVER);
    }

    fn open(&mut self) -> Result<(), PowerOff> {
        self.ms += 10;
        let mut found: Vec<(usize, OpenedLog)> = Vec::new();
        for (number, path) in DIRS.iter().enumerate() {
            let directory_id = Some(Uuid::from_u128(1_000 + number as u128));
            let identity = MetaProperties { cluster_id: "c".to_owned(), node_id: 1, directory_id };
            let dir = LogDir::open(Arc::new(self.disk.clone()), PathBuf::from(path), &identity);
            let dir = self.alive(dir)?;
            for opened in self.open_logs(&dir)? {
                let twin = found
                    .iter()
                    .position(|(_, twin)| twin.log.topic_partition() == opened.log.topic_partition());
                let Some(twin) = twin else {
                    found.push((number, opened));
                    continue;
                };
                // The one that goes further is it.
                let is_behind = opened.log.log_end_offset() <= found[twin].1.log.log_end_offset();
                let name = opened.log.topic_partition().clone();
                let loser = if is_behind { &dir } else { &self.dirs[found[twin].0] };
                let unique = Uuid::from_u128(u128::from(self.disk.changes()));
                let aside = loser.set_aside(&[name], || unique);
                self.alive(aside)?;
                if !is_behind {
                    found[twin] = (number, opened);
                }
            }
            self.dirs.push(dir);
        }
        self.take(found)
    }

    fn open_logs(&self, dir: &LogDir) -> Result<Vec<OpenedLog>, PowerOff> {
        for future in self.alive(dir.futures())? {
            let unique = Uuid::from_u128(u128::from(self.disk.changes()));
            self.alive(dir.discard(&future.path, &future.topic_partition, unique))?;
        }
        let opened = self.alive(dir.open_logs(1, &|name, _| Kind::of(name).config(), self.now()))?;
        assert!(opened.failed.is_empty() || self.disk.failed().is_some(), "{:?}", opened.failed);
        for deleted in opened.deleted {
            self.alive(dir.remove_deleted(&deleted))?;
        }
        Ok(opened.logs)
    }

    /// Gives the partitions their logs, and makes those that are missing, if they may be.
    fn take(&mut self, found: Vec<(usize, OpenedLog)>) -> Result<(), PowerOff> {
        let now = self.now();
        let (mut watermarks, mut no_id) = (BTreeMap::new(), Vec::new());
        for (number, OpenedLog { log, topic_id, high_watermark }) in found {
            let name = log.topic_partition().clone();
            assert!(
                topic_id.is_none_or(|id| !self.gone.contains(&id.0)),
                "{name} was deleted and comes back"
            );
            let at = self.parts.iter().position(|part| part.name == name);
            let at = at.unwrap_or_else(|| panic!("{name} was never made"));
            let part = &mut self.parts[at];
            let may_lack = !part.exists || part.moved;
            assert!(topic_id.map_or(may_lack, |id| id == part.id), "{name} has topic id {topic_id:?}");
            (part.log, part.dir) = (Some(log), number);
            no_id.extend(topic_id.is_none().then(|| name.clone()));
            watermarks.insert(name, high_watermark);
            if part.doomed {
                self.delete(at)?;
            }
        }
        for at in 0..self.parts.len() {
            let part = &mut self.parts[at];
            if part.doomed {
                watermarks.remove(&part.name);
                self.gone.push(part.id.0);
                let unique = self.unique();
                self.parts[at] = Part::new(self.parts[at].name.clone(), unique);
            } else if part.log.is_none() {
                assert!(!part.exists && part.answered == 0, "{} is lost", part.name);
            }
            if let Some(log) = self.parts[at].log.as_ref().filter(|_| no_id.contains(&self.parts[at].name)) {
                let adopted = self.dirs[self.parts[at].dir].adopt(log, self.parts[at].id);
                self.alive(adopted)?;
            }
            if self.parts[at].log.is_none() {
                self.parts[at] = Part::new(self.parts[at].name.clone(), self.parts[at].id.0.as_u128());
                self.create(at)?;
            }
        }
        if self.disk.failed().is_some() {
            return Err(PowerOff);
        }
        for part in &mut self.parts {
            if let Some(high_watermark) = watermarks.get(&part.name) {
                part.exists = true;
                part.check(*high_watermark, now);
            }
        }
        Ok(())
    }
}

fn is_told() -> bool {
    std::env::var_os("OTTLA_POWER_SEED").is_some()
}

/// What a cut has hit: the operation, and what it was just doing.
fn names(step: &'static str, failed: Option<FailedChange>) -> Vec<&'static str> {
    let mut names = vec![step];
    let Some(FailedChange { op, path }) = failed else { return names };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_compaction = step == "compaction";
    let further = match (op, name.rsplit('.').next().unwrap_or_default()) {
        ("rename", "swap" | "log" | "index" | "timeindex") | ("rename" | "fsync dir", _) if is_compaction => {
            Some("compaction swap")
        }
        ("write" | "fsync", "index" | "timeindex") => Some("index write"),
        (_, "snapshot") => Some("producer snapshot"),
        ("create" | "set_len", "log") if step == "append" => Some("roll"),
        ("rename", _) if step == "move to another log dir" && !name.contains('.') => {
            Some("move: the future log takes its place")
        }
        _ if name.starts_with("leader-epoch-checkpoint") => Some("epoch checkpoint"),
        _ => None,
    };
    names.extend(further);
    names
}
