//! Elections against a naive model that knows what was acknowledged: brokers come, go, lose their memory or their disks, leaders
//! change the ISR, partitions move; whoever is elected cleanly must have every acknowledged record.

use std::collections::{BTreeMap, BTreeSet};

use ottla_metadata::{LeaderRecoveryState, PartitionRegistration};

use super::*;
use crate::command::{
    AlterPartition, AlterPartitionReassignments, BrokerHeartbeat, ElectLeaders, IsrChange, ReassignableTopic,
};

const BROKERS: i32 = 4;
const PARTITIONS: i32 = 3;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// Silent, or killed.
    Fence(i32),
    /// A new process of it registers; `clean`: the last one was stopped in order and its disk is whole.
    Restart(i32, bool),
    /// It has caught up with the metadata, and is let in.
    Unfence(i32),
    ShutDown(i32),
    /// A record is acknowledged by all in sync, if there are enough.
    Write(i32),
    /// The leader takes one in that has caught up.
    Expand(i32, i32),
    /// The leader drops one that lags.
    Shrink(i32, i32),
    /// The same with what was so before the last change.
    Stale(i32, i32),
    Reassign(i32, [i32; 2]),
    Cancel(i32),
    Elect(i32),
    Balance,
}

fn event() -> impl Strategy<Value = Event> {
    let (broker, partition) = (1..=BROKERS, 0..PARTITIONS);
    let both = (partition.clone(), broker.clone());
    prop_oneof![
        3 => broker.clone().prop_map(Event::Fence),
        4 => (broker.clone(), any::<bool>()).prop_map(|(id, clean)| Event::Restart(id, clean)),
        6 => broker.clone().prop_map(Event::Unfence),
        1 => broker.prop_map(Event::ShutDown),
        6 => partition.clone().prop_map(Event::Write),
        6 => both.clone().prop_map(|(p, id)| Event::Expand(p, id)),
        2 => both.clone().prop_map(|(p, id)| Event::Shrink(p, id)),
        2 => both.prop_map(|(p, id)| Event::Stale(p, id)),
        1 => (partition.clone(), 1..=BROKERS, 1..=BROKERS).prop_map(|(p, a, b)| Event::Reassign(p, [a, b])),
        1 => partition.clone().prop_map(Event::Cancel),
        1 => partition.prop_map(Event::Elect),
        1 => Just(Event::Balance),
    ]
}

/// Who has all that was acknowledged, by partition.
struct Model {
    cluster: Cluster,
    complete: BTreeMap<i32, BTreeSet<BrokerId>>,
    min_isr: usize,
}

impl Model {
    fn new(min_isr: usize) -> Self {
        let mut cluster = Cluster::with_brokers(&[(1, None), (2, None), (3, None), (4, None)]);
        cluster.create(assigned("t", &[(0, &[1, 2, 3]), (1, &[2, 3, 4]), (2, &[3, 1, 2])])).unwrap();
        let op = ConfigOp {
            name: "min.insync.replicas".to_owned(),
            op: AlterConfigOp::Set,
            value: min_isr.to_string(),
        };
        cluster.alter(ConfigResource::new(ConfigResourceType::Topic, "t"), vec![op]).unwrap();
        let of = |p| (p, cluster.image.partition("t", p).unwrap().replicas.iter().copied().collect());
        Self { complete: (0..PARTITIONS).map(of).collect(), cluster, min_isr }
    }

    fn partition(&self, p: i32) -> PartitionRegistration {
        self.cluster.image.partition("t", p).unwrap().as_ref().clone()
    }

    fn is_active(&self, id: BrokerId) -> bool {
        self.cluster.image.brokers().is_active(id)
    }

    fn epoch(&self, id: BrokerId) -> i64 {
        self.cluster.image.brokers().get(id).unwrap().epoch
    }

    fn step(&mut self, event: Event) {
        let before: Vec<PartitionRegistration> = (0..PARTITIONS).map(|p| self.partition(p)).collect();
        self.apply(event);
        for (p, before) in (0..PARTITIONS).zip(&before) {
            self.check(p, before, event);
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Fence(id) => {
                let epoch = self.epoch(BrokerId(id));
                self.cluster.decide(|context| fence_broker(BrokerId(id), epoch, context)).unwrap();
            }
            Event::Restart(id, clean) => self.restart(id, clean),
            Event::Unfence(id) => {
                // A process that has said it goes does not come back: a new one registers.
                if self.cluster.image.brokers().get(BrokerId(id)).unwrap().in_controlled_shutdown {
                    return;
                }
                let epoch = self.epoch(BrokerId(id));
                self.cluster.decide(|context| unfence_broker(BrokerId(id), epoch, context)).unwrap();
            }
            Event::ShutDown(id) => {
                let beat = BrokerHeartbeat {
                    broker_id: BrokerId(id),
                    broker_epoch: self.epoch(BrokerId(id)),
                    current_metadata_offset: ottla_model::Offset(i64::MAX),
                    want_fence: false,
                    want_shut_down: true,
                };
                self.cluster.decide(|context| broker_heartbeat(&beat, context)).unwrap();
            }
            Event::Write(p) => {
                let now = self.partition(p);
                if now.has_leader()
                    && self.is_active(now.leader)
                    && now.isr.len() >= self.min_isr.min(now.replicas.len())
                {
                    self.complete.insert(p, now.isr.iter().copied().collect());
                }
            }
            Event::Expand(p, id) => {
                let mut isr = self.partition(p).isr;
                if !isr.contains(&BrokerId(id)) && self.partition(p).has_leader() {
                    isr.push(BrokerId(id));
                    let leader = self.partition(p).leader;
                    let answer = self.alter(p, &isr, 0);
                    // With it a move may be complete, and another one lead.
                    if matches!(answer, Ok(()) | Err(crate::AlterPartitionError::NewLeaderElected)) {
                        // It has all that the leader has.
                        let complete = self.complete.get_mut(&p).unwrap();
                        if complete.contains(&leader) {
                            complete.insert(BrokerId(id));
                        }
                    }
                }
            }
            Event::Shrink(p, id) => {
                let mut isr = self.partition(p).isr;
                isr.retain(|member| *member != BrokerId(id));
                let _ = self.alter(p, &isr, 0);
            }
            Event::Stale(p, id) => {
                let before = self.partition(p);
                let mut isr = before.isr.clone();
                isr.retain(|member| *member != BrokerId(id));
                if before.has_leader() {
                    assert!(self.alter(p, &isr, 1).is_err(), "a stale partition epoch is taken");
                    assert_eq!(self.partition(p), before);
                }
            }
            Event::Reassign(p, [a, b]) => self.reassign(p, (a != b).then(|| brokers(&[a, b]))),
            Event::Cancel(p) => self.reassign(p, None),
            Event::Elect(p) => {
                let topics = Some(vec![("t".to_owned(), vec![p])]);
                let request = ElectLeaders { election: ElectionType::Preferred, topics };
                self.cluster.decide(|context| elect_leaders(&request, context));
            }
            Event::Balance => {
                self.cluster.decide(|context| balance_leaders(context));
                self.cluster.decide(|context| elect_uncleanly(context));
            }
        }
    }

    fn restart(&mut self, id: i32, clean: bool) {
        let mut request = registration(id, None, true, self.cluster.random.uuid());
        request.previous_broker_epoch = if clean { self.epoch(BrokerId(id)) } else { -1 };
        self.cluster.decide(|context| register_broker(&request, |_| false, context)).unwrap();
        if !clean {
            for complete in self.complete.values_mut() {
                complete.remove(&BrokerId(id));
            }
        }
    }

    fn alter(&mut self, p: i32, isr: &[BrokerId], epochs_ago: i32) -> Result<(), crate::AlterPartitionError> {
        let before = self.partition(p);
        if !before.has_leader() {
            return Err(crate::AlterPartitionError::InvalidRequest);
        }
        let topic_id = self.cluster.image.topic("t").unwrap().id;
        let change = IsrChange {
            id: TopicIdPartition { topic_id, partition: p },
            leader_epoch: before.leader_epoch,
            partition_epoch: ottla_model::PartitionEpoch(before.partition_epoch.get() - epochs_ago),
            isr: isr.iter().map(|id| (*id, self.epoch(*id))).collect(),
            leader_recovery_state: LeaderRecoveryState::Recovered,
        };
        let (broker_id, broker_epoch) = (before.leader, self.epoch(before.leader));
        let request = AlterPartition { broker_id, broker_epoch, partitions: vec![change] };
        let answers = self.cluster.decide(|context| alter_partition(&request, context)).unwrap();
        answers.into_iter().next().unwrap().map(|_| ())
    }

    fn reassign(&mut self, p: i32, to: Option<Vec<BrokerId>>) {
        let topics = vec![ReassignableTopic { name: "t".to_owned(), partitions: vec![(p, to)] }];
        let request = AlterPartitionReassignments { allow_replication_factor_change: true, topics };
        // What is refused changes nothing.
        self.cluster.decide(|context| alter_partition_reassignments(&request, context));
    }

    fn check(&mut self, p: i32, before: &PartitionRegistration, event: Event) {
        let now = self.partition(p);
        let is_in = |ids: &[BrokerId], of: &[BrokerId]| ids.iter().all(|id| of.contains(id));
        assert!(is_in(&now.isr, &now.replicas) && is_in(&now.elr, &now.replicas), "{event:?}: {now:?}");
        assert!(now.elr.iter().all(|id| !now.isr.contains(id)), "{event:?}: {now:?}");
        assert!(
            now.isr.len() < self.min_isr.min(now.replicas.len()) || now.elr.is_empty(),
            "{event:?}: {now:?}"
        );
        assert!(now.replicas.len() == now.directories.len(), "{event:?}: {now:?}");
        let changed = now != *before;
        let step = now.partition_epoch.get() - before.partition_epoch.get();
        assert!(if changed { step >= 1 } else { step == 0 }, "{event:?}: {before:?} {now:?}");
        let is_new = now.leader != before.leader;
        assert!(!is_new || now.leader_epoch > before.leader_epoch, "{event:?}: {before:?} {now:?}");
        assert!(now.leader_epoch >= before.leader_epoch);
        if !now.has_leader() {
            return;
        }
        assert!(now.isr.contains(&now.leader), "{event:?}: {now:?}");
        if !is_new {
            return;
        }
        assert!(self.is_active(now.leader), "{event:?}: {now:?}");
        let has_joined = matches!(event, Event::Expand(at, id) if at == p && BrokerId(id) == now.leader);
        let is_clean = has_joined || before.isr.contains(&now.leader) || before.elr.contains(&now.leader);
        if !is_clean {
            assert_eq!(now.leader_recovery_state, LeaderRecoveryState::Recovering, "{event:?}: {now:?}");
            // KIP-966: the last known leader, with whatever it has.
            let is_lost =
                |id: &&BrokerId| matches!(event, Event::Restart(lost, false) if BrokerId(lost) == **id);
            let left = before.isr.iter().chain(&before.elr).find(|id| !is_lost(id));
            assert_eq!(left, None, "{event:?}: {before:?} {now:?}");
            assert_eq!(before.last_known_elr, [now.leader], "{event:?}: {before:?} {now:?}");
            self.complete.insert(p, BTreeSet::from([now.leader]));
        }
        assert!(
            self.complete[&p].contains(&now.leader),
            "{event:?}: the new leader lacks acknowledged records: {before:?} {now:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn who_is_elected_has_what_was_acknowledged(
        min_isr in 1_usize..=3,
        events in prop::collection::vec(event(), 1..80),
    ) {
        let mut model = Model::new(min_isr);
        for event in events {
            model.step(event);
        }
    }
}

/// A broker of many: all of its leaders move in one decision, soon, and in one record each.
#[test]
fn ten_thousand_leaders_move_at_once() {
    let mut cluster = Cluster::with_brokers(&[(1, None), (2, None), (3, None)]);
    for n in 0..100 {
        cluster.create(new_topic(&format!("t{n}"), 100, 3)).unwrap();
    }
    let epoch = cluster.image.brokers().get(BrokerId(1)).unwrap().epoch;
    let led = |cluster: &Cluster| {
        let partitions = cluster.image.topics().iter().flat_map(|topic| topic.partitions());
        partitions.filter(|(_, at)| at.leader == BrokerId(1)).count()
    };
    let had = led(&cluster);
    assert!(had > 3_000, "{had}");
    let began = std::time::Instant::now();
    let context = Context { image: &cluster.image, settings: &cluster.settings, random: &mut cluster.random };
    let decision = fence_broker(BrokerId(1), epoch, &context);
    let decided = began.elapsed();
    assert_eq!(decision.records.len(), 10_001);
    cluster.replay(&decision.records);
    println!("{had} of 10,000 leaders moved in {decided:?}, and replayed in {:?}", began.elapsed() - decided);
    assert_eq!(led(&cluster), 0);
}
