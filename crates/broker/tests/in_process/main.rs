//! A whole broker in this process, on a free port and a directory of its own, talked to over the wire.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

mod admin;
mod client_metrics;
mod cluster_view;
mod cold;
mod configs;
mod connections;
mod controllers;
mod damage;
mod damaged_records;
mod durability;
mod effects;
mod fetching;
mod full_disk;
mod groups;
mod log_dirs;
mod metrics;
mod picky_clients;
mod power_cut;
mod readme;
mod recovery;
mod support;
mod surface;
mod topics;
