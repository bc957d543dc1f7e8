//! Random events against a leader; beside it, the high watermark computed from scratch by its definition.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Append(i64),
    Flush(i64),
    /// By broker 2 or 3, so many records behind the LEO.
    Fetch {
        broker: i32,
        behind: i64,
        fenced: bool,
    },
    Pass(u64),
    Answer(Outcome),
    LogStart(i64),
    MinIsr(usize),
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Committed,
    Rejected,
    Stale,
    Retry,
}

fn event() -> impl Strategy<Value = Event> {
    let outcome =
        prop::sample::select(vec![Outcome::Committed, Outcome::Rejected, Outcome::Stale, Outcome::Retry]);
    prop_oneof![
        4 => (1i64..5).prop_map(Event::Append),
        2 => (0i64..8).prop_map(Event::Flush),
        8 => (2i32..4, prop_oneof![3 => Just(0i64), 2 => 0i64..10], prop::bool::weighted(0.1))
            .prop_map(|(broker, behind, fenced)| Event::Fetch { broker, behind, fenced }),
        3 => (0u64..700).prop_map(Event::Pass),
        3 => outcome.prop_map(Event::Answer),
        1 => (0i64..6).prop_map(Event::LogStart),
        1 => (1usize..4).prop_map(Event::MinIsr),
    ]
}

/// What the leader must know of a follower, kept apart from the machine.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    leo: i64,
    fetched: bool,
}

#[derive(Debug)]
struct Model {
    machine: PartitionMachine,
    positions: [Position; 2],
    proposal: Option<IsrProposal>,
    now: u64,
}

impl Model {
    fn new(durability: Durability) -> Self {
        let config = PartitionConfig { durability, ..config(1) };
        let mut machine = PartitionMachine::new(ONE, config, LogOffsets::default());
        let _ = machine.update(&registration(1, 5, 10, &[ONE, TWO, THREE]), at(0)).unwrap();
        Self { machine, positions: Default::default(), proposal: None, now: 0 }
    }

    fn step(&mut self, event: &Event) -> Effects {
        let (now, log) = (at(self.now), self.machine.log());
        match *event {
            Event::Append(count) => self.machine.appended(log.leo.plus(count), now),
            Event::Flush(behind) => self.machine.flushed(log.leo.plus(-behind), now),
            Event::Fetch { broker, behind, fenced } => {
                let offset = (log.leo.get() - behind).max(0);
                let standing = BrokerStanding { fenced, ..STANDING };
                let fetch = FollowerFetch { standing, ..fetch(BrokerId(broker), offset) };
                let slot = usize::try_from(broker - 2).unwrap();
                self.positions[slot] = Position { leo: offset, fetched: true };
                self.machine.follower_fetched(&fetch, now).unwrap()
            }
            Event::Pass(ms) => {
                self.now += ms;
                self.machine.tick(at(self.now))
            }
            Event::Answer(outcome) => self.answer(outcome),
            Event::LogStart(behind) => {
                self.machine.log_start_advanced(Offset(log.high_watermark.get() - behind))
            }
            Event::MinIsr(min_insync_replicas) => {
                let durability = self.machine.config.durability;
                self.machine.configure(PartitionConfig { durability, ..config(min_insync_replicas) }, now)
            }
        }
    }

    fn answer(&mut self, outcome: Outcome) -> Effects {
        let Some(proposal) = self.proposal.clone() else { return Effects::default() };
        let answer = match outcome {
            Outcome::Committed => AlterPartitionAnswer::Committed {
                leader_epoch: proposal.leader_epoch,
                partition_epoch: PartitionEpoch(proposal.partition_epoch.get() + 1),
                isr: proposal.isr.iter().map(|member| member.broker).collect(),
            },
            Outcome::Rejected => AlterPartitionAnswer::Rejected,
            Outcome::Stale => AlterPartitionAnswer::Stale,
            Outcome::Retry => AlterPartitionAnswer::Retry,
        };
        if matches!(outcome, Outcome::Committed | Outcome::Rejected) {
            self.proposal = None;
        }
        self.machine.alter_partition_answered(proposal.partition_epoch, answer, at(self.now))
    }

    /// The least LEO of the leader (as far as it counts) and of everybody who may be in the ISR.
    fn committed_end(&self) -> i64 {
        let log = self.machine.log();
        let own = match self.machine.config.durability {
            Durability::Appended => log.leo,
            Durability::Flushed => log.flushed,
        };
        let mut members = self.machine.isr().to_vec();
        let proposed = self.proposal.iter().flat_map(|proposal| &proposal.isr);
        members.extend(proposed.map(|member| member.broker));
        let followers = [TWO, THREE].into_iter().zip(self.positions);
        let of_members = followers.filter(|(broker, _)| members.contains(broker));
        let ends = of_members.map(|(_, position)| if position.fetched { position.leo } else { -1 });
        ends.fold(own.get(), i64::min)
    }
}

proptest! {
    #[test]
    fn hw_moves_only_up_to_what_every_possible_member_has(
        flushed in any::<bool>(),
        events in prop::collection::vec(event(), 0..120),
    ) {
        let durability = if flushed { Durability::Flushed } else { Durability::Appended };
        let mut model = Model::new(durability);
        for event in &events {
            let before = model.machine.high_watermark();
            let effects = model.step(event);
            if let Some(proposal) = &effects.alter_partition {
                // Only a retry proposes while a change is in flight, and proposes the same.
                prop_assert!(model.proposal.as_ref().is_none_or(|out| out.isr == proposal.isr));
                model.proposal = Some(proposal.as_ref().clone());
            }
            prop_assert_eq!(model.machine.check(), Ok(()));
            let after = model.machine.high_watermark();
            prop_assert!(after >= before);
            prop_assert_eq!(effects.high_watermark, (after != before).then_some(after));
            if after != before && !matches!(event, Event::LogStart(_)) {
                prop_assert!(after.get() <= model.committed_end(), "{:?} after {:?}", model, event);
                prop_assert!(!model.machine.is_under_min_isr(), "{:?} after {:?}", model, event);
            }
        }
    }
}
