//! Series of single topics and partitions: of the largest, as many as the setting allows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::partitions::{Census, Partition, Partitions, TrafficCounts};
use crate::telemetry::{PerObject, Row};

use super::{number, wide};

/// Replicas as they were found in one scrape.
pub(super) type Found = Vec<(Arc<Partition>, Census)>;

/// All that are here.
pub(super) fn find(partitions: &Partitions) -> Found {
    let census = |partition: Arc<Partition>| {
        let census = partition.census();
        (partition, census)
    };
    partitions.all().into_iter().map(census).collect()
}

/// Adds the rows of the largest `max` topics and partitions.
pub(super) fn append(out: &mut PerObject, mut found: Found, max: usize) {
    if max == 0 {
        return;
    }
    topics(out, &found, max);
    largest(&mut found, max, |(partition, census)| (census.bytes, partition.name.clone()));
    out.partitions(found.into_iter().map(|(partition, census)| row(&partition, &census)).collect());
}

fn row(partition: &Partition, census: &Census) -> Row<5> {
    let index = partition.name.partition.to_string();
    let offset = |offset: ottla_model::Offset| offset.get() as f64;
    Row::new(
        &[("topic", &partition.name.topic), ("partition", &index)],
        [
            offset(census.log_start),
            offset(census.log_end),
            offset(census.high_watermark),
            wide(census.bytes),
            number(census.segments),
        ],
    )
}

fn topics(out: &mut PerObject, found: &[(Arc<Partition>, Census)], max: usize) {
    let mut topics: BTreeMap<&str, (TrafficCounts, u64)> = BTreeMap::new();
    for (partition, census) in found {
        let (traffic, bytes) = topics.entry(&partition.name.topic).or_default();
        *traffic += partition.traffic.counts();
        *bytes += census.bytes;
    }
    let mut topics: Vec<(&str, (TrafficCounts, u64))> = topics.into_iter().collect();
    largest(&mut topics, max, |(name, (_, bytes))| (*bytes, *name));
    let row = |(name, (traffic, bytes)): &(&str, (TrafficCounts, u64))| {
        let values = [traffic.produced_bytes, traffic.produced_records, traffic.fetched_bytes, *bytes];
        Row::new(&[("topic", name)], values.map(wide))
    };
    out.topics(topics.iter().map(row).collect());
}

/// Keeps the `max` entries with the largest size, sorted by name.
pub(super) fn largest<T, N: Ord>(entries: &mut Vec<T>, max: usize, size_and_name: impl Fn(&T) -> (u64, N)) {
    if entries.len() > max {
        entries.sort_by_cached_key(|entry| {
            let (size, name) = size_and_name(entry);
            (std::cmp::Reverse(size), name)
        });
        entries.truncate(max);
    }
    entries.sort_by_cached_key(|entry| size_and_name(entry).1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_kept_and_sorted_by_name() {
        let all = [("c", 1), ("a", 3), ("b", 2), ("d", 3)];
        let kept = |max| {
            let mut entries = all.to_vec();
            largest(&mut entries, max, |(name, size)| (*size, *name));
            entries.iter().map(|(name, _)| *name).collect::<String>()
        };
        assert_eq!([kept(9), kept(4), kept(3), kept(1)], ["abcd", "abcd", "abd", "a"]);
    }
}
