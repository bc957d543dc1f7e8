//! The in-memory twin of the store of votes and pointers, for simulations.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::meta_store::{MetaKey, MetaStore};

/// The twin in memory, for tests: forgets, on [`Self::crash`], what was not flushed. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryStore {
    values: Arc<Mutex<Values>>,
    /// The boot whose end is the end of this clone too; `None` for one that sees through them all.
    boot: Option<u64>,
}

#[derive(Debug, Default)]
struct Values {
    current: BTreeMap<MetaKey, Vec<u8>>,
    flushed: BTreeMap<MetaKey, Vec<u8>>,
    /// Grows with each crash.
    boot: u64,
}

impl MemoryStore {
    pub(crate) fn crash(&self) {
        let mut values = self.values.lock();
        values.boot += 1;
        values.current = values.flushed.clone();
    }

    /// The store as a process has it that ends with the next crash: what it tries afterwards fails.
    pub(crate) fn of_process(&self) -> Self {
        let boot = Some(self.values.lock().boot);
        Self { values: Arc::clone(&self.values), boot }
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, Values>> {
        let values = self.values.lock();
        if self.boot.is_some_and(|boot| boot != values.boot) {
            return Err(io::Error::other("the process has ended"));
        }
        Ok(values)
    }
}

impl MetaStore for MemoryStore {
    fn get(&self, key: MetaKey) -> io::Result<Option<Vec<u8>>> {
        Ok(self.alive()?.current.get(&key).cloned())
    }

    fn put(&self, key: MetaKey, value: &[u8]) -> io::Result<()> {
        self.alive()?.current.insert(key, value.to_vec());
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut values = self.alive()?;
        values.flushed = values.current.clone();
        Ok(())
    }
}
