//! The wire: frames, headers, the API table, error codes, and typed requests and responses.
//!
//! Owns: `ErrorCode`; `ApiKey` with Kafka's version ranges; frames and headers; the guard that bounds what a body may claim;
//! every message under one name (`messages`: the `kafka-protocol` crate's, and ours where it lags behind Kafka 4.4.0); the
//! hot path's own Produce (taken apart in place) and Fetch (gathered around file slices); the metrics that clients push (`otlp`).
//! Never: tokio, policy, storage, a panic on hostile bytes.
//!
//! Invariants:
//! - No decoder of the message crate sees a body that the guard has not walked, since it reserves memory by counts alone.
//! - A version outside the API table is refused both ways, whatever a decoder could do with it.
//! - What is read comes out as slices of the frame; what is written is byte for byte what Kafka 4.4.0 writes
//!   (`testdata/golden`, `tests/golden`). What cannot be read yet stands in `tests/golden/gaps.rs`, and nowhere else.
//! - Which APIs a broker advertises is decided by the handlers it registers, not here.

mod api;
mod error_code;
pub mod fetch;
mod frame;
mod guard;
mod header;
mod message;
pub mod messages;
pub mod otlp;
mod part;
mod peer;
pub mod produce;

pub use api::{ApiKey, ApiSpec, Listener};
pub use error_code::ErrorCode;
pub use frame::{FRAME_PREFIX_LEN, FrameError, encode_request, encode_response, frame_len, split_frame};
pub use guard::{Direction, GuardError, check as check_body};
pub use header::{HeaderError, RequestHeader, encode_response_header, split_response_header};
pub use message::{DecodeError, EncodeError, Request, Response};
pub use peer::{encode_peer_answer, encode_peer_request, split_peer_request};
