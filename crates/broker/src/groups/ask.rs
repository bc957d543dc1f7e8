//! A question to a group, and its answer on the way to the client.

use ottla_coordinator::{NotActive, Outcome, WriteError};
use ottla_group_coordinator::{GroupError, GroupResponse, GroupShard};
use ottla_model::Now;
use tokio::sync::oneshot;

use super::registry::Groups;
use crate::dispatch::Reply;

/// Where an engine puts the answer to a request.
pub(super) type Token = oneshot::Sender<GroupResponse>;
pub(super) type Shard = GroupShard<Token>;

/// An answer that will come, or why none will.
pub(crate) type Asked = Result<oneshot::Receiver<GroupResponse>, GroupError>;

impl Groups {
    /// Runs an operation on the coordinator of `group`.
    pub(crate) fn ask(
        &self,
        group: &str,
        op: impl FnOnce(&mut Shard, Now, Token, &mut Outcome<Shard>),
    ) -> Asked {
        let (token, answer) = oneshot::channel();
        self.coordinator_of(group)?.write(|shard, now, out| op(shard, now, token, out))?;
        Ok(answer)
    }
}

/// What a coordinator that is gone would have said.
fn gone() -> GroupError {
    GroupError::Write(WriteError::Closed)
}

/// The answer as a reply: at once if it is there, else parked.
pub(crate) fn answer<R: Send + 'static>(
    asked: Asked,
    turn: impl FnOnce(Result<GroupResponse, GroupError>) -> R + Send + 'static,
) -> Reply<R> {
    let mut answer = match asked {
        Ok(answer) => answer,
        Err(error) => return Reply::Ready(turn(Err(error))),
    };
    match answer.try_recv() {
        Ok(response) => Reply::Ready(turn(Ok(response))),
        Err(oneshot::error::TryRecvError::Closed) => Reply::Ready(turn(Err(gone()))),
        Err(oneshot::error::TryRecvError::Empty) => {
            Reply::parked(async move { turn(answer.await.map_err(|_| gone())) })
        }
    }
}

/// Waits for the answer.
pub(crate) async fn settled(asked: Asked) -> Result<GroupResponse, GroupError> {
    asked?.await.map_err(|_| gone())
}

/// The answer of an engine to a question of another kind: a bug, that the client is told as such.
pub(crate) fn misplaced() -> GroupError {
    GroupError::Write(WriteError::Batch)
}

/// `NOT_COORDINATOR`.
pub(super) const fn not_coordinator() -> GroupError {
    GroupError::NotActive(NotActive::Closed)
}
