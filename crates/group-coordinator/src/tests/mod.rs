//! Event scripts for the whole shard in its engine, on a fake clock and a log in memory.

mod bench;
mod classic_join;
mod classic_members;
mod classic_model;
mod consumer;
mod groups;
mod migration;
mod migration_transcripts;
mod offsets;
mod power;
mod replay;
