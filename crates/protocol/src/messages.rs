//! Every message in one place: those of the `kafka-protocol` crate (Kafka 4.1's schemas), and ours where it lags behind
//! 4.4.0, under the same names, field names and types, so that no handler can tell which is which.
//!
//! Ours have no `unknown_tagged_fields`: unknown tags are skipped.

pub mod add_raft_voter_request;
pub mod api_versions_request;
pub mod delete_groups_response;
pub mod describe_log_dirs_response;
pub mod fetch_request;
pub mod offset_commit_request;
pub mod offset_fetch_request;
pub mod produce_response;
pub mod unregister_controller_request;
pub mod unregister_controller_response;

mod apis;
mod convert;

pub use kafka_protocol::messages::*;
pub use kafka_protocol::protocol::StrBytes;

pub use crate::ApiKey;
pub use add_raft_voter_request::AddRaftVoterRequest;
pub use api_versions_request::ApiVersionsRequest;
pub use delete_groups_response::DeleteGroupsResponse;
pub use describe_log_dirs_response::DescribeLogDirsResponse;
pub use fetch_request::FetchRequest;
pub use offset_commit_request::OffsetCommitRequest;
pub use offset_fetch_request::OffsetFetchRequest;
pub use produce_response::ProduceResponse;
pub use unregister_controller_request::UnregisterControllerRequest;
pub use unregister_controller_response::UnregisterControllerResponse;

#[cfg(test)]
mod tests;
