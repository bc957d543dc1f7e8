//! `cargo xtask dist`: what is shipped, in `target/dist`: an archive, and the file system of the container image.

use std::fs;
use std::path::Path;

use crate::command::{command, create_dir, remove_dir, root, run, target_dir, write};
use crate::error::{Error, Result};
use crate::release;

/// The only user of the image, the one that `apache/kafka` has.
const PASSWD: &str = "appuser:x:1000:1000::/var/lib/kafka:/sbin/nologin\n";
const GROUP: &str = "appuser:x:1000:\n";
/// Directories of the image: its volume, and where a file of settings is mounted.
const DIRS: [&str; 2] = ["var/lib/kafka/data", "mnt/shared/config"];

/// What goes beside the binary: the file, and where it is in the source tree.
const FILES: [(&str, &str); 4] = [
    ("server.properties", "packaging/server.properties"),
    ("ottla.service", "packaging/ottla.service"),
    ("README.md", "README.md"),
    ("LICENSE", "LICENSE"),
];

/// Builds and packs.
pub(crate) fn dist() -> Result<()> {
    release::build()?;
    pack()
}

/// Packs what was built.
pub(crate) fn pack() -> Result<()> {
    let dist = target_dir().join("dist");
    remove_dir(&dist)?;
    image(&dist.join("image"))?;
    let name = format!("ottla-{}-{}", env!("CARGO_PKG_VERSION"), release::host()?);
    archive(&dist, &name)
}

fn image(root: &Path) -> Result<()> {
    for dir in DIRS {
        create_dir(&root.join(dir))?;
    }
    stripped(&root.join("usr/bin"))?;
    create_dir(&root.join("etc"))?;
    write(&root.join("etc/passwd"), PASSWD)?;
    write(&root.join("etc/group"), GROUP)
}

fn archive(dist: &Path, name: &str) -> Result<()> {
    let dir = dist.join(name);
    stripped(&dir)?;
    for (to, from) in FILES {
        let to = dir.join(to);
        fs::copy(root().join(from), &to).map_err(|cause| Error::File { path: to, cause })?;
    }
    let file = format!("{name}.tar.gz");
    run(command("tar").current_dir(dist).args(["-czf", &file, name]))?;
    println!("{}", dist.join(file).display());
    Ok(())
}

/// The broker in `dir`, without what only a debugger reads.
fn stripped(dir: &Path) -> Result<()> {
    create_dir(dir)?;
    run(command("strip").arg("-o").arg(dir.join("ottla")).arg(release::broker()?))
}
