//! Which member may commit and fetch offsets of the group: the epoch is the fence.

use ottla_model::TopicId;
use ottla_planted::planted;

use super::error::OffsetAccessError;
use super::group::ConsumerGroup;
use super::member::ConsumerGroupMember;
use crate::MemberId;

/// What remains to be checked per partition.
#[derive(Clone, Copy, Debug)]
pub enum CommitCheck<'a> {
    /// Nothing: commit all.
    Pass,
    /// The member is behind its own epoch; it may commit what it has owned since `received` or before (KIP-1251).
    ByAssignmentEpoch { member: &'a ConsumerGroupMember, received: i32 },
}

impl ConsumerGroup {
    /// Checks an OffsetCommit or TxnOffsetCommit.
    ///
    /// `epoch` is the request's generation or member epoch; `knows_epochs` is false for an OffsetCommit before
    /// version 9.
    ///
    /// # Errors
    /// [`OffsetAccessError`] for the whole request.
    pub fn check_commit(
        &self,
        member_id: &MemberId,
        has_instance_id: bool,
        epoch: i32,
        transactional: bool,
        knows_epochs: bool,
    ) -> Result<CommitCheck<'_>, OffsetAccessError> {
        // An empty group's offsets are set by the admin client; a transaction need not name its member.
        let anonymous = transactional && epoch == -1 && member_id.is_empty() && !has_instance_id;
        if (epoch < 0 && self.members.is_empty()) || anonymous {
            return Ok(CommitCheck::Pass);
        }
        let member = self.member(member_id).ok_or_else(|| self.unknown(member_id))?;
        if !transactional && !member.uses_classic_protocol() && !knows_epochs {
            return Err(OffsetAccessError::TooOldToCommit);
        }
        let known = member.member_epoch;
        if epoch > known {
            let what = epoch_name(member);
            return Err(stale(
                member,
                format!("Received {what} {epoch} is newer than current member epoch {known}."),
            ));
        }
        if epoch == known || planted!("stale_member_epoch_commits") {
            return Ok(CommitCheck::Pass);
        }
        Ok(CommitCheck::ByAssignmentEpoch { member, received: epoch })
    }

    /// Checks an OffsetFetch; `member` is `None` where the request names none and carries no epoch.
    ///
    /// # Errors
    /// [`OffsetAccessError`] for the whole group.
    pub fn check_fetch(&self, member_id: Option<&MemberId>, epoch: i32) -> Result<(), OffsetAccessError> {
        if member_id.is_none() && epoch < 0 {
            return Ok(());
        }
        let name = member_id.ok_or(OffsetAccessError::NoMember)?;
        let member = self.member(name).ok_or_else(|| self.unknown(name))?;
        let known = member.member_epoch;
        if epoch == known {
            return Ok(());
        }
        let what = epoch_name(member);
        Err(stale(
            member,
            format!("The received {what} {epoch} does not match the expected member epoch {known}."),
        ))
    }

    fn unknown(&self, member_id: &MemberId) -> OffsetAccessError {
        OffsetAccessError::UnknownMember { group_id: self.group_id.clone(), member_id: member_id.clone() }
    }
}

impl CommitCheck<'_> {
    /// Checks one partition; Kafka refuses the whole request with the first that fails.
    ///
    /// # Errors
    /// [`OffsetAccessError::StaleEpoch`] (or `IllegalGeneration`) if the partition is not the member's, or was given
    /// to it after the epoch that it commits with.
    pub fn partition(&self, topic: &str, topic_id: TopicId, partition: i32) -> Result<(), OffsetAccessError> {
        let Self::ByAssignmentEpoch { member, received } = self else { return Ok(()) };
        match member.assignment_epoch(topic_id, partition) {
            None => Err(stale(
                member,
                format!("Partition {topic}-{partition} is not assigned or pending revocation for member."),
            )),
            Some(assigned) if *received < assigned => {
                let what = epoch_name(member);
                let message = format!(
                    "Received {what} {received} is older than assignment epoch {assigned} for partition \
                     {topic}-{partition}."
                );
                Err(stale(member, message))
            }
            Some(_) => Ok(()),
        }
    }
}

fn epoch_name(member: &ConsumerGroupMember) -> &'static str {
    if member.uses_classic_protocol() { "generation id" } else { "member epoch" }
}

fn stale(member: &ConsumerGroupMember, message: String) -> OffsetAccessError {
    if member.uses_classic_protocol() {
        OffsetAccessError::IllegalGeneration { message }
    } else {
        OffsetAccessError::StaleEpoch { message }
    }
}
