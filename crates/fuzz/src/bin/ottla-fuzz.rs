//! libFuzzer's program: runs the target that `OTTLA_FUZZ_TARGET` names. `cargo xtask fuzz` calls it.

#![no_main]
#![allow(unsafe_code, reason = "the macro exports the function that libFuzzer calls")]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use ottla_fuzz::{Target, target};

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

fuzz_target!(|bytes: &[u8]| {
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var("OTTLA_FUZZ_TARGET").expect("OTTLA_FUZZ_TARGET names the target");
        target(&name).unwrap_or_else(|| panic!("there is no target {name}"))
    });
    (chosen.run)(bytes);
});
