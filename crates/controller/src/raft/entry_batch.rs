//! A raft entry as one record batch of Kafka's format, so that tools that read batches read the log.
//!
//! | field | holds |
//! |--|--|
//! | base offset | the first record's offset; offsets count records, raft indexes count entries |
//! | partition leader epoch | the term of the leader that appended the entry |
//! | producer id | the raft index |
//! | producer epoch | what the entry is: 0 proposal, 1 blank, 2 membership |
//! | base sequence | the term a proposal was computed in; -1 for the others |
//! | records | a proposal's framed metadata records; a blank's `NoOpRecord`; a membership's control record |

use std::io;

use ottla_metadata::MetadataRecord;
use ottla_model::batch::{BatchBuilder, BatchHeader, Records, decompress};
use ottla_model::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::codec::{corrupt, membership_bytes, read_membership};
use super::types::{Entry, Payload, Proposal, log_id};

const PROPOSAL: i16 = 0;
const BLANK: i16 = 1;
const MEMBERSHIP: i16 = 2;
/// Our control record type: Kafka's own end at 6.
const MEMBERSHIP_CONTROL_TYPE: i16 = 1_000;
/// No compressed batch is ever written here.
const DECOMPRESSED_LEN_MAX: usize = 0;

/// What the header of an entry's batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryHeader {
    pub(crate) term: u64,
    pub(crate) index: u64,
    pub(crate) base_offset: i64,
    pub(crate) end_offset: i64,
    /// Bytes of the whole batch.
    pub(crate) len: usize,
}

impl EntryHeader {
    pub(crate) fn from_batch(header: &BatchHeader) -> io::Result<Self> {
        let term = u64::try_from(header.partition_leader_epoch.get());
        let index = u64::try_from(header.producer_id.get());
        match (term, index) {
            (Ok(term), Ok(index)) => Ok(Self {
                term,
                index,
                base_offset: header.base_offset.get(),
                end_offset: header.next_offset().get(),
                len: header.size(),
            }),
            _ => Err(corrupt("entry", "its term or index is negative")),
        }
    }
}

/// The batch of an entry whose first record gets `base_offset`.
///
/// # Errors
/// A term or index that Kafka's fields cannot carry, or an entry of more than 2 GiB.
pub(crate) fn encode(entry: &Entry, base_offset: i64) -> io::Result<Vec<u8>> {
    let term = epoch(**entry.log_id.committed_leader_id())?;
    let index = i64::try_from(entry.log_id.index).map_err(|_| corrupt("entry", "its index is too large"))?;
    let builder = BatchBuilder::new(Offset(base_offset)).leader_epoch(LeaderEpoch(term));
    let identity = |builder: BatchBuilder, kind: i16, sequence: i32| {
        builder.producer(ProducerId(index), ProducerEpoch(kind), sequence)
    };
    let builder = match &entry.payload {
        Payload::Normal(proposal) => {
            let mut builder = identity(builder, PROPOSAL, epoch(proposal.term)?);
            for record in &proposal.records {
                builder.push(proposal.timestamp, None, Some(&record.encode()), &[]);
            }
            builder
        }
        Payload::Blank => {
            let mut builder = identity(builder, BLANK, -1);
            builder.push(TimestampMs::NONE, None, Some(&MetadataRecord::NoOp.encode()), &[]);
            builder
        }
        Payload::Membership(membership) => {
            let mut builder = identity(builder, MEMBERSHIP, -1).control();
            let value = membership_bytes(membership);
            builder.push(TimestampMs::NONE, Some(&control_key(MEMBERSHIP_CONTROL_TYPE)), Some(&value), &[]);
            builder
        }
    };
    builder.build().map_err(|error| corrupt("entry", error))
}

/// The entry of a whole batch, whose CRC has been checked when the log was opened or written.
pub(crate) fn decode(batch: &[u8]) -> io::Result<Entry> {
    let fail = |error| corrupt("entry", error);
    let header = BatchHeader::read(batch).map_err(fail)?;
    let place = EntryHeader::from_batch(&header)?;
    let section = decompress(&header, batch, DECOMPRESSED_LEN_MAX).map_err(fail)?;
    let records = Records::new(&header, &section);
    let payload = match header.producer_epoch.get() {
        PROPOSAL => Payload::Normal(decode_proposal(&header, records)?),
        BLANK => Payload::Blank,
        MEMBERSHIP => Payload::Membership(decode_membership(records)?),
        kind => return Err(corrupt("entry", format_args!("kind {kind} is not known"))),
    };
    Ok(Entry { log_id: log_id(place.term, place.index), payload })
}

/// The key of a control record: version 0, then the type.
pub(crate) fn control_key(kind: i16) -> [u8; 4] {
    let [high, low] = kind.to_be_bytes();
    [0, 0, high, low]
}

fn decode_proposal(header: &BatchHeader, records: Records<'_>) -> io::Result<Proposal> {
    let term =
        u64::try_from(header.base_sequence).map_err(|_| corrupt("entry", "its proposal has no term"))?;
    let mut decoded = Vec::new();
    for record in records {
        let record = record.map_err(|error| corrupt("entry", error))?;
        let value = record.value.ok_or_else(|| corrupt("entry", "a record has no value"))?;
        decoded.push(MetadataRecord::decode(value).map_err(|error| corrupt("entry", error))?);
    }
    Ok(Proposal { term, timestamp: header.base_timestamp, records: decoded })
}

fn decode_membership(mut records: Records<'_>) -> io::Result<super::types::Membership> {
    let record = records.next().ok_or_else(|| corrupt("entry", "a membership has no record"))?;
    let record = record.map_err(|error| corrupt("entry", error))?;
    read_membership(record.value.unwrap_or_default())
}

fn epoch(term: u64) -> io::Result<i32> {
    i32::try_from(term).map_err(|_| corrupt("entry", "its term is too large"))
}
