//! A round of reading as a Fetch answer.

use ottla_metadata::MetadataImage;
use ottla_model::{BrokerId, Offset};
use ottla_protocol::ErrorCode;
use ottla_protocol::fetch::{
    EpochEndOffset, FetchPartitionResponse, FetchResponse, FetchTopicResponse, LeaderIdAndEpoch,
};
use ottla_protocol::messages::{FetchRequest, StrBytes};
use ottla_replication::session::{FetchContext, FetchTopic, PartitionAnswer};

use super::Poll;
use super::round::{Round, Target};
use super::watches;
use crate::dispatch::{Answer, Closed, RequestContext};
use crate::leader_hint::LeaderHints;
use crate::net::LogSlice;
use crate::partitions::PartitionRead;
use crate::random;

/// The first version that names topics by id (KIP-516).
const FIRST_BY_ID: i16 = 13;
/// The first version with leader hints (KIP-951).
const FIRST_WITH_HINTS: i16 = 16;

/// A refusal of the request as a whole: no partitions, no session.
pub(super) fn refused(context: &RequestContext, error: ErrorCode) -> Result<Answer, Closed> {
    let response = FetchResponse::<LogSlice> { error_code: error.code(), ..FetchResponse::default() };
    Ok(response.encode_frame(context.version, context.correlation_id)?)
}

/// What Kafka says when it trips over a request: the error at each partition while those are named, and a session's id as
/// it was given.
pub(super) fn failed(context: &RequestContext, request: &FetchRequest) -> Result<Answer, Closed> {
    let error_code = ErrorCode::UnknownServerError.code();
    let topics = request.topics.iter().filter(|_| context.version < FIRST_BY_ID).map(|topic| {
        let failed = |partition_index| FetchPartitionResponse {
            partition_index,
            error_code,
            aborted_transactions: Some(Vec::new()),
            ..FetchPartitionResponse::default()
        };
        FetchTopicResponse {
            topic: topic.topic.0.clone(),
            topic_id: topic.topic_id,
            partitions: topic.partitions.iter().map(|partition| failed(partition.partition)).collect(),
        }
    });
    let response = FetchResponse::<LogSlice> {
        error_code,
        session_id: request.session_id,
        responses: topics.collect(),
        ..FetchResponse::default()
    };
    Ok(response.encode_frame(context.version, context.correlation_id)?)
}

pub(super) fn answer(poll: Poll, round: Round) -> Result<Answer, Closed> {
    let Poll { context, fetch, session, sessions, view, clock, targets, limits, throttle, .. } = poll;
    let told: Vec<PartitionAnswer> = round.reads.iter().map(as_told).collect();
    let mut response = FetchResponse {
        throttle_time_ms: i32::try_from(throttle.as_millis()).unwrap_or(i32::MAX),
        ..FetchResponse::default()
    };
    let read_committed = limits.read_committed;
    let mut all: Vec<_> = targets.iter().zip(round.reads).zip(&told).collect();
    // As Kafka: what is not here stands behind what was read, unknown topic ids before unknown partitions.
    all.sort_by_key(|((target, _), _)| {
        target.absent().map_or(0, |error| if error == ErrorCode::UnknownTopicId { 1 } else { 2 })
    });
    let all = all.into_iter();
    match fetch {
        FetchContext::Sessionless(_) => {
            all.for_each(|((target, read), _)| push(&mut response, target, read, read_committed));
        }
        FetchContext::Full(_) => {
            let cached =
                targets.iter().zip(&told).map(|(target, told)| (target.key.clone(), target.wanted, *told));
            response.session_id =
                sessions.lock().create(session, cached, random::positive_i32, clock.now().mono);
            all.for_each(|((target, read), _)| push(&mut response, target, read, read_committed));
        }
        FetchContext::Incremental(mut kept) => {
            response.session_id = kept.id();
            for ((target, read), told) in all {
                let is_news = target.slot.is_none_or(|slot| kept.settle(slot, told));
                if let Ok(read) = &read {
                    watches::rest(&mut kept, limits.replica, target, read);
                }
                if is_news {
                    push(&mut response, target, read, read_committed);
                }
            }
            sessions.lock().check_in(kept);
        }
    }
    if context.version >= FIRST_WITH_HINTS {
        hint(&mut response, &view.image(), &context.connection.listener, limits.replica.is_follower());
    }
    Ok(response.encode_frame(context.version, context.correlation_id)?)
}

/// Says who leads where this broker does not, or no longer in the epoch that the reader knows. Followers are not told
/// where: they follow the metadata log.
fn hint(response: &mut FetchResponse<LogSlice>, image: &MetadataImage, listener: &str, to_follower: bool) {
    let mut hints = LeaderHints::new(image, listener);
    for topic in &mut response.responses {
        for partition in &mut topic.partitions {
            let error = ErrorCode::from_code(partition.error_code);
            if matches!(error, Some(ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch)) {
                let (leader, epoch) = hints.leader(topic.topic_id, &topic.topic, partition.partition_index);
                let leader = LeaderIdAndEpoch { leader_id: leader.get(), leader_epoch: epoch.get() };
                partition.current_leader = Some(leader);
            }
        }
    }
    if !to_follower {
        response.node_endpoints = hints.into_endpoints();
    }
}

fn as_told(read: &Result<PartitionRead, ErrorCode>) -> PartitionAnswer {
    match read {
        Ok(read) => PartitionAnswer {
            high_watermark: read.high_watermark,
            log_start: read.log_start_offset,
            records_len: read.len(),
            is_error: false,
            redirects: read.redirects(),
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
    target: &Target,
    read: Result<PartitionRead, ErrorCode>,
    read_committed: bool,
) {
    let (topic, topic_id) = match &target.key.topic {
        FetchTopic::Id(id) => (StrBytes::new(), id.0),
        FetchTopic::Name(name) => (StrBytes::from_string(name.to_string()), uuid::Uuid::nil()),
    };
    let mut partition = one(target.key.partition, read, read_committed);
    if target.absent().is_some() {
        // Kafka's answer without a log has an empty list where that of a log that refused has none.
        partition.aborted_transactions = Some(Vec::new());
    }
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
            // What is not there is not read: of that Kafka sends an empty list, of a read that failed none.
            aborted_transactions: matches!(
                error,
                ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId
            )
            .then(Vec::new),
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
            preferred_read_replica: read.preferred.map_or(-1, BrokerId::get),
            // A reader whose log diverges is sent no transactions either.
            aborted_transactions: (read_committed && read.diverging.is_none()).then(Vec::new),
            records: read.slice.map(LogSlice).into_iter().collect(),
            ..FetchPartitionResponse::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader_hint::tests::{TOPIC_ID, image_led_by_another};

    fn response() -> FetchResponse<LogSlice> {
        let codes =
            [ErrorCode::NotLeaderOrFollower, ErrorCode::FencedLeaderEpoch, ErrorCode::OffsetOutOfRange];
        let partitions = codes.map(|code| one(0, Err(code), false)).into();
        let topic = FetchTopicResponse { topic: StrBytes::new(), topic_id: TOPIC_ID, partitions };
        FetchResponse { responses: vec![topic], ..FetchResponse::default() }
    }

    #[test]
    fn a_reader_in_the_wrong_place_or_epoch_is_told_who_leads() {
        let image = image_led_by_another();
        let mut told = response();
        hint(&mut told, &image, "PLAINTEXT", false);
        let leader = Some(LeaderIdAndEpoch { leader_id: 2, leader_epoch: 5 });
        let leaders: Vec<_> = told.responses[0].partitions.iter().map(|found| found.current_leader).collect();
        assert_eq!(leaders, [leader, leader, None]);
        let [node] = told.node_endpoints.as_slice() else { panic!("{:?}", told.node_endpoints) };
        assert_eq!((node.node_id.0, node.host.as_str(), node.port), (2, "other", 9092));
    }

    #[test]
    fn a_follower_is_told_who_leads_and_not_where() {
        let mut told = response();
        hint(&mut told, &image_led_by_another(), "PLAINTEXT", true);
        assert!(told.responses[0].partitions[0].current_leader.is_some());
        assert!(told.node_endpoints.is_empty());
    }
}
