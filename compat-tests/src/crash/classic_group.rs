//! The only member of a classic group: it joins, commits growing offsets, and rebalances now and then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_client::Client;
use ottla_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use ottla_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, OffsetCommitRequest, OffsetFetchRequest, SyncGroupRequest,
};
use tokio::time::sleep;

use super::life::RECORDS;
use super::session::{Interrupted, Site, later, text, topic_name};
use super::{History, Rng};
use crate::ledger::committed::Commits;
use crate::ledger::epochs::Epochs;

const PAUSE: Duration = Duration::from_millis(12);
/// No member of ours may be thought dead while the broker restarts.
const SESSION_MS: i32 = 120_000;
const REBALANCE_MS: i32 = 300;
/// The versions: the last that gives a member its id at once, that names topics, that asks for one group.
const JOIN: i16 = 3;
pub(crate) const COMMIT: i16 = 9;
const FETCH: i16 = 7;
const UNKNOWN_MEMBER_ID: i16 = 25;
const ILLEGAL_GENERATION: i16 = 22;

pub(crate) struct ClassicMember {
    group: String,
    rng: Rng,
    history: Arc<History>,
    commits: Commits,
    epochs: Epochs,
    member: String,
    generation: i32,
    /// The last rebalance was answered to its end, and none was asked for since.
    settled: bool,
    next: i64,
}

impl ClassicMember {
    pub(crate) fn new(group: &str, rng: Rng, history: Arc<History>) -> Self {
        let (commits, epochs) = (Commits::default(), Epochs::default());
        let (group, member) = (group.to_owned(), String::new());
        Self { group, rng, history, commits, epochs, member, generation: -1, settled: false, next: 0 }
    }

    pub(crate) async fn run(mut self, site: Site) {
        while let Some(client) = site.coordinator(&self.group).await {
            let _ = self.session(&site, &client).await;
        }
        // The last word, whatever came before.
        while self.check(&site.last_coordinator(&self.group).await).await.is_err() {}
    }

    async fn check(&self, client: &Client) -> Result<(), Interrupted> {
        check_commits(client, &self.group, &self.commits, &self.history).await
    }

    async fn session(&mut self, site: &Site, client: &Client) -> Result<(), Interrupted> {
        self.check(client).await?;
        if self.settled {
            self.beat(client).await?;
        }
        while !site.stopped() {
            if !self.settled || self.rng.once_in(20) {
                self.rebalance(client).await?;
            }
            self.commit(client).await?;
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// After a restart: the group must know its member and generation.
    async fn beat(&mut self, client: &Client) -> Result<(), Interrupted> {
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.member));
        match client.call(&request).await?.error_code {
            0 | 27 => Ok(()),
            UNKNOWN_MEMBER_ID | ILLEGAL_GENERATION => {
                self.history.found("classic group", self.epochs.forgotten(&self.group));
                self.settled = false;
                Ok(())
            }
            _ => Err(later().await),
        }
    }

    async fn rebalance(&mut self, client: &Client) -> Result<(), Interrupted> {
        self.settled = false;
        let protocol =
            JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(Bytes::new());
        let request = JoinGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_session_timeout_ms(SESSION_MS)
            .with_rebalance_timeout_ms(REBALANCE_MS)
            .with_member_id(text(&self.member))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        let joined = client.connection().call(&request, JOIN).await?;
        if joined.error_code == UNKNOWN_MEMBER_ID {
            self.member.clear();
        }
        if joined.error_code != 0 {
            return Err(later().await);
        }
        self.member = joined.member_id.to_string();
        self.generation = joined.generation_id;
        self.history.found("classic group", self.epochs.began(&self.group, self.generation));
        let assignments = joined.members.iter().map(|member| {
            let assignment = SyncGroupRequestAssignment::default().with_member_id(member.member_id.clone());
            assignment.with_assignment(Bytes::from_static(b"x"))
        });
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_generation_id(self.generation)
            .with_member_id(text(&self.member))
            .with_protocol_type(Some(text("consumer")))
            .with_protocol_name(Some(text("range")))
            .with_assignments(assignments.collect());
        if client.call(&request).await?.error_code != 0 {
            return Err(later().await);
        }
        self.epochs.completed(&self.group, self.generation);
        self.settled = true;
        self.history.count(|counts| counts.rebalances += 1);
        Ok(())
    }

    async fn commit(&mut self, client: &Client) -> Result<(), Interrupted> {
        self.next += 1;
        let partition = i32::try_from(self.rng.below(3)).unwrap_or(0);
        let request = commit_request(&self.group, self.generation, &self.member, partition, self.next);
        self.commits.sent(partition, self.next);
        match commit_error(client, &request).await? {
            0 => {
                self.commits.answered(partition, self.next);
                self.history.committed(&self.group);
                Ok(())
            }
            UNKNOWN_MEMBER_ID | ILLEGAL_GENERATION | 27 => {
                self.settled = false;
                Ok(())
            }
            _ => Err(later().await),
        }
    }
}

pub(crate) fn commit_request(
    group: &str,
    generation: i32,
    member: &str,
    partition: i32,
    offset: i64,
) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset,
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: topic_name(RECORDS),
        partitions: vec![partition],
        ..Default::default()
    };
    OffsetCommitRequest {
        group_id: GroupId(text(group)),
        generation_id_or_member_epoch: generation,
        member_id: text(member),
        topics: vec![topic],
        ..Default::default()
    }
}

pub(crate) async fn commit_error(client: &Client, request: &OffsetCommitRequest) -> Result<i16, Interrupted> {
    let answer = client.connection().call(request, COMMIT).await?;
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    Ok(partitions.map(|partition| partition.error_code).next().unwrap_or(-1))
}

/// Compares what the group has committed with what it was answered.
pub(crate) async fn check_commits(
    client: &Client,
    group: &str,
    commits: &Commits,
    history: &History,
) -> Result<(), Interrupted> {
    if commits.answered_count() == 0 {
        return Ok(());
    }
    let request =
        OffsetFetchRequest { group_id: GroupId(text(group)), topics: None, ..OffsetFetchRequest::default() };
    let answer = client.connection().call(&request, FETCH).await?;
    if answer.error_code != 0 {
        return Err(later().await);
    }
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let found: BTreeMap<i32, i64> = partitions.map(|at| (at.partition_index, at.committed_offset)).collect();
    history.found(group, commits.check(&found));
    Ok(())
}
