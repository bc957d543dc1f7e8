//! Files of the metadata log's directory that are gone, cut or flipped, after a stop and after a kill, with a snapshot and
//! without: what can be made anew is, the rest is refused with one line that says what to do. No topic that was created is
//! forgotten, and no vote is given twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ottla_metadata::{DirectoryId, MetadataImage, MetadataRecord, TopicRecord};
use ottla_model::{BrokerId, TimestampMs, TopicId};
use ottla_storage::{Disk, RealDisk};
use tempfile::TempDir;
use uuid::Uuid;

use super::meta_copy;
use super::quorum::{Quorum, QuorumConfig};
use super::snapshot_clock::SnapshotLimits;
use crate::error::StartError;
use crate::publish::Publisher;

const TOPICS: u128 = 25;
const SEGMENT_BYTES: u64 = 1_000;

/// The files of a directory, by their path in it.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// In memory where that is possible: each case syncs a dozen times.
fn temporary() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn files(dir: &Path) -> Files {
    let mut all = Files::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                all.insert(path.strip_prefix(dir).unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    all
}

/// The files once a snapshot under way is written and the log purged.
async fn settled(dir: &Path) -> Files {
    let mut last = Files::new();
    loop {
        let now = files(dir);
        if now == last {
            return now;
        }
        last = now;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn lay_out(files: &Files) -> TempDir {
    let dir = temporary();
    for (path, bytes) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

async fn start(dir: &Path, snapshot_every_entries: u64) -> Result<(Quorum, Arc<Publisher>), StartError> {
    let config = QuorumConfig {
        dir: dir.to_owned(),
        node_id: BrokerId(1),
        directory_id: DirectoryId(Uuid::from_u128(9)),
        cluster_id: "cluster".into(),
        segment_bytes: SEGMENT_BYTES,
        snapshot_every_entries,
        snapshots: SnapshotLimits { bytes_max: u64::MAX, interval: None },
        peers: None,
    };
    let publisher = Arc::new(Publisher::new(MetadataImage::new("cluster")));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    Ok((Quorum::start(config, disk, publisher.clone()).await?, publisher))
}

async fn create(quorum: &Quorum, number: u128) {
    let topic = TopicRecord { name: format!("t{number}"), topic_id: TopicId(Uuid::from_u128(number)) };
    let term = quorum.leading_term().unwrap();
    quorum.propose(term, TimestampMs(1), vec![MetadataRecord::Topic(topic)]).await.unwrap();
}

/// A directory to damage.
struct Subject {
    name: String,
    files: Files,
    snapshot: Snapshot,
    snapshot_every_entries: u64,
    term: u64,
}

impl Subject {
    /// The number that the name of each file with this suffix begins with, ascending.
    fn offsets(&self, suffix: &str) -> Vec<u64> {
        let names = self.files.keys().filter(|path| path.extension().is_some_and(|found| found == suffix));
        names.map(|path| path.to_string_lossy()[..20].parse().unwrap()).collect()
    }

    /// Whether all that a file of the log holds is in the snapshot.
    fn is_covered(&self, path: &Path) -> bool {
        let base: u64 = path.to_string_lossy()[..20].parse().unwrap();
        let next = self.offsets("log").into_iter().find(|other| *other > base);
        let covered = self.offsets("checkpoint").last().copied();
        next.is_some_and(|next| covered.is_some_and(|covered| next <= covered))
    }
}

/// What the snapshot and the log hold of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Snapshot {
    None,
    /// The log has all that is in it.
    Beside,
    /// The log's beginning is only in it.
    Instead,
}

impl Snapshot {
    /// As many entries stay in the log behind a snapshot.
    const fn every_entries(self) -> u64 {
        match self {
            Self::None => 1_000,
            Self::Beside => 20,
            Self::Instead => 10,
        }
    }
}

/// Three terms of entries, in several files.
async fn subject(snapshot: Snapshot, is_killed: bool) -> Subject {
    let snapshot_every_entries = snapshot.every_entries();
    let dir = temporary();
    let mut quorum = None;
    for term in 0..3 {
        if let Some(before) = quorum.take() {
            Quorum::shutdown(before).await;
        }
        let (started, _) = start(dir.path(), snapshot_every_entries).await.unwrap();
        for number in (0..TOPICS).filter(|number| number * 3 / TOPICS == term) {
            create(&started, number).await;
        }
        quorum = Some(started);
    }
    let quorum = quorum.unwrap();
    let term = quorum.leading_term().unwrap();
    let killed = settled(dir.path()).await;
    quorum.shutdown().await;
    let files = if is_killed { killed } else { files(dir.path()) };
    let is_there =
        |suffix: &str| files.keys().filter(|path| path.to_string_lossy().ends_with(suffix)).count();
    assert_eq!(is_there(".checkpoint"), usize::from(snapshot != Snapshot::None), "{:?}", files.keys());
    assert!(is_there(".log") >= 2, "{:?}", files.keys());
    let name = format!("snapshot: {snapshot:?}, killed: {is_killed}");
    Subject { name, files, snapshot, snapshot_every_entries, term }
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Deleted,
    Emptied,
    /// Cut by so many bytes, or by so many thousandths.
    Shortened(usize),
    Cut(usize),
    /// One bit of the byte at so many thousandths of the file, or of the byte at this place.
    Flipped(usize),
    FlippedAt(usize),
    Zeroed,
    Garbage,
}

/// The bytes of a batch's header, each of which another check is for.
const HEADER: std::ops::Range<usize> = 0..61;

fn damages(file: &Path, bytes: &[u8]) -> Vec<Damage> {
    let mut all = vec![Damage::Deleted, Damage::Emptied, Damage::Zeroed, Damage::Garbage];
    all.extend([1, 12, 61].map(Damage::Shortened));
    all.extend([100, 500, 900].map(Damage::Cut));
    all.extend((0..10).map(|part| Damage::Flipped(part * 100)).chain([Damage::Flipped(999)]));
    if file.extension().is_some_and(|suffix| suffix == "log") {
        let last = bytes.len().saturating_sub(HEADER.end + 40);
        all.extend(HEADER.chain(last..bytes.len()).step_by(5).map(Damage::FlippedAt));
    } else if bytes.len() < 1_000 {
        all.extend((0..bytes.len()).step_by(7).map(Damage::FlippedAt));
    }
    all
}

/// `None`: the file is gone.
fn wounded(bytes: &[u8], damage: Damage) -> Option<Vec<u8>> {
    let (len, mut bytes) = (bytes.len(), bytes.to_vec());
    let mut flip = |at: usize| {
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << (at % 8);
        }
    };
    match damage {
        Damage::Deleted => return None,
        Damage::Emptied => bytes.clear(),
        Damage::Shortened(by) => bytes.truncate(len.saturating_sub(by)),
        Damage::Cut(thousandths) => bytes.truncate(len * thousandths / 1_000),
        Damage::Flipped(thousandths) => flip(len * thousandths / 1_000),
        Damage::FlippedAt(at) => flip(at),
        Damage::Zeroed => bytes.fill(0),
        Damage::Garbage => bytes = b"\xff\x00no file\x80 of ours\n\n".repeat(20),
    }
    Some(bytes)
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Whole,
    Refused,
}

/// Whether it is started a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Yes,
    No,
}

/// What was made of the damage is there.
async fn starts_again(subject: &Subject, dir: &Path, context: &str) {
    // As another process would find it: sled's threads may hold its lock a moment longer.
    let dir = lay_out(&files(dir));
    let started = start(dir.path(), subject.snapshot_every_entries).await;
    let (quorum, publisher) = started.unwrap_or_else(|error| panic!("{context}: started again: {error}"));
    assert_eq!(publisher.image().topics().len() as u128, TOPICS + 1, "{context}: started again");
    quorum.shutdown().await;
}

/// What a start makes of the files: all that was ever answered, or a line.
async fn outcome(subject: &Subject, files: &Files, again: Again, context: &str) -> Outcome {
    let dir = lay_out(files);
    let before = self::files(dir.path());
    match start(dir.path(), subject.snapshot_every_entries).await {
        Ok((quorum, publisher)) => {
            let image = publisher.image();
            let missing = (0..TOPICS).find(|number| image.topic(&format!("t{number}")).is_none());
            assert_eq!(missing, None, "{context}: forgotten");
            assert_eq!(image.topics().len() as u128, TOPICS, "{context}");
            let term = quorum.leading_term().unwrap();
            assert!(term > subject.term, "{context}: leads in term {term} again");
            create(&quorum, TOPICS).await;
            quorum.shutdown().await;
            if again == Again::Yes {
                starts_again(subject, dir.path(), context).await;
            }
            Outcome::Whole
        }
        Err(error) => {
            let line = error.to_string();
            assert!(matches!(error, StartError::Damaged(_)), "{context}: {line}");
            let directory = dir.path().to_string_lossy().into_owned();
            assert!(line.contains(&directory) && !line.contains('\n'), "{context}: {line}");
            assert!(line.contains("bring ") && line.contains("backup"), "{context}: {line}");
            for (path, bytes) in
                before.iter().filter(|(path, _)| path.extension().is_some_and(|s| s == "log"))
            {
                let now = std::fs::read(dir.path().join(path)).ok();
                assert_eq!(now.as_ref(), Some(bytes), "{context}: refused, and {} changed", path.display());
            }
            Outcome::Refused
        }
    }
}

/// Which files have no second copy.
fn may_be_refused(subject: &Subject, path: &Path) -> bool {
    match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("log") => !subject.is_covered(path),
        Some("checkpoint") => subject.snapshot == Snapshot::Instead,
        _ => false,
    }
}

/// What came of a subject's damages.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    damages: u32,
    refused: u32,
    /// Files of the log that have a second copy.
    covered: u32,
}

async fn damage_each_file(snapshot: Snapshot, is_killed: bool) -> Sum {
    let subject = subject(snapshot, is_killed).await;
    assert_eq!(outcome(&subject, &subject.files, Again::Yes, "undamaged").await, Outcome::Whole);
    let mut sum = Sum::default();
    for (path, bytes) in &subject.files {
        sum.covered += u32::from(path.extension().is_some_and(|s| s == "log") && subject.is_covered(path));
        for damage in damages(path, bytes) {
            let context = format!("{}: {} {damage:?}", subject.name, path.display());
            let mut files = subject.files.clone();
            match wounded(bytes, damage) {
                Some(wounded) => files.insert(path.clone(), wounded),
                None => files.remove(path),
            };
            sum.damages += 1;
            let again = if sum.damages % 5 == 0 { Again::Yes } else { Again::No };
            if outcome(&subject, &files, again, &context).await == Outcome::Refused {
                assert!(may_be_refused(&subject, path), "{context}: refused");
                sum.refused += 1;
            }
        }
    }
    sum
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_damage_of_every_file_of_the_metadata_is_mended_or_refused() {
    let subjects = [
        (Snapshot::None, true),
        (Snapshot::Instead, false),
        (Snapshot::Instead, true),
        (Snapshot::Beside, true),
    ];
    // Each start waits more than it works.
    let subjects = subjects.map(|(snapshot, is_killed)| tokio::spawn(damage_each_file(snapshot, is_killed)));
    let mut all = Sum::default();
    for subject in subjects {
        let sum = subject.await.unwrap();
        all.damages += sum.damages;
        all.refused += sum.refused;
        all.covered += sum.covered;
    }
    println!("{all:?}");
    assert!(all.covered > 0, "no file of the log has a second copy");
    let Sum { damages, refused, .. } = all;
    assert!(damages > 500 && refused > 50 && refused < damages, "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_its_votes_is_no_new_log_and_without_its_end_goes_on_where_its_owner_wants_it() {
    let subject = subject(Snapshot::None, true).await;
    let is_of_votes = |path: &Path| path.to_string_lossy().starts_with("quorum-state");
    let mut files = subject.files.clone();
    files.retain(|path, _| !is_of_votes(path));
    assert_eq!(outcome(&subject, &files, Again::No, "no votes").await, Outcome::Refused);

    let mut files = subject.files.clone();
    let (last, bytes) = files.iter().rfind(|(path, _)| path.extension().is_some_and(|s| s == "log")).unwrap();
    let (last, cut) = (last.clone(), bytes[..bytes.len() - 1].to_vec());
    files.insert(last, cut);
    assert_eq!(outcome(&subject, &files, Again::No, "cut").await, Outcome::Refused);
    files.remove(Path::new(meta_copy::FILE_NAME)).unwrap();
    let dir = lay_out(&files);
    let (quorum, publisher) = start(dir.path(), 1_000).await.unwrap();
    assert_eq!(publisher.image().topics().len() as u128, TOPICS - 1);
    quorum.shutdown().await;
}
