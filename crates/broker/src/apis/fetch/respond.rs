//! A round of reading as a Fetch answer.

use ottla_model::Offset;
use ottla_protocol::ErrorCode;
use ottla_protocol::fetch::{EpochEndOffset, FetchPartitionResponse, FetchResponse, FetchTopicResponse};
use ottla_protocol::messages::StrBytes;
use ottla_replication::session::{FetchContext, FetchKey, FetchTopic, PartitionAnswer};

use super::Poll;
use super::round::{Round, Target};
use crate::dispatch::{Answer, Closed, RequestContext};
use crate::net::LogSlice;
use crate::partitions::PartitionRead;
use crate::random;

/// A refusal of the request as a whole: no partitions, no session.
pub(super) fn refused(context: &RequestContext, error: ErrorCode) -> Result<Answer, Closed> {
    let response = FetchResponse::<LogSlice> { error_code: error.code(), ..FetchResponse::default() };
    Ok(response.encode_frame(context.version, context.correlation_id)?)
}

pub(super) fn answer(poll: Poll, round: Round) -> Result<Answer, Closed> {
    let Poll { context, fetch, session, sessions, clock, targets, limits, .. } = poll;
    let told: Vec<PartitionAnswer> = round.reads.iter().map(as_told).collect();
    let mut response = FetchResponse::default();
    let read_committed = limits.read_committed;
    let all = targets.iter().zip(round.reads).zip(&told);
    match fetch {
        FetchContext::Sessionless(_) => {
            all.for_each(|((target, read), _)| push(&mut response, &target.key, read, read_committed));
        }
        FetchContext::Full(_) => {
            let cached =
                targets.iter().zip(&told).map(|(target, told)| (target.key.clone(), target.wanted, *told));
            response.session_id =
                sessions.lock().create(session, cached, random::positive_i32, clock.now().mono);
            all.for_each(|((target, read), _)| push(&mut response, &target.key, read, read_committed));
        }
        FetchContext::Incremental(mut kept) => {
            response.session_id = kept.id();
            for ((target, read), told) in all {
                if settle(&mut kept, target, told) {
                    push(&mut response, &target.key, read, read_committed);
                }
            }
            sessions.lock().check_in(kept);
        }
    }
    Ok(response.encode_frame(context.version, context.correlation_id)?)
}

fn settle(
    session: &mut ottla_replication::session::FetchSession,
    target: &Target,
    told: &PartitionAnswer,
) -> bool {
    target.slot.is_none_or(|slot| session.settle(slot, told))
}

fn as_told(read: &Result<PartitionRead, ErrorCode>) -> PartitionAnswer {
    match read {
        Ok(read) => PartitionAnswer {
            high_watermark: read.high_watermark,
            log_start: read.log_start_offset,
            records_len: read.len(),
            is_error: false,
            redirects: read.diverging.is_some(),
        },
        Err(_) => PartitionAnswer {
            high_watermark: Offset::NONE,
            log_start: Offset::NONE,
            records_len: 0,
            is_error: true,
            redirects: false,
        },
    }
}

/// Appends a partition, under its topic if that is the one that was appended to last.
fn push(
    response: &mut FetchResponse<LogSlice>,
    key: &FetchKey,
    read: Result<PartitionRead, ErrorCode>,
    read_committed: bool,
) {
    let (topic, topic_id) = match &key.topic {
        FetchTopic::Id(id) => (StrBytes::new(), id.0),
        FetchTopic::Name(name) => (StrBytes::from_string(name.to_string()), uuid::Uuid::nil()),
    };
    let partition = one(key.partition, read, read_committed);
    match response.responses.last_mut() {
        Some(last) if last.topic == topic && last.topic_id == topic_id => last.partitions.push(partition),
        _ => response.responses.push(FetchTopicResponse { topic, topic_id, partitions: vec![partition] }),
    }
}

fn one(
    partition_index: i32,
    read: Result<PartitionRead, ErrorCode>,
    read_committed: bool,
) -> FetchPartitionResponse<LogSlice> {
    match read {
        Err(error) => FetchPartitionResponse {
            partition_index,
            error_code: error.code(),
            ..FetchPartitionResponse::default()
        },
        Ok(read) => FetchPartitionResponse {
            partition_index,
            high_watermark: read.high_watermark.get(),
            last_stable_offset: read.last_stable_offset.get(),
            log_start_offset: read.log_start_offset.get(),
            diverging_epoch: read
                .diverging
                .map(|(epoch, end)| EpochEndOffset { epoch: epoch.get(), end_offset: end.get() }),
            aborted_transactions: read_committed.then(Vec::new),
            records: read.slice.map(LogSlice).into_iter().collect(),
            ..FetchPartitionResponse::default()
        },
    }
}
