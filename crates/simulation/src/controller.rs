//! The production core of the controller behind a log in memory that commits at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_config::BrokerConfig;
use ottla_controller::Liveness;
use ottla_controller::decision::{Context, Randomness, Settings};
use ottla_metadata::{MetadataImage, MetadataRecord, Provenance, new_cluster_records};
use ottla_model::{BrokerId, Offset};
use ottla_storage::Seeded;
use uuid::Uuid;

use crate::command::{Ask, Told, decide};
use crate::message::{Address, Body, CONTROLLERS, Message};

pub(crate) const CLUSTER: &str = "simulated";
/// A broker that is silent for so long is fenced.
const SESSION_MS: u64 = 900;
const UPKEEP_MS: u64 = 500;
/// Records of one pull.
const RECORDS_PER_PULL: usize = 200;

/// Chance, from the seed.
#[derive(Debug)]
pub(crate) struct Chance(pub(crate) Seeded);

impl Randomness for Chance {
    fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(
            (u128::from(self.0.bits()) << 64 | u128::from(self.0.bits())).to_be_bytes(),
        )
        .into_uuid()
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(bound as u64)).unwrap_or(0)
    }
}

#[derive(Debug)]
pub(crate) struct Controller {
    pub(crate) image: MetadataImage,
    pub(crate) records: Vec<MetadataRecord>,
    settings: Settings,
    chance: Chance,
    liveness: Liveness,
    /// Who waits for what comes from there on.
    pulls: BTreeMap<Address, Offset>,
    upkeep_at: u64,
}

impl Controller {
    pub(crate) fn new(chance: Seeded) -> Self {
        let file = [("node.id".to_owned(), CONTROLLERS.to_string())];
        let broker = BrokerConfig::from_static(file.into()).expect("a plain file");
        let settings =
            Settings { node_id: BrokerId(CONTROLLERS), broker: Arc::new(broker), dynamic_voters: false };
        let mut controller = Self {
            image: MetadataImage::new(CLUSTER),
            records: Vec::new(),
            settings,
            chance: Chance(chance),
            liveness: Liveness::new(Duration::from_millis(SESSION_MS)),
            pulls: BTreeMap::new(),
            upkeep_at: UPKEEP_MS,
        };
        controller.commit(new_cluster_records("1", 0));
        controller
    }

    fn commit(&mut self, records: Vec<MetadataRecord>) {
        for record in records {
            self.image.replay(&record).expect("a decision replays");
            let offset = self.image.provenance().offset.plus(1);
            self.image.set_provenance(Provenance { offset, epoch: 1 });
            self.records.push(record);
        }
    }

    /// Decides and commits.
    pub(crate) fn ask(&mut self, ask: &Ask, now: u64, out: &mut Vec<Message>) -> Told {
        let time = Duration::from_millis(now);
        if let Ask::Beat(beat) = ask {
            self.liveness.heard(beat.broker_id, beat.broker_epoch, time);
            if let Some(answer) = self.liveness.answer_to_dead(beat) {
                return Told::Beat(Ok(answer));
            }
        }
        let (image, settings, random) = (&self.image, &self.settings, &mut self.chance);
        let registering = match ask {
            Ask::Register(request) => request.broker_id,
            _ => BrokerId::NONE,
        };
        let has_session = |epoch| self.liveness.has_session(registering, epoch, time);
        let (records, told) = decide(ask, has_session, &mut Context { image, settings, random });
        match (ask, &told) {
            (_, Told::Registered(Ok(epoch))) => self.liveness.registered(registering, *epoch, time),
            (Ask::Beat(beat), Told::Beat(Ok(answer))) if answer.should_shut_down => {
                self.liveness.gone(beat.broker_id);
            }
            _ => {}
        }
        if !records.is_empty() {
            self.commit(records);
            for (to, from) in std::mem::take(&mut self.pulls) {
                self.pull(to, from, out);
            }
        }
        told
    }

    pub(crate) fn receive(&mut self, message: &Message, now: u64, out: &mut Vec<Message>) {
        let reply = |body| Message { from: message.to, to: message.from, body };
        match &message.body {
            Body::Ask { request, ask } => {
                let told = Some(Arc::new(self.ask(ask, now, out)));
                out.push(reply(Body::Told { request: *request, told }));
            }
            Body::Pull { from } => self.pull(message.from, *from, out),
            _ => {}
        }
    }

    fn pull(&mut self, to: Address, from: Offset, out: &mut Vec<Message>) {
        let start = usize::try_from(from.get()).unwrap_or(0);
        let news = self.records.get(start..).unwrap_or_default();
        if news.is_empty() {
            self.pulls.insert(to, from);
            return;
        }
        let records = Arc::new(news[..news.len().min(RECORDS_PER_PULL)].to_vec());
        out.push(Message { from: CONTROLLERS, to, body: Body::News { from, records } });
    }

    /// A process's connection is closed, and the next one refused.
    pub(crate) fn process_gone(&mut self, id: BrokerId, now: u64, out: &mut Vec<Message>) {
        let Some(broker) = self.image.brokers().get(id) else { return };
        self.liveness.died(id, broker.epoch);
        if !broker.fenced {
            let ask = Ask::Fence(id, broker.epoch);
            self.ask(&ask, now, out);
        }
    }

    pub(crate) fn tick(&mut self, now: u64, out: &mut Vec<Message>) {
        let unfenced: BTreeMap<BrokerId, i64> =
            self.image.brokers().unfenced().map(|broker| (broker.id, broker.epoch)).collect();
        let time = Duration::from_millis(now);
        self.liveness.follow(&unfenced, time);
        let silent = self.liveness.expired(time).into_iter();
        let mut silent: Vec<Ask> = silent.map(|(id, epoch)| Ask::Fence(id, epoch)).collect();
        if now >= self.upkeep_at {
            self.upkeep_at = now + UPKEEP_MS;
            silent.extend([Ask::Balance, Ask::ElectUncleanly]);
        }
        for ask in silent {
            self.ask(&ask, now, out);
        }
    }
}
