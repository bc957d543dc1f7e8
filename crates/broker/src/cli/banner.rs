//! The few lines that a started broker greets with.

use std::fmt;
use std::path::Path;
use std::time::Duration;

/// What a newcomer needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Banner<'a> {
    pub addresses: &'a [String],
    pub cluster_id: &'a str,
    pub data_dir: &'a Path,
    /// `None`: switched off.
    pub metrics: Option<std::net::SocketAddr>,
    /// From the start of the process until clients are served.
    pub ready_after: Duration,
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ottla {} ready in {} ms", env!("CARGO_PKG_VERSION"), self.ready_after.as_millis())?;
        writeln!(f, "  listening  {}", self.addresses.join(", "))?;
        writeln!(f, "  cluster    {}", self.cluster_id)?;
        writeln!(f, "  data       {}", self.data_dir.display())?;
        match self.metrics {
            Some(address) => writeln!(f, "  metrics    http://{address}/metrics"),
            None => writeln!(f, "  metrics    off"),
        }
    }
}
