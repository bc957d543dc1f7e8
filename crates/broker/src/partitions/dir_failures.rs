//! What happens when a log dir fails: it goes offline with the replicas in it, and the broker goes on with the others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_controller::Controller;
use ottla_model::BrokerId;
use ottla_storage::StorageError;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{LogHome, Partitions};

/// Log dirs that somebody has seen failing (Kafka's `LogDirFailureChannel`).
#[derive(Debug, Default)]
pub(crate) struct DirFailures {
    seen: Mutex<BTreeSet<PathBuf>>,
    news: Notify,
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
        any
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
