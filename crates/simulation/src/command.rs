//! What brokers and clients ask the controller, and what the production core decides.

use ottla_controller::decision::{self, Context};
use ottla_controller::{
    AlterPartition, AlterPartitionReassignments, BrokerError, BrokerHeartbeat, BrokerRegistrationRequest,
    CreateTopics, CreatedTopic, DeleteTopics, DeletedTopic, DirectoryAnswers, ElectLeaders, HeartbeatAnswer,
    IsrAnswers, ProducerIdBlock, ReassignmentAnswers, ReplicaDirectories, TopicAnswers,
};
use ottla_metadata::MetadataRecord;
use ottla_model::BrokerId;

#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Register(BrokerRegistrationRequest),
    Beat(BrokerHeartbeat),
    Isr(AlterPartition),
    Create(CreateTopics),
    Delete(DeleteTopics),
    Reassign(AlterPartitionReassignments),
    Elect(ElectLeaders),
    ProducerIds(BrokerId, i64),
    Directories(ReplicaDirectories),
    /// The controller's own.
    Fence(BrokerId, i64),
    Balance,
    ElectUncleanly,
}

#[derive(Clone, Debug)]
pub(crate) enum Told {
    Registered(Result<i64, BrokerError>),
    Beat(Result<HeartbeatAnswer, BrokerError>),
    Isr(Result<IsrAnswers, BrokerError>),
    Created(TopicAnswers<CreatedTopic>),
    Deleted(TopicAnswers<DeletedTopic>),
    Reassigned(ReassignmentAnswers),
    Elected,
    ProducerIds(Result<ProducerIdBlock, BrokerError>),
    Directories(Result<DirectoryAnswers, BrokerError>),
    Done,
}

impl Ask {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Register(_) => "register",
            Self::Beat(_) => "heartbeat",
            Self::Isr(_) => "alter partition",
            Self::Create(_) => "create topic",
            Self::Delete(_) => "delete topic",
            Self::Reassign(_) => "reassign",
            Self::Elect(_) => "elect leaders",
            Self::ProducerIds(..) => "producer ids",
            Self::Directories(_) => "assign directories",
            Self::Fence(..) => "fence",
            Self::Balance => "balance leaders",
            Self::ElectUncleanly => "elect uncleanly",
        }
    }
}

/// The records that the core wants written, and the answer once they are.
/// `has_session`: whether the process that has registered in that epoch is known to be there.
pub(crate) fn decide(
    ask: &Ask,
    has_session: impl FnOnce(i64) -> bool,
    context: &mut Context<'_>,
) -> (Vec<MetadataRecord>, Told) {
    macro_rules! decided {
        ($decision:expr, $told:expr) => {{
            let decision = $decision;
            (decision.records, $told(decision.answer))
        }};
    }
    match ask {
        Ask::Register(request) => {
            decided!(decision::register_broker(request, has_session, context), Told::Registered)
        }
        Ask::Beat(beat) => decided!(decision::broker_heartbeat(beat, context), Told::Beat),
        Ask::Isr(request) => decided!(decision::alter_partition(request, context), Told::Isr),
        Ask::Create(request) => decided!(decision::create_topics(request, context), Told::Created),
        Ask::Delete(request) => decided!(decision::delete_topics(request, context), Told::Deleted),
        Ask::Reassign(request) => {
            decided!(decision::alter_partition_reassignments(request, context), Told::Reassigned)
        }
        Ask::Elect(request) => decided!(decision::elect_leaders(request, context), |_| Told::Elected),
        Ask::ProducerIds(id, epoch) => {
            decided!(decision::allocate_producer_ids(*id, *epoch, context), Told::ProducerIds)
        }
        Ask::Directories(request) => {
            decided!(decision::assign_replicas_to_dirs(request, context), Told::Directories)
        }
        Ask::Fence(id, epoch) => decided!(decision::fence_broker(*id, *epoch, context), |_| Told::Done),
        Ask::Balance => decided!(decision::balance_leaders(context), |_| Told::Done),
        Ask::ElectUncleanly => decided!(decision::elect_uncleanly(context), |_| Told::Done),
    }
}
