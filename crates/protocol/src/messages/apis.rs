//! Which type speaks for each API, and the traits for each.

use bytes::{Bytes, BytesMut};

use super::convert::{decode_crate, decode_own, encode_crate, encode_own};
use crate::{ApiKey, DecodeError, Direction, EncodeError, Request, Response};

/// Hands `$callback!` every API with its request and its response: `lib` is the message crate's type, `own` is ours.
/// `[11 as 10]`: Kafka's version 11 has the fields of the crate's newest, 10. Exported for tests that may forget none.
#[doc(hidden)]
#[macro_export]
macro_rules! for_every_api {
    ($callback:ident) => { $callback! {
        Produce: lib ProduceRequest => own ProduceResponse;
        Fetch: own FetchRequest => lib FetchResponse;
        ListOffsets: lib ListOffsetsRequest [11 as 10] => lib ListOffsetsResponse [11 as 10];
        Metadata: lib MetadataRequest => lib MetadataResponse;
        OffsetCommit: own OffsetCommitRequest => lib OffsetCommitResponse;
        OffsetFetch: own OffsetFetchRequest => lib OffsetFetchResponse;
        FindCoordinator: lib FindCoordinatorRequest => lib FindCoordinatorResponse;
        JoinGroup: lib JoinGroupRequest => lib JoinGroupResponse;
        Heartbeat: lib HeartbeatRequest => lib HeartbeatResponse;
        LeaveGroup: lib LeaveGroupRequest => lib LeaveGroupResponse;
        SyncGroup: lib SyncGroupRequest => lib SyncGroupResponse;
        DescribeGroups: lib DescribeGroupsRequest => lib DescribeGroupsResponse;
        ListGroups: lib ListGroupsRequest => lib ListGroupsResponse;
        SaslHandshake: lib SaslHandshakeRequest => lib SaslHandshakeResponse;
        ApiVersions: own ApiVersionsRequest => lib ApiVersionsResponse [5 as 4];
        CreateTopics: lib CreateTopicsRequest => lib CreateTopicsResponse;
        DeleteTopics: lib DeleteTopicsRequest => lib DeleteTopicsResponse;
        DeleteRecords: lib DeleteRecordsRequest => lib DeleteRecordsResponse;
        InitProducerId: lib InitProducerIdRequest => lib InitProducerIdResponse;
        OffsetForLeaderEpoch: lib OffsetForLeaderEpochRequest => lib OffsetForLeaderEpochResponse;
        AddPartitionsToTxn: lib AddPartitionsToTxnRequest => lib AddPartitionsToTxnResponse;
        AddOffsetsToTxn: lib AddOffsetsToTxnRequest => lib AddOffsetsToTxnResponse;
        EndTxn: lib EndTxnRequest => lib EndTxnResponse;
        WriteTxnMarkers: lib WriteTxnMarkersRequest => lib WriteTxnMarkersResponse;
        TxnOffsetCommit: lib TxnOffsetCommitRequest => lib TxnOffsetCommitResponse;
        DescribeAcls: lib DescribeAclsRequest => lib DescribeAclsResponse;
        CreateAcls: lib CreateAclsRequest => lib CreateAclsResponse;
        DeleteAcls: lib DeleteAclsRequest => lib DeleteAclsResponse;
        DescribeConfigs: lib DescribeConfigsRequest => lib DescribeConfigsResponse;
        AlterConfigs: lib AlterConfigsRequest => lib AlterConfigsResponse;
        AlterReplicaLogDirs: lib AlterReplicaLogDirsRequest => lib AlterReplicaLogDirsResponse;
        DescribeLogDirs: lib DescribeLogDirsRequest [5 as 4] => own DescribeLogDirsResponse;
        SaslAuthenticate: lib SaslAuthenticateRequest => lib SaslAuthenticateResponse;
        CreatePartitions: lib CreatePartitionsRequest => lib CreatePartitionsResponse;
        CreateDelegationToken: lib CreateDelegationTokenRequest => lib CreateDelegationTokenResponse;
        RenewDelegationToken: lib RenewDelegationTokenRequest => lib RenewDelegationTokenResponse;
        ExpireDelegationToken: lib ExpireDelegationTokenRequest => lib ExpireDelegationTokenResponse;
        DescribeDelegationToken: lib DescribeDelegationTokenRequest => lib DescribeDelegationTokenResponse;
        DeleteGroups: lib DeleteGroupsRequest [3 as 2] => own DeleteGroupsResponse;
        ElectLeaders: lib ElectLeadersRequest => lib ElectLeadersResponse;
        IncrementalAlterConfigs: lib IncrementalAlterConfigsRequest => lib IncrementalAlterConfigsResponse;
        AlterPartitionReassignments: lib AlterPartitionReassignmentsRequest => lib AlterPartitionReassignmentsResponse;
        ListPartitionReassignments: lib ListPartitionReassignmentsRequest => lib ListPartitionReassignmentsResponse;
        OffsetDelete: lib OffsetDeleteRequest => lib OffsetDeleteResponse;
        DescribeClientQuotas: lib DescribeClientQuotasRequest => lib DescribeClientQuotasResponse;
        AlterClientQuotas: lib AlterClientQuotasRequest => lib AlterClientQuotasResponse;
        DescribeUserScramCredentials: lib DescribeUserScramCredentialsRequest => lib DescribeUserScramCredentialsResponse;
        AlterUserScramCredentials: lib AlterUserScramCredentialsRequest => lib AlterUserScramCredentialsResponse;
        Vote: lib VoteRequest => lib VoteResponse;
        BeginQuorumEpoch: lib BeginQuorumEpochRequest => lib BeginQuorumEpochResponse;
        EndQuorumEpoch: lib EndQuorumEpochRequest => lib EndQuorumEpochResponse;
        DescribeQuorum: lib DescribeQuorumRequest => lib DescribeQuorumResponse;
        AlterPartition: lib AlterPartitionRequest => lib AlterPartitionResponse;
        UpdateFeatures: lib UpdateFeaturesRequest => lib UpdateFeaturesResponse;
        Envelope: lib EnvelopeRequest => lib EnvelopeResponse;
        FetchSnapshot: lib FetchSnapshotRequest => lib FetchSnapshotResponse;
        DescribeCluster: lib DescribeClusterRequest => lib DescribeClusterResponse;
        DescribeProducers: lib DescribeProducersRequest => lib DescribeProducersResponse;
        BrokerRegistration: lib BrokerRegistrationRequest => lib BrokerRegistrationResponse;
        BrokerHeartbeat: lib BrokerHeartbeatRequest => lib BrokerHeartbeatResponse;
        UnregisterBroker: lib UnregisterBrokerRequest => lib UnregisterBrokerResponse;
        DescribeTransactions: lib DescribeTransactionsRequest => lib DescribeTransactionsResponse;
        ListTransactions: lib ListTransactionsRequest => lib ListTransactionsResponse;
        AllocateProducerIds: lib AllocateProducerIdsRequest => lib AllocateProducerIdsResponse;
        ConsumerGroupHeartbeat: lib ConsumerGroupHeartbeatRequest => lib ConsumerGroupHeartbeatResponse;
        ConsumerGroupDescribe: lib ConsumerGroupDescribeRequest => lib ConsumerGroupDescribeResponse;
        ControllerRegistration: lib ControllerRegistrationRequest => lib ControllerRegistrationResponse;
        GetTelemetrySubscriptions: lib GetTelemetrySubscriptionsRequest => lib GetTelemetrySubscriptionsResponse;
        PushTelemetry: lib PushTelemetryRequest => lib PushTelemetryResponse;
        AssignReplicasToDirs: lib AssignReplicasToDirsRequest => lib AssignReplicasToDirsResponse;
        ListConfigResources: lib ListConfigResourcesRequest => lib ListConfigResourcesResponse;
        DescribeTopicPartitions: lib DescribeTopicPartitionsRequest => lib DescribeTopicPartitionsResponse;
        ShareGroupHeartbeat: lib ShareGroupHeartbeatRequest => lib ShareGroupHeartbeatResponse;
        ShareGroupDescribe: lib ShareGroupDescribeRequest => lib ShareGroupDescribeResponse;
        ShareFetch: lib ShareFetchRequest => lib ShareFetchResponse;
        ShareAcknowledge: lib ShareAcknowledgeRequest => lib ShareAcknowledgeResponse;
        AddRaftVoter: own AddRaftVoterRequest => lib AddRaftVoterResponse [1 as 0];
        RemoveRaftVoter: lib RemoveRaftVoterRequest => lib RemoveRaftVoterResponse;
        UpdateRaftVoter: lib UpdateRaftVoterRequest => lib UpdateRaftVoterResponse;
        InitializeShareGroupState: lib InitializeShareGroupStateRequest => lib InitializeShareGroupStateResponse;
        ReadShareGroupState: lib ReadShareGroupStateRequest => lib ReadShareGroupStateResponse;
        WriteShareGroupState: lib WriteShareGroupStateRequest => lib WriteShareGroupStateResponse;
        DeleteShareGroupState: lib DeleteShareGroupStateRequest => lib DeleteShareGroupStateResponse;
        ReadShareGroupStateSummary: lib ReadShareGroupStateSummaryRequest => lib ReadShareGroupStateSummaryResponse;
        DescribeShareGroupOffsets: lib DescribeShareGroupOffsetsRequest => lib DescribeShareGroupOffsetsResponse;
        AlterShareGroupOffsets: lib AlterShareGroupOffsetsRequest => lib AlterShareGroupOffsetsResponse;
        DeleteShareGroupOffsets: lib DeleteShareGroupOffsetsRequest => lib DeleteShareGroupOffsetsResponse;
        UnregisterController: own UnregisterControllerRequest => own UnregisterControllerResponse;
    } };
}

macro_rules! apis {
    ($($key:ident: $rk:ident $request:ident $([$rv:literal as $ra:literal])? => $sk:ident $response:ident $([$sv:literal as $sa:literal])?;)*) => {$(
        impl Request for super::$request {
            const KEY: ApiKey = ApiKey::$key;
            type Response = super::$response;

            fn decode(body: Bytes, version: i16) -> Result<Self, DecodeError> {
                apis!(@decode $rk Request body, version $(, $rv as $ra)?)
            }

            fn encode(&self, version: i16, out: &mut BytesMut) -> Result<(), EncodeError> {
                apis!(@encode $rk self, out, version $(, $rv as $ra)?)
            }
        }

        impl Response for super::$response {
            const KEY: ApiKey = ApiKey::$key;

            fn encode(&self, version: i16, out: &mut BytesMut) -> Result<(), EncodeError> {
                apis!(@encode $sk self, out, version $(, $sv as $sa)?)
            }

            fn decode(body: Bytes, version: i16) -> Result<Self, DecodeError> {
                apis!(@decode $sk Response body, version $(, $sv as $sa)?)
            }
        }
    )*};
    (@decode own $direction:ident $body:ident, $version:ident) => {
        decode_own(Self::KEY, &$body, $version)
    };
    (@decode lib $direction:ident $body:ident, $version:ident $(, $from:literal as $to:literal)?) => {
        decode_crate(
            Self::KEY,
            Direction::$direction,
            $body,
            $version,
            apis!(@version $version $(, $from as $to)?),
        )
    };
    (@encode own $message:ident, $out:ident, $version:ident) => {
        encode_own(Self::KEY, $message, $version, $out)
    };
    (@encode lib $message:ident, $out:ident, $version:ident $(, $from:literal as $to:literal)?) => {
        encode_crate(Self::KEY, $message, $version, apis!(@version $version $(, $from as $to)?), $out)
    };
    (@version $version:ident) => { $version };
    (@version $version:ident, $from:literal as $to:literal) => {
        if $version == $from { $to } else { $version }
    };
}

for_every_api!(apis);
