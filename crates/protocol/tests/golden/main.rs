//! The codec's proof: every message that Kafka 4.4.0's own serialisers write, at every stable version, reads with us to
//! the same fields, writes back to the same bytes, and passes the guard exactly.

#![allow(clippy::unwrap_used, reason = "a test binary, helpers included")]

mod codec;
mod compare;
mod debug_value;
mod gaps;
mod hot_path;
mod vectors;

use std::collections::BTreeSet;

use bytes::Bytes;
use ottla_protocol::{ApiKey, DecodeError, Direction, check_body};

use crate::codec::round_trip;
use crate::vectors::Vector;

fn readable() -> impl Iterator<Item = Vector> {
    vectors::all().into_iter().filter(|v| !gaps::is_gap(v.key, v.version, v.direction))
}

#[test]
fn vectors_cover_every_version_of_every_api() {
    let covered: BTreeSet<_> = vectors::all()
        .iter()
        .map(|v| (v.key, v.version, v.direction == Direction::Request, v.full))
        .collect();
    let wanted: BTreeSet<_> = ApiKey::ALL
        .iter()
        .flat_map(|key| (key.spec().min..=key.spec().max).map(|version| (*key, version)))
        .flat_map(|(key, version)| [(key, version, true), (key, version, false)])
        .flat_map(|(key, version, request)| [(key, version, request, true), (key, version, request, false)])
        .collect();
    assert_eq!(covered, wanted);
}

#[test]
fn vectors_read_and_write_back_to_the_same_bytes() {
    for vector in readable() {
        let name = vector.name();
        let read = round_trip(vector.key, vector.direction, vector.version, vector.body.clone())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read.body, vector.body, "{name}: {}", read.fields);
    }
}

#[test]
fn fields_are_what_kafka_renders() {
    for vector in readable() {
        let read = round_trip(vector.key, vector.direction, vector.version, vector.body.clone()).unwrap();
        compare::assert_same(&vector.name(), &debug_value::parse(&read.fields), &vector.json);
    }
}

#[test]
fn guard_takes_every_vector_exactly_and_none_that_is_cut() {
    for vector in vectors::all() {
        let check = |body: &[u8]| check_body(vector.key, vector.direction, vector.version, body);
        assert_eq!(check(&vector.body), Ok(vector.body.len()), "{}", vector.name());
        for cut in 0..vector.body.len() {
            assert!(check(&vector.body[..cut]).is_err(), "{} cut to {cut}", vector.name());
        }
    }
}

#[test]
fn unknown_tags_are_skipped_everywhere() {
    // A bare message ends in a tagged section of no fields: put one there that nobody knows.
    let flexible = readable().filter(|v| !v.full && v.key.spec().is_flexible(v.version));
    for vector in flexible {
        let name = vector.name();
        let (last, rest) = vector.body.split_last().unwrap();
        assert_eq!(*last, 0, "{name}");
        let tagged = Bytes::from([rest, &[1, 0x90, 0x4e, 2, 7, 7]].concat());
        assert_eq!(check_body(vector.key, vector.direction, vector.version, &tagged), Ok(tagged.len()));
        let plain = round_trip(vector.key, vector.direction, vector.version, vector.body.clone()).unwrap();
        let read = round_trip(vector.key, vector.direction, vector.version, tagged).unwrap();
        // The crate keeps what it does not know, ours drop it.
        let known = read
            .fields
            .replace("unknown_tagged_fields: {10000: b\"\\x07\\x07\"}", "unknown_tagged_fields: {}");
        assert_eq!(known, plain.fields, "{name}");
    }
}

#[test]
fn gaps_are_exactly_what_cannot_be_read() {
    for vector in vectors::all() {
        let (key, version) = (vector.key, vector.version);
        let read = round_trip(key, vector.direction, version, vector.body.clone());
        let refused = matches!(read, Err(DecodeError::UnsupportedVersion { .. }));
        assert_eq!(refused, gaps::is_gap(key, version, vector.direction), "{}", vector.name());
    }
    for (key, versions, _, _) in gaps::GAPS {
        assert!(versions.iter().all(|version| key.spec().accepts(*version)), "{key}: no such version");
    }
}
