//! The wire: frames, headers, the API table, error codes, and typed requests and responses.
//!
//! Owns: `ErrorCode`, `ApiKey` with Kafka's version ranges, the guard that bounds what a frame may claim, messages and
//! versions that the `kafka-protocol` crate lacks, and the hot path's own Produce and Fetch.
//! Never: tokio, policy, storage, a panic on hostile bytes.

mod api;
mod error_code;
pub mod fetch;
mod frame;
mod guard;
mod header;
mod message;
pub mod messages;
mod part;
pub mod produce;

pub use api::{ApiKey, ApiSpec, Listener};
pub use error_code::ErrorCode;
pub use frame::{FRAME_PREFIX_LEN, FrameError, encode_request, encode_response, frame_len, split_frame};
pub use guard::{Direction, GuardError, check as check_body};
pub use header::{HeaderError, RequestHeader, encode_response_header, split_response_header};
pub use message::{DecodeError, EncodeError, Request, Response};
