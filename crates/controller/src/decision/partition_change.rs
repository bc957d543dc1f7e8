//! What becomes of one partition when its replicas, its in-sync set or its brokers change: who leads then, whether a
//! reassignment is complete (KIP-455), and who stays eligible to lead (KIP-966). Kafka's `PartitionChangeBuilder`.

use ottla_config::{BrokerConfig, TopicConfig};
use ottla_metadata::{
    DirectoryId, ELIGIBLE_LEADER_REPLICAS_VERSION, LeaderRecoveryState, MetadataImage, PartitionChangeRecord,
    PartitionRegistration, TopicImage,
};
use ottla_model::BrokerId;
use ottla_planted::planted;

use super::Context;
use super::directories::is_online;
use super::placement::default_directory;

/// How a leader is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The first replica if it may lead, whoever leads now.
    Preferred,
    /// The leader stays if it may; else the first replica that may.
    Online,
    /// As `Online`, and if nobody in sync is there, anybody who is.
    Unclean,
}

/// A partition as it is, and as it shall be.
pub(super) struct PartitionChange<'a> {
    image: &'a MetadataImage,
    topic: &'a TopicImage,
    partition: i32,
    before: &'a PartitionRegistration,
    rules: TopicRules,
    pub(super) isr: Vec<BrokerId>,
    pub(super) replicas: Vec<BrokerId>,
    pub(super) removing: Vec<BrokerId>,
    pub(super) adding: Vec<BrokerId>,
    pub(super) election: Election,
    /// A broker that counts as gone, though the image has it still.
    pub(super) leaving: Option<BrokerId>,
    /// A broker that may lack what it has acknowledged: it is not eligible.
    pub(super) lost: Option<BrokerId>,
    /// A broker that counts as active, though the image does not say so yet.
    pub(super) arriving: Option<BrokerId>,
    /// A broker's log dirs that work, though the image says something else: a replica in another one does not lead.
    pub(super) log_dirs: Option<(BrokerId, Vec<DirectoryId>)>,
    /// A broker's replica is in this dir from now on.
    pub(super) directory: Option<(BrokerId, DirectoryId)>,
    /// Whoever leads does so in a new epoch, though it be the same broker.
    pub(super) anew: bool,
    /// What the leader says of its recovery from an unclean election.
    pub(super) recovery: LeaderRecoveryState,
    elr: Vec<BrokerId>,
}

impl<'a> PartitionChange<'a> {
    pub(super) fn new(
        image: &'a MetadataImage,
        topic: &'a TopicImage,
        partition: i32,
        before: &'a PartitionRegistration,
        rules: TopicRules,
    ) -> Self {
        Self {
            image,
            topic,
            partition,
            before,
            rules,
            isr: before.isr.clone(),
            replicas: before.replicas.clone(),
            removing: before.removing_replicas.clone(),
            adding: before.adding_replicas.clone(),
            election: Election::Online,
            leaving: None,
            lost: None,
            arriving: None,
            log_dirs: None,
            directory: None,
            anew: false,
            recovery: before.leader_recovery_state,
            elr: before.elr.clone(),
        }
    }

    /// Takes a broker out of leadership and of the ISR.
    pub(super) fn leave(&mut self, id: BrokerId) {
        self.leaving = Some(id);
        self.isr.retain(|member| *member != id);
    }

    /// The record that makes it so; `None` if nothing changes.
    pub(super) fn build(mut self) -> Option<PartitionChangeRecord> {
        let mut record = PartitionChangeRecord::new(self.topic.id, self.partition);
        self.complete_reassignment();
        self.choose_eligible();
        self.elect(&mut record);
        if record.leader.is_none() && self.before.replicas.iter().any(|id| !self.replicas.contains(id)) {
            // Whoever is no longer a replica must not go on as one: a new leader epoch tells it.
            record.leader = Some(self.before.leader);
        }
        if self.recovery != self.before.leader_recovery_state && record.leader_recovery_state.is_none() {
            record.leader_recovery_state = Some(self.recovery);
        }
        self.note_isr(&mut record);
        self.note_eligible(&mut record);
        self.note_assignment(&mut record);
        let unchanged = PartitionChangeRecord::new(self.topic.id, self.partition);
        (record != unchanged).then_some(record)
    }

    /// A reassignment is complete when everybody who shall stay is in sync.
    fn complete_reassignment(&mut self) {
        if self.removing.is_empty() && self.adding.is_empty() {
            return;
        }
        let staying = |ids: &[BrokerId]| -> Vec<BrokerId> {
            ids.iter().copied().filter(|id| !self.removing.contains(id)).collect()
        };
        let (isr, replicas) = (staying(&self.isr), staying(&self.replicas));
        let complete = !replicas.is_empty()
            && (replicas.iter().all(|id| isr.contains(id)) || planted!("reassigned_before_in_sync"));
        if complete {
            (self.isr, self.replicas) = (isr, replicas);
            self.removing.clear();
            self.adding.clear();
        }
    }

    /// Members that leave an ISR which is then below the minimum have everything that was acknowledged, and may lead.
    fn choose_eligible(&mut self) {
        let is_enough = self.isr.len() >= self.min_isr() && !planted!("elr_never_cleared");
        if !self.elr_enabled() || is_enough {
            self.elr.clear();
            return;
        }
        let mut eligible = self.before.elr.clone();
        eligible.extend(self.before.isr.iter().filter(|id| !self.before.elr.contains(id)));
        let is_lost = |id| self.lost == Some(id) && !planted!("lost_replica_eligible");
        eligible.retain(|id| !self.isr.contains(id) && self.replicas.contains(id) && !is_lost(*id));
        eligible.sort_unstable();
        self.elr = eligible;
    }

    fn elect(&mut self, record: &mut PartitionChangeRecord) {
        let (leader, unclean) = self.next_leader();
        if leader == self.before.leader && !(self.anew && leader != BrokerId::NONE) {
            return;
        }
        record.leader = Some(leader);
        if unclean {
            self.isr = vec![leader];
            self.elr.clear();
            if self.before.leader_recovery_state == LeaderRecoveryState::Recovered {
                record.leader_recovery_state = Some(LeaderRecoveryState::Recovering);
            }
        } else if self.elr.contains(&leader) {
            self.isr = vec![leader];
            self.elr.retain(|id| *id != leader);
        }
    }

    /// Who leads, and whether records may be lost with that.
    fn next_leader(&self) -> (BrokerId, bool) {
        let preferred = self.replicas.first().copied().filter(|_| self.election == Election::Preferred);
        let candidates =
            preferred.into_iter().chain([self.before.leader]).chain(self.replicas.iter().copied());
        if let Some(leader) = { candidates }.find(|id| self.may_lead(*id)) {
            return (leader, false);
        }
        if let Some(last) = self.last_known_leader() {
            return (last, true);
        }
        let is_allowed = || self.election == Election::Unclean || planted!("unclean_election");
        let unclean = self.replicas.iter().copied().filter(|_| is_allowed());
        match { unclean }.find(|id| self.is_active(*id)) {
            Some(leader) => (leader, true),
            None => (BrokerId::NONE, false),
        }
    }

    fn may_lead(&self, id: BrokerId) -> bool {
        let in_sync = self.isr.contains(&id) || (self.isr.is_empty() && self.elr.contains(&id));
        let is_preferred = || self.election == Election::Preferred && planted!("preferred_leads_out_of_sync");
        (in_sync || is_preferred()) && self.is_active(id)
    }

    /// KIP-966: where nobody else is left, the one who led last.
    fn last_known_leader(&self) -> Option<BrokerId> {
        match self.before.last_known_elr.as_slice() {
            [last] if self.elr_enabled() && self.isr.is_empty() && self.elr.is_empty() => {
                self.is_active(*last).then_some(*last)
            }
            _ => None,
        }
    }

    fn note_isr(&self, record: &mut PartitionChangeRecord) {
        // Without eligible leaders an ISR is never empty: its last member stays in it.
        if self.isr != self.before.isr && (!self.isr.is_empty() || self.elr_enabled()) {
            record.isr = Some(self.isr.clone());
        }
    }

    fn note_eligible(&self, record: &mut PartitionChangeRecord) {
        if self.elr != self.before.elr {
            record.elr = Some(self.elr.clone());
        }
        let last_known = &self.before.last_known_elr;
        let leads = record.leader.unwrap_or(self.before.leader) != BrokerId::NONE;
        let emptied = record.isr.as_ref().is_some_and(Vec::is_empty);
        // Where nobody led the last one in sync has as much: it was about to stop, and led no more.
        let last = Some(self.before.leader).filter(|leader| *leader != BrokerId::NONE);
        let last = last.or_else(|| self.before.isr.first().copied().filter(|_| self.before.isr.len() == 1));
        if self.elr_enabled()
            && emptied
            && let Some(last) = last
        {
            record.last_known_elr = Some(vec![last]);
        } else if leads && !last_known.is_empty() {
            record.last_known_elr = Some(Vec::new());
        }
    }

    fn note_assignment(&self, record: &mut PartitionChangeRecord) {
        let changed =
            |after: &Vec<BrokerId>, before: &Vec<BrokerId>| (after != before).then(|| after.clone());
        record.replicas = changed(&self.replicas, &self.before.replicas);
        record.removing_replicas = changed(&self.removing, &self.before.removing_replicas);
        record.adding_replicas = changed(&self.adding, &self.before.adding_replicas);
        let brokers = self.image.brokers();
        let directory = |id: &BrokerId| match self.directory {
            Some((broker, directory)) if broker == *id => directory,
            _ => self.before.directory(*id).unwrap_or_else(|| default_directory(brokers, *id)),
        };
        let directories: Vec<DirectoryId> = self.replicas.iter().map(directory).collect();
        if directories != self.before.directories {
            record.directories = Some(directories);
        }
    }

    fn is_active(&self, id: BrokerId) -> bool {
        self.leaving != Some(id)
            && (self.arriving == Some(id) || self.image.brokers().is_active(id))
            && self.is_online(id)
    }

    fn is_online(&self, id: BrokerId) -> bool {
        let online = self.log_dirs_of(id);
        match self.directory {
            Some((broker, directory)) if broker == id => {
                directory.is_reserved() || online.contains(&directory)
            }
            _ => is_online(self.before, id, online),
        }
    }

    fn log_dirs_of(&self, id: BrokerId) -> &[DirectoryId] {
        match &self.log_dirs {
            Some((broker, log_dirs)) if *broker == id => log_dirs,
            _ => self.image.brokers().get(id).map_or(&[], |broker| &broker.log_dirs),
        }
    }

    fn elr_enabled(&self) -> bool {
        self.image.features().level(ELIGIBLE_LEADER_REPLICAS_VERSION) > 0
    }

    /// `min.insync.replicas` never asks for more than there are replicas.
    fn min_isr(&self) -> usize {
        self.replicas.len().min(self.rules.min_isr)
    }
}

/// What a topic's configs say about its partitions' leaders.
#[derive(Clone, Copy, Debug)]
pub(super) struct TopicRules {
    /// `min.insync.replicas`.
    min_isr: usize,
    /// Whether the topic would rather lose records than have no leader.
    pub(super) unclean_leader_election: bool,
}

impl Context<'_> {
    /// The rules of a topic under the broker's effective settings. Configs are checked before they are in the image; one
    /// that could not be read says nothing.
    pub(super) fn topic_rules(&self, topic: &str, broker: &BrokerConfig) -> TopicRules {
        let overrides = self.image.configs().topic(topic).map(|set| set.as_ref().clone()).unwrap_or_default();
        let config = TopicConfig::resolve(&overrides, broker).ok();
        TopicRules {
            min_isr: config
                .as_ref()
                .map_or(1, |config| usize::try_from(config.min_insync_replicas).unwrap_or(1)),
            unclean_leader_election: config.is_some_and(|config| config.unclean_leader_election_enable),
        }
    }
}
