//! Kafka's primitive types (`INT32`, `VARINT`, `COMPACT_STRING`, tagged fields ...) read from borrowed bytes and written
//! to a growing buffer. Source: the protocol guide, "Protocol Primitive Types"; KIP-482 for the compact and tagged forms.

mod reader;
mod writer;

pub use reader::{Reader, WireError};
pub use writer::Writer;
