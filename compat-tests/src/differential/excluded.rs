//! The APIs that no conversation speaks, and why.

/// Name and reason. `malformed` frames are sent to these too.
pub const EXCLUDED: [(&str, &str); 34] = [
    ("SaslHandshake", SECURITY),
    ("SaslAuthenticate", SECURITY),
    ("CreateDelegationToken", SECURITY),
    ("RenewDelegationToken", SECURITY),
    ("ExpireDelegationToken", SECURITY),
    ("DescribeDelegationToken", SECURITY),
    ("DescribeUserScramCredentials", SECURITY),
    ("AlterUserScramCredentials", SECURITY),
    ("AddPartitionsToTxn", TRANSACTIONS),
    ("AddOffsetsToTxn", TRANSACTIONS),
    ("EndTxn", TRANSACTIONS),
    ("WriteTxnMarkers", TRANSACTIONS),
    ("TxnOffsetCommit", TRANSACTIONS),
    ("DescribeTransactions", TRANSACTIONS),
    ("ListTransactions", TRANSACTIONS),
    ("ShareGroupHeartbeat", SHARE),
    ("ShareGroupDescribe", SHARE),
    ("ShareFetch", SHARE),
    ("ShareAcknowledge", SHARE),
    ("InitializeShareGroupState", SHARE),
    ("ReadShareGroupState", SHARE),
    ("WriteShareGroupState", SHARE),
    ("DeleteShareGroupState", SHARE),
    ("ReadShareGroupStateSummary", SHARE),
    ("DescribeShareGroupOffsets", SHARE),
    ("AlterShareGroupOffsets", SHARE),
    ("DeleteShareGroupOffsets", SHARE),
    ("StreamsGroupHeartbeat", STREAMS),
    ("StreamsGroupDescribe", STREAMS),
    ("StreamsGroupTopologyDescriptionUpdate", STREAMS),
    ("AddRaftVoter", CLUSTER),
    ("RemoveRaftVoter", CLUSTER),
    ("UnregisterController", CLUSTER),
    ("AlterClientQuotas", QUOTAS),
];

const SECURITY: &str = "security";
const TRANSACTIONS: &str = "transactions";
const SHARE: &str = "share groups";
const STREAMS: &str = "streams groups";
const CLUSTER: &str = "more than one controller";
const QUOTAS: &str = "quotas are not there yet";

pub fn is_excluded(api: &str) -> bool {
    EXCLUDED.iter().any(|(name, _)| *name == api)
}
