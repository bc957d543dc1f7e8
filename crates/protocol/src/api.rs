//! The API table: every API key of Kafka 4.4.0 with its versions, flexible-from version and listeners.
//!
//! Source: the message schemas of 4.4.0 (`apiKey`, `validVersions`, `flexibleVersions`, `listeners`), checked against
//! what a real 4.4.0 broker advertises (`testdata/api-versions.tsv`). Keys 4 to 7 (LeaderAndIsr, StopReplica,
//! UpdateMetadata, ControlledShutdown) have no version left since 4.0, so they are as unknown here as key 1000.

use std::fmt;

/// Which listeners of Kafka answer an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    Broker,
    Controller,
    Both,
}

/// Everything about an API that is true of all its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiSpec {
    pub key: ApiKey,
    /// Kafka's name without the `Request` at its end.
    pub name: &'static str,
    /// The oldest version that is accepted.
    pub min: i16,
    /// The newest version that is accepted; versions Kafka marks unstable are left out.
    pub max: i16,
    /// The first version with compact types and tagged fields (KIP-482); `None` if there is none.
    pub flexible_from: Option<i16>,
    pub listener: Listener,
}

impl ApiSpec {
    /// Whether a request of this version may be decoded.
    #[must_use]
    pub const fn accepts(&self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    /// The oldest version to advertise.
    ///
    /// KAFKA-18659: Produce is advertised from 0 although 0 to 2 are refused, because librdkafka before 2.11.1 takes a
    /// missing Produce v0 for "no compression here".
    #[must_use]
    pub const fn advertised_min(&self) -> i16 {
        match self.key {
            ApiKey::Produce => 0,
            _ => self.min,
        }
    }

    /// Whether this version has compact types and tagged fields.
    #[must_use]
    pub const fn is_flexible(&self, version: i16) -> bool {
        match self.flexible_from {
            Some(from) => version >= from,
            None => false,
        }
    }

    /// The version of the header that goes before a request: 1, or 2 with tagged fields.
    #[must_use]
    pub const fn request_header_version(&self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the header that goes before a response: 0, or 1 with tagged fields.
    ///
    /// KIP-511: ApiVersions always answers under header 0, since the client cannot know yet what we speak.
    #[must_use]
    pub const fn response_header_version(&self, version: i16) -> i16 {
        match self.key {
            ApiKey::ApiVersions => 0,
            _ if self.is_flexible(version) => 1,
            _ => 0,
        }
    }
}

macro_rules! api_table {
    ($($name:ident = $key:literal, $min:literal ..= $max:literal, $flexible:expr, $listener:ident;)*) => {
        /// An API of Kafka 4.4.0.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ApiKey {
            $($name,)*
        }

        impl ApiKey {
            /// Every key, ascending.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> i16 {
                match self { $(Self::$name => $key,)* }
            }

            /// The key with this number; `None` for one that 4.4.0 does not serve.
            #[must_use]
            pub const fn from_code(code: i16) -> Option<Self> {
                match code { $($key => Some(Self::$name),)* _ => None }
            }

            /// Versions, header rules and listeners.
            #[must_use]
            pub const fn spec(self) -> ApiSpec {
                match self {
                    $(Self::$name => ApiSpec {
                        key: Self::$name,
                        name: stringify!($name),
                        min: $min,
                        max: $max,
                        flexible_from: $flexible,
                        listener: Listener::$listener,
                    },)*
                }
            }
        }
    };
}

api_table! {
    Produce = 0, 3..=13, Some(9), Broker;
    Fetch = 1, 4..=18, Some(12), Both;
    ListOffsets = 2, 1..=11, Some(6), Broker;
    Metadata = 3, 0..=13, Some(9), Broker;
    OffsetCommit = 8, 2..=10, Some(8), Broker;
    OffsetFetch = 9, 1..=10, Some(6), Broker;
    FindCoordinator = 10, 0..=6, Some(3), Broker;
    JoinGroup = 11, 0..=9, Some(6), Broker;
    Heartbeat = 12, 0..=4, Some(4), Broker;
    LeaveGroup = 13, 0..=5, Some(4), Broker;
    SyncGroup = 14, 0..=5, Some(4), Broker;
    DescribeGroups = 15, 0..=6, Some(5), Broker;
    ListGroups = 16, 0..=5, Some(3), Broker;
    SaslHandshake = 17, 0..=1, None, Both;
    ApiVersions = 18, 0..=5, Some(3), Both;
    CreateTopics = 19, 2..=7, Some(5), Both;
    DeleteTopics = 20, 1..=6, Some(4), Both;
    DeleteRecords = 21, 0..=2, Some(2), Broker;
    InitProducerId = 22, 0..=5, Some(2), Broker;
    OffsetForLeaderEpoch = 23, 2..=4, Some(4), Broker;
    AddPartitionsToTxn = 24, 0..=5, Some(3), Broker;
    AddOffsetsToTxn = 25, 0..=4, Some(3), Broker;
    EndTxn = 26, 0..=5, Some(3), Broker;
    WriteTxnMarkers = 27, 1..=2, Some(1), Broker;
    TxnOffsetCommit = 28, 0..=6, Some(3), Broker;
    DescribeAcls = 29, 1..=3, Some(2), Both;
    CreateAcls = 30, 1..=3, Some(2), Both;
    DeleteAcls = 31, 1..=3, Some(2), Both;
    DescribeConfigs = 32, 1..=4, Some(4), Both;
    AlterConfigs = 33, 0..=2, Some(2), Both;
    AlterReplicaLogDirs = 34, 1..=2, Some(2), Broker;
    DescribeLogDirs = 35, 1..=5, Some(2), Broker;
    SaslAuthenticate = 36, 0..=2, Some(2), Both;
    CreatePartitions = 37, 0..=3, Some(2), Both;
    CreateDelegationToken = 38, 1..=3, Some(2), Both;
    RenewDelegationToken = 39, 1..=2, Some(2), Both;
    ExpireDelegationToken = 40, 1..=2, Some(2), Both;
    DescribeDelegationToken = 41, 1..=3, Some(2), Both;
    DeleteGroups = 42, 0..=3, Some(2), Broker;
    ElectLeaders = 43, 0..=2, Some(2), Both;
    IncrementalAlterConfigs = 44, 0..=1, Some(1), Both;
    AlterPartitionReassignments = 45, 0..=1, Some(0), Both;
    ListPartitionReassignments = 46, 0..=0, Some(0), Both;
    OffsetDelete = 47, 0..=0, None, Broker;
    DescribeClientQuotas = 48, 0..=1, Some(1), Broker;
    AlterClientQuotas = 49, 0..=1, Some(1), Both;
    DescribeUserScramCredentials = 50, 0..=0, Some(0), Both;
    AlterUserScramCredentials = 51, 0..=0, Some(0), Both;
    Vote = 52, 0..=2, Some(0), Controller;
    BeginQuorumEpoch = 53, 0..=1, Some(1), Controller;
    EndQuorumEpoch = 54, 0..=1, Some(1), Controller;
    DescribeQuorum = 55, 0..=2, Some(0), Both;
    AlterPartition = 56, 2..=3, Some(0), Controller;
    UpdateFeatures = 57, 0..=2, Some(0), Both;
    Envelope = 58, 0..=0, Some(0), Controller;
    FetchSnapshot = 59, 0..=1, Some(0), Controller;
    DescribeCluster = 60, 0..=2, Some(0), Both;
    DescribeProducers = 61, 0..=0, Some(0), Broker;
    BrokerRegistration = 62, 0..=4, Some(0), Controller;
    BrokerHeartbeat = 63, 0..=2, Some(0), Controller;
    UnregisterBroker = 64, 0..=0, Some(0), Both;
    DescribeTransactions = 65, 0..=0, Some(0), Broker;
    ListTransactions = 66, 0..=2, Some(0), Broker;
    AllocateProducerIds = 67, 0..=0, Some(0), Controller;
    ConsumerGroupHeartbeat = 68, 0..=1, Some(0), Broker;
    ConsumerGroupDescribe = 69, 0..=1, Some(0), Broker;
    ControllerRegistration = 70, 0..=0, Some(0), Controller;
    GetTelemetrySubscriptions = 71, 0..=0, Some(0), Broker;
    PushTelemetry = 72, 0..=0, Some(0), Broker;
    AssignReplicasToDirs = 73, 0..=0, Some(0), Controller;
    ListConfigResources = 74, 0..=1, Some(0), Broker;
    DescribeTopicPartitions = 75, 0..=0, Some(0), Broker;
    ShareGroupHeartbeat = 76, 1..=1, Some(0), Broker;
    ShareGroupDescribe = 77, 1..=1, Some(0), Broker;
    ShareFetch = 78, 1..=2, Some(0), Broker;
    ShareAcknowledge = 79, 1..=2, Some(0), Broker;
    AddRaftVoter = 80, 0..=1, Some(0), Both;
    RemoveRaftVoter = 81, 0..=0, Some(0), Both;
    UpdateRaftVoter = 82, 0..=0, Some(0), Controller;
    InitializeShareGroupState = 83, 0..=0, Some(0), Broker;
    ReadShareGroupState = 84, 0..=0, Some(0), Broker;
    WriteShareGroupState = 85, 0..=1, Some(0), Broker;
    DeleteShareGroupState = 86, 0..=0, Some(0), Broker;
    ReadShareGroupStateSummary = 87, 0..=1, Some(0), Broker;
    StreamsGroupHeartbeat = 88, 0..=1, Some(0), Broker;
    StreamsGroupDescribe = 89, 0..=1, Some(0), Broker;
    DescribeShareGroupOffsets = 90, 0..=1, Some(0), Broker;
    AlterShareGroupOffsets = 91, 0..=0, Some(0), Broker;
    DeleteShareGroupOffsets = 92, 0..=0, Some(0), Broker;
    StreamsGroupTopologyDescriptionUpdate = 93, 0..=0, Some(0), Broker;
    UnregisterController = 94, 0..=0, Some(0), Both;
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spec().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADVERTISED: &str = include_str!("../testdata/api-versions.tsv");

    #[test]
    fn table_is_what_a_kafka_4_4_0_broker_advertises() {
        let kafka: Vec<Vec<i16>> = ADVERTISED
            .lines()
            .skip(1)
            .map(|line| line.split('\t').map(|n| n.parse().unwrap()).collect())
            .collect();
        let ours: Vec<Vec<i16>> = ApiKey::ALL
            .iter()
            .map(|key| key.spec())
            .filter(|spec| spec.listener != Listener::Controller)
            // 71 and 72 are advertised only where a client-metrics reporter is configured.
            .filter(|spec| !matches!(spec.key, ApiKey::GetTelemetrySubscriptions | ApiKey::PushTelemetry))
            .map(|spec| vec![spec.key.code(), spec.advertised_min(), spec.max])
            .collect();
        assert_eq!(ours, kafka);
    }

    #[test]
    fn keys_read_back_and_retired_ones_are_unknown() {
        for key in ApiKey::ALL {
            assert_eq!(ApiKey::from_code(key.code()), Some(*key));
        }
        for code in [-1, 4, 5, 6, 7, 95, i16::MAX] {
            assert_eq!(ApiKey::from_code(code), None);
        }
    }

    #[test]
    fn header_versions_follow_the_flexible_version() {
        let metadata = ApiKey::Metadata.spec();
        assert_eq!([8, 9].map(|v| metadata.request_header_version(v)), [1, 2]);
        assert_eq!([8, 9].map(|v| metadata.response_header_version(v)), [0, 1]);
        let api_versions = ApiKey::ApiVersions.spec();
        assert_eq!([2, 3, 99].map(|v| api_versions.request_header_version(v)), [1, 2, 2]);
        assert_eq!([2, 3, 99].map(|v| api_versions.response_header_version(v)), [0, 0, 0]);
        assert_eq!(ApiKey::OffsetDelete.spec().request_header_version(0), 1);
    }

    #[test]
    fn produce_is_advertised_from_0_and_accepted_from_3() {
        let produce = ApiKey::Produce.spec();
        assert_eq!((produce.advertised_min(), produce.accepts(2), produce.accepts(3)), (0, false, true));
    }
}
