//! What broker settings must be together, with Kafka's words (`KafkaConfig.validateValues`, `GroupCoordinatorConfig`).

use super::layers::Layers;
use crate::{ConfigError, synonyms};

/// # Errors
/// The first rule that does not hold.
pub(super) fn check(layers: &Layers) -> Result<(), ConfigError> {
    check_times(layers)?;
    check_cleaner(layers)?;
    check_replica_waits(layers)?;
    check_connections(layers)?;
    check_rebalance_protocols(layers)?;
    check_group_coordinator(layers)
}

/// As Scala's `require` puts it.
fn require(holds: bool, rule: &str) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError::conflict(format!("requirement failed: {rule}"))) }
}

/// Each is set in milliseconds, or in another unit under another name.
fn check_times(layers: &Layers) -> Result<(), ConfigError> {
    let ms = |topic_setting| {
        synonyms::inherited(topic_setting, layers).and_then(|text| text.parse::<i64>().ok()).unwrap_or(1)
    };
    require(ms("segment.ms") >= 1, "log.roll.ms must be greater than or equal to 1")?;
    require(ms("segment.jitter.ms") >= 0, "log.roll.jitter.ms must be greater than or equal to 0")?;
    let retention_ms = ms("retention.ms");
    require(
        retention_ms >= 1 || retention_ms == -1,
        "log.retention.ms must be unlimited (-1) or, greater than or equal to 1",
    )
}

fn check_cleaner(layers: &Layers) -> Result<(), ConfigError> {
    const MIB: i64 = 1024 * 1024;
    let buffer_size = layers.long("log.cleaner.dedupe.buffer.size")?;
    match buffer_size.checked_div(layers.long("log.cleaner.threads")?) {
        // The words are the JVM's.
        None => Err(ConfigError::conflict("/ by zero")),
        Some(of_thread) => require(
            of_thread > MIB,
            "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.",
        ),
    }
}

fn check_replica_waits(layers: &Layers) -> Result<(), ConfigError> {
    let wait_max_ms = layers.long("replica.fetch.wait.max.ms")?;
    require(
        wait_max_ms <= layers.long("replica.socket.timeout.ms")?,
        "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent unnecessary socket \
         timeouts",
    )?;
    require(
        wait_max_ms <= layers.long("replica.lag.time.max.ms")?,
        "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent frequent \
         changes in ISR",
    )
}

fn check_connections(layers: &Layers) -> Result<(), ConfigError> {
    require(
        layers.int("max.connections.per.ip")? > 0
            || layers.non_empty("max.connections.per.ip.overrides").is_some(),
        "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set.",
    )?;
    let queued_bytes_max = layers.long("queued.max.request.bytes")?;
    require(
        queued_bytes_max <= 0 || queued_bytes_max >= layers.long("socket.request.max.bytes")?,
        "queued.max.request.bytes must be larger or equal to socket.request.max.bytes",
    )?;
    let idle_max_ms = layers.long("connections.max.idle.ms")?;
    let delay_ms = layers.long("connection.failed.authentication.delay.ms")?;
    require(
        idle_max_ms < 0 || delay_ms < idle_max_ms,
        &format!(
            "connection.failed.authentication.delay.ms={delay_ms} should always be less than \
             connections.max.idle.ms={idle_max_ms} to prevent failed authentication responses from timing out"
        ),
    )
}

/// Every protocol but the classic one may be switched off; what is on by default may stay, and share groups are asked
/// for by name.
fn check_rebalance_protocols(layers: &Layers) -> Result<(), ConfigError> {
    const NAME: &str = "group.coordinator.rebalance.protocols";
    let protocols = layers.list(NAME);
    let has = |wanted: &str| protocols.iter().any(|protocol| protocol == wanted);
    if !has("classic") {
        return Err(ConfigError::conflict("Disabling the 'classic' protocol is not supported."));
    }
    if has("share") {
        return Err(ConfigError::not_yet(
            NAME,
            &protocols.join(","),
            "the share group protocol",
            "remove share",
        ));
    }
    Ok(())
}

/// The bounds of what consumer groups set for themselves must leave room for what the broker sets.
fn check_group_coordinator(layers: &Layers) -> Result<(), ConfigError> {
    let ordered = |more: &'static str, less: &'static str, rule: String| {
        if layers.int(more)? >= layers.int(less)? { Ok(()) } else { Err(ConfigError::conflict(rule)) }
    };
    for (low, own, high) in [
        (
            "group.consumer.min.heartbeat.interval.ms",
            "group.consumer.heartbeat.interval.ms",
            "group.consumer.max.heartbeat.interval.ms",
        ),
        (
            "group.consumer.min.session.timeout.ms",
            "group.consumer.session.timeout.ms",
            "group.consumer.max.session.timeout.ms",
        ),
        (
            "group.consumer.min.assignment.interval.ms",
            "group.consumer.assignment.interval.ms",
            "group.consumer.max.assignment.interval.ms",
        ),
    ] {
        ordered(high, low, format!("{high} must be greater than or equal to {low}"))?;
        ordered(own, low, format!("{own} must be greater than or equal to {low}"))?;
        ordered(high, own, format!("{own} must be less than or equal to {high}"))?;
    }
    let (heartbeat, session) = ("group.consumer.heartbeat.interval.ms", "group.consumer.session.timeout.ms");
    if layers.int(heartbeat)? < layers.int(session)? {
        return Ok(());
    }
    Err(ConfigError::conflict(format!("{heartbeat} must be less than {session}")))
}
