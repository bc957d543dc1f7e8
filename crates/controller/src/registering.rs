//! Controllers register with the active one (KIP-919), as its handle offers it.

use ottla_metadata::RegisterControllerRecord;
use ottla_model::BrokerId;

use crate::decision;
use crate::decision_loop::Need;
use crate::error::{ControllerError, RegistrationError};
use crate::handle::Controller;

impl Controller {
    /// ControllerRegistration: notes where a controller's process is reached, and what it supports.
    pub async fn register_controller(
        &self,
        registration: RegisterControllerRecord,
    ) -> Result<Result<(), RegistrationError>, ControllerError> {
        self.decide(Need::Relief, move |context| decision::register_controller(&registration, context)).await
    }

    /// UnregisterController: forgets a controller. One that lives registers again.
    pub async fn unregister_controller(
        &self,
        id: BrokerId,
    ) -> Result<Result<(), RegistrationError>, ControllerError> {
        self.decide(Need::Relief, move |context| decision::unregister_controller(id, context)).await
    }
}
