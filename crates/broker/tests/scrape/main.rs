//! What a scrape of very many partitions holds in memory: its rows, and never the text that is made of them.

use std::alloc::System;
use std::time::Instant;

use ottla_broker::telemetry::{Metrics, Names, Row};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PARTITIONS: usize = 40_000;
const TOPICS: usize = 40;
/// The target of a scrape of so many.
const HELD_MAX: usize = 20 << 20;

fn rows() -> Vec<Row<5>> {
    let row = |at: usize| {
        let (topic, partition) =
            (format!("a.topic.with.a.usual.name.{}", at % TOPICS), (at / TOPICS).to_string());
        let offset = 1e9 + at as f64;
        Row::new(&[("topic", &topic), ("partition", &partition)], [0.0, offset, offset, offset * 100.0, 3.0])
    };
    (0..PARTITIONS).map(row).collect()
}

#[test]
fn a_scrape_of_40_000_partitions_holds_less_than_its_text() {
    let metrics = Metrics::new(Instant::now());
    metrics.on_scrape(Box::new(|_, objects| objects.partitions(rows())));
    let region = Region::new(ALLOCATED);
    let held = || {
        let change = region.change();
        change.bytes_allocated.saturating_sub(change.bytes_deallocated)
    };
    let (mut len, mut held_max) = (0, 0);
    for piece in metrics.scrape(Names::Both) {
        len += piece.len();
        held_max = held_max.max(held());
    }
    assert!(len > 30 << 20, "{len} bytes: each row has five names of ours and six of Kafka's");
    assert!(held_max < HELD_MAX, "{held_max} bytes held for {len}");
    println!("{} KiB held for a text of {} KiB", held_max >> 10, len >> 10);
}
