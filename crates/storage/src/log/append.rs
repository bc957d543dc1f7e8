//! Appending: one walk that validates and assigns, one write, one walk that counts.

use ottla_model::batch::{BatchError, BatchHeader, batches};
use ottla_model::{LeaderEpoch, Now, Offset, TimestampMs};

use crate::append::{AppendError, AppendInfo, AppendOrigin, InvalidRecord};

use super::PartitionLog;

impl PartitionLog {
    /// Appends whole batches as the partition's leader: validates them as `origin` asks, assigns offsets and the
    /// leader epoch in `records` (in place), and writes them with one call.
    pub fn append_as_leader(
        &mut self,
        records: &mut [u8],
        leader_epoch: LeaderEpoch,
        origin: AppendOrigin,
        _now: Now,
    ) -> Result<AppendInfo, AppendError> {
        self.check_online()?;
        let first_offset = self.log_end_offset;
        let mut next_offset = first_offset;
        let mut position = 0;
        let mut count = 0;
        while position < records.len() {
            let header = self.validate(&records[position..], origin)?;
            let size = header.size();
            BatchHeader::assign(&mut records[position..position + size], next_offset, leader_epoch);
            next_offset = next_offset.plus(i64::from(header.last_offset_delta) + 1);
            position += size;
            count += 1;
        }
        match count {
            0 => return Err(InvalidRecord::NoBatch.into()),
            2.. if origin == AppendOrigin::Client => return Err(InvalidRecord::SeveralBatches.into()),
            _ => {}
        }
        self.write(records, first_offset)
    }

    /// Appends what a leader has assigned: offsets and epochs are kept, and must go on from the log end offset.
    pub fn append_as_follower(&mut self, records: &[u8], _now: Now) -> Result<AppendInfo, AppendError> {
        self.check_online()?;
        let mut next_offset = self.log_end_offset;
        let mut first_offset = None;
        for batch in batches(records) {
            let (header, bytes) = batch.map_err(AppendError::Corrupt)?;
            header.verify(bytes).map_err(AppendError::Corrupt)?;
            if header.base_offset < next_offset || header.last_offset_delta < 0 {
                let offset = header.base_offset;
                return Err(AppendError::OffsetsOutOfOrder { offset, log_end_offset: self.log_end_offset });
            }
            first_offset.get_or_insert(header.base_offset);
            next_offset = header.next_offset();
        }
        let first_offset = first_offset.ok_or(InvalidRecord::NoBatch)?;
        self.write(records, first_offset)
    }

    fn validate(&self, bytes: &[u8], origin: AppendOrigin) -> Result<BatchHeader, AppendError> {
        let header = BatchHeader::read(bytes).map_err(|error| match error {
            BatchError::Magic(magic) => InvalidRecord::Magic(magic).into(),
            other => AppendError::Corrupt(other),
        })?;
        let max = self.config.max_message_bytes;
        if header.size() > max as usize {
            return Err(AppendError::MessageTooLarge { size: header.size(), max });
        }
        header.verify(bytes).map_err(AppendError::Corrupt)?;
        if let Err(BatchError::Codec(codec)) = header.compression() {
            return Err(AppendError::UnsupportedCompression(codec));
        }
        let (count, last_offset_delta) = (header.record_count, header.last_offset_delta);
        if count <= 0 || last_offset_delta != count - 1 {
            return Err(InvalidRecord::Count { count, last_offset_delta }.into());
        }
        if origin == AppendOrigin::Client && header.is_control() {
            return Err(InvalidRecord::ControlBatch.into());
        }
        Ok(header)
    }

    fn write(&mut self, records: &[u8], first_offset: Offset) -> Result<AppendInfo, AppendError> {
        let max = self.config.segment_bytes;
        let bytes = match u32::try_from(records.len()) {
            Ok(bytes) if bytes <= max => bytes,
            _ => return Err(AppendError::RecordListTooLarge { size: records.len(), max }),
        };
        let interval = self.config.index_interval_bytes;
        let Some(active) = self.segments.last_mut() else { return Err(InvalidRecord::NoBatch.into()) };
        if let Err(error) = active.write(records) {
            self.offline = true;
            return Err(error.into());
        }
        for batch in batches(records) {
            let (header, _) = batch.map_err(AppendError::Corrupt)?;
            active.appended(&header, interval)?;
            self.log_end_offset = header.next_offset();
        }
        Ok(AppendInfo {
            first_offset,
            last_offset: self.log_end_offset.plus(-1),
            log_append_time: TimestampMs::NONE,
            log_start_offset: self.log_start_offset,
            duplicate: false,
            bytes,
            log_end_offset: self.log_end_offset,
        })
    }
}
