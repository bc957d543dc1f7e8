//! Topics, their ids, partition counts and configs: what was answered is so, what was not answered is one of two things.

use std::collections::{BTreeMap, BTreeSet};

/// A topic id, as its 128 bits.
pub type Id = u128;

/// A topic as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub id: Id,
    pub partitions: usize,
    /// The configs that are watched; those at their default are left out.
    pub configs: BTreeMap<String, String>,
}

/// What is asked of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// With so many partitions.
    Create(usize),
    Delete,
    Config(String, String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// It was created, and is not there.
    Gone {
        topic: String,
    },
    /// It was deleted, and is there again under the old id.
    Resurrected {
        topic: String,
        id: Id,
    },
    /// Nobody asked for it.
    FromNowhere {
        topic: String,
    },
    IdChanged {
        topic: String,
        answered: Id,
        found: Id,
    },
    PartitionsChanged {
        topic: String,
        answered: usize,
        found: usize,
    },
    /// A config is not what was answered.
    ConfigChanged {
        topic: String,
        name: String,
        answered: Option<String>,
        found: Option<String>,
    },
}

#[derive(Debug, Default)]
struct Known {
    topic: Option<Seen>,
    /// Asked for, and not answered.
    open: Option<Change>,
}

/// What is known of each topic. One change of a topic at a time: after one without an answer a [`Topics::check`] is due.
#[derive(Debug, Default)]
pub struct Topics {
    known: BTreeMap<String, Known>,
    deleted: BTreeSet<Id>,
}

impl Topics {
    pub fn get(&self, topic: &str) -> Option<&Seen> {
        self.known.get(topic)?.topic.as_ref()
    }

    pub fn asked(&mut self, topic: &str, change: Change) {
        self.known.entry(topic.to_owned()).or_default().open = Some(change);
    }

    /// The change was refused: nothing has changed.
    pub fn refused(&mut self, topic: &str) {
        self.known.entry(topic.to_owned()).or_default().open = None;
    }

    /// A creation was answered with this id; `id` is of no interest otherwise.
    pub fn answered(&mut self, topic: &str, id: Id) {
        let known = self.known.entry(topic.to_owned()).or_default();
        match known.open.take() {
            Some(Change::Create(partitions)) => {
                known.topic = Some(Seen { id, partitions, configs: BTreeMap::new() });
            }
            Some(Change::Delete) => self.deleted.extend(known.topic.take().map(|topic| topic.id)),
            Some(Change::Config(name, value)) => {
                if let Some(topic) = &mut known.topic {
                    topic.configs.insert(name, value);
                }
            }
            None => {}
        }
    }

    /// Checks all topics of the ledger as they are now; from here on what was open is as it was found.
    pub fn check(&mut self, found: &BTreeMap<String, Seen>) -> Vec<Violation> {
        let mut violations = Vec::new();
        let names: BTreeSet<String> = self.known.keys().chain(found.keys()).cloned().collect();
        for name in names {
            let known = self.known.entry(name.clone()).or_default();
            let (open, before) = (known.open.take(), known.topic.take());
            let now = found.get(&name);
            violations.extend(judge(&name, before.as_ref(), open.as_ref(), now, &self.deleted));
            if now.is_none() {
                self.deleted.extend(before.map(|topic| topic.id));
            }
            known.topic = now.cloned();
        }
        violations
    }
}

fn judge(
    name: &str,
    before: Option<&Seen>,
    open: Option<&Change>,
    now: Option<&Seen>,
    deleted: &BTreeSet<Id>,
) -> Vec<Violation> {
    let topic = name.to_owned();
    match (before, now) {
        (None, None) => Vec::new(),
        (Some(_), None) if open == Some(&Change::Delete) => Vec::new(),
        (Some(_), None) => vec![Violation::Gone { topic }],
        (None, Some(now)) if deleted.contains(&now.id) => vec![Violation::Resurrected { topic, id: now.id }],
        (None, Some(now)) => match open {
            Some(Change::Create(partitions)) => {
                partitions_changed(name, *partitions, now).into_iter().collect()
            }
            _ => vec![Violation::FromNowhere { topic }],
        },
        (Some(before), Some(now)) if before.id != now.id => {
            vec![Violation::IdChanged { topic, answered: before.id, found: now.id }]
        }
        (Some(before), Some(now)) => {
            let partitions = partitions_changed(name, before.partitions, now);
            partitions.into_iter().chain(configs_changed(name, before, open, now)).collect()
        }
    }
}

fn partitions_changed(topic: &str, answered: usize, now: &Seen) -> Option<Violation> {
    let found = now.partitions;
    (answered != found).then(|| Violation::PartitionsChanged { topic: topic.to_owned(), answered, found })
}

fn configs_changed(topic: &str, before: &Seen, open: Option<&Change>, now: &Seen) -> Vec<Violation> {
    let names: BTreeSet<&String> = before.configs.keys().chain(now.configs.keys()).collect();
    let changed = names.into_iter().filter_map(|name| {
        let (answered, found) = (before.configs.get(name).cloned(), now.configs.get(name).cloned());
        let is_open =
            matches!(open, Some(Change::Config(n, value)) if n == name && Some(value) == found.as_ref());
        let violation =
            Violation::ConfigChanged { topic: topic.to_owned(), name: name.clone(), answered, found };
        let Violation::ConfigChanged { answered, found, .. } = &violation else { return None };
        (answered != found && !is_open).then_some(violation)
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(id: Id, partitions: usize, configs: &[(&str, &str)]) -> Seen {
        let configs = configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Seen { id, partitions, configs }
    }

    fn found(topics: &[(&str, Seen)]) -> BTreeMap<String, Seen> {
        topics.iter().map(|(name, seen)| ((*name).to_owned(), seen.clone())).collect()
    }

    fn config(value: &str) -> Change {
        Change::Config("c".to_owned(), value.to_owned())
    }

    /// `a` was created with id 1, two partitions and a config; `b` was created with id 2 and deleted.
    fn topics() -> Topics {
        let mut topics = Topics::default();
        topics.asked("a", Change::Create(2));
        topics.answered("a", 1);
        topics.asked("a", config("old"));
        topics.answered("a", 0);
        topics.asked("a", config("new"));
        topics.answered("a", 0);
        topics.asked("b", Change::Create(1));
        topics.answered("b", 2);
        topics.asked("b", Change::Delete);
        topics.answered("b", 0);
        topics
    }

    fn a() -> (&'static str, Seen) {
        ("a", seen(1, 2, &[("c", "new")]))
    }

    #[test]
    fn what_was_answered_passes() {
        assert_eq!(topics().check(&found(&[a()])), []);
    }

    #[test]
    fn what_was_not_answered_may_be_so_or_not_and_then_stays() {
        let later = |value| found(&[("a", seen(1, 2, &[("c", value)]))]);
        for (first, second) in [("later", "new"), ("new", "later")] {
            let mut topics = topics();
            topics.asked("a", config("later"));
            assert_eq!(topics.check(&later(first)), []);
            assert_eq!(topics.check(&later(second)).len(), 1, "{second} after {first}");
        }
        let mut creating = topics();
        creating.asked("b", Change::Create(1));
        let b = ("b", seen(3, 1, &[]));
        assert_eq!(creating.check(&found(&[a(), b.clone()])), []);
        creating.asked("b", Change::Delete);
        assert_eq!(creating.check(&found(&[a()])), []);
        let back = Violation::Resurrected { topic: "b".to_owned(), id: 3 };
        assert_eq!(creating.check(&found(&[a(), b])), [back]);
    }

    #[test]
    fn refused_changes_must_not_be_there() {
        let mut topics = topics();
        topics.asked("a", config("later"));
        topics.refused("a");
        assert_eq!(topics.check(&found(&[("a", seen(1, 2, &[("c", "later")]))])).len(), 1);
    }

    #[test]
    fn planted_loss_is_found() {
        assert_eq!(topics().check(&found(&[])), [Violation::Gone { topic: "a".to_owned() }]);
    }

    #[test]
    fn planted_resurrection_is_found() {
        let back = Violation::Resurrected { topic: "b".to_owned(), id: 2 };
        assert_eq!(topics().check(&found(&[a(), ("b", seen(2, 1, &[]))])), [back]);
    }

    #[test]
    fn planted_topic_that_nobody_asked_for_is_found() {
        let nowhere = |topic: &str| Violation::FromNowhere { topic: topic.to_owned() };
        assert_eq!(topics().check(&found(&[a(), ("b", seen(9, 1, &[]))])), [nowhere("b")]);
        assert_eq!(topics().check(&found(&[a(), ("z", seen(9, 1, &[]))])), [nowhere("z")]);
    }

    #[test]
    fn planted_other_id_is_found() {
        let changed = Violation::IdChanged { topic: "a".to_owned(), answered: 1, found: 5 };
        assert_eq!(topics().check(&found(&[("a", seen(5, 2, &[("c", "new")]))])), [changed]);
    }

    #[test]
    fn planted_other_partition_count_is_found() {
        let changed = Violation::PartitionsChanged { topic: "a".to_owned(), answered: 2, found: 3 };
        assert_eq!(topics().check(&found(&[("a", seen(1, 3, &[("c", "new")]))])), [changed]);
        let mut creating = topics();
        creating.asked("b", Change::Create(1));
        let changed = Violation::PartitionsChanged { topic: "b".to_owned(), answered: 1, found: 4 };
        assert_eq!(creating.check(&found(&[a(), ("b", seen(3, 4, &[]))])), [changed]);
    }

    #[test]
    fn planted_older_config_and_planted_loss_of_a_config_are_found() {
        let changed = |found: Option<&str>| Violation::ConfigChanged {
            topic: "a".to_owned(),
            name: "c".to_owned(),
            answered: Some("new".to_owned()),
            found: found.map(str::to_owned),
        };
        assert_eq!(topics().check(&found(&[("a", seen(1, 2, &[("c", "old")]))])), [changed(Some("old"))]);
        assert_eq!(topics().check(&found(&[("a", seen(1, 2, &[]))])), [changed(None)]);
    }
}
