//! Where the answers of the controller's APIs have their error codes: whoever asks for others must see that the one it asked
//! is not the controller any more.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    AddRaftVoterResponse, AllocateProducerIdsResponse, AlterConfigsResponse,
    AlterPartitionReassignmentsResponse, AlterPartitionResponse, AssignReplicasToDirsResponse,
    BrokerHeartbeatResponse, BrokerRegistrationResponse, ControllerRegistrationResponse,
    CreatePartitionsResponse, CreateTopicsResponse, DeleteTopicsResponse, DescribeQuorumResponse,
    ElectLeadersResponse, EnvelopeResponse, IncrementalAlterConfigsResponse, RemoveRaftVoterResponse,
    UnregisterBrokerResponse, UnregisterControllerResponse, UpdateFeaturesResponse,
};

/// A response of the controller.
pub(crate) trait ErrorCodes {
    /// Every error code in it.
    fn codes(&mut self) -> Vec<&mut i16>;

    /// Whether the node that gave it has said that it is not the controller.
    fn is_not_controller(&mut self) -> bool {
        self.codes().into_iter().any(|code| *code == ErrorCode::NotController.code())
    }

    /// No client of a broker can do anything about who is the controller: to it, it took too long.
    fn time_out(&mut self) {
        for code in self.codes() {
            if *code == ErrorCode::NotController.code() {
                *code = ErrorCode::RequestTimedOut.code();
            }
        }
    }
}

macro_rules! error_codes {
    ($($response:ident: |$it:ident| $codes:expr;)*) => {$(
        impl ErrorCodes for $response {
            fn codes(&mut self) -> Vec<&mut i16> {
                let $it = self;
                $codes
            }
        }
    )*};
}

error_codes! {
    CreateTopicsResponse: |it| it.topics.iter_mut().map(|topic| &mut topic.error_code).collect();
    DeleteTopicsResponse: |it| it.responses.iter_mut().map(|topic| &mut topic.error_code).collect();
    CreatePartitionsResponse: |it| it.results.iter_mut().map(|topic| &mut topic.error_code).collect();
    IncrementalAlterConfigsResponse: |it| it.responses.iter_mut().map(|one| &mut one.error_code).collect();
    AlterConfigsResponse: |it| it.responses.iter_mut().map(|one| &mut one.error_code).collect();
    ElectLeadersResponse: |it| {
        let partitions = it.replica_election_results.iter_mut().flat_map(|topic| &mut topic.partition_result);
        partitions.map(|partition| &mut partition.error_code).chain([&mut it.error_code]).collect()
    };
    AlterPartitionReassignmentsResponse: |it| {
        let partitions = it.responses.iter_mut().flat_map(|topic| &mut topic.partitions);
        partitions.map(|partition| &mut partition.error_code).chain([&mut it.error_code]).collect()
    };
    UpdateFeaturesResponse: |it| {
        let features = it.results.iter_mut().map(|feature| &mut feature.error_code);
        features.chain([&mut it.error_code]).collect()
    };
    DescribeQuorumResponse: |it| vec![&mut it.error_code];
    AddRaftVoterResponse: |it| vec![&mut it.error_code];
    RemoveRaftVoterResponse: |it| vec![&mut it.error_code];
    UnregisterBrokerResponse: |it| vec![&mut it.error_code];
    UnregisterControllerResponse: |it| vec![&mut it.error_code];
    ControllerRegistrationResponse: |it| vec![&mut it.error_code];
    BrokerRegistrationResponse: |it| vec![&mut it.error_code];
    BrokerHeartbeatResponse: |it| vec![&mut it.error_code];
    AllocateProducerIdsResponse: |it| vec![&mut it.error_code];
    AlterPartitionResponse: |it| {
        let partitions = it.topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        partitions.map(|partition| &mut partition.error_code).chain([&mut it.error_code]).collect()
    };
    AssignReplicasToDirsResponse: |it| vec![&mut it.error_code];
    EnvelopeResponse: |it| vec![&mut it.error_code];
}
