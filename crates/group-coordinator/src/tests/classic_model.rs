//! Random clients, crashes and failed writes against properties that hold whatever happens, and a naive model of the
//! offsets.

use std::collections::{BTreeMap, BTreeSet};

use ottla_coordinator::WriteError;
use proptest::prelude::*;

use super::bench::*;
use crate::classic::JoinRequest;
use crate::{GroupResponse, MemberId};

#[derive(Clone, Debug)]
enum Step {
    /// A new dynamic client; `true` knows KIP-394.
    Join(bool),
    /// A new incarnation of a static client.
    JoinStatic(u8),
    Rejoin(usize),
    Sync(usize),
    Heartbeat(usize),
    Leave(usize),
    Commit(usize, i64),
    Pass(u64),
    FailNextWrite,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<bool>().prop_map(Step::Join),
        2 => (0..2u8).prop_map(Step::JoinStatic),
        5 => (0..6usize).prop_map(Step::Rejoin),
        6 => (0..6usize).prop_map(Step::Sync),
        3 => (0..6usize).prop_map(Step::Heartbeat),
        1 => (0..6usize).prop_map(Step::Leave),
        3 => ((0..6usize), (0..100i64)).prop_map(|(m, o)| Step::Commit(m, o)),
        4 => prop_oneof![Just(100u64), Just(3_000), Just(9_000), Just(70_000)].prop_map(Step::Pass),
        1 => Just(Step::FailNextWrite),
        1 => Just(Step::Restart),
    ]
}

/// What the clients know.
#[derive(Default)]
struct Clients {
    /// Ids that were given out, with the generation that each member last entered.
    members: Vec<(MemberId, i32)>,
    joins: BTreeSet<u32>,
    syncs: BTreeSet<u32>,
    /// By generation: protocol, leader, and who entered it.
    generations: BTreeMap<i32, (Option<String>, MemberId, BTreeSet<MemberId>)>,
    offset: Option<i64>,
}

impl Clients {
    fn member(&self, at: usize) -> Option<(MemberId, i32)> {
        let last = self.members.len().saturating_sub(6);
        self.members.get(last + at).cloned()
    }

    /// Takes in all answers and checks what they say against each other.
    fn hear(&mut self, bench: &mut Bench) {
        for (token, answer) in std::mem::take(&mut bench.answers) {
            match answer {
                GroupResponse::Join(response) => {
                    assert!(self.joins.remove(&token), "{token} was no join");
                    let known = self.members.iter_mut().find(|(id, _)| *id == response.member_id);
                    match known {
                        Some((_, generation)) => *generation = response.generation.max(*generation),
                        None if !response.member_id.is_empty() => {
                            self.members.push((response.member_id.clone(), response.generation));
                        }
                        None => {}
                    }
                    if response.error.is_none() {
                        self.entered(&response);
                    }
                }
                GroupResponse::Sync(response) => assert!(self.syncs.remove(&token), "{response:?}"),
                other => panic!("{token}: {other:?}"),
            }
        }
    }

    fn entered(&mut self, response: &crate::classic::JoinResponse) {
        let protocol = response.protocol.as_deref().map(str::to_owned);
        let first = || (protocol.clone(), response.leader.clone(), BTreeSet::new());
        let generation = self.generations.entry(response.generation).or_insert_with(first);
        assert_eq!(generation.0, protocol, "one protocol a generation");
        generation.2.insert(response.member_id.clone());
        if response.leader == response.member_id {
            let told: Vec<_> = response.members.iter().map(|m| &m.member_id).collect();
            assert!(told.contains(&&response.member_id), "the leader is a member");
        } else {
            assert!(response.members.is_empty(), "only the leader is told the members");
        }
    }
}

fn run(bench: &mut Bench, clients: &mut Clients, step: Step) {
    match step {
        Step::Join(requires_known_member_id) => {
            let token = bench.join(JoinRequest { requires_known_member_id, ..new_join() });
            clients.joins.insert(token);
        }
        Step::JoinStatic(n) => {
            let token = bench.join(static_join(&format!("i{n}")));
            clients.joins.insert(token);
        }
        Step::Rejoin(at) => {
            if let Some((id, _)) = clients.member(at) {
                let token = bench.join(rejoin(&id));
                clients.joins.insert(token);
            }
        }
        Step::Sync(at) => {
            if let Some((id, generation)) = clients.member(at) {
                let ids: Vec<MemberId> = clients.members.iter().map(|(id, _)| id.clone()).collect();
                let assign: Vec<(&MemberId, &str)> = ids.iter().map(|id| (id, "a")).collect();
                let token = bench.sync(&id, generation, &assign);
                clients.syncs.insert(token);
            }
        }
        Step::Heartbeat(at) => {
            if let Some((id, generation)) = clients.member(at) {
                let _ = bench.heartbeat(&id, generation);
            }
        }
        Step::Leave(at) => {
            if let Some((id, _)) = clients.member(at) {
                bench.leave(&[(&id, None)]);
            }
        }
        Step::Commit(at, offset) => {
            if let Some((id, generation)) = clients.member(at) {
                let token = bench.commit(&commit_of(&id, generation, "t", offset));
                if bench.committed(token).is_ok() {
                    clients.offset = Some(offset);
                }
            }
        }
        Step::Pass(ms) => bench.pass(ms),
        Step::FailNextWrite => bench.failures = vec![WriteError::NotEnoughReplicas],
        Step::Restart => {
            // Whoever waits is cut off, and comes back if it likes.
            *bench = bench.restarted();
            clients.joins.clear();
            clients.syncs.clear();
        }
    }
}

/// What the state says of itself.
fn check(bench: &Bench, clients: &Clients, generation: &mut i32) {
    let group = bench.shard().classic.get(GROUP);
    if let Some(group) = group {
        assert!(group.generation() >= *generation, "{} after {generation}", group.generation());
        *generation = group.generation();
        let awaiting = group.members().values().filter(|m| m.is_awaiting_join()).count();
        assert_eq!(awaiting, group.awaiting_join_count());
        assert_eq!(group.is_empty(), group.members().is_empty() && bench.state() == "Empty");
        for member in group.members().values() {
            let timer = crate::TimerKey::ClassicSession(GROUP.into(), member.member_id.clone());
            let watched = bench.shard().timers.deadline(&timer).is_some() || member.has_satisfied_heartbeat();
            assert!(watched, "{} lives for ever", member.member_id);
        }
    }
    let expected: BTreeMap<String, i64> = clients.offset.iter().map(|o| ("t-0".into(), *o)).collect();
    assert_eq!(bench.offsets(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn clients_and_group_agree(steps in proptest::collection::vec(step(), 1..80)) {
        let mut bench = Bench::new();
        let mut clients = Clients::default();
        let mut generation = 0;
        for step in steps {
            run(&mut bench, &mut clients, step.clone());
            clients.hear(&mut bench);
            if matches!(step, Step::Restart) {
                // Generations that were never stored are forgotten; so are those that entered them.
                generation = bench.shard().classic.get(GROUP).map_or(0, |g| g.generation());
                clients.generations.clear();
            }
            check(&bench, &clients, &mut generation);
        }
        bench.failures.clear();
        // Everybody falls silent: all requests are answered, the group is empty.
        bench.pass(1_000_000);
        clients.hear(&mut bench);
        prop_assert!(clients.joins.is_empty() && clients.syncs.is_empty());
        prop_assert!(["Empty", "-"].contains(&bench.state()), "{}", bench.state());
        // It comes back so; only members whose end could not be stored must end once more.
        let mut again = bench.restarted();
        again.pass(1_000_000);
        bench.pass(1_000_000);
        prop_assert_eq!(again.offsets(), bench.offsets());
        prop_assert_eq!(again.state(), bench.state());
    }
}
