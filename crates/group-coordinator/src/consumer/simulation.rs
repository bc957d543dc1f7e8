//! Clients that heartbeat against one group over a lossy network, by seed: they join, subscribe anew, revoke slowly,
//! crash, leave and come back, while topics grow and the coordinator restarts. After every step
//! - no partition is with two members (`Harness::check`), and a member owns only what the coordinator knows;
//! - epochs never go back;
//!
//! the log, compacted up to anywhere, gives the same state;
//!
//! and once the network is good again, everyone owns exactly its target, and all partitions are owned.

use std::collections::{BTreeMap, BTreeSet};

use super::harness::{Harness, join};
use super::*;
use crate::assignor::Assignment;

const TOPICS: [(&str, u128); 3] = [("foo", 1), ("foobar", 2), ("bar", 3)];

/// xorshift64*: the same numbers everywhere.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// What the client library keeps.
#[derive(Debug)]
struct Client {
    id: String,
    instance: Option<String>,
    /// `None` while not in the group.
    epoch: Option<i32>,
    subscription: Subscription,
    owned: Assignment,
    wanted: Assignment,
    /// What the coordinator was last told of `owned`.
    told: Option<Assignment>,
    /// The last answer was lost, or something is new: say everything.
    full: bool,
    incarnation: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Subscription {
    Names(Vec<&'static str>),
    Regex(&'static str),
}

fn any_subscription(random: &mut Random) -> Subscription {
    match random.below(5) {
        0 => Subscription::Names(vec!["foo"]),
        1 => Subscription::Names(vec!["bar", "foo"]),
        2 => Subscription::Regex("foo.*"),
        3 => Subscription::Regex(".*"),
        _ => Subscription::Names(vec!["foo", "foobar", "bar"]),
    }
}

impl Client {
    fn request(&mut self) -> HeartbeatRequest {
        let mut request = join(&self.id, &[]);
        request.member_epoch = self.epoch.unwrap_or(JOIN_EPOCH);
        request.instance_id = self.instance.as_deref().map(Into::into);
        request.owned = Some(self.owned.clone());
        match &self.subscription {
            Subscription::Names(names) => {
                request.subscribed_topic_names = Some(names.iter().map(|n| (*n).into()).collect());
                request.subscribed_topic_regex = Some("".into());
            }
            Subscription::Regex(regex) => {
                request.subscribed_topic_names = Some(Vec::new());
                request.subscribed_topic_regex = Some((*regex).into());
            }
        }
        if self.epoch.is_some() && !self.full {
            request.rebalance_timeout_ms = None;
            request.subscribed_topic_names = None;
            request.subscribed_topic_regex = None;
            if self.told.as_ref() == Some(&self.owned) {
                request.owned = None;
            }
        }
        self.told = Some(self.owned.clone());
        request
    }

    /// What is given is taken at once. (A client that says it owns nothing while it is about to take what it was
    /// given would be believed, by Kafka's coordinator too.)
    fn receive(&mut self, response: HeartbeatResponse) {
        self.epoch = Some(response.member_epoch);
        self.full = false;
        if let Some(assignment) = response.assignment {
            for (topic_id, partitions) in &assignment {
                self.owned.entry(*topic_id).or_default().extend(partitions);
            }
            self.wanted = assignment;
        }
    }

    /// Revokes what is no longer wanted, some time after it was told so.
    fn reconcile(&mut self) {
        let wanted = &self.wanted;
        self.owned.retain(|t, _| wanted.contains_key(t));
        for (t, ps) in &mut self.owned {
            ps.retain(|p| wanted[t].contains(p));
        }
    }

    fn abandon(&mut self) {
        self.epoch = None;
        self.owned.clear();
        self.wanted.clear();
        self.full = true;
    }

    /// The process dies and starts anew; a static member comes back under its instance id.
    fn restart(&mut self) {
        self.abandon();
        self.incarnation += 1;
        let base = self.id.split('-').next().unwrap().to_owned();
        self.id = format!("{base}-{}", self.incarnation);
    }
}

struct World {
    harness: Harness,
    clients: Vec<Client>,
    random: Random,
    partitions: [usize; 3],
    epochs: BTreeMap<crate::MemberId, i32>,
    group_epoch: i32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut harness = Harness::new(&[]);
        harness.settings.assignment_interval_ms = if random.one_in(2) { 0 } else { 1_000 };
        let partitions = [1 + random.below(5), 1 + random.below(5), 1 + random.below(5)];
        for ((name, id), count) in TOPICS.into_iter().zip(partitions) {
            harness.add_topic(name, id, count);
        }
        let count = 2 + random.below(4);
        let clients = (0..count).map(|i| Client {
            id: format!("m{i}-0"),
            instance: random.one_in(3).then(|| format!("i{i}")),
            epoch: None,
            subscription: any_subscription(&mut random),
            owned: Assignment::new(),
            wanted: Assignment::new(),
            told: None,
            full: true,
            incarnation: 0,
        });
        let clients = clients.collect();
        Self { harness, clients, random, partitions, epochs: BTreeMap::new(), group_epoch: 0 }
    }

    fn step(&mut self) {
        let index = self.random.below(self.clients.len());
        match self.random.below(40) {
            0 => self.clients[index].restart(),
            1 => self.leave(index),
            2 => {
                self.clients[index].subscription = any_subscription(&mut self.random);
                self.clients[index].full = true;
            }
            3 => self.grow_topic(),
            4 => self.harness.restart(),
            5..=12 => self.pass_time(),
            13..=22 => self.clients[index].reconcile(),
            _ => {
                let (lost_request, lost_answer) = (self.random.one_in(6), self.random.one_in(6));
                self.heartbeat(index, lost_request, lost_answer);
            }
        }
        self.check();
    }

    fn pass_time(&mut self) {
        // Mostly within a session, now and then beyond it.
        let ms = if self.random.one_in(30) { 46_000 } else { self.random.below(4_000) };
        self.harness.advance(u64::try_from(ms).unwrap());
    }

    fn grow_topic(&mut self) {
        let topic = self.random.below(3);
        self.partitions[topic] += 1;
        let (name, id) = TOPICS[topic];
        self.harness.add_topic(name, id, self.partitions[topic]);
    }

    fn leave(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.epoch.is_none() {
            return;
        }
        let mut request = client.request();
        let for_a_while = client.instance.is_some() && self.random.one_in(2);
        request.member_epoch = if for_a_while { STATIC_LEAVE_EPOCH } else { LEAVE_EPOCH };
        client.restart();
        // Refused only if it is gone already.
        drop(self.harness.heartbeat(&request));
    }

    fn heartbeat(&mut self, index: usize, lost_request: bool, lost_answer: bool) {
        let client = &mut self.clients[index];
        if lost_request {
            client.full = true;
            return;
        }
        match self.harness.heartbeat(&client.request()) {
            Ok(_) if lost_answer => client.full = true,
            Ok((response, _)) => client.receive(response),
            Err(
                ConsumerGroupError::GreaterEpoch { .. }
                | ConsumerGroupError::SmallerEpoch { .. }
                | ConsumerGroupError::UnknownMember { .. }
                | ConsumerGroupError::UnknownInstance { .. }
                | ConsumerGroupError::FencedInstance { .. }
                | ConsumerGroupError::UnreleasedInstance { .. }
                | ConsumerGroupError::ConsumerGroupNotFound(_),
            ) => client.abandon(),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn check(&mut self) {
        self.harness.check();
        let Some(group) = &self.harness.group else { return };
        assert!(group.epoch() >= self.group_epoch, "group epoch went back");
        assert!(group.target_epoch() <= group.epoch());
        self.group_epoch = group.epoch();
        for (member_id, member) in group.members() {
            let last = self.epochs.insert(member_id.clone(), member.member_epoch);
            let away = member.member_epoch == STATIC_LEAVE_EPOCH;
            assert!(away || last.is_none_or(|l| member.member_epoch >= l), "{member_id} went back");
            assert!(member.member_epoch <= group.target_epoch());
        }
        self.epochs.retain(|id, _| group.members().contains_key(id));
        for client in self.clients.iter().filter(|c| c.epoch.is_some()) {
            // One that was fenced does not know yet; commits of it are refused.
            let Some(member) = group.members().get(client.id.as_str()) else { continue };
            for (topic_id, partitions) in &client.owned {
                for p in partitions {
                    let known = member.assignment_epoch(*topic_id, *p).is_some();
                    let stale = client.epoch.is_some_and(|e| e < member.previous_member_epoch);
                    assert!(known || stale, "{} owns {topic_id}-{p} unknown to the coordinator", client.id);
                }
            }
        }
    }

    /// A good network from here on.
    fn settle(&mut self) {
        for _ in 0..60 {
            for index in 0..self.clients.len() {
                self.heartbeat(index, false, false);
                self.check();
                self.clients[index].reconcile();
                self.harness.advance(0);
            }
            self.harness.advance(2_000);
            self.check();
        }
        for _ in 0..10 {
            let clean = self.harness.batches[self.random.below(self.harness.batches.len())];
            self.harness.check_compacted(clean, self.random.one_in(2));
        }
        let group = self.harness.group();
        assert_eq!(group.state(), ConsumerGroupState::Stable);
        let mut owned = BTreeSet::new();
        for client in &self.clients {
            let target = &group.target_assignment()[client.id.as_str()];
            assert_eq!(client.owned, **target, "{} owns its target", client.id);
            owned.extend(client.owned.iter().flat_map(|(t, ps)| ps.iter().map(|p| (t.0.as_u128(), *p))));
        }
        let wanted = |name: &str| {
            self.clients.iter().any(|c| match &c.subscription {
                Subscription::Names(names) => names.contains(&name),
                Subscription::Regex("foo.*") => name.starts_with("foo"),
                Subscription::Regex(_) => true,
            })
        };
        for ((name, id), count) in TOPICS.into_iter().zip(self.partitions) {
            let count = i32::try_from(count).unwrap();
            let expected = if wanted(name) { count } else { 0 };
            let actual = owned.iter().filter(|(t, _)| *t == id).count();
            assert_eq!(i32::try_from(actual).unwrap(), expected, "partitions of {name}");
        }
    }
}

#[test]
fn members_never_share_a_partition_and_converge() {
    for seed in 1..=40 {
        let result = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            for _ in 0..400 {
                world.step();
            }
            world.settle();
        });
        assert!(result.is_ok(), "seed {seed}");
    }
}
