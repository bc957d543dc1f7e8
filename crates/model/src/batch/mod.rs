//! Record batch format v2 (magic 2) as borrowed bytes. Layout and sources: `docs/formats/record-batch.md`.

mod header;

pub use header::{
    BatchError, BatchHeader, Compression, HEADER_LEN, LOG_OVERHEAD, TimestampType, batches, crc32c,
};
