//! What a simulated disk has taken and not yet made durable, and what a power cut leaves of that.
//!
//! The disk promises as little as a real one: of the writes to a file that were not synced any subset may have reached
//! it, page by page, torn at any byte, later ones without earlier ones; a length may have reached it without the bytes.
//! Of the names that were not synced any subset may be there; only a rename is whole.

use std::collections::BTreeMap;

use super::seeded::Seeded;

/// What the page cache writes at once.
const PAGE_BYTES: usize = 4096;
const SECTOR_BYTES: u64 = 512;

pub(super) type NodeId = u64;
pub(super) type Nodes = BTreeMap<NodeId, Node>;

#[derive(Debug)]
pub(super) enum Node {
    File(Contents),
    Dir(Names),
}

/// A file's contents.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// What the process sees.
    pub(super) bytes: Vec<u8>,
    durable: Vec<u8>,
    /// What turns `durable` into `bytes`, in its order.
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write { pos: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Contents {
    pub(super) fn write(&mut self, pos: usize, bytes: &[u8]) {
        put(&mut self.bytes, pos, bytes);
        self.pending.push(Change::Write { pos, bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, len: usize) {
        if len != self.bytes.len() {
            self.bytes.resize(len, 0);
            self.pending.push(Change::SetLen(len));
        }
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            match change {
                Change::Write { pos, bytes } => put(&mut self.durable, pos, &bytes),
                Change::SetLen(len) => self.durable.resize(len, 0),
            }
        }
    }

    /// What was not synced never reaches the disk, though it is still to be seen.
    pub(super) fn lose(&mut self) {
        self.pending.clear();
    }

    /// Nothing that was not synced has reached the disk.
    pub(super) fn forget(&mut self) {
        self.pending.clear();
        self.bytes.clone_from(&self.durable);
    }

    /// Chance decides what has reached the disk.
    pub(super) fn cut(&mut self, random: &mut Seeded) {
        let luck = luck(random);
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::SetLen(len) if random.eighths(luck) => self.durable.resize(len, 0),
                Change::SetLen(_) => {}
                Change::Write { pos, bytes } => {
                    for (from, to) in pages(pos, bytes.len()) {
                        self.cut_page(from, &bytes[from - pos..to - pos], luck, random);
                    }
                }
            }
        }
        self.bytes.clone_from(&self.durable);
    }

    fn cut_page(&mut self, pos: usize, bytes: &[u8], luck: u64, random: &mut Seeded) {
        let end = pos + bytes.len();
        let (from, to) = if random.eighths(luck) { torn(bytes.len(), random) } else { (0, 0) };
        if from < to {
            put(&mut self.durable, pos + from, &bytes[from..to]);
        }
        // The new length may be there, and zeros where the bytes are not.
        if self.durable.len() < end && random.eighths(1) {
            self.durable.resize(end, 0);
        }
    }
}

/// How many eighths of what is pending survive: nothing and everything are as likely as what lies between.
fn luck(random: &mut Seeded) -> u64 {
    [0, 0, 1, 4, 7, 7, 8, 8][usize::try_from(random.below(8)).unwrap_or(0)]
}

/// What of a page's write is there, if anything: mostly all of it.
fn torn(len: usize, random: &mut Seeded) -> (usize, usize) {
    let at = |random: &mut Seeded| random.below(len as u64);
    let cut = |at: u64| usize::try_from(at).unwrap_or(len).min(len);
    match random.below(16) {
        0 => (0, cut(at(random))),
        1 => (cut(at(random)), len),
        2 => (0, cut(at(random) / SECTOR_BYTES * SECTOR_BYTES)),
        _ => (0, len),
    }
}

fn put(file: &mut Vec<u8>, pos: usize, bytes: &[u8]) {
    let end = pos + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[pos..end].copy_from_slice(bytes);
}

/// The pieces of a write, each within a page.
fn pages(pos: usize, len: usize) -> impl Iterator<Item = (usize, usize)> {
    let end = pos + len;
    let next = move |from: &usize| {
        let to = (from / PAGE_BYTES + 1) * PAGE_BYTES;
        (to < end).then_some(to)
    };
    let first = (len > 0).then_some(pos);
    std::iter::successors(first, next)
        .map(move |from| (from, ((from / PAGE_BYTES + 1) * PAGE_BYTES).min(end)))
}

/// A directory's names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What the process sees.
    pub(super) now: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
}

impl Names {
    pub(super) fn forget(&mut self) {
        self.now.clone_from(&self.durable);
    }
}

/// A change of names that may not have reached the disk.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Added { dir: NodeId, name: String, id: NodeId },
    Removed { dir: NodeId, name: String, id: NodeId },
    Renamed { from: NodeId, to: NodeId, name: String, id: NodeId },
}

impl NameChange {
    /// Whether an fsync of that directory makes it durable.
    pub(super) fn touches(&self, id: NodeId) -> bool {
        match self {
            Self::Added { dir, .. } | Self::Removed { dir, .. } => *dir == id,
            Self::Renamed { from, to, .. } => *from == id || *to == id,
        }
    }

    /// Makes it durable. What came before may be lost, but a file has one name.
    pub(super) fn reach_disk(&self, nodes: &mut Nodes) {
        match self {
            Self::Added { dir, name, id } => {
                durable(nodes, *dir).map(|names| names.insert(name.clone(), *id));
            }
            Self::Removed { dir, name, id } => {
                let names = durable(nodes, *dir).filter(|names| names.get(name) == Some(id));
                names.map(|names| names.remove(name));
            }
            Self::Renamed { from, to, name, id } => {
                if let Some(names) = durable(nodes, *from) {
                    names.retain(|_, there| there != id);
                }
                durable(nodes, *to).map(|names| names.insert(name.clone(), *id));
            }
        }
    }
}

fn durable(nodes: &mut Nodes, dir: NodeId) -> Option<&mut BTreeMap<String, NodeId>> {
    match nodes.get_mut(&dir) {
        Some(Node::Dir(names)) => Some(&mut names.durable),
        _ => None,
    }
}

/// Which of the pending changes of names reach the disk with a power cut.
pub(super) fn survivors(pending: Vec<NameChange>, random: &mut Seeded) -> Vec<NameChange> {
    let luck = luck(random);
    pending.into_iter().filter(|_| random.eighths(luck)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_falls_into_pages() {
        let pieces = |pos, len| pages(pos, len).collect::<Vec<_>>();
        assert_eq!(pieces(0, 0), []);
        assert_eq!(pieces(10, 20), [(10, 30)]);
        assert_eq!(pieces(4000, 200), [(4000, 4096), (4096, 4200)]);
        assert_eq!(pieces(4096, 8192), [(4096, 8192), (8192, 12288)]);
    }

    /// All that a cut may leave, over many seeds.
    fn outcomes(make: impl Fn() -> Contents) -> std::collections::BTreeSet<Vec<u8>> {
        let cut = |seed| {
            let mut contents = make();
            contents.cut(&mut Seeded::new(seed));
            contents.bytes
        };
        (0..4000).map(cut).collect()
    }

    #[test]
    fn unsynced_writes_are_lost_kept_torn_and_reordered_and_synced_ones_stay() {
        let all = outcomes(|| {
            let mut contents = Contents::default();
            contents.write(0, b"synced");
            contents.sync();
            contents.write(6, b"one");
            contents.write(9, b"two");
            contents
        });
        assert!(all.iter().all(|left| left.starts_with(b"synced")));
        for wanted in
            [&b"synced"[..], b"syncedone", b"syncedonetwo", b"synced\0\0\0two", b"syncedon", b"synced\0\0\0"]
        {
            assert!(all.contains(wanted), "{:?} never happens", String::from_utf8_lossy(wanted));
        }
    }

    #[test]
    fn what_an_fsync_has_lost_no_later_one_saves() {
        let all = outcomes(|| {
            let mut contents = Contents::default();
            contents.write(0, b"a");
            contents.sync();
            contents.write(1, b"bc");
            contents.lose();
            assert_eq!(contents.bytes, b"abc");
            contents.write(3, b"d");
            contents.sync();
            contents
        });
        assert_eq!(all, [b"a\0\0d".to_vec()].into());
    }

    #[test]
    fn a_length_that_was_not_synced_comes_back_or_not() {
        let all = outcomes(|| {
            let mut contents = Contents::default();
            contents.write(0, b"abcdef");
            contents.sync();
            contents.set_len(2);
            contents.write(2, b"XY");
            contents
        });
        for wanted in [&b"abcdef"[..], b"ab", b"abXY", b"abXYef"] {
            assert!(all.contains(wanted), "{:?} never happens", String::from_utf8_lossy(wanted));
        }
    }
}
