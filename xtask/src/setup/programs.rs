//! Programs of the distribution: installed with apt when we are root, named when we are not.

use crate::command::{command, on_path, output, run};
use crate::error::{Error, Result};

/// A program that tests use and the Debian package that brings it.
const PROGRAMS: [(&str, &str); 16] = [
    ("kcat", "kcat"),
    ("java", "openjdk-17-jdk-headless"),
    ("javac", "openjdk-17-jdk-headless"),
    ("mvn", "maven"),
    ("go", "golang"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("python3", "python3"),
    ("gcc", "build-essential"),
    ("g++", "build-essential"),
    ("make", "build-essential"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("strace", "strace"),
    ("ip", "iproute2"),
    ("buildah", "buildah"),
];

/// A header that foreign C code includes and the Debian package that brings it.
const HEADERS: [(&str, &str); 2] =
    [("/usr/include/zlib.h", "zlib1g-dev"), ("/usr/include/rapidjson/document.h", "rapidjson-dev")];

/// Installs what is missing.
pub(super) fn install() -> Result<()> {
    let mut packages: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !on_path(program)).map(|(_, package)| *package).collect();
    let is_missing = |header: &str| !std::path::Path::new(header).exists();
    packages.extend(HEADERS.iter().filter(|(header, _)| is_missing(header)).map(|(_, package)| *package));
    if !python_has_venv() {
        packages.push("python3-venv");
    }
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    if !on_path("apt-get") || !is_root() {
        let missing = packages.iter().map(|package| format!("package {package}")).collect();
        return Err(Error::Missing(missing));
    }
    run(command("apt-get").args(["update", "-q"]))?;
    run(command("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "-y", "-q", "--no-install-recommends"])
        .args(packages))
}

fn is_root() -> bool {
    output(command("id").arg("-u")).is_ok_and(|uid| uid.trim() == "0")
}

fn python_has_venv() -> bool {
    on_path("python3") && run(command("python3").args(["-c", "import venv, ensurepip"])).is_ok()
}
