//! What a broker serves of a partition, batch by batch, as the bytes that Fetch v4 carries.

use std::io;

use crate::wire::{Connection, request_header};

const FETCH: i16 = 1;
const OFFSET_OUT_OF_RANGE: i16 = 1;
/// Bytes before the length field of a batch, and that field (`baseOffset`, `batchLength`).
const BATCH_PREFIX: usize = 12;
/// Where `lastOffsetDelta` lies in a batch.
const LAST_OFFSET_DELTA: usize = 23;

/// One record batch as it lies on the disk and travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub base_offset: i64,
    pub last_offset: i64,
    pub bytes: Vec<u8>,
}

impl Batch {
    /// `partitionLeaderEpoch`, `magic`'s neighbour in the header.
    pub fn leader_epoch(&self) -> i32 {
        i32::from_be_bytes(self.bytes[BATCH_PREFIX..BATCH_PREFIX + 4].try_into().expect("four bytes"))
    }
}

/// All batches of partition 0 of `topic` on the broker at `port`, from offset 0 to the high watermark.
pub fn served(port: u16, topic: &str) -> io::Result<Vec<Batch>> {
    let mut connection = Connection::open(port)?;
    let (mut batches, mut from): (Vec<Batch>, i64) = (Vec::new(), 0);
    loop {
        connection.send_frame(&fetch(topic, from))?;
        let body = connection.read_frame()?;
        let answer = Answer::parse(&body).ok_or_else(|| io::Error::other("unexpected Fetch v4 answer"))?;
        if answer.error_code != 0 {
            let what = if answer.error_code == OFFSET_OUT_OF_RANGE { " (out of range)" } else { "" };
            return Err(io::Error::other(format!("error {} at offset {from}{what}", answer.error_code)));
        }
        batches.extend(split(answer.records).filter(|batch| batch.last_offset >= from));
        let next = batches.last().map_or(from, |batch| batch.last_offset + 1);
        if next >= answer.high_watermark {
            return Ok(batches);
        }
        if next == from {
            // A compacted log may have nothing left before the high watermark.
            return Err(io::Error::other(format!("nothing at {from} below {}", answer.high_watermark)));
        }
        from = next;
    }
}

/// Fetch v4 of one partition: whatever is there, at once.
fn fetch(topic: &str, offset: i64) -> Vec<u8> {
    let mut request = request_header(FETCH, 4, 1, "compat");
    let int32 = |request: &mut Vec<u8>, value: i32| request.extend_from_slice(&value.to_be_bytes());
    for value in [-1, 500, 1, 10_000_000] {
        int32(&mut request, value);
    }
    request.push(0);
    int32(&mut request, 1);
    let len = i16::try_from(topic.len()).expect("a topic's name");
    request.extend_from_slice(&len.to_be_bytes());
    request.extend_from_slice(topic.as_bytes());
    int32(&mut request, 1);
    int32(&mut request, 0);
    request.extend_from_slice(&offset.to_be_bytes());
    int32(&mut request, 100_000);
    request
}

/// The one partition of a Fetch v4 answer.
struct Answer<'a> {
    error_code: i16,
    high_watermark: i64,
    records: &'a [u8],
}

impl<'a> Answer<'a> {
    fn parse(body: &'a [u8]) -> Option<Self> {
        // Correlation id, throttle time, one topic, its name, one partition, its index.
        let name_len = usize::from(u16::from_be_bytes(body.get(12..14)?.try_into().ok()?));
        let at = 14 + name_len + 8;
        let error_code = i16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?);
        let high_watermark = i64::from_be_bytes(body.get(at + 2..at + 10)?.try_into().ok()?);
        let aborted = i32::from_be_bytes(body.get(at + 18..at + 22)?.try_into().ok()?);
        let at = at + 22 + 16 * usize::try_from(aborted).unwrap_or(0);
        let len = usize::try_from(i32::from_be_bytes(body.get(at..at + 4)?.try_into().ok()?)).ok()?;
        Some(Self { error_code, high_watermark, records: body.get(at + 4..at + 4 + len)? })
    }
}

/// The whole batches in `records`; a batch that is cut off at the end is left out.
fn split(mut records: &[u8]) -> impl Iterator<Item = Batch> {
    std::iter::from_fn(move || {
        let base_offset = i64::from_be_bytes(records.get(..8)?.try_into().ok()?);
        let len = i32::from_be_bytes(records.get(8..BATCH_PREFIX)?.try_into().ok()?);
        let len = BATCH_PREFIX + usize::try_from(len).ok()?;
        let bytes = records.get(..len)?.to_vec();
        let delta = bytes.get(LAST_OFFSET_DELTA..LAST_OFFSET_DELTA + 4)?;
        let last_offset = base_offset + i64::from(i32::from_be_bytes(delta.try_into().ok()?));
        records = &records[len..];
        Some(Batch { base_offset, last_offset, bytes })
    })
}
