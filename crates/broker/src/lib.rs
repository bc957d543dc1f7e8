//! The composition root: listeners, dispatch, one file an API handler, and the drivers that run the machines of the
//! crates below; as a library and as the `ottla` binary.
//!
//! Owns: sockets, tasks, threads, clocks, the mapping of errors to Kafka's codes.
//! Never: domain logic. What a partition, a group or the cluster decides is decided in its crate.

mod apis;
mod authorized_operations;
mod auto_topics;
pub mod cli;
mod client_metrics;
mod clock;
mod cluster;
#[cfg(test)]
mod cold_file;
mod cold_reads;
mod configs;
mod controller_server;
mod deadline;
mod dispatch;
mod error_map;
mod gauges;
mod groups;
mod home;
mod identity;
mod internal_topics;
mod join;
mod leader_hint;
mod log_config;
mod memory;
mod metadata_view;
mod net;
mod node;
mod node_base;
mod partitions;
mod producer_ids;
mod random;
mod registration;
mod replication;
mod server;
mod services;
mod serving;
mod start_error;
pub mod telemetry;
mod throttle;

pub use controller_server::ControllerServer;
pub use node::Node;
pub use server::Server;
pub use start_error::StartError;
