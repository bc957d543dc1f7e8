//! Adding, removing and updating voters (KIP-853), and the features, one of which says whether that is done: as the active
//! controller's handle offers it.

use ottla_metadata::{DirectoryId, KRAFT_VERSION};
use ottla_model::BrokerId;
use ottla_planted::planted;

use crate::command::{FeatureUpgrade, UpdateFeatures};
use crate::decision;
use crate::decision_loop::Need;
use crate::error::{ControllerError, FeatureError, VoterError};
use crate::handle::Controller;
use crate::peers::Peer;

impl Controller {
    /// UpdateFeatures: all of them, or none. Before `kraft.version` is 1, the log says who votes.
    pub async fn update_features(
        &self,
        request: UpdateFeatures,
    ) -> Result<Result<(), FeatureError>, ControllerError> {
        let names_voters = self.image().features().level(KRAFT_VERSION) < 1 && raises_kraft_version(&request);
        if names_voters {
            // What else speaks against it is said before anything is written.
            let trial = UpdateFeatures { validate_only: true, ..request.clone() };
            let tried = self.decide(Need::Change, move |context| decision::update_features(&trial, context));
            if let Err(error) = tried.await? {
                return Ok(Err(error));
            }
            if let Some(door) = &self.door
                && let Err(error) = door.name_voters(request.validate_only).await
                && !planted!("raised_unnamed")
            {
                return not_named(error).map(Err);
            }
        }
        self.decide(Need::Change, move |context| decision::update_features(&request, context)).await
    }

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

fn raises_kraft_version(request: &UpdateFeatures) -> bool {
    let mut updates = request.updates.iter();
    updates.any(|update| {
        update.feature == KRAFT_VERSION && update.level > 0 && update.upgrade == Some(FeatureUpgrade::Upgrade)
    })
}

fn not_named(error: VoterError) -> Result<FeatureError, ControllerError> {
    Ok(match error {
        VoterError::Controller(error) => return Err(error),
        VoterError::NotEstablished => return Err(ControllerError::NotController { leader: None }),
        VoterError::DirectoryUnknown { voters } => FeatureError::DirectoryUnknown { voters },
        VoterError::NotCommitted => FeatureError::NotCommitted,
        _ => FeatureError::InvalidUpdateVersion(format!(
            "Unable to upgrade version for {KRAFT_VERSION} to 1 due to changing voters"
        )),
    })
}
