//! Which log dir a replica is in, and which one a new replica gets.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use ottla_model::TopicPartition;

/// The log dirs by their place in `log.dirs`.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_partition: HashMap<TopicPartition, usize>,
    counts: BTreeMap<usize, usize>,
    /// Where AlterReplicaLogDirs wants a replica that does not exist yet.
    preferred: HashMap<TopicPartition, usize>,
    /// `cordoned.log.dirs`.
    cordoned: Vec<PathBuf>,
}

/// Preferences are kept for so many partitions that may never come to be.
const PREFERRED_MAX: usize = 100_000;

impl Places {
    pub(super) fn set(&mut self, partition: TopicPartition, dir: usize) {
        self.remove(&partition);
        *self.counts.entry(dir).or_default() += 1;
        self.by_partition.insert(partition, dir);
    }

    pub(super) fn remove(&mut self, partition: &TopicPartition) {
        if let Some(dir) = self.by_partition.remove(partition)
            && let Some(count) = self.counts.get_mut(&dir)
        {
            *count = count.saturating_sub(1);
        }
    }

    pub(super) fn of(&self, partition: &TopicPartition) -> Option<usize> {
        self.by_partition.get(partition).copied()
    }

    pub(super) fn prefer(&mut self, partition: TopicPartition, dir: usize) {
        if self.preferred.len() < PREFERRED_MAX {
            self.preferred.insert(partition, dir);
        }
    }

    pub(super) fn take_preferred(&mut self, partition: &TopicPartition) -> Option<usize> {
        self.preferred.remove(partition)
    }

    pub(super) fn cordon(&mut self, dirs: Vec<PathBuf>) {
        self.cordoned = dirs;
    }

    pub(super) fn is_cordoned(&self, dir: &std::path::Path) -> bool {
        self.cordoned.iter().any(|cordoned| cordoned == dir)
    }

    /// The dir with the fewest replicas, the first of them in the order of `log.dirs`. Where all are cordoned the
    /// controller has let a replica through before it knew.
    pub(super) fn emptiest<'a>(
        &self,
        online: impl Iterator<Item = (usize, &'a std::path::Path)>,
    ) -> Option<usize> {
        let key = |(dir, path): &(usize, &std::path::Path)| {
            (self.is_cordoned(path), self.counts.get(dir).copied().unwrap_or(0), *dir)
        };
        online.min_by_key(key).map(|(dir, _)| dir)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    fn emptiest(places: &Places, online: &[usize]) -> Option<usize> {
        let paths = ["/a", "/b", "/c"].map(Path::new);
        places.emptiest(online.iter().map(|dir| (*dir, paths[*dir])))
    }

    #[test]
    fn new_replicas_go_where_the_fewest_are() {
        let mut places = Places::default();
        let mut order = Vec::new();
        for number in 0..6 {
            let dir = emptiest(&places, &[0, 1, 2]).unwrap();
            places.set(partition(number), dir);
            order.push(dir);
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
        places.remove(&partition(1));
        places.remove(&partition(4));
        places.set(partition(0), 2);
        assert_eq!(emptiest(&places, &[0, 1, 2]), Some(1));
        assert_eq!(emptiest(&places, &[0, 2]), Some(0));
        assert_eq!(emptiest(&places, &[]), None);
    }

    #[test]
    fn cordoned_dirs_are_passed_over_unless_all_are() {
        let mut places = Places::default();
        places.cordon(vec!["/a".into()]);
        for number in 0..4 {
            let dir = emptiest(&places, &[0, 1, 2]).unwrap();
            assert_ne!(dir, 0);
            places.set(partition(number), dir);
        }
        places.cordon(["/a", "/b", "/c"].map(PathBuf::from).to_vec());
        assert_eq!(emptiest(&places, &[0, 1, 2]), Some(0));
    }
}
