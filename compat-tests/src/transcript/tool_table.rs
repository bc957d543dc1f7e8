//! Every official tool: the short name by which scripts call it, or why no script does.

use crate::tools;

/// Short names and main classes of the tools that scripts run, sorted.
pub const TOOLS: [(&str, &str); 32] = [
    ("acls", tools::ACLS),
    ("broker-api-versions", tools::BROKER_API_VERSIONS),
    ("client-compatibility", "org.apache.kafka.tools.ClientCompatibilityTest"),
    ("client-metrics", "org.apache.kafka.tools.ClientMetricsCommand"),
    ("cluster", tools::CLUSTER),
    ("configs", tools::CONFIGS),
    ("console-consumer", tools::CONSOLE_CONSUMER),
    ("console-producer", tools::CONSOLE_PRODUCER),
    ("consumer-groups", tools::CONSUMER_GROUPS),
    ("consumer-perf-test", tools::CONSUMER_PERF),
    ("delegation-tokens", "org.apache.kafka.tools.DelegationTokenCommand"),
    ("delete-records", tools::DELETE_RECORDS),
    ("dump-log", tools::DUMP_LOG),
    ("e2e-latency", tools::E2E_LATENCY),
    ("features", tools::FEATURES),
    ("get-offsets", tools::GET_OFFSETS),
    ("groups", tools::GROUPS),
    ("leader-election", tools::LEADER_ELECTION),
    ("log-compaction", "org.apache.kafka.tools.LogCompactionTester"),
    ("log-dirs", tools::LOG_DIRS),
    ("metadata-quorum", tools::METADATA_QUORUM),
    ("producer-perf-test", tools::PRODUCER_PERF),
    ("reassign-partitions", tools::REASSIGN_PARTITIONS),
    ("replica-verification", "org.apache.kafka.tools.ReplicaVerificationTool"),
    ("share-groups", "org.apache.kafka.tools.consumer.group.ShareGroupCommand"),
    ("storage", "kafka.tools.StorageTool"),
    ("streams-application-reset", "org.apache.kafka.tools.StreamsResetter"),
    ("streams-groups", "org.apache.kafka.tools.streams.StreamsGroupCommand"),
    ("topics", tools::TOPICS),
    ("transactions", tools::TRANSACTIONS),
    ("verifiable-consumer", tools::VERIFIABLE_CONSUMER),
    ("verifiable-producer", tools::VERIFIABLE_PRODUCER),
];

/// Classes with a `main` of the tools' and the server's jars that no script runs, and why; sorted.
pub const NOT_RUN: [(&str, &str); 11] = [
    ("kafka.Kafka", "the broker itself"),
    ("kafka.docker.KafkaDockerWrapper", "starts the broker in its container image"),
    ("kafka.server.KafkaConfig", "prints the documentation of Kafka's settings"),
    ("kafka.tools.TestRaftServer", "a server of its own, for tests of the quorum"),
    ("org.apache.kafka.tools.ConnectPluginPath", "reads Connect's plugins from the disk; asks no broker"),
    ("org.apache.kafka.tools.JmxTool", "asks a JVM over JMX, which a broker that is no JVM has not"),
    ("org.apache.kafka.tools.OAuthCompatibilityTool", "security: asks an OAuth server"),
    ("org.apache.kafka.tools.ShareConsumerPerformance", "share groups"),
    ("org.apache.kafka.tools.TransactionalMessageCopier", "transactions"),
    ("org.apache.kafka.tools.VerifiableShareConsumer", "share groups"),
    ("org.apache.kafka.tools.consumer.ConsoleShareConsumer", "share groups"),
];

/// Tools that measure: only the shape of what they print is compared.
const MEASURING: [&str; 3] = ["consumer-perf-test", "e2e-latency", "producer-perf-test"];

/// Tools that do their last work in the JVM's own shutdown hooks: they need a JVM of their own.
const ALONE: [&str; 2] = ["verifiable-consumer", "verifiable-producer"];

/// The main class of the tool with this short name.
pub fn main_class(name: &str) -> Option<&'static str> {
    TOOLS.iter().find(|(short, _)| *short == name).map(|(_, class)| *class)
}

/// Whether the tool prints measurements, which are different each time.
pub fn measures(name: &str) -> bool {
    MEASURING.contains(&name)
}

/// Whether the tool needs a JVM of its own.
pub fn runs_alone(name: &str) -> bool {
    ALONE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_are_sorted_and_special_tools_known() {
        assert!(TOOLS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(NOT_RUN.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(MEASURING.iter().chain(&ALONE).all(|name| main_class(name).is_some()));
        assert!(NOT_RUN.iter().all(|(class, _)| !TOOLS.iter().any(|(_, run)| run == class)));
    }
}
