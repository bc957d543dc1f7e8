//! Prometheus and promtool, unpacked from Debian's package: installed, it would run as a service.

use std::path::Path;

use super::{cache_dir, stamp};
use crate::command::{command, on_path, run};
use crate::error::{Error, Result};

/// Both programs in `.cache/prometheus/usr/bin`.
pub(super) fn unpack() -> Result<()> {
    stamp::once(&cache_dir().join("prometheus"), &[], |dir| {
        if !on_path("apt-get") {
            return Err(Error::Missing(vec!["apt-get, which brings the package prometheus".to_owned()]));
        }
        if download(dir).is_err() {
            // Of a machine that has no lists of packages, or old ones.
            run(command("apt-get").args(["update", "-q"]))?;
            download(dir)?;
        }
        let archive = "dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb";
        run(command("sh").current_dir(dir).args(["-c", archive]))
    })
}

fn download(dir: &Path) -> Result<()> {
    let unsandboxed = ["-o", "APT::Sandbox::User="];
    run(command("apt-get").current_dir(dir).args(["download", "-q"]).args(unsandboxed).arg("prometheus"))
}
