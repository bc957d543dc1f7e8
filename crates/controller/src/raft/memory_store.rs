//! The in-memory twin of the store of votes and pointers, for simulations.

use std::collections::BTreeMap;
use std::io;

use parking_lot::Mutex;

use super::meta_store::{MetaKey, MetaStore};

/// The twin in memory, for tests: forgets, on [`Self::crash`], what was not flushed.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    values: Mutex<Values>,
}

#[derive(Debug, Default)]
struct Values {
    current: BTreeMap<MetaKey, Vec<u8>>,
    flushed: BTreeMap<MetaKey, Vec<u8>>,
}

impl MemoryStore {
    pub(crate) fn crash(&self) {
        let mut values = self.lock();
        values.current = values.flushed.clone();
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Values> {
        self.values.lock()
    }
}

impl MetaStore for MemoryStore {
    fn get(&self, key: MetaKey) -> io::Result<Option<Vec<u8>>> {
        Ok(self.lock().current.get(&key).cloned())
    }

    fn put(&self, key: MetaKey, value: &[u8]) -> io::Result<()> {
        self.lock().current.insert(key, value.to_vec());
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut values = self.lock();
        values.flushed = values.current.clone();
        Ok(())
    }
}
