//! The only member of a consumer group (KIP-848): it beats, takes what it is assigned, commits, and changes what it
//! wants now and then.

use std::sync::Arc;
use std::time::Duration;

use ottla_client::Client;
use ottla_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use ottla_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, GroupId};
use tokio::time::sleep;

use super::classic_group::{check_commits, commit_error, commit_request};
use super::life::RECORDS;
use super::session::{Interrupted, Site, later, text, topic_name};
use super::{History, Rng, keyed};
use crate::ledger::committed::Commits;
use crate::ledger::epochs::Epochs;

const MEMBER: &str = "RfZXHsLQRO2jlzOwUUtvLA";
const PAUSE: Duration = Duration::from_millis(12);
const REBALANCE_MS: i32 = 60_000;
const UNKNOWN_MEMBER_ID: i16 = 25;
const FENCED_MEMBER_EPOCH: i16 = 110;
const STALE_MEMBER_EPOCH: i16 = 113;

pub(crate) struct ConsumerMember {
    group: String,
    rng: Rng,
    history: Arc<History>,
    commits: Commits,
    epochs: Epochs,
    /// 0 before it joins.
    epoch: i32,
    owned: Vec<TopicPartitions>,
    wants_more: bool,
    next: i64,
}

impl ConsumerMember {
    pub(crate) fn new(group: &str, rng: Rng, history: Arc<History>) -> Self {
        let (commits, epochs) = (Commits::default(), Epochs::default());
        let (group, owned) = (group.to_owned(), Vec::new());
        Self { group, rng, history, commits, epochs, epoch: 0, owned, wants_more: false, next: 0 }
    }

    pub(crate) async fn run(mut self, site: Site) {
        while let Some(client) = site.coordinator(&self.group).await {
            let _ = self.session(&site, &client).await;
        }
        loop {
            let client = site.last_coordinator(&self.group).await;
            let described = self.describe(&client).await;
            let checked = check_commits(&client, &self.group, &self.commits, &self.history).await;
            if described.is_ok() && checked.is_ok() {
                return;
            }
        }
    }

    async fn session(&mut self, site: &Site, client: &Client) -> Result<(), Interrupted> {
        check_commits(client, &self.group, &self.commits, &self.history).await?;
        if self.epoch > 0 {
            self.describe(client).await?;
        }
        while !site.stopped() {
            if self.rng.once_in(20) {
                self.wants_more = !self.wants_more;
                self.history.count(|counts| counts.rebalances += 1);
            }
            self.beat(client).await?;
            self.commit(client).await?;
            sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn beat(&mut self, client: &Client) -> Result<(), Interrupted> {
        let mut topics = vec![topic_name(RECORDS)];
        if self.wants_more {
            topics.push(topic_name(keyed::TOPIC));
        }
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.group)))
            .with_member_id(text(MEMBER))
            .with_member_epoch(self.epoch)
            .with_rebalance_timeout_ms(REBALANCE_MS)
            .with_subscribed_topic_names(Some(topics))
            .with_topic_partitions(Some(self.owned.clone()));
        let answer = client.call(&request).await?;
        match answer.error_code {
            0 => {
                self.epoch = answer.member_epoch;
                self.history.found("consumer group", self.epochs.seen("its member", self.epoch));
                if let Some(assignment) = answer.assignment {
                    let owned = assignment.topic_partitions.into_iter().map(|topic| {
                        TopicPartitions::default()
                            .with_topic_id(topic.topic_id)
                            .with_partitions(topic.partitions)
                    });
                    self.owned = owned.collect();
                }
                Ok(())
            }
            // The broker knows a smaller epoch than it answered, or no member: it is alone, nobody fenced it.
            UNKNOWN_MEMBER_ID | FENCED_MEMBER_EPOCH => {
                self.history.found("consumer group", self.epochs.forgotten("its member"));
                (self.epoch, self.owned) = (0, Vec::new());
                Ok(())
            }
            _ => Err(later().await),
        }
    }

    async fn describe(&mut self, client: &Client) -> Result<(), Interrupted> {
        let request =
            ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(&self.group))]);
        let answer = client.call(&request).await?;
        let Some(group) = answer.groups.first() else { return Err(Interrupted) };
        if group.error_code == 69 {
            self.history.found("consumer group", self.epochs.forgotten("its member"));
            return Ok(());
        }
        if group.error_code != 0 {
            return Err(later().await);
        }
        self.history.found("consumer group", self.epochs.seen("the group", group.group_epoch));
        self.history.found("consumer group", self.epochs.seen("its assignment", group.assignment_epoch));
        for member in &group.members {
            self.history.found("consumer group", self.epochs.seen("its member", member.member_epoch));
        }
        Ok(())
    }

    async fn commit(&mut self, client: &Client) -> Result<(), Interrupted> {
        self.next += 1;
        let partition = i32::try_from(self.rng.below(3)).unwrap_or(0);
        let request = commit_request(&self.group, self.epoch, MEMBER, partition, self.next);
        self.commits.sent(partition, self.next);
        match commit_error(client, &request).await? {
            0 => {
                self.commits.answered(partition, self.next);
                self.history.committed(&self.group);
                Ok(())
            }
            UNKNOWN_MEMBER_ID | FENCED_MEMBER_EPOCH | STALE_MEMBER_EPOCH => Ok(()),
            _ => Err(later().await),
        }
    }
}
