//! A broker that is gone with its test.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_broker::telemetry::{Health, Loggers, Metrics};
use ottla_broker::{Server, StartError};
use ottla_client::{Client, ConnectionConfig};
use ottla_config::{BrokerConfig, ConfigMap};
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, TimestampMs};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, FindCoordinatorRequest, GroupId, HeartbeatRequest, StrBytes,
    TopicName,
};
use ottla_storage::{Disk, RealDisk};
use tempfile::TempDir;

/// A broker and its data directory.
pub(crate) struct Broker {
    server: Server,
    pub(crate) health: Arc<Health>,
    dir: TempDir,
    settings: ConfigMap,
    log_dir_count: usize,
    metrics: Arc<Metrics>,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// One whose file has these settings, too.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self::start_in(tempfile::tempdir().unwrap(), settings.iter().map(owned).collect(), 1).await
    }

    /// One with several log dirs, see [`Broker::log_dir`].
    pub(crate) async fn start_with_log_dirs(count: usize) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), ConfigMap::new(), count).await
    }

    /// One on a disk that may fail.
    pub(crate) async fn start_on(disk: Arc<dyn Disk>, settings: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let settings = settings.iter().map(owned).collect();
        Self::try_start(disk, tempfile::tempdir().unwrap(), settings, 1).await.unwrap()
    }

    /// Stops it cleanly and starts it again on the same data, and on a disk that may fail.
    pub(crate) async fn restart_on(self, disk: Arc<dyn Disk>) -> Self {
        let (dir, settings, count) = self.stopped().await;
        let again = Self::try_start(disk, dir, settings, count).await.unwrap();
        again.until_ready().await;
        again
    }

    /// One on data that are there already, or why it does not start.
    pub(crate) async fn start_on_data(dir: TempDir, settings: &[(&str, &str)]) -> Result<Self, StartError> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let settings = settings.iter().map(owned).collect();
        let broker = Self::try_start(Arc::new(RealDisk), dir, settings, 1).await?;
        broker.until_ready().await;
        Ok(broker)
    }

    async fn start_in(dir: TempDir, settings: ConfigMap, log_dir_count: usize) -> Self {
        Self::try_start(Arc::new(RealDisk), dir, settings, log_dir_count).await.unwrap()
    }

    async fn try_start(
        disk: Arc<dyn Disk>,
        dir: TempDir,
        settings: ConfigMap,
        log_dir_count: usize,
    ) -> Result<Self, StartError> {
        let log_dirs = (0..log_dir_count).map(|number| log_dir(&dir, number).to_string_lossy().into_owned());
        let log_dirs: Vec<String> = log_dirs.collect();
        let mut all = settings.clone();
        all.entry("listeners".to_owned()).or_insert_with(|| "PLAINTEXT://127.0.0.1:0".to_owned());
        all.insert("log.dirs".to_owned(), log_dirs.join(","));
        let config = BrokerConfig::from_static(all).unwrap();
        let (metrics, health) = (Arc::new(Metrics::new(Instant::now())), Arc::new(Health::default()));
        let loggers = Loggers::new("info", drop);
        let server =
            Server::start_on(disk, config, loggers, Arc::clone(&metrics), Arc::clone(&health)).await?;
        Ok(Self { server, health, dir, settings, log_dir_count, metrics })
    }

    /// The value of a metric without labels, as a scrape shows it.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Stops it cleanly and starts it again on the same data.
    pub(crate) async fn restart(self) -> Self {
        let (dir, settings, count) = self.stopped().await;
        let again = Self::start_in(dir, settings, count).await;
        again.until_ready().await;
        again
    }

    /// Waits until all logs are open.
    pub(crate) async fn until_ready(&self) {
        let limit = std::time::Duration::from_secs(60);
        let ready = async {
            while !self.health.is_ready() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(limit, ready).await.expect("all logs are open within a minute");
    }

    /// Waits until it cannot go on, and says why.
    pub(crate) async fn failed(&self) -> String {
        let limit = std::time::Duration::from_secs(10);
        tokio::time::timeout(limit, self.server.failed()).await.expect("a failure within 10 s")
    }

    /// Stops it; what it leaves. Its metrics, which know its log dirs, are gone.
    async fn stopped(self) -> (TempDir, ConfigMap, usize) {
        self.server.stop().await;
        (self.dir, self.settings, self.log_dir_count)
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }

    /// Stops it cleanly, lets `act` change its data directory, and starts it again.
    pub(crate) async fn restart_after(self, act: impl FnOnce(&Path)) -> Self {
        let again = self.restart_and(|dir| act(&dir.join("data"))).await;
        again.until_ready().await;
        again
    }

    /// The same, while it still opens its logs; `act` gets the directory of all log dirs.
    pub(crate) async fn restart_and(self, act: impl FnOnce(&Path)) -> Self {
        let (dir, settings, count) = self.stopped().await;
        act(dir.path());
        Self::start_in(dir, settings, count).await
    }

    /// A broker on a copy of the data as it is now: what this one would find if it were killed now.
    pub(crate) async fn as_if_killed(&self) -> Self {
        self.as_if_killed_after(|_| {}).await
    }

    /// The same where `act` has changed the data directory meanwhile.
    pub(crate) async fn as_if_killed_after(&self, act: impl FnOnce(&Path)) -> Self {
        let broker = self.as_if_killed_and(|dir| act(&dir.join("data"))).await;
        broker.until_ready().await;
        broker
    }

    /// The same, while it still opens its logs; `act` gets the directory of all log dirs, which are called as here.
    pub(crate) async fn as_if_killed_and(&self, act: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(self.dir.path(), dir.path());
        act(dir.path());
        Self::start_in(dir, self.settings.clone(), self.log_dir_count).await
    }

    /// The log dirs in their order; the first one is [`Broker::data_dir`].
    pub(crate) fn log_dir(&self, number: usize) -> PathBuf {
        log_dir(&self.dir, number)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        data_dir(&self.dir)
    }

    pub(crate) fn address(&self) -> &str {
        &self.server.addresses()[0]
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address(), ConnectionConfig::default()).await.unwrap()
    }

    /// Creates a topic of one partition; gives its id.
    pub(crate) async fn create(&self, topic: &str, configs: &[(&'static str, &'static str)]) -> uuid::Uuid {
        create_topic(&self.client().await, topic, configs).await
    }

    /// Waits until a group has its coordinator here.
    pub(crate) async fn find_coordinator(&self, group: &str) {
        let client = self.client().await;
        let key = StrBytes::from_string(group.to_owned());
        let find = FindCoordinatorRequest::default().with_coordinator_keys(vec![key.clone()]);
        let beat = HeartbeatRequest::default()
            .with_group_id(GroupId(key))
            .with_member_id(StrBytes::from_static_str("m"));
        loop {
            client.call(&find).await.unwrap();
            if client.call(&beat).await.unwrap().error_code == ErrorCode::UnknownMemberId.code() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn delete(&self, topic: &str) {
        let request =
            DeleteTopicsRequest::default().with_topic_names(vec![topic_name(topic)]).with_timeout_ms(10_000);
        let response = self.client().await.connection().call(&request, 5).await.unwrap();
        assert_eq!(response.responses[0].error_code, ErrorCode::None.code());
    }
}

/// Creates a topic of one partition; gives its id.
pub(crate) async fn create_topic(
    client: &Client,
    topic: &str,
    configs: &[(&'static str, &'static str)],
) -> uuid::Uuid {
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_static_str(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(topic))
        .with_num_partitions(1)
        .with_replication_factor(1)
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let response = client.call(&request).await.unwrap();
    assert_eq!(
        response.topics[0].error_code,
        ErrorCode::None.code(),
        "{:?}",
        response.topics[0].error_message
    );
    response.topics[0].topic_id
}

fn data_dir(dir: &TempDir) -> PathBuf {
    log_dir(dir, 0)
}

fn log_dir(dir: &TempDir, number: usize) -> PathBuf {
    dir.path().join(if number == 0 { "data".to_owned() } else { format!("data-{number}") })
}

/// Copies what is in `from`; what goes meanwhile is as if it had gone before.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else {
            match std::fs::copy(entry.path(), &to) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            }
        }
    }
}

pub(crate) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// One batch with these values.
pub(crate) fn batch(values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new(Offset::ZERO);
    for value in values {
        builder.push(TimestampMs(1_000), None, Some(value.as_bytes()), &[]);
    }
    Bytes::from(builder.build().unwrap())
}

/// The values that a consumer sees from an offset on.
pub(crate) async fn values_from(client: &Client, topic: &str, from: Offset) -> Vec<String> {
    let fetched = client.fetch(topic, 0, from, 1, 0).await.unwrap();
    let records = fetched.records_from(from).unwrap();
    records.into_iter().map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()).collect()
}

/// Asks again until it is so.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    for _ in 0..500 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: not within 10 s");
}
