//! One file an API; what stands in [`table`] is what the broker serves and advertises.

mod api_versions;
mod delete_records;
mod describe_producers;
mod fetch;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod produce;

use std::sync::Arc;

use crate::dispatch::{Api, Typed};
use crate::services::Services;

/// Every API that works, each with the one service it needs.
pub(crate) fn table(services: &Services) -> Vec<Box<dyn Api>> {
    let config = services.config.load();
    let mut apis: Vec<Box<dyn Api>> = vec![
        Box::new(produce::Produce {
            partitions: Arc::clone(&services.partitions),
            flusher: Arc::clone(&services.flusher),
            metrics: Arc::clone(&services.metrics),
            clock: services.clock,
        }),
        Box::new(fetch::Fetch {
            partitions: Arc::clone(&services.partitions),
            sessions: Arc::clone(&services.fetch_sessions),
            clock: services.clock,
            response_max_len: usize::try_from(config.fetch.response_bytes_max).unwrap_or(0),
        }),
        typed(list_offsets::ListOffsets { partitions: Arc::clone(&services.partitions) }),
        typed(delete_records::DeleteRecords { partitions: Arc::clone(&services.partitions) }),
        typed(describe_producers::DescribeProducers { partitions: Arc::clone(&services.partitions) }),
        typed(offset_for_leader_epoch::OffsetForLeaderEpoch { partitions: Arc::clone(&services.partitions) }),
        typed(metadata::Metadata {
            view: Arc::clone(&services.metadata),
            auto_topics: Arc::clone(&services.auto_topics),
        }),
    ];
    let advertised = apis.iter().map(|api| api.key()).chain([ottla_protocol::ApiKey::ApiVersions]);
    let mut advertised: Vec<_> = advertised.collect();
    advertised.sort_by_key(|key| key.code());
    apis.push(typed(api_versions::ApiVersions {
        metadata: Arc::clone(&services.metadata),
        identity: Arc::clone(&services.identity),
        advertised,
    }));
    apis
}

fn typed<H: crate::dispatch::Handler>(handler: H) -> Box<dyn Api> {
    Box::new(Typed(handler))
}
