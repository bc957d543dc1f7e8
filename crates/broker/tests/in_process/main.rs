//! A whole broker in this process, on a free port and a directory of its own, talked to over the wire.

mod connections;
mod durability;
mod fetching;
mod readme;
mod support;
mod topics;
