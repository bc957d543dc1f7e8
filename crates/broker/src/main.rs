//! The `ottla` binary.

use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ottla_broker::cli::run(std::env::args_os(), Instant::now())
}
