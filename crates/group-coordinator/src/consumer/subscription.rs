//! What members subscribe to, counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ottla_model::TopicId;

use super::topics::TopicDirectory;
use crate::assignor::SubscriptionType;

/// How often a topic is subscribed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SubscriptionCount {
    /// Members that name it.
    pub(crate) by_name: usize,
    /// Regular expressions (not members) that match it.
    pub(crate) by_regex: usize,
}

/// Subscription counts by topic name; no entry counts zero.
pub(crate) type SubscribedTopics = BTreeMap<Arc<str>, SubscriptionCount>;

pub(crate) fn add_names(counts: &mut SubscribedTopics, names: &BTreeSet<Arc<str>>) {
    for name in names {
        counts.entry(name.clone()).or_default().by_name += 1;
    }
}

pub(crate) fn remove_names(counts: &mut SubscribedTopics, names: &BTreeSet<Arc<str>>) {
    for name in names {
        decrement(counts, name, |c| c.by_name = c.by_name.saturating_sub(1));
    }
}

pub(crate) fn add_regex(counts: &mut SubscribedTopics, topics: &BTreeSet<Arc<str>>) {
    for name in topics {
        counts.entry(name.clone()).or_default().by_regex += 1;
    }
}

pub(crate) fn remove_regex(counts: &mut SubscribedTopics, topics: &BTreeSet<Arc<str>>) {
    for name in topics {
        decrement(counts, name, |c| c.by_regex = c.by_regex.saturating_sub(1));
    }
}

fn decrement(counts: &mut SubscribedTopics, name: &str, change: impl FnOnce(&mut SubscriptionCount)) {
    if let Some(count) = counts.get_mut(name) {
        change(count);
        if *count == SubscriptionCount::default() {
            counts.remove(name);
        }
    }
}

/// Homogeneous if all members name the same topics, or all use the same one regular expression.
pub(crate) fn subscription_type(
    regexes: &BTreeMap<Arc<str>, usize>,
    topics: &SubscribedTopics,
    member_count: usize,
) -> SubscriptionType {
    let same = match regexes.values().next() {
        None => topics.values().all(|c| c.by_name == member_count),
        Some(users) => *users == member_count && topics.values().all(|c| c.by_regex == 1 && c.by_name == 0),
    };
    if same { SubscriptionType::Homogeneous } else { SubscriptionType::Heterogeneous }
}

/// One member's topics: those that it names and those that its regular expression matched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemberTopics<'a> {
    pub(crate) named: &'a BTreeSet<Arc<str>>,
    pub(crate) matched: Option<&'a BTreeSet<Arc<str>>>,
    pub(crate) directory: &'a dyn TopicDirectory,
}

impl MemberTopics<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.matched.is_none_or(BTreeSet::is_empty)
    }

    /// Whether the topic exists and is subscribed to.
    pub(crate) fn contains(&self, id: TopicId) -> bool {
        self.directory.topic_by_id(id).is_some_and(|t| {
            self.named.contains(&t.name) || self.matched.is_some_and(|m| m.contains(&t.name))
        })
    }

    /// The subscribed topics that exist.
    pub(crate) fn ids(&self) -> BTreeSet<TopicId> {
        let names = self.named.iter().chain(self.matched.into_iter().flatten());
        names.filter_map(|name| self.directory.topic(name)).map(|t| t.id).collect()
    }
}

/// Counts one user less of a key; a key without users goes.
pub(crate) fn decrease(counts: &mut BTreeMap<Arc<str>, usize>, key: &str) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}
