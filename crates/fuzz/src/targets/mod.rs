//! The targets by name.

mod batches;
mod bodies;
mod controller;
mod damage;
mod frames;
mod logs;
mod otlp;
mod properties;
mod records;

/// One thing that bytes are thrown at.
#[derive(Debug)]
pub struct Target {
    pub name: &'static str,
    /// What the bytes are, and what must hold.
    pub about: &'static str,
    /// Panics when what must hold does not.
    pub run: fn(&[u8]),
    /// Wounded inputs that the test command tries: fewer where one takes long.
    pub quick: usize,
    /// Inputs that go deep, for a run to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

pub const TARGETS: &[Target] = &[
    frames::FRAMES,
    bodies::REQUESTS,
    bodies::RESPONSES,
    batches::BATCHES,
    batches::SECTIONS,
    logs::APPENDS,
    damage::PARTITION_DIR,
    damage::LOG_DIR,
    controller::CONTROLLER_FILES,
    records::METADATA,
    records::GROUPS,
    properties::PROPERTIES,
    otlp::OTLP,
];

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
