//! Client libraries of other languages, in their newest and oldest version that runs here, for the programs in
//! `compat-tests/{python,node,go}`.

use super::{cache_dir, compat_dir, stamp};
use crate::command::{command, run, write};
use crate::error::Result;

/// Python environments in `.cache/clients/python-newest` and `-oldest`, with the libraries of `python/AGE.txt`.
pub(super) fn python() -> Result<()> {
    for age in AGES {
        let requirements = compat_dir().join(format!("python/{age}.txt"));
        let dir = cache_dir().join(format!("clients/python-{age}"));
        stamp::once(&dir, std::slice::from_ref(&requirements), |dir| {
            run(command("python3").args(["-m", "venv"]).arg(dir.join("venv")))?;
            run(command(dir.join("venv/bin/pip")).args(["install", "-q", "-r"]).arg(&requirements))?;
            write(&dir.join("ready"), "")
        })?;
    }
    Ok(())
}

const AGES: [&str; 2] = ["newest", "oldest"];

/// Node packages of `node/package.json`.
pub(super) fn node() -> Result<()> {
    let package = compat_dir().join("node/package.json");
    stamp::once(&cache_dir().join("clients/node"), std::slice::from_ref(&package), |dir| {
        run(command("cp").arg(&package).arg(dir))?;
        run(command("npm").current_dir(dir).args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-package-lock",
            "--silent",
        ]))?;
        write(&dir.join("ready"), "")
    })
}

/// Our Go programs over sarama and kafka-go, compiled to `.cache/clients/go/newest` (of `go.mod`) and `oldest`.
pub(super) fn go() -> Result<()> {
    let source = compat_dir().join("go");
    let inputs = ["go.mod", "go.sum", "oldest.mod", "oldest.sum", "main.go", "sarama.go", "kafkago.go"];
    stamp::once(&cache_dir().join("clients/go"), &inputs.map(|name| source.join(name)), |dir| {
        for (age, module) in AGES.into_iter().zip(["go.mod", "oldest.mod"]) {
            let mut build = command("go");
            build
                .current_dir(&source)
                .args(["build", &format!("-modfile={module}"), "-o"])
                .arg(dir.join(age))
                .arg(".");
            run(&mut build)?;
        }
        Ok(())
    })
}
