//! The options of `ottla`.

use std::path::PathBuf;

use clap::Parser;
use clap::error::ErrorKind;

use crate::telemetry::LogFormat;

/// A broker that speaks Apache Kafka's protocol. Without options it starts a whole cluster of one node on
/// 127.0.0.1:9092, with its data in ./ottla-data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Parser)]
#[command(name = "ottla", version)]
pub struct Args {
    /// Kafka's own server.properties
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Take settings from where the apache/kafka container image takes them: /mnt/shared/config/server.properties if it
    /// is there, and KAFKA_* variables
    #[arg(long)]
    pub container: bool,

    /// Ask a running broker's metrics listener whether it is ready; exit 0 if it is
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub health_check: Option<String>,

    /// Join the cluster of the broker that serves clients there: without node.id under the next id that is free, and as a
    /// voter where that makes an odd number of them, up to ottla.join.voters.max
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub join: Option<String>,

    /// A setting that beats the file's; may be given many times
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = setting)]
    pub overrides: Vec<(String, String)>,

    /// Where logs and metadata are kept (log.dirs) [default: ./ottla-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Where clients are served [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT", value_parser = address)]
    pub listen: Option<String>,

    /// Where /metrics and /health are served, or off [default: 127.0.0.1:9404]
    #[arg(long, value_name = "HOST:PORT|off", value_parser = address_or_off)]
    pub metrics_listen: Option<String>,

    /// error, warn, info, debug, trace, or target=level,... [default: RUST_LOG, or info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,

    /// How a log line looks
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// Reads the process's arguments. What is not to be run is text to show: `Ok` of help for stdout, `Err` of one line
/// for stderr.
///
/// # Errors
/// The line that says which option is wrong, and how.
pub fn parse_args(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
) -> Result<Result<Args, String>, String> {
    match Args::try_parse_from(arguments) {
        Ok(args) => Ok(Ok(args)),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(one_line(&error.to_string())),
    }
}

/// What clap says, without its heading, its usage and its advice.
fn one_line(text: &str) -> String {
    let first = text.split("\n\n").next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

fn address(text: &str) -> Result<String, String> {
    let expected = || "expected HOST:PORT, the port from 0 to 65535".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
    let is_bare_v6 = host.contains(':') && !host.starts_with('[');
    if is_bare_v6 || port.parse::<u16>().is_err() {
        return Err(expected());
    }
    Ok(text.to_owned())
}

fn address_or_off(text: &str) -> Result<String, String> {
    if text == "off" {
        Ok(text.to_owned())
    } else {
        address(text).map_err(|error| format!("{error}, or off"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Result<Args, String>, String> {
        parse_args(std::iter::once("ottla").chain(arguments.iter().copied()).map(Into::into))
    }

    #[test]
    fn options_are_read() {
        let args = parse(&[
            "--config",
            "a.properties",
            "--override",
            "log.retention.ms=-1",
            "--override=x=a=b",
            "--listen",
            "[::1]:0",
            "--metrics-listen",
            "off",
            "--log-format",
            "json",
        ]);
        let expected = Args {
            config: Some("a.properties".into()),
            overrides: vec![
                ("log.retention.ms".to_owned(), "-1".to_owned()),
                ("x".to_owned(), "a=b".to_owned()),
            ],
            listen: Some("[::1]:0".to_owned()),
            metrics_listen: Some("off".to_owned()),
            log_format: LogFormat::Json,
            ..Args::default()
        };
        assert_eq!(args, Ok(Ok(expected)));
    }

    #[test]
    fn wrong_options_are_one_line() {
        for (arguments, expected) in [
            (
                &["--listen", "9092"][..],
                "invalid value '9092' for '--listen <HOST:PORT>': expected HOST:PORT",
            ),
            (
                &["--metrics-listen", "x"],
                "invalid value 'x' for '--metrics-listen <HOST:PORT|off>': expected",
            ),
            (&["--override", "x"], "invalid value 'x' for '--override <KEY=VALUE>': expected KEY=VALUE"),
            (&["--nothing"], "unexpected argument '--nothing' found"),
            (
                &["--log-format", "xml"],
                "invalid value 'xml' for '--log-format <FORMAT>' [possible values: text, json]",
            ),
        ] {
            let line = parse(arguments).expect_err("is wrong");
            assert!(line.starts_with(expected), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn help_and_version_are_shown() {
        let help = parse(&["--help"]).expect("shows").expect_err("does not run");
        assert!(help.contains("--override <KEY=VALUE>") && help.contains("server.properties"), "{help}");
        let version = parse(&["--version"]).expect("shows").expect_err("does not run");
        assert_eq!(version, format!("ottla {}\n", env!("CARGO_PKG_VERSION")));
    }
}
