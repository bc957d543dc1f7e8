//! The APIs that no conversation speaks, and why: none of them is advertised, which a test holds.

/// Name and reason. `malformed` frames are sent to these too.
pub const EXCLUDED: [(&str, &str); 26] = [
    ("SaslHandshake", SECURITY),
    ("SaslAuthenticate", SECURITY),
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
    ("AlterClientQuotas", QUOTAS),
];

const SECURITY: &str = "security is not there yet";
const TRANSACTIONS: &str = "transactions are not there yet";
const SHARE: &str = "share groups are not there yet";
const STREAMS: &str = "streams groups are not there yet";
const QUOTAS: &str = "quotas are not there yet";

pub fn is_excluded(api: &str) -> bool {
    EXCLUDED.iter().any(|(name, _)| *name == api)
}
