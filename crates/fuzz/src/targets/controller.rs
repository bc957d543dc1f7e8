//! The controller's own files: segments and snapshots of the metadata log, and the values that are kept beside them.

use ottla_controller::fuzzing;

use super::Target;

pub(crate) const CONTROLLER_FILES: Target = Target {
    name: "controller-files",
    about: "what it is, then a file of the metadata log, a snapshot or a value: refused, or read, written and read again",
    run,
    quick: 10_000,
    seeds: || fuzzing::seeds().into_iter().map(|(choice, bytes)| [&[choice], &bytes[..]].concat()).collect(),
};

fn run(bytes: &[u8]) {
    if let Some((choice, bytes)) = bytes.split_first() {
        fuzzing::read(*choice, bytes);
    }
}
