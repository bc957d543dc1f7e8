//! `ApiVersionsRequest` v0-5 (4.4.0); v5 adds what the client believes it is talking to (KIP-1242).

use kafka_protocol::protocol::StrBytes;

crate::part::message! {
    /// What a client that has just connected says about itself.
    pub struct ApiVersionsRequest {
        client_software_name: StrBytes => 3.., ignorable;
        client_software_version: StrBytes => 3.., ignorable;
        /// The cluster that the client means to reach; comes with `node_id` or not at all.
        cluster_id: Option<StrBytes> = None => 5.., nullable(5..), ignorable;
        /// The node that the client means to reach; -1 if it does not say.
        node_id: i32 = -1 => 5.., ignorable;
    }
}
