//! BrokerHeartbeat (KIP-631): a broker is let in once it has caught up, and goes once others lead what it has led.

use ottla_metadata::{BrokerRegistration, MetadataImage, PartitionRegistration};
use ottla_model::{BrokerId, Offset};

use super::brokers::{changes, check_epoch};
use super::{Context, Decision, controlled_shutdown, fence_broker, unfence_broker};
use crate::command::{BrokerHeartbeat, HeartbeatAnswer};
use crate::error::BrokerError;

/// What a broker's heartbeat changes, and what it is told. The states are those of Kafka's `BrokerHeartbeatManager`.
pub fn broker_heartbeat(
    beat: &BrokerHeartbeat,
    context: &Context<'_>,
) -> Decision<Result<HeartbeatAnswer, BrokerError>> {
    let id = beat.broker_id;
    if let Err(error) = check_epoch(id, beat.broker_epoch, context.image) {
        return Decision::answer_only(Err(error));
    }
    let Some(broker) = context.image.brokers().get(id) else {
        return Decision::answer_only(Err(BrokerError::NotRegistered(id)));
    };
    let is_caught_up = beat.current_metadata_offset >= Offset(broker.epoch);
    let answer =
        |is_fenced, should_shut_down| Ok(HeartbeatAnswer { is_caught_up, is_fenced, should_shut_down });
    let step = next(beat, broker, is_caught_up, leads_any(context.image, id));
    let records = match step {
        Step::Stay => Vec::new(),
        Step::Unfence => unfence_broker(id, beat.broker_epoch, context).records,
        Step::Fence | Step::ShutDown => fence_broker(id, beat.broker_epoch, context).records,
        Step::ControlledShutdown => {
            let mut records = controlled_shutdown(id, beat.broker_epoch, context).records;
            records.extend(hand_over(context, id));
            records
        }
        // A leader may have come back meanwhile.
        Step::GoOnLeaving => hand_over(context, id),
    };
    let is_fenced = match step {
        Step::Stay | Step::GoOnLeaving => broker.fenced,
        Step::Unfence | Step::ControlledShutdown => false,
        Step::Fence | Step::ShutDown => true,
    };
    Decision { records, answer: answer(is_fenced, step == Step::ShutDown) }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Stay,
    Unfence,
    Fence,
    ControlledShutdown,
    GoOnLeaving,
    ShutDown,
}

fn next(beat: &BrokerHeartbeat, broker: &BrokerRegistration, is_caught_up: bool, leads: bool) -> Step {
    match (broker.fenced, broker.in_controlled_shutdown) {
        (true, _) if beat.want_shut_down => Step::ShutDown,
        (true, _) if !beat.want_fence && is_caught_up => Step::Unfence,
        (true, _) => Step::Stay,
        (false, false) if beat.want_shut_down && leads => Step::ControlledShutdown,
        (false, _) if beat.want_shut_down && !leads => Step::ShutDown,
        (false, false) if beat.want_fence => Step::Fence,
        (false, true) => Step::GoOnLeaving,
        (false, false) => Step::Stay,
    }
}

/// Whether the broker leads a partition that another one could lead: nobody takes over where it has the only replica.
fn leads_any(image: &MetadataImage, id: BrokerId) -> bool {
    let led = |before: &PartitionRegistration| before.leader == id && others_in_sync(image, before, id);
    image.topics().iter().any(|topic| topic.partitions().any(|(_, before)| led(before)))
}

fn others_in_sync(image: &MetadataImage, before: &PartitionRegistration, id: BrokerId) -> bool {
    before.isr.iter().any(|member| *member != id && image.brokers().is_active(*member))
}

/// The partitions of a broker that is about to go, where another member of the ISR is there.
fn hand_over(context: &Context<'_>, id: BrokerId) -> Vec<ottla_metadata::MetadataRecord> {
    let concerned = |before: &PartitionRegistration| {
        (before.leader == id || before.isr.contains(&id)) && others_in_sync(context.image, before, id)
    };
    changes(context, concerned, |change| change.leave(id))
}
