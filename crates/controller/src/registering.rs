//! Controllers register with the active one (KIP-919), as its handle offers it.

use ottla_metadata::RegisterControllerRecord;

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
}
