//! Controllers come and go (KIP-919). Whether they vote is the quorum's matter.

use ottla_metadata::{
    CONTROLLER_REGISTRATION_LEVEL, CONTROLLER_UNREGISTRATION_LEVEL, METADATA_VERSION, MetadataRecord,
    RegisterControllerRecord, UnregisterControllerRecord,
};
use ottla_model::BrokerId;

use super::{Context, Decision};
use crate::error::RegistrationError;

/// ControllerRegistration: notes a controller's process, in the place of the one before.
pub fn register_controller(
    registration: &RegisterControllerRecord,
    context: &Context<'_>,
) -> Decision<Result<(), RegistrationError>> {
    if context.image.features().level(METADATA_VERSION) < CONTROLLER_REGISTRATION_LEVEL {
        return Decision::answer_only(Err(RegistrationError::Unsupported));
    }
    let known = context.image.controllers().get(registration.controller_id);
    if known.is_some_and(|known| known.to_record() == *registration) {
        // It asks again: its first request was answered, or is about to be.
        return Decision::answer_only(Ok(()));
    }
    Decision { records: vec![MetadataRecord::RegisterController(registration.clone())], answer: Ok(()) }
}

/// UnregisterController: the cluster forgets a controller, unless it is the one that decides this.
pub fn unregister_controller(
    controller_id: BrokerId,
    context: &Context<'_>,
) -> Decision<Result<(), RegistrationError>> {
    if controller_id == context.settings.node_id {
        return Decision::answer_only(Err(RegistrationError::Active));
    }
    if context.image.features().level(METADATA_VERSION) < CONTROLLER_UNREGISTRATION_LEVEL {
        return Decision::answer_only(Err(RegistrationError::UnregistrationUnsupported));
    }
    if context.image.controllers().get(controller_id).is_none() {
        return Decision::answer_only(Err(RegistrationError::NotRegistered(controller_id)));
    }
    let record = UnregisterControllerRecord { controller_id };
    Decision { records: vec![MetadataRecord::UnregisterController(record)], answer: Ok(()) }
}
