//! The memory that groups and committed offsets take.
//!
//! It is measured every second, and what requests bring in between is added as they come: what adds to groups is refused
//! while that is too much, what takes away from them never.

use std::sync::Arc;
use std::time::Duration;

use ottla_coordinator::Outcome;
use ottla_group_coordinator::{GroupError, GroupResponse};
use ottla_model::Now;
use tokio::sync::oneshot;

use super::ask::{Asked, Shard};
use super::registry::Groups;

const PERIOD: Duration = Duration::from_secs(1);
/// What a member or a group takes beside what its request brings.
const ENTRY_LEN: usize = 512;

impl Groups {
    /// As [`Self::ask`], for an operation that adds about `len` bytes to the group's state.
    ///
    /// # Errors
    /// `COORDINATOR_NOT_AVAILABLE`, with which clients try again, while there is no memory for it.
    pub(crate) fn ask_for_more(
        &self,
        len: usize,
        group: &str,
        op: impl FnOnce(&mut Shard, Now, oneshot::Sender<GroupResponse>, &mut Outcome<Shard>),
    ) -> Asked {
        let memory = &self.parts.memory;
        if memory.is_full() {
            memory.push_back();
            return Err(GroupError::OutOfMemory);
        }
        memory.add(len + ENTRY_LEN);
        self.ask(group, op)
    }

    /// Measures as long as it is polled.
    pub(crate) async fn measure_memory(self: Arc<Self>) {
        let mut seen = 0;
        loop {
            tokio::time::sleep(PERIOD).await;
            // Where nothing was added there is nothing new to see, but what went.
            if self.parts.memory.used() == 0 && seen == 0 {
                continue;
            }
            let groups = Arc::clone(&self);
            let measured = tokio::task::spawn_blocking(move || {
                let lens = groups.read_all(|shard| shard.memory_len()).ok()?;
                Some(lens.into_iter().sum::<usize>())
            });
            if let Ok(Some(len)) = measured.await {
                seen = len;
                self.parts.memory.set_used(u64::try_from(len).unwrap_or(u64::MAX));
            }
        }
    }
}
