//! `cargo xtask fuzz`: hostile bytes by libFuzzer, which looks at what code they reach.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, command, create_dir, output, run, target_dir};
use crate::error::{Error, Result};
use crate::release;

/// Counters in the code, and every check that a debug build has; works on a stable compiler.
const RUSTFLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1";
const SECONDS: u64 = 60;
/// A body or a file longer than this reaches nothing that a shorter one does not.
const LEN_MAX: u32 = 4_096;
/// An input that takes as long, in seconds, is a fault of its own.
const HANG_SECONDS: u32 = 10;
/// MiB after which a run is out of memory; libFuzzer's own tables are most of it.
const RSS_MIB: u32 = 2_048;

struct Options {
    targets: Vec<String>,
    seconds: u64,
    keep: bool,
}

impl Options {
    fn read(args: &[String]) -> Result<Self> {
        let mut options = Self { targets: Vec::new(), seconds: SECONDS, keep: false };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--keep" => options.keep = true,
                "--seconds" => {
                    let seconds = args.next().and_then(|text| text.parse().ok());
                    options.seconds = seconds.ok_or_else(|| Error::Usage("--seconds".to_owned()))?;
                }
                name => options.targets.push(name.to_owned()),
            }
        }
        Ok(options)
    }
}

/// Runs each target (all without names) for `--seconds`; with `--keep`, what reached new code becomes part of the
/// committed corpus. A fault ends it, and libFuzzer says which file holds the input.
pub(crate) fn fuzz(args: &[String]) -> Result<()> {
    let options = Options::read(args)?;
    let (fuzzer, corpus) = (build()?, corpus_tool()?);
    let all = output(command(&corpus).arg("list"))?;
    let known: Vec<&str> = all.lines().collect();
    let chosen = if options.targets.is_empty() {
        known.iter().map(ToString::to_string).collect()
    } else {
        options.targets
    };
    for target in &chosen {
        let dir = target_dir().join("fuzz/corpus").join(target);
        create_dir(&dir)?;
        run(command(&corpus).arg("write").arg(target).arg(&dir))?;
        let artifacts = target_dir().join("fuzz/faults").join(target);
        create_dir(&artifacts)?;
        println!("== {target}: {} s", options.seconds);
        run(fuzzer_command(&fuzzer, target)
            .arg(format!("-max_total_time={}", options.seconds))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(["-print_final_stats=1", "-verbosity=0", "-reload=0"])
            .arg(&dir))?;
        if options.keep {
            keep(&fuzzer, &corpus, target, &dir)?;
        }
    }
    Ok(())
}

fn fuzzer_command(fuzzer: &Path, target: &str) -> Command {
    let mut fuzzer = command(fuzzer);
    fuzzer.env("OTTLA_FUZZ_TARGET", target);
    fuzzer.args([
        format!("-max_len={LEN_MAX}"),
        format!("-timeout={HANG_SECONDS}"),
        format!("-rss_limit_mb={RSS_MIB}"),
    ]);
    fuzzer
}

/// The fewest inputs that reach what all of them reach.
fn keep(fuzzer: &Path, corpus: &Path, target: &str, dir: &Path) -> Result<()> {
    let least = target_dir().join("fuzz/least").join(target);
    if least.exists() {
        std::fs::remove_dir_all(&least).map_err(|cause| Error::File { path: least.clone(), cause })?;
    }
    create_dir(&least)?;
    run(fuzzer_command(fuzzer, target).args(["-merge=1", "-verbosity=0"]).arg(&least).arg(dir))?;
    run(command(corpus).arg("keep").arg(target).arg(&least))
}

/// In a directory of its own, and for a named target, so that build scripts stay without counters.
fn build() -> Result<PathBuf> {
    let host = release::host()?;
    let dir = target_dir().join("fuzz/build");
    run(cargo()
        .args([
            "build",
            "--release",
            "--package",
            "ottla-fuzz",
            "--features",
            "libfuzzer",
            "--bin",
            "ottla-fuzz",
        ])
        .args(["--target", &host, "--target-dir"])
        .arg(&dir)
        .env("RUSTFLAGS", RUSTFLAGS)
        .env("CARGO_PROFILE_RELEASE_LTO", "off"))?;
    Ok(dir.join(host).join("release/ottla-fuzz"))
}

fn corpus_tool() -> Result<PathBuf> {
    run(cargo().args(["build", "--package", "ottla-fuzz", "--bin", "ottla-fuzz-corpus"]))?;
    Ok(target_dir().join("debug/ottla-fuzz-corpus"))
}
