//! A ConsumerGroupHeartbeat (KIP-848) and its answer, without versions.

use std::sync::Arc;

use super::context::ConsumerGroupSettings;
use super::error::ConsumerGroupError;
use super::member::{JOIN_EPOCH, LEAVE_EPOCH, STATIC_LEAVE_EPOCH};
use crate::assignor::{Assignment, Assignor};
use crate::{GroupId, InstanceId, MemberId};

/// `None` means "as last time".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeartbeatRequest {
    pub group_id: GroupId,
    pub member_id: MemberId,
    pub member_epoch: i32,
    pub instance_id: Option<InstanceId>,
    pub rack_id: Option<Arc<str>>,
    pub rebalance_timeout_ms: Option<i32>,
    pub subscribed_topic_names: Option<Vec<Arc<str>>>,
    /// Empty: no longer a regular expression.
    pub subscribed_topic_regex: Option<Arc<str>>,
    pub server_assignor: Option<Arc<str>>,
    /// The partitions that the member owns.
    pub owned: Option<Assignment>,
    pub client_id: Arc<str>,
    /// As in Kafka's records: `/127.0.0.1`.
    pub client_host: Arc<str>,
    /// Members make their own ids (version 1); where they do not, a joining one without gets `new_member_id`.
    pub requires_member_id: bool,
    pub new_member_id: MemberId,
}

/// The answer to an accepted heartbeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeartbeatResponse {
    pub member_id: MemberId,
    pub member_epoch: i32,
    /// 0 in the answer to a leave.
    pub heartbeat_interval_ms: u32,
    /// What the member shall own now; `None` if nothing changed.
    pub assignment: Option<Assignment>,
}

impl HeartbeatRequest {
    /// Checks what can be checked without the group.
    ///
    /// # Errors
    /// The first that is wrong, in Kafka's order.
    pub fn validate(&self, settings: &ConsumerGroupSettings) -> Result<(), ConsumerGroupError> {
        let needs_id =
            self.requires_member_id || self.member_epoch > JOIN_EPOCH || self.member_epoch == LEAVE_EPOCH;
        refuse(needs_id && is_blank(Some(&self.member_id)), "MemberId can't be empty.")?;
        refuse(is_blank(Some(&self.group_id)), "GroupId can't be empty.")?;
        refuse(is_blank(self.instance_id.as_deref()), "InstanceId can't be empty.")?;
        refuse(is_blank(self.rack_id.as_deref()), "RackId can't be empty.")?;
        match self.member_epoch {
            JOIN_EPOCH => self.validate_join()?,
            STATIC_LEAVE_EPOCH => refuse(self.instance_id.is_none(), "InstanceId can't be null.")?,
            epoch => refuse(epoch < STATIC_LEAVE_EPOCH, "MemberEpoch is invalid.")?,
        }
        self.validate_assignor(settings)
    }

    fn validate_join(&self) -> Result<(), ConsumerGroupError> {
        let owns_nothing = self.owned.as_ref().is_some_and(Assignment::is_empty);
        let subscribes = self.subscribed_topic_names.is_some() || self.subscribed_topic_regex.is_some();
        refuse(self.rebalance_timeout_ms.is_none(), "RebalanceTimeoutMs must be provided in first request.")?;
        refuse(!owns_nothing, "TopicPartitions must be empty when (re-)joining.")?;
        refuse(
            !subscribes,
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
        )
    }

    fn validate_assignor(&self, settings: &ConsumerGroupSettings) -> Result<(), ConsumerGroupError> {
        let Some(name) = &self.server_assignor else { return Ok(()) };
        if Assignor::from_name(name).is_some_and(|a| settings.assignors.contains(&a)) {
            return Ok(());
        }
        let supported: Vec<&str> = settings.assignors.iter().map(|a| a.name()).collect();
        Err(ConsumerGroupError::UnsupportedAssignor {
            name: name.to_string(),
            supported: supported.join(", "),
        })
    }

    /// Whether it says everything, as after an error: then the answer does too.
    pub(super) const fn is_full(&self) -> bool {
        self.rebalance_timeout_ms.is_some()
            && (self.subscribed_topic_names.is_some() || self.subscribed_topic_regex.is_some())
            && self.owned.is_some()
    }
}

fn refuse(broken: bool, message: &'static str) -> Result<(), ConsumerGroupError> {
    if broken { Err(ConsumerGroupError::InvalidRequest(message)) } else { Ok(()) }
}

/// Given, but nothing besides (Java's) white space.
fn is_blank(text: Option<&str>) -> bool {
    text.is_some_and(|t| t.chars().all(|c| c <= ' '))
}
