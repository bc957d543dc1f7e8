//! Who asks the controllers: brokers that register and live, and clients that make topics, remove them and take producer ids.
//! They know by chance who leads.

use std::time::Duration;

use ottla_controller::{
    BrokerError, BrokerHeartbeat, BrokerRegistrationRequest, Controller, ControllerError, CreateTopics,
    DeleteTopics, NewTopic, TopicError, TopicRef,
};
use ottla_metadata::{BrokerEndpoint, BrokerFeature, DirectoryId, FEATURES, SecurityProtocol};
use ottla_model::BrokerId;
use ottla_storage::Seeded;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::common::Common;
use super::ledger::Topics;
use crate::message::Address;

/// How long anybody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// What several clients ask for is called so.
const COMMON: &str = "common-";
/// They ask for the same for so long.
const COMMON_FOR_MS: u64 = 250;
const BEAT: Duration = Duration::from_millis(150);

/// Goes on until the world ends.
pub(super) async fn broker(common: Common, id: Address) {
    let request = registration(id);
    let mut epoch = None;
    loop {
        sleep(BEAT).await;
        let Some((_, _, controller)) = common.lock().active() else { continue };
        match epoch {
            None => {
                let registered = timeout(PATIENCE, controller.register_broker(request.clone())).await;
                if let Ok(Ok(Ok(registered))) = registered {
                    common.lock().counts.add("quorum: broker registered");
                    epoch = Some(registered);
                }
            }
            Some(epoch) => beat(&common, &controller, BrokerId(id), epoch).await,
        }
    }
}

async fn beat(common: &Common, controller: &Controller, broker_id: BrokerId, broker_epoch: i64) {
    let beat = BrokerHeartbeat {
        broker_id,
        broker_epoch,
        current_metadata_offset: controller.image().provenance().offset,
        want_fence: false,
        want_shut_down: false,
    };
    // Nobody else registers with this id: what was answered once holds. A leader that nobody follows any more may not know.
    if let Ok(Ok(Err(error @ (BrokerError::NotRegistered(_) | BrokerError::StaleEpoch { .. })))) =
        timeout(PATIENCE, controller.broker_heartbeat(beat)).await
        && controller.image().provenance().offset.get() >= broker_epoch
    {
        common.lock().ledger.violated("no acknowledged registration is lost", error.to_string());
    }
}

fn registration(id: Address) -> BrokerRegistrationRequest {
    let number = u128::from(id.unsigned_abs());
    BrokerRegistrationRequest {
        broker_id: BrokerId(id),
        incarnation_id: Uuid::from_u128(number << 32),
        endpoints: vec![BrokerEndpoint {
            name: "PLAINTEXT".to_owned(),
            host: "sim".to_owned(),
            port: 9092,
            security_protocol: SecurityProtocol::Plaintext,
        }],
        features: FEATURES
            .iter()
            .map(|def| BrokerFeature {
                name: def.name.to_owned(),
                min_supported_version: def.min_supported,
                max_supported_version: def.max_supported,
            })
            .collect(),
        rack: None,
        log_dirs: vec![DirectoryId(Uuid::from_u128(number))],
        previous_broker_epoch: -1,
        fenced: true,
    }
}

/// Asks for one thing after the other until all is mended.
pub(super) async fn client(common: Common, number: u64, pause_ms: u64, mut chance: Seeded) {
    for turn in 0.. {
        sleep(Duration::from_millis(1 + chance.below(2 * pause_ms))).await;
        if common.lock().healing {
            return;
        }
        let Some((id, boot, controller)) = common.lock().any() else { continue };
        if !controller.is_active() {
            continue;
        }
        let asked = Asked { common: &common, id, boot, controller };
        match chance.below(8) {
            0 => asked.create(common_name(&common)).await,
            1..=3 => asked.create(format!("c{number}-{turn}")).await,
            4 => asked.delete(&mut chance).await,
            5 | 6 => asked.take_producer_ids(&mut chance).await,
            _ => asked.look(),
        }
    }
}

/// Several clients ask for it at the same time; it is never deleted.
fn common_name(common: &Common) -> String {
    format!("{COMMON}{}", common.lock().now() / COMMON_FOR_MS)
}

/// Until something is answered: what the cluster can after it is mended.
pub(super) async fn probe(common: Common) {
    for turn in 0.. {
        sleep(Duration::from_millis(50)).await;
        let Some((id, boot, controller)) = common.lock().active() else { continue };
        let name = format!("probe-{turn}");
        Asked { common: &common, id, boot, controller }.create(name.clone()).await;
        let mut shared = common.lock();
        if shared.ledger.topics.created.contains(&name) {
            shared.probed = true;
            return;
        }
    }
}

/// A node that is asked for something.
struct Asked<'a> {
    common: &'a Common,
    id: Address,
    boot: u64,
    controller: Controller,
}

impl Asked<'_> {
    /// What came back, if the process that has answered was still there to do so.
    async fn ask<A>(&self, asking: impl Future<Output = Result<A, ControllerError>>) -> Option<A> {
        let answer = timeout(PATIENCE, asking).await;
        let mut shared = self.common.lock();
        if !shared.is_there(self.id, self.boot) {
            return None;
        }
        let Ok(Ok(answer)) = answer else {
            shared.counts.add(if answer.is_err() { "quorum: no answer" } else { "quorum: request refused" });
            return None;
        };
        Some(answer)
    }

    /// What the node has written follows all that was answered before it was asked: its image must have that.
    fn follows(&self, answered: &Topics) {
        let image = self.controller.image();
        self.common.lock().ledger.holds(self.id, &image, answered);
    }

    fn answered(&self) -> Topics {
        self.common.lock().ledger.topics.clone()
    }

    async fn create(&self, name: String) {
        let topic = NewTopic { partition_count: 1, replication_factor: 1, ..NewTopic::named(name.clone()) };
        let request = CreateTopics { topics: vec![topic], validate_only: false };
        let answered = self.answered();
        let Some(answers) = self.ask(self.controller.create_topics(request)).await else { return };
        let mut shared = self.common.lock();
        match answers.first() {
            Some(Ok(created)) => {
                drop(shared);
                self.follows(&answered);
                shared = self.common.lock();
                let is_there =
                    self.controller.image().topic(&name).is_some_and(|topic| topic.id == created.topic_id);
                if !is_there {
                    shared.ledger.violated("who is answered finds what is answered", name.clone());
                }
                shared.counts.add("quorum: topic created");
                if !shared.ledger.topics.created.insert(name.clone()) {
                    shared.ledger.violated("a name is given to one topic", name);
                }
            }
            Some(Err(TopicError::AlreadyExists { .. })) if name.starts_with(COMMON) => {
                shared.counts.add("quorum: topic is there already");
            }
            Some(Err(TopicError::AlreadyExists { .. })) => {
                shared.ledger.violated("what is asked for once is made once", name);
            }
            _ => shared.counts.add("quorum: topic refused"),
        }
    }

    async fn delete(&self, chance: &mut Seeded) {
        let name = {
            let mut shared = self.common.lock();
            let topics = &mut shared.ledger.topics;
            let there: Vec<&String> =
                topics.created.difference(&topics.doomed).filter(|name| !name.starts_with(COMMON)).collect();
            let at = usize::try_from(chance.below(there.len().max(1) as u64)).unwrap_or(0);
            let Some(name) = there.get(at).map(|name| (*name).clone()) else { return };
            topics.doomed.insert(name.clone());
            name
        };
        let answered = self.answered();
        let request = DeleteTopics { topics: vec![TopicRef::Name(name.clone())] };
        let Some(answers) = self.ask(self.controller.delete_topics(request)).await else { return };
        let mut shared = self.common.lock();
        match answers.first() {
            Some(Ok(_)) => {
                shared.counts.add("quorum: topic deleted");
                shared.ledger.topics.deleted.insert(name);
                drop(shared);
                self.follows(&answered);
            }
            // A leader that nobody follows any more may not know of it.
            _ => shared.counts.add("quorum: topic refused"),
        }
    }

    async fn take_producer_ids(&self, chance: &mut Seeded) {
        let image = self.controller.image();
        let brokers: Vec<(BrokerId, i64)> =
            image.brokers().iter().map(|broker| (broker.id, broker.epoch)).collect();
        let at = usize::try_from(chance.below(brokers.len().max(1) as u64)).unwrap_or(0);
        let Some((id, epoch)) = brokers.get(at).copied() else { return };
        let answered = self.answered();
        let given = self.ask(self.controller.allocate_producer_ids(id, epoch)).await;
        if let Some(Ok(block)) = given {
            let mut shared = self.common.lock();
            shared.counts.add("quorum: producer ids given");
            shared.ledger.given(&block);
            drop(shared);
            self.follows(&answered);
        }
    }

    /// Its image is that of some moment; the ledger compares it.
    fn look(&self) {
        let image = self.controller.image();
        self.common.lock().ledger.shown(self.id, self.boot, &image);
    }
}
