//! Controllers come (KIP-919). Whether they vote is the quorum's matter.

use ottla_metadata::{
    CONTROLLER_REGISTRATION_LEVEL, METADATA_VERSION, MetadataRecord, RegisterControllerRecord,
};

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
