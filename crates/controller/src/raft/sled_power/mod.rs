//! The vote and the pointers on sled's real files, and the power that fails: a process keeps them under strace, what it
//! did is replayed into the simulated disk up to some call, the power is cut there, and what is left is put on a real file
//! system and opened again. What was answered is there, and the store goes on.
//!
//! `OTTLA_POWER_SEEDS` and `OTTLA_POWER_SEED` as in the other power tests: each seed is one cut of each life.

mod recording;

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ottla_storage::{Disk, DiskFile, OpenMode, SimDisk};

use super::meta_store::{MetaKey, MetaStore};
use super::power_tests;
use super::sled_store::SledStore;
use recording::{Call, NOTES, TRACED};

const SEEDS: u64 = 40;
/// What a cut has left is opened by several at a time.
const THREADS: usize = 2;
/// The directory to work in, for the process that is traced.
const CHILD: &str = "OTTLA_SLED_POWER_DIR";
/// The vote to go on from.
const FROM: &str = "OTTLA_SLED_POWER_FROM";
const STORE: &str = "quorum-state.sled";
/// Lives, each of a process that is killed; each begins with what a power cut has left of the one before.
const LIVES: u64 = 4;
/// Votes of a life.
const VOTES: u64 = 40;
/// Puts between two votes that are not flushed, in the lives that are to fill sled's segments.
const PUTS: u64 = 300;

/// Files by their paths; directories have no contents.
type Image = Vec<(PathBuf, Option<Vec<u8>>)>;

#[test]
fn a_vote_on_sled_never_goes_back_whenever_the_power_fails() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let from = std::env::var(FROM).unwrap().parse().unwrap();
        live(Path::new(&dir), from);
        std::process::abort();
    }
    let (first, seeds) = power_tests::seeds(SEEDS);
    let (mut image, mut vote, mut cuts) = (Image::new(), 0, 0);
    for life in 0..LIVES {
        let Some(calls) = record(&image, vote) else { return };
        let cut_at = |seed: u64| {
            // Every call is cut at once, if there are as many seeds as calls.
            let at = usize::try_from(seed).unwrap() * calls.len() / usize::try_from(seeds).unwrap();
            cut(&image, vote, &calls, at % (calls.len() + 1), seed);
        };
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let cut_at = &cut_at;
                scope.spawn(move || (first..first + seeds).skip(thread).step_by(THREADS).for_each(cut_at));
            }
        });
        cuts += seeds;
        (image, vote) = cut(&image, vote, &calls, calls.len() - 1, life);
    }
    println!("power cuts: {cuts}");
}

/// What the traced process does, from a vote on.
fn live(dir: &Path, from: u64) {
    let mut notes = fs::File::create(dir.join(NOTES)).unwrap();
    let mut note = |text: String| notes.write_all(text.as_bytes()).unwrap();
    let (mut store, _closed) = SledStore::open(&dir.join(STORE)).unwrap();
    for vote in from + 1..=from + VOTES {
        if vote % 2 == 0 {
            for n in 0..PUTS {
                store.put(MetaKey::Committed, &(vote * PUTS + n).to_be_bytes()).unwrap();
            }
        }
        note(format!("tries {vote}\n"));
        for key in [MetaKey::Vote, MetaKey::Purged, MetaKey::Snapshot] {
            store.save(key, &value(key, vote)).unwrap();
        }
        note(format!("saved {vote}\n"));
        if vote % 16 == 0 {
            drop(store);
            store = SledStore::open(&dir.join(STORE)).unwrap().0;
        }
    }
}

/// As long as what the keys really hold.
fn value(key: MetaKey, vote: u64) -> Vec<u8> {
    let mut value = vote.to_be_bytes().to_vec();
    value.resize(if key == MetaKey::Snapshot { 40 } else { 25 }, 7);
    value
}

fn number(value: &[u8]) -> u64 {
    u64::from_be_bytes(value[..8].try_into().unwrap())
}

/// The calls of a process that goes on from `image`; `None`, and a word about it, where it cannot be traced.
fn record(image: &Image, vote: u64) -> Option<Vec<Call>> {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().canonicalize().unwrap().join("d");
    write(image, &dir);
    let trace = base.path().join("trace");
    let me = std::env::current_exe().unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-xx", "-s", "16777216", "-e", TRACED, "-o"]).arg(&trace).arg(me);
    command.args([
        "--exact",
        "--nocapture",
        "raft::sled_power::a_vote_on_sled_never_goes_back_whenever_the_power_fails",
    ]);
    let ran = command.env(CHILD, &dir).env(FROM, vote.to_string()).output();
    let traced = fs::read_to_string(&trace).unwrap_or_default();
    if traced.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "strace is needed: {ran:?}");
        eprintln!("SKIPPED: strace is needed: {ran:?}");
        return None;
    }
    let calls = recording::read(&traced, &dir);
    let all = Call::Note(format!("saved {}", vote + VOTES));
    assert!(calls.contains(&all), "the process ended early: {ran:?}");
    Some(calls)
}

/// Cuts the power after `at` of the calls, and opens what is left; gives it as it was found, and the vote.
fn cut(image: &Image, vote: u64, calls: &[Call], at: usize, seed: u64) -> (Image, u64) {
    let disk = SimDisk::new();
    fill(&disk, image);
    let (mut tried, mut saved) = (vote, vote);
    for call in &calls[..at] {
        replay(&disk, call);
        match call {
            Call::Note(note) if note.starts_with("tries ") => tried = note[6..].parse().unwrap(),
            Call::Note(note) => saved = note[6..].parse().unwrap(),
            _ => {}
        }
    }
    disk.power_cut(seed);
    let left = read(&disk, Path::new("/"));
    let dir = tempfile::tempdir().unwrap();
    write(&left, dir.path());
    let found = catch_unwind(AssertUnwindSafe(|| reopen(&dir.path().join(STORE), saved, tried)));
    let again = || {
        format!("seed {seed}, cut after {at} of {} calls, {:?}", calls.len(), calls.get(at.saturating_sub(1)))
    };
    let found = found.unwrap_or_else(|panic| {
        println!("XX saved {saved} {}: {:?}", again(), panic.downcast_ref::<String>());
        saved
    });
    (left, found)
}

/// The vote that is there; the store goes on after it.
fn reopen(path: &Path, saved: u64, tried: u64) -> u64 {
    let vote_of = |store: &SledStore, key| store.get(key).unwrap().map_or(0, |value| number(&value));
    let (store, _closed) = SledStore::open(path).unwrap();
    for key in [MetaKey::Vote, MetaKey::Purged, MetaKey::Snapshot] {
        let there = vote_of(&store, key);
        assert!((saved..=tried).contains(&there), "{key:?} is {there}; {saved} was saved, {tried} tried");
    }
    let there = vote_of(&store, MetaKey::Vote);
    store.save(MetaKey::Vote, &value(MetaKey::Vote, there + 1_000_000)).unwrap();
    drop(store);
    if there % 4 != 0 {
        return there;
    }
    let (store, _closed) = SledStore::open(path).unwrap();
    assert_eq!(vote_of(&store, MetaKey::Vote), there + 1_000_000, "after another start");
    there
}

fn on_disk(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}

fn fill(disk: &SimDisk, image: &Image) {
    for (path, contents) in image {
        let path = on_disk(path);
        match contents {
            None => disk.create_dir(&path).unwrap(),
            Some(bytes) => open(disk, &path, OpenMode::Create).write_all_at(bytes, 0).unwrap(),
        }
    }
    disk.sync_fs(Path::new("/")).unwrap();
}

fn open(disk: &SimDisk, path: &Path, mode: OpenMode) -> Arc<dyn DiskFile> {
    disk.open(path, mode).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn replay(disk: &SimDisk, call: &Call) {
    match call {
        Call::Mkdir(path) => disk.create_dir(&on_disk(path)).unwrap(),
        Call::Create(path) => drop(open(disk, &on_disk(path), OpenMode::Create)),
        Call::Truncate(path) => drop(open(disk, &on_disk(path), OpenMode::Truncate)),
        Call::Write { path, pos, bytes } => {
            open(disk, &on_disk(path), OpenMode::Write).write_all_at(bytes, *pos).unwrap();
        }
        Call::SetLen(path, len) => open(disk, &on_disk(path), OpenMode::Write).set_len(*len).unwrap(),
        Call::Sync(path) => match disk.sync_dir(&on_disk(path)) {
            Ok(()) => {}
            Err(_) => open(disk, &on_disk(path), OpenMode::Write).sync_data().unwrap(),
        },
        Call::Rename(from, to) => disk.rename(&on_disk(from), &on_disk(to)).unwrap(),
        Call::Remove(path) => disk.remove_file(&on_disk(path)).unwrap(),
        Call::Note(_) => {}
    }
}

/// All files of the disk below a directory.
fn read(disk: &SimDisk, dir: &Path) -> Image {
    let mut image = Image::new();
    for entry in disk.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        let below = path.strip_prefix("/").unwrap().to_owned();
        if entry.is_dir {
            image.push((below, None));
            image.extend(read(disk, &path));
        } else {
            image.push((below, Some(disk.read(&path).unwrap())));
        }
    }
    image
}

fn write(image: &Image, dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    for (path, contents) in image {
        match contents {
            None => fs::create_dir_all(dir.join(path)).unwrap(),
            Some(bytes) => fs::write(dir.join(path), bytes).unwrap(),
        }
    }
}
