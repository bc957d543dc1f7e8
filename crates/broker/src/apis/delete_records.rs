//! DeleteRecords (KIP-107): moves the start of logs up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_model::{BrokerId, Offset};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use ottla_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse, TopicName};
use ottla_replication::Ticket;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::dispatch::{Handler, Reply, RequestContext};
use crate::error_map;
use crate::internal_topics::is_internal;
use crate::metadata_view::MetadataView;
use crate::partitions::opening::{OPENING_WAIT, all_over};
use crate::partitions::{Partition, Partitions, TopicKey};

/// Asks for everything below the high watermark.
const HIGH_WATERMARK: i64 = -1;

/// Works on the leaders on this broker.
#[derive(Clone, Debug)]
pub(crate) struct DeleteRecords {
    pub partitions: Arc<Partitions>,
    pub view: Arc<MetadataView>,
}

impl Handler for DeleteRecords {
    type Request = DeleteRecordsRequest;

    fn handle(&self, _: &RequestContext, request: DeleteRecordsRequest) -> Reply<DeleteRecordsResponse> {
        let named = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|asked| (TopicKey::Name(&topic.name), asked.partition_index))
        });
        let openings = self.partitions.opening(named);
        let deadline = Instant::now() + Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        if openings.is_empty() {
            let mut deletions = self.begin(&request);
            if settle(&mut deletions, &self.view) {
                return Reply::Ready(respond(deletions));
            }
            return Reply::parked(self.clone().wait(deletions, deadline));
        }
        let handler = self.clone();
        Reply::ordered(async move {
            all_over(openings, deadline.min(Instant::now() + OPENING_WAIT)).await;
            let deletions = handler.begin(&request);
            handler.wait(deletions, deadline).await
        })
    }
}

/// What has become of one partition's deletion.
#[derive(Debug)]
enum Deletion {
    Failed(ErrorCode),
    /// This log begins there now; followers' logs do not yet, as far as is known.
    Waiting {
        partition: Arc<Partition>,
        begins_at: Offset,
    },
    Done {
        low_watermark: Offset,
    },
}

type Deletions = BTreeMap<TopicName, BTreeMap<i32, Deletion>>;

impl DeleteRecords {
    fn begin(&self, request: &DeleteRecordsRequest) -> Deletions {
        // Of a partition that is named twice the last offset counts.
        let mut asked: BTreeMap<&TopicName, BTreeMap<i32, i64>> = BTreeMap::new();
        for (topic, partition) in request.topics.iter().flat_map(|t| t.partitions.iter().map(move |p| (t, p)))
        {
            asked.entry(&topic.name).or_default().insert(partition.partition_index, partition.offset);
        }
        let topics = asked.into_iter().map(|(name, partitions)| {
            let begun = partitions.into_iter().map(|(index, offset)| {
                (index, self.delete(name, index, offset).unwrap_or_else(Deletion::Failed))
            });
            (name.clone(), begun.collect())
        });
        topics.collect()
    }

    fn delete(&self, topic: &str, partition: i32, offset: i64) -> Result<Deletion, ErrorCode> {
        if is_internal(topic) {
            return Err(ErrorCode::InvalidTopicException);
        }
        let partition =
            self.partitions.by_name(topic, partition).map_err(|error| error_map::absent(&error))?;
        let upto = (offset != HIGH_WATERMARK).then_some(Offset(offset));
        let begins_at = partition.delete_records(upto).map_err(|error| error_map::partition(&error))?;
        Ok(Deletion::Waiting { partition, begins_at })
    }

    /// Waits until the followers on live brokers have followed, or the time is up.
    async fn wait(self, mut deletions: Deletions, deadline: Instant) -> DeleteRecordsResponse {
        let waiter = Arc::new(Notify::new());
        loop {
            // Before it is looked, so that nobody tells unseen in between.
            let parked = park(&deletions, &waiter);
            let is_over =
                settle(&mut deletions, &self.view) || timeout_at(deadline, waiter.notified()).await.is_err();
            parked.into_iter().for_each(|(partition, ticket)| partition.cancel_deletion(ticket));
            if is_over {
                return respond(deletions);
            }
        }
    }
}

fn park(deletions: &Deletions, waiter: &Arc<Notify>) -> Vec<(Arc<Partition>, Ticket)> {
    let waiting = deletions.values().flat_map(BTreeMap::values).filter_map(|deletion| match deletion {
        Deletion::Waiting { partition, .. } => Some(partition),
        Deletion::Failed(_) | Deletion::Done { .. } => None,
    });
    let parked = waiting
        .filter_map(|partition| Some((Arc::clone(partition), partition.park_deletion(Arc::clone(waiter))?)));
    parked.collect()
}

/// Looks whether the followers have followed; true if nobody is waited for any more.
fn settle(deletions: &mut Deletions, view: &MetadataView) -> bool {
    let image = view.image();
    let is_alive = |id: BrokerId| image.brokers().get(id).is_some_and(|broker| !broker.fenced);
    let mut is_complete = true;
    for deletion in deletions.values_mut().flat_map(BTreeMap::values_mut) {
        if let Deletion::Waiting { partition, begins_at } = deletion {
            match partition.low_watermark(is_alive) {
                Ok(low_watermark) if low_watermark >= *begins_at => {
                    *deletion = Deletion::Done { low_watermark };
                }
                Ok(_) => is_complete = false,
                Err(error) => *deletion = Deletion::Failed(error_map::partition(&error)),
            }
        }
    }
    is_complete
}

fn respond(deletions: Deletions) -> DeleteRecordsResponse {
    let topics = deletions.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(index, deletion)| {
            let (error, low_watermark) = match deletion {
                Deletion::Done { low_watermark } => (ErrorCode::None, low_watermark),
                // It goes on all the same.
                Deletion::Waiting { .. } => (ErrorCode::RequestTimedOut, Offset::NONE),
                Deletion::Failed(error) => (error, Offset::NONE),
            };
            DeleteRecordsPartitionResult::default()
                .with_partition_index(index)
                .with_low_watermark(low_watermark.get())
                .with_error_code(error.code())
        });
        DeleteRecordsTopicResult::default().with_name(name).with_partitions(partitions.collect())
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}
