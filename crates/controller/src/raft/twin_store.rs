//! The twin of the store of votes and pointers on a [`Disk`], for simulations: like sled's a log that is replayed, so that
//! a power cut tears it where it tears everything else.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ottla_model::batch::crc32c;
use ottla_storage::{Disk, DiskFile, OpenMode};
use parking_lot::Mutex;

use super::meta_store::{MetaKey, MetaStore};

const KEYS: [MetaKey; 6] = MetaKey::ALL;
pub(crate) const FILE_NAME: &str = "meta.twin";
/// CRC, key and length in front of a value.
const HEADER_LEN: usize = 6;

#[derive(Debug)]
pub(crate) struct TwinStore {
    file: Arc<dyn DiskFile>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    values: BTreeMap<MetaKey, Vec<u8>>,
    len: u64,
}

impl TwinStore {
    pub(crate) fn open(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE_NAME);
        let file = disk.open(&path, OpenMode::Create)?;
        disk.sync_dir(dir)?;
        let bytes = disk.read(&path)?;
        let mut state = State::default();
        while let Some((key, value)) = bytes.get(usize::try_from(state.len).unwrap_or(0)..).and_then(record) {
            state.len += (HEADER_LEN + value.len()) as u64;
            state.values.insert(key, value.to_vec());
        }
        if state.len < bytes.len() as u64 {
            file.set_len(state.len)?;
            file.sync_data()?;
        }
        Ok(Self { file, state: Mutex::new(state) })
    }
}

/// The record that stands at the beginning of `bytes`, if it is whole.
fn record(bytes: &[u8]) -> Option<(MetaKey, &[u8])> {
    let (crc, rest) = bytes.split_first_chunk()?;
    let (&[key, len], after) = rest.split_first_chunk()?;
    let value = after.get(..usize::from(len))?;
    let is_sound = u32::from_be_bytes(*crc) == crc32c(&rest[..2 + value.len()]);
    KEYS.get(usize::from(key)).filter(|_| is_sound).map(|key| (*key, value))
}

impl MetaStore for TwinStore {
    fn get(&self, key: MetaKey) -> io::Result<Option<Vec<u8>>> {
        // A store of a process that has ended answers nothing.
        self.file.len()?;
        Ok(self.state.lock().values.get(&key).cloned())
    }

    fn put(&self, key: MetaKey, value: &[u8]) -> io::Result<()> {
        let number = KEYS.iter().position(|known| *known == key).unwrap_or_default();
        let mut rest = vec![u8::try_from(number).unwrap_or_default()];
        rest.push(u8::try_from(value.len()).map_err(io::Error::other)?);
        rest.extend_from_slice(value);
        let bytes = [&crc32c(&rest).to_be_bytes()[..], &rest].concat();
        let mut state = self.state.lock();
        self.file.write_all_at(&bytes, state.len)?;
        state.len += bytes.len() as u64;
        state.values.insert(key, value.to_vec());
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
