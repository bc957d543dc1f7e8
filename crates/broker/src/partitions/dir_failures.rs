//! What happens when a log dir fails: it goes offline with the replicas in it, and the broker goes on with the others. It
//! ends where none is left, or the failed one holds the metadata.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_controller::Controller;
use ottla_model::BrokerId;
use ottla_storage::StorageError;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{LogHome, Partitions, absolute};

/// Log dirs that somebody has seen failing (Kafka's `LogDirFailureChannel`).
#[derive(Debug, Default)]
pub(crate) struct DirFailures {
    seen: Mutex<BTreeSet<PathBuf>>,
    news: Notify,
    /// Why the broker cannot go on.
    fatal: watch::Sender<Option<String>>,
}

impl DirFailures {
    /// Reports the dir that holds `log` if `cause` says that the disk is to blame, not one file of it.
    pub(super) fn report(&self, cause: &StorageError, log: &Path) {
        if let (true, Some(dir)) = (cause.is_of_the_disk(), log.parent()) {
            self.report_dir(dir);
        }
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
    pub controller: Controller,
    pub node_id: BrokerId,
    pub broker_epoch: i64,
    /// `metadata.log.dir`.
    pub metadata_dir: PathBuf,
}

impl DirFailureHandler {
    /// Runs until it is aborted.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let failed = self.failures.next().await;
            let handler = Arc::clone(&self);
            let taking = move || handler.take_offline(&failed);
            match tokio::task::spawn_blocking(taking).await {
                Ok(true) => self.tell_controller().await,
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

    async fn tell_controller(&self) {
        let online = self.logs.online_ids();
        match self.controller.set_online_log_dirs(self.node_id, self.broker_epoch, online).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the controller refuses the log dirs"),
            Err(error) => tracing::error!(%error, "the controller does not know of the failed log dir"),
        }
    }
}
