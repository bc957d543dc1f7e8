//! Record batch format v2 (magic 2) as borrowed bytes. Layout and sources: `docs/formats/record-batch.md`.
//!
//! To read records: [`BatchHeader::read`] -> [`decompress`] (borrows if uncompressed, capped) -> [`Records::new`].

mod builder;
mod codec;
mod glance;
mod header;
mod records;
mod skim;
mod stamp;
#[cfg(test)]
mod tests;

pub use builder::BatchBuilder;
pub use codec::{compress, decompress, decompress_section};
pub use glance::Glance;
pub use header::{
    BatchError, BatchHeader, Compression, HEADER_LEN, LOG_OVERHEAD, TimestampType, batches, crc32c,
};
pub use records::{Headers, Record, RecordHeader, Records};
pub use skim::{Skim, SkimmedRecord};
pub use stamp::stamp;
