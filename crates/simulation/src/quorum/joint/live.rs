//! Runs a whole cluster from its beginning to its end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ottla_controller::Simulation;
use ottla_controller::TopicError;
use ottla_model::{BrokerId, TopicId, TopicIdPartition};

use super::super::panics;
use super::{Joint, Next, Plan, Said};
use crate::admin::Errand;
use crate::command::Told;
use crate::groups::OFFSETS_TOPIC;
use crate::ledger::Violation;
use crate::message::{Body, CONTROLLERS, Message};
use crate::run::{Lived, Outcome};
use crate::telling;
use crate::world::{Event, Tells, World};

/// Before an administrator asks again for the topics that all begins with.
const AGAIN_MS: u64 = 100;

/// Runs a plan to its end.
pub(crate) fn live(plan: Plan, tells: Tells) -> Outcome {
    let seed = plan.brokers.seed;
    panics::watch();
    let runtime = super::super::runtime(seed);
    let inside = runtime.enter();
    let simulation = Simulation::begin(seed ^ 0x00c0_44ed);
    let mut world = World::new(plan.brokers, tells);
    world.joint = Some(Box::new(Joint::new(plan.controllers, tells)));
    drop(inside);
    let result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(world.run_joint())));
    // Tasks end before the surroundings do.
    drop(runtime);
    drop(simulation);
    let result = match (result, panics::take()) {
        (_, Some(panic)) => Err(panic),
        (Ok(result), None) => result,
        (Err(_), None) => Err(Violation::new("nothing panics", "something does")),
    };
    let Some(mut joint) = world.joint.take() else { return world.outcome(result) };
    let Lived { counts, events, fingerprint, story, .. } = joint.controllers.lived();
    let mut outcome = world.outcome(result);
    outcome.counts.merge(&counts);
    outcome.events += events;
    outcome.fingerprint = outcome.fingerprint.rotate_left(1) ^ fingerprint;
    outcome.story.extend(story);
    // Each line begins with its time.
    outcome.story.sort_by(|one, other| one.get(..6).cmp(&other.get(..6)));
    outcome
}

impl World {
    async fn run_joint(&mut self) -> Result<(), Violation> {
        loop {
            let brokers = self.next_at();
            let Some(joint) = &mut self.joint else { return Ok(()) };
            let controllers = joint.controllers.next_at();
            let at = brokers.into_iter().chain(controllers).min().unwrap_or(self.now);
            let next = joint.next(at).await;
            self.learn();
            match next {
                Next::News(news) => {
                    self.catch_up();
                    self.hear_controllers(news)?;
                }
                Next::Said(said) => {
                    self.catch_up();
                    self.hear(said)?;
                }
                Next::Time if brokers == Some(at) => {
                    if self.go_on()? {
                        return self.quorum_at_the_end();
                    }
                }
                Next::Time => {
                    if let Some(joint) = &mut self.joint {
                        joint.controllers.go_on()?;
                    }
                }
            }
            let joint = self.joint.as_ref();
            let violation = joint.and_then(|joint| joint.controllers.common.lock().ledger.violation.take());
            violation.map_or(Ok(()), Err)?;
        }
    }

    /// It is as late as the tasks have come.
    fn catch_up(&mut self) {
        if let Some(joint) = &self.joint {
            self.now = self.now.max(joint.controllers.common.lock().now());
        }
    }

    /// What the controllers have committed.
    fn learn(&mut self) {
        let newer = self.joint.as_ref().and_then(|joint| joint.newer(&self.controller.image));
        let Some(image) = newer else { return };
        let before = std::mem::replace(&mut self.controller.image, Arc::unwrap_or_clone(image));
        if self.tells != Tells::Nothing {
            for line in telling::difference(&before, &self.controller.image) {
                self.tell(|| line);
            }
        }
    }

    fn hear_controllers(&mut self, news: super::News) -> Result<(), Violation> {
        let Some(joint) = &mut self.joint else { return Ok(()) };
        if joint.followers.contains_key(&news.id) {
            self.hear_follower(news);
            return Ok(());
        }
        self.hear_controller(news)
    }

    fn hear(&mut self, said: Said) -> Result<(), Violation> {
        match said {
            Said::Followed { node, boot } => self.later(0, Event::News { node, boot }),
            Said::Told { to, request, told } => {
                let body = Body::Told { request, told: told.map(Arc::new) };
                self.send(vec![Message { from: CONTROLLERS, to, body }]);
            }
            Said::Done { errand, told, again } => return self.come_back(errand, told, again),
        }
        Ok(())
    }

    /// What an administrator's errand has come to. One without an answer may yet be done; one that was asked for `again` may have been
    /// done when it is refused.
    fn come_back(&mut self, errand: Errand, told: Option<Told>, again: bool) -> Result<(), Violation> {
        match (errand, told) {
            (Errand::SetUp, told) => {
                let names = || self.plan.topics.iter().map(|topic| topic.name.as_str());
                self.note_created(names(), told);
                let topics: Option<Vec<(TopicId, i32)>> = names().map(|name| self.topic_made(name)).collect();
                match topics {
                    Some(topics) => self.is_set_up(topics)?,
                    None => self.later(AGAIN_MS, Event::Setup),
                }
            }
            (Errand::SetUpGroups, told) => {
                self.note_created([OFFSETS_TOPIC].into_iter(), told);
                match self.topic_made(OFFSETS_TOPIC) {
                    Some(_) => self.groups_are_set_up(),
                    None => self.later(AGAIN_MS, Event::SetUpGroups),
                }
            }
            (Errand::Delete { name, id }, told) => {
                let deleted =
                    matches!(&told, Some(Told::Deleted(answers)) if matches!(answers.first(), Some(Ok(_))));
                if let Some(joint) = self.joint.as_ref().filter(|_| deleted) {
                    joint.controllers.common.lock().ledger.topics.deleted.insert(name);
                }
                self.counts.add(if deleted { "topic deleted" } else { "topic may be deleted" });
                self.leave_topic(id);
            }
            (Errand::Reassign { id, .. } | Errand::TakeBack(id), None) => {
                self.counts.add("reassignment without an answer");
                self.unsure.insert(id);
                self.assigned.remove(&id);
            }
            (Errand::TakeBack(id), Some(Told::Reassigned(answers)))
                if again && answers.iter().flatten().any(Result::is_err) =>
            {
                self.counts.add("reassignment refused to be taken back again");
                self.unsure.insert(id);
                self.assigned.remove(&id);
            }
            (Errand::Reassign { id, .. }, Some(_)) if self.unsure.contains(&id) => {}
            // As in Kafka: who is deposed and has not heard of it may find that nothing is to be done, and says so without a record.
            (Errand::Reassign { id, replicas }, Some(Told::Reassigned(answers)))
                if answers.iter().flatten().all(Result::is_ok) && !self.is_to_be_on(id, &replicas) =>
            {
                self.counts.add("reassignment acknowledged by who is deposed");
                self.unsure.insert(id);
                self.assigned.remove(&id);
            }
            (Errand::ProducerIds(_), Some(Told::ProducerIds(Ok(block)))) => {
                self.counts.add("producer ids given");
                if let Some(joint) = &self.joint {
                    joint.controllers.common.lock().ledger.given(&block);
                }
            }
            (errand, Some(told)) => self.acknowledged(errand, told)?,
            (_, None) => self.counts.add("errand without an answer"),
        }
        if self.healing {
            // It has come late: clients may have begun since.
            self.stop_clients();
        }
        Ok(())
    }

    fn topic_made(&self, name: &str) -> Option<(TopicId, i32)> {
        let topic = self.controller.image.topic(name)?;
        Some((topic.id, i32::try_from(topic.partitions().count()).unwrap_or(0)))
    }

    /// Whether the metadata has the partition on these replicas, or on the way there.
    fn is_to_be_on(&self, id: TopicIdPartition, replicas: &[BrokerId]) -> bool {
        let topic = self.controller.image.topic_by_id(id.topic_id);
        let Some(partition) = topic.and_then(|topic| topic.partition(id.partition)) else { return false };
        let stays = |replica: &&BrokerId| !partition.removing_replicas.contains(replica);
        partition.replicas.iter().filter(stays).eq(replicas)
    }

    /// What is acknowledged stays: the controllers' ledger looks for it in the end.
    fn note_created<'a>(&self, names: impl Iterator<Item = &'a str>, told: Option<Told>) {
        let (Some(joint), Some(Told::Created(answers))) = (&self.joint, told) else { return };
        let is_there = |answer| matches!(answer, Ok(_) | Err(TopicError::AlreadyExists { .. }));
        let created =
            names.zip(answers).filter_map(|(name, answer)| is_there(answer).then(|| name.to_owned()));
        joint.controllers.common.lock().ledger.topics.created.extend(created);
    }

    /// Whether the controllers, too, are as they should be.
    pub(crate) fn quorum_is_well(&self) -> Result<(), Violation> {
        let Some(joint) = &self.joint else { return Ok(()) };
        joint.controllers.is_well()?;
        let following = joint.all_follow(self.controller.image.provenance().offset);
        following.map_err(|what| Violation::new("after healing the quorum is well", what))
    }

    fn quorum_at_the_end(&mut self) -> Result<(), Violation> {
        self.counts.add("joint: well in the end");
        if self.plan.groups.is_some() {
            self.counts.add("joint: groups well in the end");
        }
        self.joint.as_mut().map_or(Ok(()), |joint| joint.controllers.at_the_end())
    }
}
