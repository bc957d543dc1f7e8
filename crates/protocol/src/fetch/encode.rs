//! The fields around the records, at each version.

use bytes::BufMut;

use super::gather::{GatherWriter, Gathered};
use super::{
    AbortedTransaction, EpochEndOffset, FetchPartitionResponse, FetchResponse, FetchTopicResponse,
    LeaderIdAndEpoch, NodeEndpoint, RecordsSlice,
};
use crate::part::{Part, Version, put_count, put_null_count, put_tagged_fields, put_unsigned_varint};
use crate::{ApiKey, EncodeError, encode_response_header};

/// More than a partition takes without aborted transactions and tagged fields.
const PARTITION_LEN_ESTIMATE: usize = 64;

impl<F: RecordsSlice> FetchResponse<F> {
    /// The whole frame, length prefix and header included, with the slices in their places.
    pub fn encode_frame(self, version: i16, correlation_id: i32) -> Result<Gathered<F>, EncodeError> {
        let key = ApiKey::Fetch;
        let spec = key.spec();
        if !spec.accepts(version) {
            return Err(EncodeError::UnsupportedVersion { key, version });
        }
        let v = Version { number: version, flexible: spec.is_flexible(version) };
        let partition_count: usize = self.responses.iter().map(|topic| topic.partitions.len()).sum();
        let capacity = 64 + 64 * self.responses.len() + PARTITION_LEN_ESTIMATE * partition_count;
        let mut writer = GatherWriter::new(capacity, partition_count);
        encode_response_header(key, version, correlation_id, &mut writer.out);
        self.write(&mut writer, v)?;
        writer.finish()
    }

    fn write(self, writer: &mut GatherWriter<F>, v: Version) -> Result<(), EncodeError> {
        writer.out.put_i32(self.throttle_time_ms);
        if v.number >= 7 {
            writer.out.put_i16(self.error_code);
            writer.out.put_i32(self.session_id);
        } else {
            absent(self.session_id == 0, "session_id")?;
        }
        put_count(&mut writer.out, v, self.responses.len())?;
        for topic in self.responses {
            topic.write(writer, v)?;
        }
        write_node_endpoints(self.node_endpoints, writer, v)
    }
}

fn write_node_endpoints<F: RecordsSlice>(
    endpoints: Vec<NodeEndpoint>,
    writer: &mut GatherWriter<F>,
    v: Version,
) -> Result<(), EncodeError> {
    absent(endpoints.is_empty() || v.number >= 16, "node_endpoints")?;
    if !v.flexible {
        return Ok(());
    }
    if endpoints.is_empty() {
        put_unsigned_varint(&mut writer.out, 0);
        return Ok(());
    }
    let mut field = bytes::BytesMut::new();
    endpoints.write(&mut field, v)?;
    put_tagged_fields(&mut writer.out, &[(0, field)])
}

impl<F: RecordsSlice> FetchTopicResponse<F> {
    fn write(self, writer: &mut GatherWriter<F>, v: Version) -> Result<(), EncodeError> {
        if v.number >= 13 {
            writer.out.put_slice(self.topic_id.as_bytes());
        } else {
            self.topic.write(&mut writer.out, v)?;
        }
        put_count(&mut writer.out, v, self.partitions.len())?;
        for partition in self.partitions {
            partition.write(writer, v)?;
        }
        if v.flexible {
            put_unsigned_varint(&mut writer.out, 0);
        }
        Ok(())
    }
}

impl<F: RecordsSlice> FetchPartitionResponse<F> {
    fn write(self, writer: &mut GatherWriter<F>, v: Version) -> Result<(), EncodeError> {
        let out = &mut writer.out;
        out.put_i32(self.partition_index);
        out.put_i16(self.error_code);
        out.put_i64(self.high_watermark);
        out.put_i64(self.last_stable_offset);
        if v.number >= 5 {
            out.put_i64(self.log_start_offset);
        }
        match &self.aborted_transactions {
            None => put_null_count(out, v),
            Some(transactions) => write_aborted(transactions, out, v)?,
        }
        if v.number >= 11 {
            out.put_i32(self.preferred_read_replica);
        } else {
            absent(self.preferred_read_replica == -1, "preferred_read_replica")?;
        }
        put_count(out, v, self.records.iter().map(RecordsSlice::len).sum())?;
        for slice in self.records {
            writer.splice(slice);
        }
        write_tagged(self.diverging_epoch, self.current_leader, self.snapshot_id, &mut writer.out, v)
    }
}

fn write_aborted(
    transactions: &[AbortedTransaction],
    out: &mut bytes::BytesMut,
    v: Version,
) -> Result<(), EncodeError> {
    put_count(out, v, transactions.len())?;
    for transaction in transactions {
        out.put_i64(transaction.producer_id);
        out.put_i64(transaction.first_offset);
        if v.flexible {
            put_unsigned_varint(out, 0);
        }
    }
    Ok(())
}

/// Tags 0 to 2; each is a struct of fixed size, with an empty tagged section of its own at its end.
fn write_tagged(
    diverging_epoch: Option<EpochEndOffset>,
    current_leader: Option<LeaderIdAndEpoch>,
    snapshot_id: Option<EpochEndOffset>,
    out: &mut bytes::BytesMut,
    v: Version,
) -> Result<(), EncodeError> {
    if !v.flexible {
        absent(diverging_epoch.is_none(), "diverging_epoch")?;
        absent(current_leader.is_none(), "current_leader")?;
        return absent(snapshot_id.is_none(), "snapshot_id");
    }
    let present = [diverging_epoch.is_some(), current_leader.is_some(), snapshot_id.is_some()];
    put_unsigned_varint(out, present.iter().map(|present| u32::from(*present)).sum());
    if let Some(diverging) = diverging_epoch {
        out.put_slice(&[0, 13]);
        out.put_i32(diverging.epoch);
        out.put_i64(diverging.end_offset);
        out.put_u8(0);
    }
    if let Some(leader) = current_leader {
        out.put_slice(&[1, 9]);
        out.put_i32(leader.leader_id);
        out.put_i32(leader.leader_epoch);
        out.put_u8(0);
    }
    if let Some(snapshot) = snapshot_id {
        out.put_slice(&[2, 13]);
        out.put_i64(snapshot.end_offset);
        out.put_i32(snapshot.epoch);
        out.put_u8(0);
    }
    Ok(())
}

fn absent(is_absent: bool, field: &'static str) -> Result<(), EncodeError> {
    if is_absent { Ok(()) } else { Err(EncodeError::NotInVersion { field }) }
}
