//! The loggers that tools see and change while the broker runs (KIP-412): the root and the parts of this program.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;

use super::logging::parse_filter;

/// The logger that every other falls back to.
pub(crate) const ROOT: &str = "root";
/// The loggers beside the root: `tracing`'s targets, each with what is below it.
const TARGETS: [&str; 6] = ["openraft", "ottla", "ottla_broker", "ottla_controller", "ottla_storage", "sled"];

/// A level by log4j's name, as Kafka's tools write it. Nothing here logs FATAL: it silences, as OFF does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Off,
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    const ALL: [(&str, Self); 7] = [
        ("OFF", Self::Off),
        ("FATAL", Self::Fatal),
        ("ERROR", Self::Error),
        ("WARN", Self::Warn),
        ("INFO", Self::Info),
        ("DEBUG", Self::Debug),
        ("TRACE", Self::Trace),
    ];

    /// A level that a request may set; OFF is none (`LogLevelConfig.VALID_LOG_LEVELS`).
    pub(crate) fn settable(name: &str) -> Option<Self> {
        Self::named(name).filter(|level| *level != Self::Off)
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, level)| level)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, level)| *level == self).map_or("OFF", |(name, _)| name)
    }

    /// As a filter writes it.
    const fn directive(self) -> &'static str {
        match self {
            Self::Off | Self::Fatal => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Has the process's logs follow a new filter.
type Apply = Box<dyn Fn(EnvFilter) + Send + Sync>;

/// The levels of this process's loggers.
pub struct Loggers {
    levels: Mutex<Levels>,
    apply: Apply,
}

#[derive(Debug)]
struct Levels {
    root: LogLevel,
    /// Those with a level of their own.
    own: BTreeMap<&'static str, LogLevel>,
    /// What the filter at the start says beyond loggers and levels; it holds beside them.
    rest: Vec<String>,
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loggers").field("levels", &self.levels).finish_non_exhaustive()
    }
}

impl Loggers {
    /// Loggers that begin as a filter says (`--log`) and tell `apply` of each change.
    #[must_use]
    pub fn new(filter: &str, apply: impl Fn(EnvFilter) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { levels: Mutex::new(Levels::of(filter)), apply: Box::new(apply) })
    }

    pub(crate) fn exists(name: &str) -> bool {
        name == ROOT || TARGETS.contains(&name)
    }

    /// Every logger with the level that holds for it.
    pub(crate) fn all(&self) -> Vec<(&'static str, LogLevel)> {
        let levels = self.levels.lock();
        let of = |name: &'static str| (name, levels.own.get(name).copied().unwrap_or(levels.root));
        std::iter::once((ROOT, levels.root)).chain(TARGETS.into_iter().map(of)).collect()
    }

    /// Sets a logger's level; `None` has it follow the root. What does not exist is passed over.
    pub(crate) fn set(&self, name: &str, level: Option<LogLevel>) {
        let mut levels = self.levels.lock();
        match (TARGETS.into_iter().find(|target| *target == name), level) {
            (Some(target), Some(level)) => drop(levels.own.insert(target, level)),
            (Some(target), None) => drop(levels.own.remove(target)),
            (None, Some(level)) if name == ROOT => levels.root = level,
            (None, _) => return,
        }
        match parse_filter(&levels.filter()) {
            Ok(filter) => (self.apply)(filter),
            Err(error) => tracing::error!(%error, "log levels could not be changed"),
        }
    }
}

impl Levels {
    fn of(filter: &str) -> Self {
        let mut levels = Self { root: LogLevel::Off, own: BTreeMap::new(), rest: Vec::new() };
        for directive in filter.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let level = |text: &str| LogLevel::named(&text.to_ascii_uppercase());
            match directive.split_once('=') {
                None => levels.root = level(directive).unwrap_or(levels.root),
                Some((name, text)) => match (TARGETS.into_iter().find(|known| *known == name), level(text)) {
                    (Some(target), Some(level)) => drop(levels.own.insert(target, level)),
                    _ => levels.rest.push(directive.to_owned()),
                },
            }
        }
        levels
    }

    fn filter(&self) -> String {
        let mut directives = vec![self.root.directive().to_owned()];
        let of = |name: &'static str| {
            let level = self.own.get(name).copied().unwrap_or(self.root);
            format!("{name}={}", level.directive())
        };
        directives.extend(TARGETS.into_iter().map(of));
        directives.extend(self.rest.iter().cloned());
        directives.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(loggers: &Loggers) -> BTreeMap<&'static str, &'static str> {
        loggers.all().into_iter().map(|(name, level)| (name, level.name())).collect()
    }

    #[test]
    fn a_level_holds_for_its_logger_and_the_root_for_the_others() {
        let applied = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&applied);
        let loggers = Loggers::new("info,openraft=error,ottla_broker::net=debug", move |filter| {
            *seen.lock() = filter.to_string();
        });
        assert_eq!(levels(&loggers)["root"], "INFO");
        assert_eq!(levels(&loggers)["openraft"], "ERROR");
        assert_eq!(levels(&loggers)["ottla_storage"], "INFO");

        loggers.set("ottla_storage", Some(LogLevel::Trace));
        assert_eq!(levels(&loggers)["ottla_storage"], "TRACE");
        let filter = applied.lock().clone();
        assert!(
            filter.contains("ottla_storage=trace") && filter.contains("ottla_broker::net=debug"),
            "{filter}"
        );

        loggers.set(ROOT, Some(LogLevel::Fatal));
        assert_eq!(levels(&loggers)["root"], "FATAL");
        assert_eq!(levels(&loggers)["ottla_broker"], "FATAL");
        assert!(applied.lock().contains("ottla_broker=off"));
        loggers.set("ottla_storage", None);
        assert_eq!(levels(&loggers)["ottla_storage"], "FATAL");
    }
}
