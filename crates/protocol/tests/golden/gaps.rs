//! What Kafka 4.4.0 speaks and we cannot read yet. Shorter is better; a test keeps it exact.

use ottla_protocol::{ApiKey, Direction};

const SHARE: &str = "share groups: later, with delivery counts and acquire modes of 4.2 and later";
const STREAMS: &str = "streams groups: later, no message of theirs is in the crate";
const TRANSACTIONS: &str = "transactions: later, with KIP-1228 and topic ids";
const QUORUM: &str = "controller quorum: not spoken between us, openraft has its own words";

const BOTH: &[Direction] = &[Direction::Request, Direction::Response];

/// Key, versions, directions, why.
pub(crate) const GAPS: &[(ApiKey, &[i16], &[Direction], &str)] = &[
    (ApiKey::WriteTxnMarkers, &[2], BOTH, TRANSACTIONS),
    (ApiKey::TxnOffsetCommit, &[6], BOTH, TRANSACTIONS),
    (ApiKey::BrokerHeartbeat, &[2], BOTH, QUORUM),
    (ApiKey::ShareFetch, &[2], BOTH, SHARE),
    (ApiKey::ShareAcknowledge, &[2], BOTH, SHARE),
    (ApiKey::WriteShareGroupState, &[1], BOTH, SHARE),
    (ApiKey::ReadShareGroupStateSummary, &[1], BOTH, SHARE),
    (ApiKey::StreamsGroupHeartbeat, &[0, 1], BOTH, STREAMS),
    (ApiKey::StreamsGroupDescribe, &[0, 1], BOTH, STREAMS),
    (ApiKey::DescribeShareGroupOffsets, &[1], BOTH, SHARE),
    (ApiKey::StreamsGroupTopologyDescriptionUpdate, &[0], BOTH, STREAMS),
];

pub(crate) fn is_gap(key: ApiKey, version: i16, direction: Direction) -> bool {
    GAPS.iter().any(|(gap, versions, directions, _)| {
        *gap == key && versions.contains(&version) && directions.contains(&direction)
    })
}
