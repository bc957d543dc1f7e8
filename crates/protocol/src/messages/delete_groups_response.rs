//! `DeleteGroupsResponse` v0-3 (4.4.0); v3 adds a message per group (KIP-1331).

use kafka_protocol::messages::GroupId;
use kafka_protocol::protocol::StrBytes;

crate::part::message! {
    pub struct DeleteGroupsResponse {
        throttle_time_ms: i32 => 0..;
        results: Vec<DeletableGroupResult> => 0..;
    }

    pub struct DeletableGroupResult {
        group_id: GroupId => 0..;
        error_code: i16 => 0..;
        error_message: Option<StrBytes> = None => 3.., nullable(3..), ignorable;
    }
}
