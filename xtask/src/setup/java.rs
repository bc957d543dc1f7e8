//! The official tools and the reference broker: jars through Maven, our own classes through javac.

use std::path::Path;

use super::{cache_dir, compat_dir, stamp};
use crate::command::{command, create_dir, run};
use crate::error::Result;

/// Classes of our own that run beside the tools.
const SOURCES: [&str; 2] = ["java/ToolRunner.java", "java/MainClasses.java"];

/// The tools' jars in `.cache/tools/libs`, our classes in `.cache/classes`.
pub(super) fn tools() -> Result<()> {
    let dir = cache_dir().join("tools");
    let pom = compat_dir().join("java/tools/pom.xml");
    stamp::once(&dir, std::slice::from_ref(&pom), |dir| copy_dependencies(&pom, dir))?;

    let sources = SOURCES.map(|source| compat_dir().join(source));
    let inputs = [&sources[..], &[pom]].concat();
    stamp::once(&cache_dir().join("classes"), &inputs, |classes| {
        run(command("javac")
            .arg("-cp")
            .arg(format!("{}/*", dir.join("libs").display()))
            .arg("-d")
            .arg(classes)
            .args(&sources))
    })
}

/// The jars of an Apache Kafka 4.4.0 broker in `.cache/reference/libs`.
pub(super) fn reference() -> Result<()> {
    let pom = compat_dir().join("java/reference/pom.xml");
    stamp::once(&cache_dir().join("reference"), std::slice::from_ref(&pom), |dir| {
        copy_dependencies(&pom, dir)
    })
}

fn copy_dependencies(pom: &Path, dir: &Path) -> Result<()> {
    let libs = dir.join("libs");
    create_dir(&libs)?;
    run(command("mvn")
        .args(["-q", "-B", "-f"])
        .arg(pom)
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", libs.display())))
}
