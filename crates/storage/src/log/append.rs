//! Appending: one walk that validates and assigns, one write, one walk that counts.

use ottla_model::batch::{BatchHeader, TimestampType, batches, stamp};
use ottla_model::{LeaderEpoch, Now, Offset, TimestampMs};

use crate::append::{AppendError, AppendInfo, AppendOrigin, InvalidRecord};
use crate::error::StorageError;
use crate::producer::BatchMetadata;
use crate::validate;

use super::PartitionLog;
use super::roll::Incoming;

impl PartitionLog {
    /// Appends whole batches as the partition's leader: validates them as `origin` asks, assigns offsets and the
    /// leader epoch in `records` (in place, outside their CRC), and writes them with one call. Nothing is appended
    /// unless all can be. With LogAppendTime the timestamps and the CRC are rewritten, too.
    pub fn append_as_leader(
        &mut self,
        records: &mut [u8],
        leader_epoch: LeaderEpoch,
        origin: AppendOrigin,
        now: Now,
    ) -> Result<AppendInfo, AppendError> {
        self.check_online()?;
        let sound = validate::batches(records, origin, &self.config, now)?;
        let records = records.get_mut(..sound.len).ok_or(InvalidRecord::NoBatch)?;
        if let Some(duplicate) = self.check_producers(records, &sound.first, origin)? {
            return Ok(self.duplicate(&duplicate));
        }
        if let Some(mut recompressed) = sound.recompressed {
            return self.append_validated(&mut recompressed, leader_epoch, sound.max_timestamp, now);
        }
        self.append_validated(records, leader_epoch, sound.max_timestamp, now)
    }

    /// `max_timestamp` is what a client's records say, where they were read: its header is made to say the same.
    fn append_validated(
        &mut self,
        records: &mut [u8],
        leader_epoch: LeaderEpoch,
        max_timestamp: Option<TimestampMs>,
        now: Now,
    ) -> Result<AppendInfo, AppendError> {
        let kind = self.config.message_timestamp_type;
        let stamps = kind == TimestampType::LogAppendTime;
        let max_timestamp = if stamps { Some(now.wall) } else { max_timestamp };
        let mut incoming = self.incoming(records)?;
        let mut next_offset = self.log_end_offset;
        let mut position = 0;
        while let Some(batch) = records.get_mut(position..).filter(|batch| !batch.is_empty()) {
            let header = BatchHeader::read(batch).map_err(AppendError::Corrupt)?;
            if let Some(max_timestamp) = max_timestamp {
                stamp(batch, kind, max_timestamp).map_err(AppendError::Corrupt)?;
            }
            BatchHeader::assign(batch, next_offset, leader_epoch);
            next_offset = next_offset.plus(i64::from(header.last_offset_delta) + 1);
            position += header.size();
            incoming.max_timestamp =
                incoming.max_timestamp.max(max_timestamp.unwrap_or(header.max_timestamp));
        }
        incoming.last_offset = next_offset.plus(-1);
        let first_offset = self.log_end_offset;
        let mut info = self.write(records, incoming, now)?;
        self.epochs.assign(leader_epoch, first_offset);
        if stamps {
            info.log_append_time = now.wall;
        }
        Ok(info)
    }

    /// Appends what a leader has assigned: offsets and epochs are kept. They must ascend from the log end offset on,
    /// gaps allowed (compaction), and every CRC must hold, or nothing is appended. A batch that is cut at the end of
    /// `records`, as fetches have it, is left out. Segments end where a leader's would, which has written a batch at a
    /// time; one that is larger than a segment gets its own. After an error for lack of room some may be appended.
    pub fn append_as_follower(&mut self, records: &[u8], now: Now) -> Result<AppendInfo, AppendError> {
        self.check_online()?;
        let mut left = whole_batches(records);
        if left.is_empty() {
            return Err(InvalidRecord::NoBatch.into());
        }
        let first_offset = self.check_fetched(left)?;
        let mut bytes = 0;
        while !left.is_empty() {
            let (piece, incoming) = self.piece_of_segment(left)?;
            left = left.get(piece.len()..).unwrap_or_default();
            bytes += self.write(piece, incoming, now)?.bytes;
            for batch in batches(piece).flatten() {
                self.epochs.assign(batch.0.partition_leader_epoch, batch.0.base_offset);
            }
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

    /// Whether a leader's batches may be appended; the offset of the first.
    fn check_fetched(&self, records: &[u8]) -> Result<Offset, AppendError> {
        let mut next_offset = self.log_end_offset;
        let mut first_offset = None;
        for batch in batches(records) {
            let (header, bytes) = batch.map_err(AppendError::Corrupt)?;
            header.verify(bytes).map_err(AppendError::Corrupt)?;
            if header.base_offset < next_offset || header.last_offset_delta < 0 {
                let offset = header.base_offset;
                return Err(AppendError::OffsetsOutOfOrder { offset, log_end_offset: self.log_end_offset });
            }
            first_offset = first_offset.or(Some(header.base_offset));
            next_offset = header.next_offset();
        }
        first_offset.ok_or(InvalidRecord::NoBatch.into())
    }

    /// As many batches as the active segment has room for, and at least one.
    fn piece_of_segment<'a>(&self, records: &'a [u8]) -> Result<(&'a [u8], Incoming), AppendError> {
        let (room, mut len) = (self.config.segment_bytes.saturating_sub(self.active().size()), 0);
        let mut incoming = Incoming {
            bytes: 0,
            first_offset: self.log_end_offset,
            last_offset: self.log_end_offset,
            max_timestamp: TimestampMs::NONE,
        };
        for batch in batches(records) {
            let (header, bytes) = batch.map_err(AppendError::Corrupt)?;
            let longer = u32::try_from(len + bytes.len()).unwrap_or(u32::MAX);
            if len == 0 {
                incoming.first_offset = header.base_offset;
            } else if longer > room {
                break;
            }
            len += bytes.len();
            incoming.bytes = longer;
            incoming.last_offset = header.next_offset().plus(-1);
            incoming.max_timestamp = incoming.max_timestamp.max(header.max_timestamp);
        }
        Ok((records.get(..len).unwrap_or_default(), incoming))
    }

    fn incoming(&self, records: &[u8]) -> Result<Incoming, AppendError> {
        let max = self.config.segment_bytes;
        match u32::try_from(records.len()) {
            Ok(0) => Err(InvalidRecord::NoBatch.into()),
            Ok(bytes) if bytes <= max => Ok(Incoming {
                bytes,
                first_offset: self.log_end_offset,
                last_offset: self.log_end_offset,
                max_timestamp: TimestampMs::NONE,
            }),
            _ => Err(AppendError::RecordListTooLarge { size: records.len(), max }),
        }
    }

    /// The batch that was appended before, if the first one is its duplicate.
    fn check_producers(
        &self,
        records: &[u8],
        first: &BatchHeader,
        origin: AppendOrigin,
    ) -> Result<Option<BatchMetadata>, AppendError> {
        if origin == AppendOrigin::Client {
            return if first.has_producer_id() { self.producers.check(first, origin) } else { Ok(None) };
        }
        for batch in batches(records) {
            let (header, _) = batch.map_err(AppendError::Corrupt)?;
            if header.has_producer_id() {
                self.producers.check(&header, origin)?;
            }
        }
        Ok(None)
    }

    fn duplicate(&self, duplicate: &BatchMetadata) -> AppendInfo {
        AppendInfo {
            first_offset: duplicate.first_offset(),
            last_offset: duplicate.last_offset,
            log_append_time: duplicate.timestamp,
            log_start_offset: self.log_start_offset,
            duplicate: true,
            bytes: 0,
            log_end_offset: self.log_end_offset,
        }
    }

    fn write(&mut self, records: &[u8], incoming: Incoming, now: Now) -> Result<AppendInfo, AppendError> {
        self.guarded(|log| {
            log.roll_for(incoming, now)?;
            if log.config.preallocate && log.active().size() == 0 {
                let bytes = log.config.segment_bytes;
                log.active_mut().preallocate(bytes)?;
            }
            log.active_mut().write(records, now)?;
            log.flush.add_unflushed(u64::from(incoming.bytes));
            log.count(records)
        })?;
        Ok(AppendInfo {
            first_offset: incoming.first_offset,
            last_offset: incoming.last_offset,
            log_append_time: TimestampMs::NONE,
            log_start_offset: self.log_start_offset,
            duplicate: false,
            bytes: incoming.bytes,
            log_end_offset: self.log_end_offset,
        })
    }

    /// Takes batches that were just written into account.
    fn count(&mut self, records: &[u8]) -> Result<(), StorageError> {
        let interval = self.config.index_interval_bytes;
        for batch in batches(records) {
            let (header, bytes) =
                batch.map_err(|error| StorageError::corrupt(&self.dir, error.to_string()))?;
            self.active_mut().count(&header, interval)?;
            self.producers.update(&header, bytes);
            self.log_end_offset = header.next_offset();
        }
        Ok(())
    }
}

fn whole_batches(records: &[u8]) -> &[u8] {
    let mut len = 0;
    while let Some(left) = records.get(len..).filter(|left| validate::is_whole_batch(left)) {
        match BatchHeader::read(left) {
            Ok(header) => len += header.size(),
            // The check of the batches will name it.
            Err(_) => return records,
        }
    }
    records.get(..len).unwrap_or(records)
}
