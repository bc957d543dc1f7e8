//! Tests of the real `ottla` binary with other people's clients and the official Kafka tools.
//!
//! Owns: the harness that starts a broker as a process, and thin drivers of the clients. It never links the broker:
//! what it knows of it comes through a socket, a signal or a file. `OTTLA_COMPAT_TARGET=kafka` runs the same tests
//! against a real Apache Kafka, which is how we know that a test asks for what Kafka does.
//!
//! Invariants: brokers listen on free ports of 127.0.0.1 only, or on hosts of a network of their own ([`network`]); every process that a test starts dies with the test
//! process, however that ends; nothing is left outside the target directory.

pub mod admin;
pub mod broker;
pub mod cluster;
pub mod crash;
pub mod differential;
pub mod dump;
pub mod failover;
pub mod http;
pub mod kcat;
pub mod layout;
pub mod ledger;
pub mod librdkafka;
pub mod listed;
pub mod needs;
pub mod network;
pub mod nodes;
pub mod outcomes;
pub mod partition;
pub mod process;
pub mod rng;
pub mod scoreboard;
pub mod small_disk;
pub mod steady;
pub mod suite_list;
pub mod survival;
pub mod target;
pub mod tools;
pub mod transcript;
pub mod wire;

pub use broker::{Broker, free_ports};
pub use cluster::{Cluster, FoundBy, Role};
pub use target::Target;
