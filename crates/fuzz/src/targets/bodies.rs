//! Request and response bodies of every API and version.

use std::fs;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Message};
use ottla_protocol::produce::ProduceRequest;
use ottla_protocol::{ApiKey, Direction, Request, Response, check_body, for_every_api, messages};

use super::Target;
use crate::from_hex;

pub(crate) const REQUESTS: Target = Target {
    name: "requests",
    about: "API, version, then a request's body: read or refused, and the guard and the decoder agree on it",
    run: |bytes| run(Direction::Request, bytes),
    quick: 300_000,
    seeds: || seeds("request"),
};

pub(crate) const RESPONSES: Target = Target {
    name: "responses",
    about: "the same of a response's body",
    run: |bytes| run(Direction::Response, bytes),
    quick: 300_000,
    seeds: || seeds("response"),
};

/// The first byte chooses the API, the second the version: one below and one above the range, too.
fn run(direction: Direction, bytes: &[u8]) {
    let [api, version, body @ ..] = bytes else { return };
    let key = ApiKey::ALL[usize::from(*api) % ApiKey::ALL.len()];
    let (min, max) = (key.spec().min, key.spec().max);
    let version = min - 1 + i16::from(*version) % (max - min + 3);
    let body = Bytes::copy_from_slice(body);
    let was_read = reads(key, direction, version, body.clone());
    if (key, direction) == (ApiKey::Produce, Direction::Request) {
        let in_place = ProduceRequest::decode(BytesMut::from(&body[..]), version);
        assert_eq!(in_place.is_ok(), was_read);
    }
    if was_read {
        // The walk and the crate must stay in step, or a count could slip through between them.
        let guarded = check_body(key, direction, version, &body);
        let taken = crate_takes(key, direction, version, body);
        assert!(guarded.is_ok(), "{key} {direction:?} v{version} is read, but {guarded:?}");
        assert_eq!(taken.or(guarded.ok()), guarded.ok(), "{key} {direction:?} v{version}");
    }
}

macro_rules! decoders {
    ($($key:ident: $rk:ident $request:ident $([$($r:tt)*])? => $sk:ident $response:ident $([$($s:tt)*])?;)*) => {
        /// Whether the body was read.
        fn reads(key: ApiKey, direction: Direction, version: i16, body: Bytes) -> bool {
            match (key, direction) {
                $(
                    (ApiKey::$key, Direction::Request) => {
                        <messages::$request as Request>::decode(body, version).is_ok()
                    }
                    (ApiKey::$key, Direction::Response) => {
                        <messages::$response as Response>::decode(body, version).is_ok()
                    }
                )*
                _ => false,
            }
        }

        /// Bytes that the message crate takes for the message; `None` if the type is ours or the crate refuses.
        fn crate_takes(key: ApiKey, direction: Direction, version: i16, body: Bytes) -> Option<usize> {
            match (key, direction) {
                $(
                    (ApiKey::$key, Direction::Request) => decoders!(@takes $rk $request, version, body),
                    (ApiKey::$key, Direction::Response) => decoders!(@takes $sk $response, version, body),
                )*
                _ => None,
            }
        }
    };
    (@takes lib $type:ident, $version:ident, $body:ident) => {
        takes::<messages::$type>($version, $body)
    };
    (@takes own $type:ident, $version:ident, $body:ident) => {
        None
    };
}

for_every_api!(decoders);

fn takes<T: Message + Decodable>(version: i16, mut body: Bytes) -> Option<usize> {
    let len = body.len();
    T::decode(&mut body, version.min(T::VERSIONS.max)).ok()?;
    Some(len - body.len())
}

/// What Kafka 4.4.0's own serialisers write: the protocol crate's golden vectors.
fn seeds(direction: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/testdata/golden");
    let mut found = Vec::new();
    for (number, key) in (0u8..).zip(ApiKey::ALL) {
        let file = dir.join(format!("{:02}-{key}.txt", key.code()));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        found.extend(text.lines().filter_map(|line| seed(number, *key, direction, line)));
    }
    found
}

/// DIRECTION VERSION VARIANT HEX JSON
fn seed(number: u8, key: ApiKey, direction: &str, line: &str) -> Option<Vec<u8>> {
    let mut words = line.split(' ');
    if words.next()? != direction {
        return None;
    }
    let version: i16 = words.next()?.parse().ok()?;
    let body = from_hex(words.nth(1)?.trim_start_matches('-'))?;
    let version = u8::try_from(version - key.spec().min + 1).ok()?;
    Some([&[number, version], &body[..]].concat())
}
