//! Every decoder by key, direction and version.

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Message};
use ottla_protocol::{ApiKey, Direction, Request, Response, for_every_api, messages};

macro_rules! decoders {
    ($($key:ident: $rk:ident $request:ident $([$($r:tt)*])? => $sk:ident $response:ident $([$($s:tt)*])?;)*) => {
        /// Whether the body was read.
        pub(crate) fn reads(key: ApiKey, direction: Direction, version: i16, body: Bytes) -> bool {
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
        pub(crate) fn crate_takes(key: ApiKey, direction: Direction, version: i16, body: Bytes) -> Option<usize> {
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
