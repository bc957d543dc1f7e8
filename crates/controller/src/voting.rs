//! Adding, removing and updating voters (KIP-853), as the active controller's handle offers it.

use ottla_metadata::{DirectoryId, KRAFT_VERSION};
use ottla_model::BrokerId;

use crate::error::{ControllerError, VoterError};
use crate::handle::Controller;
use crate::peers::Peer;

impl Controller {
    /// AddRaftVoter: lets a controller vote that follows the log, once it has all of it.
    pub async fn add_voter(&self, voter: &Peer) -> Result<(), VoterError> {
        let level = self.kraft_version("adding")?;
        match &self.door {
            Some(door) => door.add_voter(voter, level).await,
            None => Err(not_controller()),
        }
    }

    /// RemoveRaftVoter: takes a voter's vote. An active controller that removes itself hands over.
    pub async fn remove_voter(&self, id: BrokerId, directory_id: DirectoryId) -> Result<(), VoterError> {
        let level = self.kraft_version("removing")?;
        match &self.door {
            Some(door) => door.remove_voter(id, directory_id, level).await,
            None => Err(not_controller()),
        }
    }

    /// UpdateRaftVoter: notes where a voter is reached.
    pub async fn update_voter(&self, voter: &Peer) -> Result<(), VoterError> {
        let level = self.kraft_version("updating")?;
        match &self.door {
            Some(door) => door.update_voter(voter, level).await,
            None => Err(not_controller()),
        }
    }

    /// The level that the voters are changed by. Of a node that nobody can join there is no door to ask.
    fn kraft_version(&self, change: &'static str) -> Result<i16, VoterError> {
        if !self.is_active() {
            return Err(not_controller());
        }
        let level = self.image().features().level(KRAFT_VERSION);
        if self.door.is_none() {
            return Err(VoterError::Unsupported { change, level });
        }
        Ok(level)
    }
}

fn not_controller() -> VoterError {
    ControllerError::NotController { leader: None }.into()
}
