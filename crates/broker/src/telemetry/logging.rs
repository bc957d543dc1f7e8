//! Logs: one line an event on stderr, text or JSON.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use super::Loggers;

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error(
        "invalid log filter \"{filter}\"; allowed: off, error, warn, info, debug, trace, or target=level,..."
    )]
    Filter { filter: String },
    #[error("logs are set up already: {0}")]
    Twice(#[from] TryInitError),
}

/// Sets up the process's logs, and gives their levels to be changed later. `filter` is `--log`, `environment` is
/// `RUST_LOG`; without both it is `info`.
///
/// # Errors
/// The filter does not parse, or logs were set up before.
pub fn init(
    filter: Option<&str>,
    environment: Option<&str>,
    format: LogFormat,
) -> Result<Arc<Loggers>, LoggingError> {
    let text = with_quiet(filter.or(environment).unwrap_or("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(parse_filter(&text)?).with_writer(OneLineStderr);
    match format {
        LogFormat::Text => {
            let builder = builder.with_ansi(io::stderr().is_terminal()).with_filter_reloading();
            let levels = builder.reload_handle();
            builder.finish().try_init()?;
            Ok(Loggers::new(&text, reloading(move |filter| levels.reload(filter))))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_span_list(false).with_filter_reloading();
            let levels = builder.reload_handle();
            builder.finish().try_init()?;
            Ok(Loggers::new(&text, reloading(move |filter| levels.reload(filter))))
        }
    }
}

fn reloading(reload: impl Fn(EnvFilter) -> Result<(), reload::Error>) -> impl Fn(EnvFilter) {
    move |filter| {
        if let Err(error) = reload(filter) {
            tracing::error!(%error, "log levels could not be changed");
        }
    }
}

/// A filter's text with the levels of quiet libraries that it does not name.
fn with_quiet(filter: &str) -> String {
    let unnamed = QUIET.iter().filter(|(target, _)| !filter.contains(target));
    let quiet = unnamed.map(|(target, level)| format!(",{target}={level}"));
    filter.to_owned() + &quiet.collect::<String>()
}

pub(super) fn parse_filter(filter: &str) -> Result<EnvFilter, LoggingError> {
    let bad = || LoggingError::Filter { filter: filter.to_owned() };
    let directives: Vec<&str> = filter.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    // A bare word would be a target at the lowest level: a misspelt level would log everything, or nothing.
    if directives.iter().any(|part| !part.contains('=') && part.parse::<LevelFilter>().is_err()) {
        return Err(bad());
    }
    // Values in a filter are matched as they stand: no pattern engine in memory for it.
    EnvFilter::builder().with_regex(false).parse(directives.join(",")).map_err(|_| bad())
}

/// Libraries that tell of every step of a quiet day; a filter that names them hears them.
const QUIET: [(&str, &str); 2] = [("openraft", "error"), ("sled", "error")];

/// Writes each event as one line, whatever a client put into a field.
struct OneLineStderr;

impl<'a> MakeWriter<'a> for OneLineStderr {
    type Writer = OneLine<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLine(io::stderr())
    }
}

/// The formatter hands over an event in one piece, its line's end last; line ends before it are escaped.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (body, end) = match event.split_last() {
            Some((b'\n', body)) => (body, "\n"),
            _ => (event, ""),
        };
        if body.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
            let line = String::from_utf8_lossy(body).replace('\n', "\\n").replace('\r', "\\r");
            self.0.write_all(format!("{line}{end}").as_bytes())?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_one_line() {
        let mut out = OneLine(Vec::new());
        out.write_all(b"client_id=a\nb\r INFO forged\n").expect("writes");
        out.write_all(b"plain\n").expect("writes");
        assert_eq!(out.0, b"client_id=a\\nb\\r INFO forged\nplain\n");
    }

    #[test]
    fn a_wrong_filter_names_itself_and_what_is_allowed() {
        for filter in ["ottla=loud", "loud"] {
            let error = parse_filter(filter).expect_err("no such level").to_string();
            assert!(
                error.starts_with(&format!("invalid log filter \"{filter}\"; allowed: off, error")),
                "{error}"
            );
        }
    }

    #[test]
    fn libraries_are_quiet_unless_they_are_named() {
        let quiet = with_quiet("warn,ottla_broker=debug");
        assert!(quiet.contains("openraft=error") && quiet.contains("ottla_broker=debug"), "{quiet}");
        let heard = with_quiet("info,openraft=debug");
        assert!(heard.contains("openraft=debug") && !heard.contains("openraft=error"), "{heard}");
    }
}
