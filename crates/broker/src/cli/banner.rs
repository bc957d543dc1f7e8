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
    pub start: Start<'a>,
}

/// How far the start has come, and how long after the process began.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// Clients are served, from all logs.
    Ready(Duration),
    /// Clients are served, but logs are still being recovered; the line says how many.
    Recovering(Duration, &'a str),
}

impl fmt::Display for Banner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = env!("CARGO_PKG_VERSION");
        match self.start {
            Start::Ready(after) => writeln!(f, "ottla {version} ready in {} ms", after.as_millis())?,
            Start::Recovering(after, line) => {
                writeln!(f, "ottla {version} serving after {} ms, not ready: {line}", after.as_millis())?;
            }
        }
        writeln!(f, "  listening  {}", self.addresses.join(", "))?;
        writeln!(f, "  cluster    {}", self.cluster_id)?;
        writeln!(f, "  data       {}", self.data_dir.display())?;
        match self.metrics {
            Some(address) => writeln!(f, "  metrics    http://{address}/metrics"),
            None => writeln!(f, "  metrics    off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_ready_does_not_say_so() {
        let first_line = |start| {
            let (addresses, data_dir) = (&["127.0.0.1:9092".to_owned()], Path::new("data"));
            let banner = Banner { addresses, cluster_id: "c", data_dir, metrics: None, start };
            banner.to_string().lines().next().map(str::to_owned).unwrap_or_default()
        };
        let version = env!("CARGO_PKG_VERSION");
        let after = Duration::from_millis(1_234);
        assert_eq!(first_line(Start::Ready(after)), format!("ottla {version} ready in 1234 ms"));
        let recovering = first_line(Start::Recovering(after, "recovered 12 of 100 logs in 0.9 s"));
        let expected =
            format!("ottla {version} serving after 1234 ms, not ready: recovered 12 of 100 logs in 0.9 s");
        assert_eq!(recovering, expected);
    }
}
