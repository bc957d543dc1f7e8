//! Other projects' own test suites: fetched by their package managers, compiled once.

use std::path::{Path, PathBuf};

use super::{cache_dir, compat_dir, stamp};
use crate::command::{cargo, command, output, read, run, shown, write};
use crate::error::{Error, Result};

/// franz-go's live tests, compiled to `.cache/kgo/kgo.test`; the version stands in `kgo-suite/module.txt`.
pub(super) fn kgo() -> Result<()> {
    let module = compat_dir().join("kgo-suite/module.txt");
    stamp::once(&cache_dir().join("kgo"), std::slice::from_ref(&module), |dir| {
        let version = read(&module)?;
        let mut download = command("go");
        download.current_dir(dir).args(["mod", "download", "-json", version.trim()]);
        let json: serde_json::Value =
            serde_json::from_str(&output(&mut download)?).map_err(|e| Error::Metadata(e.to_string()))?;
        let source =
            json["Dir"].as_str().ok_or_else(|| Error::Metadata("no Dir in go's answer".to_owned()))?;
        // Go compiles a module's tests only inside the module, and the module cache is read-only.
        let copy = dir.join("franz-go");
        run(command("cp").arg("-r").arg(source).arg(&copy))?;
        run(command("chmod").args(["-R", "u+w"]).arg(&copy))?;
        run(command("go")
            .current_dir(copy.join("pkg/kgo"))
            .args(["test", "-c", "-o"])
            .arg(dir.join("kgo.test"))
            .arg("."))
    })
}

/// The rdkafka crate's integration tests; `.cache/rdkafka/suite.txt` names the compiled binaries, one a line:
/// suite, tab, path. The version stands in `rdkafka-suite/Cargo.toml`.
pub(super) fn rdkafka() -> Result<()> {
    let manifest = compat_dir().join("rdkafka-suite/Cargo.toml");
    stamp::once(&cache_dir().join("rdkafka"), std::slice::from_ref(&manifest), |dir| {
        let copy = dir.join("source");
        run(command("cp").arg("-r").arg(rdkafka_source(&manifest)?).arg(&copy))?;
        // The copy lies inside our tree, and must not take our workspace for its own.
        let copied = copy.join("Cargo.toml");
        let text = read(&copied)?;
        write(&copied, &format!("{text}\n[workspace]\n"))?;
        let mut build = cargo();
        build
            .current_dir(&copy)
            .args(["test", "--no-run", "--tests", "--message-format=json"])
            .arg("--target-dir")
            .arg(dir.join("target"))
            .env("CARGO_PROFILE_TEST_DEBUG", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        let messages = output(&mut build)?;
        let suites: Vec<String> = messages.lines().filter_map(test_binary).collect();
        if suites.is_empty() {
            return Err(Error::Failed { command: shown(&build), status: "no test binary".to_owned() });
        }
        write(&dir.join("suite.txt"), &suites.join("\n"))
    })
}

/// Where cargo keeps the source of the rdkafka version that the manifest names.
fn rdkafka_source(manifest: &Path) -> Result<PathBuf> {
    let mut metadata = cargo();
    metadata.args(["metadata", "--format-version", "1", "--manifest-path"]).arg(manifest);
    let json: serde_json::Value =
        serde_json::from_str(&output(&mut metadata)?).map_err(|e| Error::Metadata(e.to_string()))?;
    let packages = json["packages"].as_array();
    let found = packages.into_iter().flatten().find(|package| package["name"] == "rdkafka");
    let manifest = found.and_then(|package| package["manifest_path"].as_str());
    let source = manifest.and_then(|path| Path::new(path).parent());
    source.map(Path::to_path_buf).ok_or_else(|| Error::Metadata("no package rdkafka".to_owned()))
}

/// `suite TAB path` of a compiler message that reports a binary of integration tests.
fn test_binary(message: &str) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let target = &message["target"];
    let is_test = target["kind"].as_array()?.iter().any(|kind| kind == "test");
    let name = target["name"].as_str().filter(|name| is_test && name.starts_with("test_"))?;
    Some(format!("{name}\t{}", message["executable"].as_str()?))
}

/// librdkafka's own tests, compiled to `.cache/librdkafka/build/tests/test-runner`. The rdkafka suite's build has the
/// library that they are linked with, in the version that `librdkafka-suite/version.txt` names.
pub(super) fn librdkafka() -> Result<()> {
    rdkafka()?;
    let inputs =
        ["rdkafka-suite/Cargo.toml", "librdkafka-suite/version.txt"].map(|name| compat_dir().join(name));
    stamp::once(&cache_dir().join("librdkafka"), &inputs, |dir| {
        let build = dir.join("build");
        run(command("cp").arg("-r").arg(built_librdkafka()?).arg(&build))?;
        // The library lies there compiled; -O1 halves the time that the tests need for it. Two of them want RapidJSON.
        let flags = build.join("Makefile.config");
        let text = read(&flags)?;
        let wanted = read(&inputs[1])?;
        if !text
            .lines()
            .any(|line| line.starts_with("RDKAFKA_VERSION_STR=") && wanted.trim().ends_with(version(line)))
        {
            return Err(Error::Metadata(format!(
                "{} is not the version built for the rdkafka suite",
                wanted.trim()
            )));
        }
        write(&flags, &text.replace("-g -O2", "-O1 -DWITH_RAPIDJSON=1"))?;
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        run(command("make").current_dir(build.join("tests")).args([
            "-s",
            &format!("-j{jobs}"),
            "test-runner",
        ]))
    })
}

/// librdkafka's performance tool, of the same build; where it is.
pub(crate) fn rdkafka_performance() -> Result<PathBuf> {
    librdkafka()?;
    let tool = cache_dir().join("rdkafka-performance");
    let version = compat_dir().join("librdkafka-suite/version.txt");
    stamp::once(&tool, &[version], |dir| {
        let examples = cache_dir().join("librdkafka/build/examples");
        run(command("make").current_dir(&examples).args(["-s", "rdkafka_performance"]))?;
        run(command("cp").arg(examples.join("rdkafka_performance")).arg(dir))
    })?;
    Ok(tool.join("rdkafka_performance"))
}

/// `2.12.1` of `RDKAFKA_VERSION_STR=  2.12.1`.
fn version(line: &str) -> &str {
    line.rsplit(['=', '\t', ' ']).next().unwrap_or(line)
}

/// Where the rdkafka suite's build compiled librdkafka: the one directory of its build scripts that holds its makefile.
fn built_librdkafka() -> Result<PathBuf> {
    let builds = cache_dir().join("rdkafka/target/debug/build");
    let entries = std::fs::read_dir(&builds).map_err(|cause| Error::File { path: builds.clone(), cause })?;
    let mut found = entries.flatten().map(|entry| entry.path().join("out"));
    let found =
        found.find(|out| out.join("Makefile.config").exists() && out.join("src/librdkafka.so").exists());
    found.ok_or_else(|| Error::Metadata(format!("no librdkafka below {}", builds.display())))
}
