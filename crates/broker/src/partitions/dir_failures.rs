//! What happens when a log dir fails: it goes offline with the replicas in it, and the broker goes on with the others. It
//! ends where none is left, or the failed one holds the metadata.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;
use ottla_protocol::messages::BrokerHeartbeatRequest;
use ottla_protocol::{ApiKey, ErrorCode};
use ottla_storage::StorageError;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::error::Elapsed;

use super::checker::CheckQueue;
use super::dir_room::DirRoom;
use super::log_damage::LogDamage;
use super::{LogHome, Partitions, absolute};
use crate::cluster::{ControllerChannel, version};
use crate::metadata_view::MetadataView;

/// Log dirs that somebody has seen failing (Kafka's `LogDirFailureChannel`).
#[derive(Debug, Default)]
pub(crate) struct DirFailures {
    seen: Mutex<BTreeSet<PathBuf>>,
    news: Notify,
    /// A dir without room has not failed.
    room: DirRoom,
    /// Neither has one of which a file is damaged.
    damage: LogDamage,
    checks: CheckQueue,
    /// Why the broker cannot go on.
    fatal: watch::Sender<Option<String>>,
}

impl DirFailures {
    /// Reports the dir that holds `log` if `cause` says that the disk is to blame, not one file of it.
    pub(super) fn report(&self, cause: &StorageError, log: &Path) {
        if let Some(dir) = log.parent() {
            self.report_of(cause, dir);
        }
    }

    /// The same of the dir itself.
    pub(super) fn report_of(&self, cause: &StorageError, dir: &Path) {
        if cause.is_of_the_disk() {
            self.report_dir(dir);
        } else if cause.is_for_lack_of_room() {
            self.room.refused(dir, cause, Instant::now());
        } else if let StorageError::Damaged { path, position, .. } = cause {
            self.damage.found(path, *position, cause);
        }
    }

    /// Something new was written into the dir.
    pub(super) fn written(&self, dir: &Path) {
        self.room.written(dir, Instant::now());
    }

    /// The dirs that have no room.
    pub(crate) fn room(&self) -> &DirRoom {
        &self.room
    }

    /// What was found to be damaged.
    pub(crate) fn damage(&self) -> &LogDamage {
        &self.damage
    }

    /// What readers were given, to be checked.
    pub(super) fn checks(&self) -> &CheckQueue {
        &self.checks
    }

    pub(super) fn report_dir(&self, dir: &Path) {
        self.seen.lock().insert(dir.to_path_buf());
        self.news.notify_one();
    }

    /// Ends when the broker cannot go on, and says why.
    pub(crate) async fn fatal(&self) -> String {
        let mut fatal = self.fatal.subscribe();
        let why = fatal.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or_default()
    }

    async fn next(&self) -> BTreeSet<PathBuf> {
        loop {
            let seen = std::mem::take(&mut *self.seen.lock());
            if !seen.is_empty() {
                return seen;
            }
            self.news.notified().await;
        }
    }
}

/// Takes failed dirs offline.
#[derive(Debug)]
pub(crate) struct DirFailureHandler {
    pub failures: Arc<DirFailures>,
    pub logs: Arc<LogHome>,
    pub partitions: Arc<Partitions>,
    pub channel: ControllerChannel,
    pub view: Arc<MetadataView>,
    /// Those that the broker has registered with.
    pub log_dirs: Vec<DirectoryId>,
    pub node_id: BrokerId,
    pub broker_epoch: i64,
    /// `metadata.log.dir`.
    pub metadata_dir: PathBuf,
    /// `log.dir.failure.timeout.ms`.
    pub timeout: Duration,
}

impl DirFailureHandler {
    /// Runs until it is aborted.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let failed = self.failures.next().await;
            let handler = Arc::clone(&self);
            let taking = move || handler.take_offline(&failed);
            match tokio::task::spawn_blocking(taking).await {
                Ok(true) => {
                    if tell(self.timeout, || self.tell_controller()).await.is_err() {
                        let ms = self.timeout.as_millis();
                        let why =
                            format!("the controller has not been told of a failed log dir within {ms} ms");
                        self.failures.fatal.send_replace(Some(why));
                    }
                }
                Ok(false) => {}
                Err(error) => tracing::error!(%error, "a failed log dir could not be taken offline"),
            }
        }
    }

    /// Answers whether a dir was online before.
    fn take_offline(&self, failed: &BTreeSet<PathBuf>) -> bool {
        let mut any = false;
        for dir in self.logs.dirs().iter().filter(|dir| failed.contains(dir.path())) {
            if !dir.mark_offline() {
                continue;
            }
            any = true;
            let mut count = 0;
            for partition in self.partitions.all() {
                if partition.log_dir().as_deref() == Some(dir.path()) {
                    partition.close();
                    self.partitions.set_offline(
                        &partition.name.topic,
                        partition.id.topic_id,
                        partition.id.partition,
                    );
                    count += 1;
                }
            }
            tracing::error!(dir = %dir.path().display(), partitions = count, "log dir offline");
        }
        if any && let Some(why) = self.why_fatal(failed) {
            self.failures.fatal.send_replace(Some(why));
        }
        any
    }

    /// The lines are Kafka's (`LogManager.handleLogDirFailure`, `ReplicaManager.handleLogDirFailure`).
    fn why_fatal(&self, failed: &BTreeSet<PathBuf>) -> Option<String> {
        if self.logs.online_ids().is_empty() {
            let dirs = self.logs.in_order().map(|(path, _)| path.display().to_string());
            let dirs = dirs.collect::<Vec<_>>().join(", ");
            return Some(format!("Shutdown broker because all log dirs in {dirs} have failed"));
        }
        let metadata_dir = &self.metadata_dir;
        let is_metadata_dir = |dir: &PathBuf| absolute(dir) == absolute(metadata_dir);
        failed.iter().any(is_metadata_dir).then(|| {
            format!("Shutdown broker because the metadata log dir {} has failed", metadata_dir.display())
        })
    }

    /// Gives whether the controller knows now.
    async fn tell_controller(&self) -> bool {
        let online = self.logs.online_ids();
        let offline = self.log_dirs.iter().filter(|dir| !online.contains(dir)).map(|dir| dir.0);
        let request = BrokerHeartbeatRequest::default()
            .with_broker_id(self.node_id.get().into())
            .with_broker_epoch(self.broker_epoch)
            .with_current_metadata_offset(self.view.image().provenance().offset.get())
            .with_offline_log_dirs(offline.collect());
        match self.channel.ask(&request, version(ApiKey::BrokerHeartbeat), self.timeout).await {
            Ok(answer) if answer.error_code == ErrorCode::None.code() => return true,
            Ok(answer) => {
                let code = ErrorCode::from_code(answer.error_code);
                tracing::error!(?code, "the controller refuses the log dirs");
            }
            Err(error) => tracing::error!(%error, "the controller does not know of the failed log dir"),
        }
        false
    }
}

/// Between two attempts to tell the controller.
const RETRY: Duration = Duration::from_millis(100);

/// Tries again and again, for so long.
async fn tell<F: Future<Output = bool>>(
    timeout: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<(), Elapsed> {
    let trying = async {
        while !attempt().await {
            tokio::time::sleep(RETRY).await;
        }
    };
    tokio::time::timeout(timeout, trying).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_controller_is_told_until_it_knows_or_the_time_is_over() {
        let mut attempts = 0;
        let knows_at_third = || {
            attempts += 1;
            std::future::ready(attempts == 3)
        };
        assert!(tell(Duration::from_secs(60), knows_at_third).await.is_ok());
        assert_eq!(attempts, 3);
        assert!(tell(Duration::from_millis(1), || std::future::ready(false)).await.is_err());
    }
}
