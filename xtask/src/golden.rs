//! `cargo xtask golden`: makes the golden vectors again with the Java programs committed beside them.
//!
//! The programs run against Apache Kafka 4.4.0's own classes. What is made is written over what is committed, so
//! `git diff` shows what changed; nothing should, unless a program did.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::command::{command, create_dir, remove_dir, root, run, target_dir};
use crate::error::{Error, Result};
use crate::setup;

/// One committed program.
struct Maker {
    /// Its file, from the root; it runs in this file's directory.
    source: &'static str,
    class: &'static str,
    arguments: &'static [&'static str],
    /// The file its stdout goes to, if it does not write files itself.
    stdout: Option<&'static str>,
}

const MAKERS: [Maker; 9] = [
    Maker {
        source: "crates/model/testdata/BatchVectors.java",
        class: "BatchVectors",
        arguments: &["make"],
        stdout: Some("batches.txt"),
    },
    Maker {
        source: "crates/protocol/testdata/GoldenVectors.java",
        class: "GoldenVectors",
        arguments: &["golden"],
        stdout: None,
    },
    Maker {
        source: "crates/metadata/testdata/RecordVectors.java",
        class: "RecordVectors",
        arguments: &[],
        stdout: Some("records.txt"),
    },
    Maker {
        source: "crates/config/testdata/ValidationVectors.java",
        class: "ValidationVectors",
        arguments: &[],
        stdout: Some("validation.tsv"),
    },
    Maker {
        source: "crates/config/testdata/GroupVectors.java",
        class: "GroupVectors",
        arguments: &[],
        stdout: Some("groups.tsv"),
    },
    Maker {
        source: "crates/config/testdata/PropertiesVectors.java",
        class: "PropertiesVectors",
        arguments: &[],
        stdout: Some("properties.tsv"),
    },
    Maker {
        source: "crates/group-coordinator/testdata/GroupRecords.java",
        class: "GroupRecords",
        arguments: &[],
        stdout: Some("records.tsv"),
    },
    Maker {
        source: "crates/group-coordinator/testdata/ConsumerGroupVectors.java",
        class: "ConsumerGroupVectors",
        arguments: &["."],
        stdout: None,
    },
    Maker {
        source: "crates/group-coordinator/testdata/ConsumerGroupTranscripts.java",
        class: "org.apache.kafka.coordinator.group.ConsumerGroupTranscripts",
        arguments: &["consumer_group_transcripts.txt"],
        stdout: None,
    },
];

/// Runs every maker and shows what changed.
pub(crate) fn make() -> Result<()> {
    setup::run(true)?;
    let classes = target_dir().join("golden-classes");
    for maker in &MAKERS {
        println!("==> {}", maker.source);
        remove_dir(&classes)?;
        create_dir(&classes)?;
        maker.run(&classes)?;
    }
    run(command("git").args(["diff", "--stat", "--", "crates"]))
}

impl Maker {
    fn run(&self, classes: &Path) -> Result<()> {
        let source = root().join(self.source);
        let libs = format!("{}/*", setup::reference_libs().display());
        run(command("javac").args(["-nowarn", "-cp", &libs, "-d"]).arg(classes).arg(&source))?;

        let dir = source.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut java = command("java");
        java.current_dir(&dir).arg("-cp").arg(format!("{}:{libs}", classes.display()));
        java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error").arg(self.class).args(self.arguments);
        if let Some(name) = self.stdout {
            java.stdout(Stdio::from(create(dir.join(name))?));
        }
        run(&mut java)
    }
}

fn create(path: PathBuf) -> Result<File> {
    File::create(&path).map_err(|cause| Error::File { path, cause })
}
