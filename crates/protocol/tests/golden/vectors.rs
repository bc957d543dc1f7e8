//! The committed vectors: what Kafka 4.4.0's own serialisers write (`testdata/GoldenVectors.java`).

use bytes::Bytes;
use ottla_protocol::{ApiKey, Direction};
use serde_json::Value;

#[derive(Debug)]
pub(crate) struct Vector {
    pub(crate) key: ApiKey,
    pub(crate) direction: Direction,
    pub(crate) version: i16,
    /// Whether every field has a value of its own, or all are null, empty or default.
    pub(crate) full: bool,
    pub(crate) body: Bytes,
    pub(crate) json: Value,
}

impl Vector {
    pub(crate) fn name(&self) -> String {
        let variant = if self.full { "full" } else { "bare" };
        format!("{} {:?} v{} {variant}", self.key, self.direction, self.version)
    }
}

pub(crate) fn all() -> Vec<Vector> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/golden");
    let file = |key: ApiKey| {
        let path = format!("{dir}/{:02}-{key}.txt", key.code());
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        text.lines().map(|line| vector(key, line)).collect::<Vec<_>>()
    };
    ApiKey::ALL.iter().flat_map(|key| file(*key)).collect()
}

fn vector(key: ApiKey, line: &str) -> Vector {
    let words: Vec<&str> = line.splitn(5, ' ').collect();
    let direction = match words[0] {
        "request" => Direction::Request,
        _ => Direction::Response,
    };
    let version = words[1].parse().unwrap();
    let body = Bytes::from(bytes_of_hex(words[3]));
    Vector { key, direction, version, full: words[2] == "full", body, json: words[4].parse().unwrap() }
}

fn bytes_of_hex(hex: &str) -> Vec<u8> {
    let digits = hex.trim_start_matches('-');
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}
