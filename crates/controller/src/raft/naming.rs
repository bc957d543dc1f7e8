//! Static voters become dynamic ones (KIP-853, `kraft.version` from 0 to 1): the log is given what it does not say of them yet, each
//! one's directory. From that entry on the log says who votes.

use std::collections::BTreeMap;

use ottla_metadata::KRAFT_VERSION;
use ottla_model::BrokerId;
use ottla_planted::planted;

use super::door::Started;
use super::peer_codec::{Hello, HelloStanding};
use super::quorum::{node, peers_of};
use super::types::{StoredMembership, Voter};
use super::voters::{VoterChanges, as_voter, established, key, set_nodes, voter_ids};
use crate::error::VoterError;
use crate::peers::{Peer, Peers};
use crate::publish::Publisher;

impl VoterChanges {
    /// Has the log name each voter's directory, as the voter says it now; with `is_trial` it is only seen whether it could.
    ///
    /// # Errors
    /// [`VoterError::DirectoryUnknown`] if a voter is not there, or may not vote yet: its disk was emptied.
    pub(super) async fn name(&self, started: &Started, is_trial: bool) -> Result<(), VoterError> {
        let _one = self.one.try_lock().map_err(|_| VoterError::Busy)?;
        let membership = established(started)?;
        let voters = peers_of(membership.membership());
        if voters.iter().all(Peer::is_named) {
            return Ok(());
        }
        let named = ask_for_directories(started, &voters).await;
        let known = |id: BrokerId| named.get(&node(id)).map(|voter| voter.directory_id).unwrap_or_default();
        if voter_ids(&membership).iter().any(|id| !named.contains_key(id)) {
            let keys: Vec<String> = voters.iter().map(|voter| key(voter.id, known(voter.id))).collect();
            return Err(VoterError::DirectoryUnknown { voters: keys.join(", ") });
        }
        if !is_trial {
            set_nodes(started, &membership, named).await?;
            tracing::info!("from now on the log says who votes");
        }
        Ok(())
    }
}

/// Those of the voters that say which directory they have, by their node's number. One without a log has never been sent this one: by
/// something that was not committed it has taken itself for no voter, and knows nothing of what its disk had promised before.
async fn ask_for_directories(started: &Started, voters: &[Peer]) -> BTreeMap<u64, Voter> {
    let peers = &started.peers;
    let reached = |voter: &Peer| peers.voter(voter.id).unwrap_or_else(|| voter.clone());
    let others = voters.iter().filter(|voter| voter.id != peers.own).map(reached).collect();
    let hellos = peers.greet_each(others, started.cluster_id.to_string()).await;
    let own = voters.iter().find(|voter| voter.id == peers.own).map(|own| (reached(own), peers.door.hello()));
    let said = hellos.into_iter().chain(own).filter(|(peer, hello)| {
        hello.id == peer.id
            && hello.cluster_id.as_deref() == Some(&*started.cluster_id)
            && hello.standing == HelloStanding::Member
            && hello.log_len > 0
    });
    let named = said.map(|(peer, Hello { directory_id, .. })| Peer { directory_id, ..peer });
    named.filter(Peer::is_named).map(|peer| (node(peer.id), as_voter(&peer))).collect()
}

impl Peers {
    /// Notes whether the log says who votes, as the image tells, or the directories that the log names. A log without voters, as before
    /// its first entry, says nothing.
    pub(super) fn follow_membership(&self, membership: &StoredMembership, publisher: &Publisher) {
        if !self.is_static() {
            return;
        }
        let voters = peers_of(membership.membership());
        let is_raised = publisher.image().features().level(KRAFT_VERSION) > 0;
        if is_raised && !planted!("lone_voter_by_file") {
            self.follow_log(true);
        } else if !voters.is_empty() {
            let are_named = self.are_of_log(&voters);
            self.follow_log(are_named || (self.is_dynamic() && planted!("naming_not_taken_back")));
        }
    }
}
