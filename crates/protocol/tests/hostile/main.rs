//! Hostile bytes: no header, guard or decoder panics on them, or reserves more than a small multiple of what came in.

#![allow(clippy::unwrap_used, reason = "a test binary, helpers included")]

mod decoders;
mod inputs;
#[path = "../golden/vectors.rs"]
#[expect(dead_code, reason = "the golden test uses all of it")]
mod vectors;

use std::alloc::System;

use bytes::{Bytes, BytesMut};
use ottla_protocol::produce::ProduceRequest;
use ottla_protocol::{ApiKey, Direction, RequestHeader, check_body, split_frame};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::inputs::Seed;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes reserved for each byte that came in. A struct of a few hundred bytes can come in as three, and no bound on counts
/// changes that: frames are bounded by the listener.
const RESERVED_PER_BYTE: usize = 160;
/// Bytes reserved however little came in: one allocation's rounding, an error's text.
const RESERVED_BASE: usize = 4096;

const WOUNDED_PER_VECTOR: usize = 150;
const DENSE_PER_VECTOR: usize = 20;
const RANDOM_PER_VERSION: usize = 150;

// One test, since what it measures is the process's.
#[test]
fn nothing_panics_or_reserves_beyond_what_came_in() {
    // The shapes are read once; that is not the first frame's doing.
    let _ = check_body(ApiKey::Metadata, Direction::Request, 0, &[]);
    let mut seed = Seed(3);
    let mut worst = 0;
    for vector in vectors::all() {
        for _ in 0..WOUNDED_PER_VECTOR {
            let body = seed.wound(&vector.body);
            worst = worst.max(try_body(vector.key, vector.direction, vector.version, body));
        }
        for _ in 0..DENSE_PER_VECTOR {
            let body = seed.dense(&vector.body);
            worst = worst.max(try_body(vector.key, vector.direction, vector.version, body));
        }
    }
    for (key, direction, version) in every_version() {
        for _ in 0..RANDOM_PER_VERSION {
            let body = seed.bytes(64);
            worst = worst.max(try_body(key, direction, version, body));
        }
    }
    for _ in 0..20_000 {
        try_frame(seed.bytes(40));
    }
    println!("worst: {worst} bytes reserved for each byte that came in");
}

fn every_version() -> impl Iterator<Item = (ApiKey, Direction, i16)> {
    ApiKey::ALL.iter().flat_map(|key| {
        // One below and one above too: those are refused.
        let versions = key.spec().min - 1..=key.spec().max + 1;
        versions.flat_map(|v| [(*key, Direction::Request, v), (*key, Direction::Response, v)])
    })
}

/// Bytes reserved for each byte of the body, over the base.
fn try_body(key: ApiKey, direction: Direction, version: i16, body: Vec<u8>) -> usize {
    let body = Bytes::from(body);
    let region = Region::new(ALLOCATOR);
    let was_read = decoders::reads(key, direction, version, body.clone());
    let reserved = region.change().bytes_allocated;
    let allowed = RESERVED_BASE + RESERVED_PER_BYTE * body.len();
    let what = || format!("{key} {direction:?} v{version} {body:02x?}");
    assert!(reserved <= allowed, "{reserved} bytes reserved for {}", what());
    let guarded = check_body(key, direction, version, &body);
    if was_read {
        // The walk and the crate must stay in step, or a count could slip through between them.
        let taken = decoders::crate_takes(key, direction, version, body.clone());
        assert_eq!(taken.or(guarded.ok()), guarded.ok(), "{}", what());
        assert!(guarded.is_ok(), "read, but {guarded:?}: {}", what());
    }
    if (key, direction) == (ApiKey::Produce, Direction::Request) {
        let in_place = ProduceRequest::decode(BytesMut::from(&body[..]), version);
        assert_eq!(in_place.is_ok(), was_read, "{}", what());
    }
    reserved.saturating_sub(RESERVED_BASE) / body.len().max(1)
}

fn try_frame(bytes: Vec<u8>) {
    let mut buffer = BytesMut::from(&bytes[..]);
    let region = Region::new(ALLOCATOR);
    while let Ok(Some(mut frame)) = split_frame(&mut buffer, 100) {
        let _ = RequestHeader::split_from(&mut frame);
    }
    let _ = RequestHeader::split_from(&mut BytesMut::from(&bytes[..]));
    assert!(region.change().bytes_allocated <= RESERVED_BASE);
}
