//! Why a batch was refused, as Kafka words it.

use ottla_model::batch::BatchError;
use ottla_model::{Offset, TopicPartition};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::StrBytes;
use ottla_protocol::messages::produce_response::{BatchIndexAndErrorMessage, PartitionProduceResponse};
use ottla_storage::{AppendError as LogError, InvalidRecord, RecordErrors, RecordFault};

use crate::error_map;
use crate::partitions::AppendError;

/// Record errors that the message quotes; `record_errors` holds them all.
const QUOTED_MAX: usize = 3;
/// What every version of the record format has in front of its records.
const RECORD_OVERHEAD_MIN: i32 = 14;

/// Why a batch was refused, and which of its records are to blame (KIP-467).
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    code: ErrorCode,
    message: Option<StrBytes>,
    records: Vec<(i32, StrBytes)>,
    log_start_offset: Offset,
}

impl Refusal {
    pub(super) fn code(code: ErrorCode) -> Self {
        Self { code, message: None, records: Vec::new(), log_start_offset: Offset::NONE }
    }

    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { message: Some(StrBytes::from_string(message.into())), ..Self::code(code) }
    }

    /// Kafka explains only what validation of the records found; everything else travels as its code. It tells the log's
    /// start with an error that the log found itself.
    pub(super) fn of_append(
        partition: &TopicPartition,
        log_start_offset: impl FnOnce() -> Offset,
        error: &AppendError,
    ) -> Self {
        let code = error_map::append(error);
        let AppendError::Log(error) = error else { return Self::code(code) };
        let refusal = match error {
            LogError::InvalidRecords(errors) => Self::of_records(code, partition, errors),
            LogError::Corrupt(BatchError::Magic(magic)) => {
                Self::new(code, format!("Invalid magic found in record: {magic}"))
            }
            LogError::Corrupt(BatchError::Length(size)) if *size < RECORD_OVERHEAD_MIN => {
                let least = format!("the minimum record overhead ({RECORD_OVERHEAD_MIN})");
                Self::new(code, format!("Record size {size} is less than {least}"))
            }
            _ => Self::code(code),
        };
        if tells_log_start(error) {
            Self { log_start_offset: log_start_offset(), ..refusal }
        } else {
            refusal
        }
    }

    fn of_records(code: ErrorCode, partition: &TopicPartition, errors: &RecordErrors) -> Self {
        let texts: Vec<(i32, String)> =
            errors.first.iter().map(|(index, fault)| (*index, fault_text(fault, partition))).collect();
        let message = if errors.has_timestamp {
            "One or more records have been rejected due to invalid timestamp".to_owned()
        } else {
            let quoted = texts.iter().take(QUOTED_MAX);
            let quoted: Vec<String> = quoted
                .map(|(index, text)| format!("RecordError(batchIndex={index}, message='{text}')"))
                .collect();
            format!(
                "One or more records have been rejected due to {} record errors in total, and only showing the first \
                 three errors at most: [{}]",
                errors.total,
                quoted.join(", ")
            )
        };
        let records = texts.into_iter().map(|(index, text)| (index, StrBytes::from_string(text)));
        Self { records: records.collect(), ..Self::new(code, message) }
    }

    pub(super) fn into_response(self, index: i32) -> PartitionProduceResponse {
        PartitionProduceResponse {
            index,
            error_code: self.code.code(),
            base_offset: -1,
            log_start_offset: self.log_start_offset.get(),
            record_errors: self.records.into_iter().map(record_error).collect(),
            error_message: self.message,
            ..PartitionProduceResponse::default()
        }
    }
}

fn record_error((batch_index, message): (i32, StrBytes)) -> BatchIndexAndErrorMessage {
    BatchIndexAndErrorMessage { batch_index, batch_index_error_message: Some(message) }
}

/// Not what Kafka finds before it asks the log, and not the errors that it expects of a log.
fn tells_log_start(error: &LogError) -> bool {
    !matches!(
        error,
        LogError::Corrupt(_)
            | LogError::MessageTooLarge { .. }
            | LogError::RecordListTooLarge { .. }
            | LogError::Storage(_)
            | LogError::InvalidRecord(
                InvalidRecord::Magic(_) | InvalidRecord::NoBatch | InvalidRecord::SeveralBatches
            )
    )
}

fn fault_text(fault: &RecordFault, partition: &TopicPartition) -> String {
    match *fault {
        RecordFault::NoKey => {
            format!("Compacted topic cannot accept message without key in topic partition {partition}")
        }
        RecordFault::Timestamp { timestamp, offset, min, max } => format!(
            "Timestamp {timestamp} of message with offset {offset} is out of range. The timestamp should be within \
             [{min}, {max}]"
        ),
        RecordFault::LogAppendTime { is_compressed, offset, timestamp, key_len, value_len } => {
            // The lengths of null: what each of Kafka's two classes prints.
            let (kind, null) =
                if is_compressed { ("PartialDefaultRecord", "-1") } else { ("DefaultRecord", "0") };
            let len = |len: Option<usize>| len.map_or_else(|| null.to_owned(), |len| len.to_string());
            let (key, value) = (len(key_len), len(value_len));
            format!(
                "Invalid timestamp type in message {kind}(offset={offset}, timestamp={timestamp}, key={key} bytes, \
                 value={value} bytes). Producer should not set timestamp type to LogAppendTime."
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_model::TimestampMs;

    use super::*;

    /// Texts as a Kafka 4.4.0 gave them.
    #[test]
    fn records_are_blamed_in_kafkas_words() {
        let partition = TopicPartition::new("cmp", 0);
        let mut errors = RecordErrors { total: 5, has_timestamp: false, first: Vec::new() };
        errors.first = (0..5).map(|index| (index, RecordFault::NoKey)).collect();
        let error = AppendError::Log(LogError::InvalidRecords(errors.clone()));
        let answer = Refusal::of_append(&partition, || Offset(7), &error).into_response(2);
        assert_eq!(
            (answer.index, answer.error_code, answer.base_offset, answer.log_start_offset),
            (2, 87, -1, 7)
        );
        assert_eq!(answer.record_errors.len(), 5);
        let record = "Compacted topic cannot accept message without key in topic partition cmp-0";
        let quoted = |index| format!("RecordError(batchIndex={index}, message='{record}')");
        assert_eq!(
            answer.error_message.unwrap().as_str(),
            format!(
                "One or more records have been rejected due to 5 record errors in total, and only showing the first \
                 three errors at most: [{}, {}, {}]",
                quoted(0),
                quoted(1),
                quoted(2)
            )
        );
        errors.has_timestamp = true;
        errors.first.truncate(1);
        let (timestamp, offset, min, max) = (TimestampMs(9), Offset(1), TimestampMs(10), TimestampMs(20));
        errors.first.push((1, RecordFault::Timestamp { timestamp, offset, min, max }));
        let error = AppendError::Log(LogError::InvalidRecords(errors));
        let answer = Refusal::of_append(&partition, || Offset(0), &error).into_response(0);
        let message = "One or more records have been rejected due to invalid timestamp";
        assert_eq!((answer.error_code, answer.error_message.unwrap().as_str()), (32, message));
        assert_eq!(
            answer.record_errors[1].batch_index_error_message.as_ref().unwrap().as_str(),
            "Timestamp 9 of message with offset 1 is out of range. The timestamp should be within [10, 20]"
        );
    }

    #[test]
    fn an_error_from_before_the_log_does_not_tell_its_start() {
        let partition = TopicPartition::new("t", 0);
        let start = |error: LogError| {
            Refusal::of_append(&partition, || Offset(7), &AppendError::Log(error))
                .into_response(0)
                .log_start_offset
        };
        assert_eq!(start(InvalidRecord::ControlBatch.into()), 7);
        assert_eq!(start(InvalidRecord::SeveralBatches.into()), -1);
        assert_eq!(start(LogError::MessageTooLarge { size: 2, max: 1 }), -1);
    }
}
