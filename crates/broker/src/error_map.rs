//! Which of Kafka's error codes an error of the layers below is.

use ottla_controller::{
    BrokerError, ConfigChangeError, ControllerError, DirectoryError, FeatureError, RegistrationError,
    TopicError, VoterError,
};
use ottla_model::batch::BatchError;
use ottla_protocol::ErrorCode;
use ottla_replication::session::FetchSessionError;
use ottla_storage::{AppendError as LogError, InvalidRecord, StorageError};

use crate::partitions::{Absent, AppendError, PartitionError};

/// A partition that this broker cannot serve.
pub(crate) fn absent(error: &Absent) -> ErrorCode {
    match error {
        Absent::UnknownName => ErrorCode::UnknownTopicOrPartition,
        Absent::UnknownId => ErrorCode::UnknownTopicId,
        // With that clients ask for the metadata and try again: so does a Kafka that is still becoming the leader.
        Absent::Elsewhere | Absent::Opening => ErrorCode::NotLeaderOrFollower,
        Absent::Offline => ErrorCode::KafkaStorageError,
    }
}

/// A read, or anything else on a partition.
pub(crate) fn partition(error: &PartitionError) -> ErrorCode {
    match error {
        PartitionError::NotLeader | PartitionError::UnknownReplica { epoch_given: false } => {
            ErrorCode::NotLeaderOrFollower
        }
        PartitionError::UnknownReplica { epoch_given: true } => ErrorCode::UnknownLeaderEpoch,
        PartitionError::OffsetOutOfRange => ErrorCode::OffsetOutOfRange,
        PartitionError::PolicyViolation => ErrorCode::PolicyViolation,
        PartitionError::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
        PartitionError::UnknownLeaderEpoch { .. } => ErrorCode::UnknownLeaderEpoch,
        PartitionError::Storage(StorageError::Damaged { .. }) => ErrorCode::CorruptMessage,
        // Who asks for what is in memory asks again for the rest.
        PartitionError::OnDisk(_) | PartitionError::Registration(_) | PartitionError::Storage(_) => {
            ErrorCode::KafkaStorageError
        }
    }
}

/// An append.
pub(crate) fn append(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::NotLeader => ErrorCode::NotLeaderOrFollower,
        // Kafka knows no such limit. This is what every client takes as: not written, try again.
        AppendError::TooManyProducers | AppendError::NotEnoughReplicas { .. } => ErrorCode::NotEnoughReplicas,
        AppendError::NotEnoughReplicasAfterAppend { .. } => ErrorCode::NotEnoughReplicasAfterAppend,
        AppendError::Log(error) => log_append(error),
    }
}

fn log_append(error: &LogError) -> ErrorCode {
    match error {
        LogError::Corrupt(_) => ErrorCode::CorruptMessage,
        // Kafka does not expect a batch that cannot be decompressed or lies about offsets, nor a codec that does not exist.
        LogError::InvalidRecord(
            InvalidRecord::Malformed(BatchError::Decompress) | InvalidRecord::OffsetDeltas,
        )
        | LogError::UnknownCompression(_) => ErrorCode::UnknownServerError,
        LogError::InvalidRecords(errors) if errors.has_timestamp => ErrorCode::InvalidTimestamp,
        LogError::InvalidRecord(_) | LogError::InvalidRecords(_) => ErrorCode::InvalidRecord,
        LogError::MessageTooLarge { .. } => ErrorCode::MessageTooLarge,
        LogError::RecordListTooLarge { .. } => ErrorCode::RecordListTooLarge,
        LogError::InvalidTxnState { .. } => ErrorCode::InvalidTxnState,
        LogError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        LogError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        LogError::OffsetsOutOfOrder { .. } => ErrorCode::UnknownServerError,
        LogError::Storage(_) => ErrorCode::KafkaStorageError,
    }
}

/// A fetch session.
pub(crate) fn fetch_session(error: &FetchSessionError) -> ErrorCode {
    match error {
        FetchSessionError::IdNotFound(_) => ErrorCode::FetchSessionIdNotFound,
        FetchSessionError::InvalidEpoch { .. } => ErrorCode::InvalidFetchSessionEpoch,
        FetchSessionError::TopicId => ErrorCode::FetchSessionTopicIdError,
    }
}

/// A topic that could not be created, changed or deleted.
pub(crate) fn topic(error: &TopicError) -> ErrorCode {
    match error {
        TopicError::InvalidName(_) | TopicError::Collides { .. } => ErrorCode::InvalidTopicException,
        TopicError::AlreadyExists { .. } => ErrorCode::TopicAlreadyExists,
        TopicError::UnknownName => ErrorCode::UnknownTopicOrPartition,
        TopicError::UnknownId(_) => ErrorCode::UnknownTopicId,
        TopicError::InvalidRequest(_) | TopicError::NameAndId { .. } => ErrorCode::InvalidRequest,
        TopicError::InvalidPartitions(_) => ErrorCode::InvalidPartitions,
        TopicError::InvalidReplicationFactor(_) => ErrorCode::InvalidReplicationFactor,
        TopicError::InvalidReplicaAssignment(_) => ErrorCode::InvalidReplicaAssignment,
        TopicError::InvalidConfig(_) => ErrorCode::InvalidConfig,
        TopicError::PolicyViolation(_) => ErrorCode::PolicyViolation,
    }
}

/// A command that the controller could not carry out.
pub(crate) fn controller(error: &ControllerError) -> ErrorCode {
    match error {
        ControllerError::NotController { .. } | ControllerError::Closed => ErrorCode::NotController,
        ControllerError::Failed(_) => ErrorCode::UnknownServerError,
        ControllerError::NoRoom => ErrorCode::KafkaStorageError,
    }
}

/// Voters that stay as they are.
pub(crate) fn voter(error: &VoterError) -> ErrorCode {
    match error {
        VoterError::Busy
        | VoterError::NotEstablished
        | VoterError::Lagging { .. }
        | VoterError::TooFewStay { .. }
        | VoterError::NotCommitted => ErrorCode::RequestTimedOut,
        VoterError::Unsupported { .. } => ErrorCode::UnsupportedVersion,
        VoterError::Duplicate { .. } => ErrorCode::DuplicateVoter,
        VoterError::NotFound { .. } => ErrorCode::VoterNotFound,
        VoterError::DirectoryUnknown { .. } => ErrorCode::UnknownServerError,
        VoterError::Controller(error) => controller(error),
    }
}

/// A broker that the controller does not know as the request does.
pub(crate) fn broker(error: &BrokerError) -> ErrorCode {
    match error {
        BrokerError::NotRegistered(_) => ErrorCode::BrokerIdNotRegistered,
        BrokerError::StaleEpoch { .. } => ErrorCode::StaleBrokerEpoch,
        BrokerError::Duplicate(_) => ErrorCode::DuplicateBrokerRegistration,
        BrokerError::ProducerIdsExhausted => ErrorCode::UnknownServerError,
        BrokerError::UnsupportedFeature { .. } => ErrorCode::UnsupportedVersion,
    }
}

/// Features that stay at their levels.
pub(crate) fn feature(error: &FeatureError) -> ErrorCode {
    match error {
        FeatureError::InvalidUpdateVersion(_) => ErrorCode::InvalidUpdateVersion,
        FeatureError::DirectoryUnknown { .. } => ErrorCode::UnknownServerError,
        FeatureError::NotCommitted => ErrorCode::RequestTimedOut,
    }
}

/// A controller that is not registered, or stays so.
pub(crate) fn registration(error: &RegistrationError) -> ErrorCode {
    match error {
        RegistrationError::Unsupported | RegistrationError::UnregistrationUnsupported => {
            ErrorCode::UnsupportedVersion
        }
        RegistrationError::Active => ErrorCode::InvalidRequest,
        RegistrationError::NotRegistered(_) => ErrorCode::ControllerIdNotRegistered,
    }
}

/// A resource's configs that could not be changed.
pub(crate) fn directory(error: DirectoryError) -> ErrorCode {
    match error {
        DirectoryError::UnknownTopicId => ErrorCode::UnknownTopicId,
        DirectoryError::UnknownPartition => ErrorCode::UnknownTopicOrPartition,
        DirectoryError::NotAReplica => ErrorCode::NotLeaderOrFollower,
    }
}

pub(crate) fn config_change(error: &ConfigChangeError) -> ErrorCode {
    match error {
        ConfigChangeError::InvalidConfig(_) => ErrorCode::InvalidConfig,
        ConfigChangeError::InvalidRequest(_) => ErrorCode::InvalidRequest,
        ConfigChangeError::InvalidTopicName(_) => ErrorCode::InvalidTopicException,
        ConfigChangeError::UnknownTopic(_) => ErrorCode::UnknownTopicOrPartition,
        ConfigChangeError::UnknownBroker(_) => ErrorCode::BrokerIdNotRegistered,
    }
}
