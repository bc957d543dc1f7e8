//! `UnregisterControllerResponse` v0 (4.4.0).

use kafka_protocol::protocol::StrBytes;

crate::part::message! {
    pub struct UnregisterControllerResponse {
        throttle_time_ms: i32 => 0..;
        error_code: i16 => 0..;
        error_message: Option<StrBytes> = None => 0.., nullable(0..);
    }
}
