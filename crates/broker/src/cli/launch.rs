//! From the options and the file to the broker's settings.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use ottla_config::{BrokerConfig, ConfigError, ConfigMap, Join, Listener, Properties, Warning};

use super::{Args, container};

/// What a broker is started with.
#[derive(Debug)]
pub struct Launch {
    pub config: BrokerConfig,
    /// What the operator should know of the file, a line each.
    pub warnings: Vec<Warning>,
}

/// Why the options and the file make no broker.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// Not Java Properties syntax, or a value of the file: `line` is where it stands.
    #[error("{}{}: {error}", path.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    File { path: PathBuf, line: Option<usize>, error: ConfigError },
    /// A value of the command line, or one that several settings make together.
    #[error(transparent)]
    Setting(#[from] ConfigError),
}

impl Launch {
    /// Reads the file that the options name, if they name one, and puts the options over it.
    ///
    /// # Errors
    /// One line that names the file, the line, the key, the value and what is allowed.
    pub fn prepare(args: &Args) -> Result<Self, LaunchError> {
        let mounted = if args.container { container::mounted() } else { None };
        let Some(path) = &args.config.clone().or(mounted) else {
            let settings = settings(ConfigMap::new(), args);
            let (config, warnings) = BrokerConfig::load(settings.clone())?;
            return Ok(Self { config: joinable(config, &settings, args), warnings });
        };
        let properties = read(path)?;
        let of_file = properties.iter().map(|(name, property)| (name.to_owned(), property.value.clone()));
        let settings = settings(of_file.collect(), args);
        match BrokerConfig::load(settings.clone()) {
            Ok((config, warnings)) => Ok(Self { config: joinable(config, &settings, args), warnings }),
            Err(error) => Err(locate(path, &properties, &settings, error)),
        }
    }
}

/// A node of both roles whose file names no other can be joined, and can join: at a listener for controllers, at the port after
/// its first one, unless the file names one.
fn joinable(mut config: BrokerConfig, settings: &ConfigMap, args: &Args) -> BrokerConfig {
    let (roles, controller) = (config.node.roles, &mut config.controller);
    let is_open = controller.voters.is_empty() && controller.bootstrap_servers.is_empty();
    if !(roles.broker && roles.controller && is_open) {
        return config;
    }
    let has_id = ["node.id", "broker.id"].iter().any(|name| settings.contains_key(*name));
    controller.join = args.join.as_deref().and_then(|address| {
        let (host, port) = address.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Join { host, port: port.parse().ok()?, takes_id: !has_id })
    });
    let net = &mut config.net;
    if let (true, Some(served), Some(advertised)) =
        (net.controller_listeners.is_empty(), net.listeners.first(), net.advertised_listeners.first())
    {
        let name = settings.get("controller.listener.names").and_then(|names| names.split(',').next());
        let name = name.map(str::trim).filter(|name| !name.is_empty()).unwrap_or("CONTROLLER").to_owned();
        let port = if served.port == 0 { 0 } else { served.port.checked_add(1).unwrap_or(0) };
        let (at, told) = (served.host.clone(), advertised.host.clone());
        net.controller_listeners = vec![Listener { name: name.clone(), host: at, port }];
        net.advertised_controller_listeners = vec![Listener { name, host: told, port }];
        config.controller.listener_is_implied = true;
    }
    config
}

fn read(path: &Path) -> Result<Properties, LaunchError> {
    let bytes =
        std::fs::read(path).map_err(|source| LaunchError::Unreadable { path: path.to_owned(), source })?;
    Properties::parse(&bytes).map_err(|error| match error {
        ConfigError::Syntax { line, reason } => LaunchError::File {
            path: path.to_owned(),
            line: None,
            error: ConfigError::Syntax { line, reason },
        },
        error => LaunchError::Setting(error),
    })
}

/// Says where a wrong value stands, if it is the file's and not the command line's.
fn locate(path: &Path, properties: &Properties, settings: &ConfigMap, error: ConfigError) -> LaunchError {
    let property = error.name().and_then(|name| Some((properties.get(name)?, settings.get(name)?)));
    match property {
        Some((property, used)) if property.value == *used => {
            LaunchError::File { path: path.to_owned(), line: Some(property.line), error }
        }
        _ => LaunchError::Setting(error),
    }
}

/// The file's settings under a container's under `--override` under the options of their own.
fn settings(mut settings: ConfigMap, args: &Args) -> ConfigMap {
    if args.container {
        // A name or value that is not Unicode is none of Kafka's.
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        settings = container::settings(settings, std::env::vars_os().filter_map(text));
    }
    settings.extend(args.overrides.iter().cloned());
    if let Some(dir) = &args.data_dir {
        settings.insert("log.dirs".to_owned(), dir.display().to_string());
    }
    if let Some(address) = &args.metrics_listen {
        settings.insert("ottla.metrics.listen".to_owned(), address.clone());
    }
    if let Some(address) = &args.listen {
        let listeners = listen(&settings, address);
        settings.insert("listeners".to_owned(), listeners);
    }
    settings
}

/// `listeners` with one broker listener, at this address; the controller's stay.
fn listen(settings: &ConfigMap, address: &str) -> String {
    let names = settings.get("controller.listener.names").map_or("CONTROLLER", String::as_str);
    let is_controller = |entry: &&str| {
        let name = entry.split("://").next().unwrap_or_default();
        names.split(',').any(|controller| controller.trim().eq_ignore_ascii_case(name.trim()))
    };
    let listeners = settings.get("listeners").map_or("", String::as_str);
    let entries = listeners.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let (controller, served): (Vec<&str>, Vec<&str>) = entries.partition(is_controller);
    let name_of = |entry: Option<&&str>| Some(entry?.split_once("://")?.0.to_owned());
    if settings.get("process.roles").is_some_and(|roles| roles.trim() == "controller") {
        // Nobody else is served than who asks for a controller.
        let name = name_of(controller.first())
            .unwrap_or_else(|| names.split(',').next().unwrap_or_default().to_owned());
        return format!("{name}://{}", everywhere(address));
    }
    let name = name_of(served.first()).unwrap_or_else(|| "PLAINTEXT".to_owned());
    let own = format!("{name}://{}", everywhere(address));
    std::iter::once(own.as_str()).chain(controller).collect::<Vec<_>>().join(",")
}

/// An address that means every interface is written without a host: clients are told the machine's name then.
fn everywhere(address: &str) -> &str {
    address.strip_prefix("0.0.0.0").or_else(|| address.strip_prefix("[::]")).unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("made");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    fn with_file(file: &tempfile::NamedTempFile) -> Args {
        Args { config: Some(file.path().to_owned()), ..Args::default() }
    }

    fn address(launch: &Launch) -> String {
        let listener = &launch.config.net.listeners[0];
        format!("{}://{}:{}", listener.name, listener.host, listener.port)
    }

    #[test]
    fn options_beat_overrides_beat_the_file() {
        let file = file("log.dirs=/file\nnum.partitions=2\nmessage.max.bytes=7\nlisteners=PLAINTEXT://:1\n");
        let args = Args {
            overrides: vec![
                ("log.dirs".to_owned(), "/override".to_owned()),
                ("num.partitions".to_owned(), "3".to_owned()),
            ],
            data_dir: Some("/option".into()),
            listen: Some("127.0.0.1:2".to_owned()),
            metrics_listen: Some("off".to_owned()),
            ..with_file(&file)
        };
        let launch = Launch::prepare(&args).expect("prepares");
        assert_eq!(launch.config.log.dirs, [PathBuf::from("/option")]);
        assert_eq!(launch.config.topics.num_partitions, 3);
        assert_eq!(launch.config.net.metrics_listen, None);
        assert_eq!(address(&launch), "PLAINTEXT://127.0.0.1:2");
    }

    #[test]
    fn listen_keeps_names_and_the_controllers_listener() {
        let file = file(
            "listeners=CLIENTS://:1,CONTROLLER://:2\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT\n",
        );
        let args = Args { listen: Some("0.0.0.0:3".to_owned()), ..with_file(&file) };
        let launch = Launch::prepare(&args).expect("prepares");
        assert_eq!(address(&launch), "CLIENTS://:3");
        assert_eq!(launch.config.net.controller_listeners.len(), 1);
    }

    #[test]
    fn a_controller_alone_listens_with_its_own_listener() {
        let file = file(
            "process.roles=controller\ncontroller.listener.names=C\ncontroller.quorum.voters=1@h:2\n\
             listeners=C://:2\nlistener.security.protocol.map=C:PLAINTEXT\n",
        );
        let args = Args { listen: Some("127.0.0.1:3".to_owned()), ..with_file(&file) };
        let net = Launch::prepare(&args).expect("prepares").config.net;
        assert_eq!((net.listeners.len(), net.controller_listeners.len()), (0, 1));
        assert_eq!((net.controller_listeners[0].name.as_str(), net.controller_listeners[0].port), ("C", 3));
    }

    #[test]
    fn errors_name_file_line_key_value_and_what_is_allowed() {
        let wrong = file("# a comment\nnum.partitions=0\n");
        let path = wrong.path().display().to_string();
        let line = Launch::prepare(&with_file(&wrong)).expect_err("is wrong").to_string();
        assert_eq!(
            line,
            format!("{path}:2: Invalid value 0 for configuration num.partitions: Value must be at least 1")
        );

        let args =
            Args { overrides: vec![("num.partitions".to_owned(), "x".to_owned())], ..with_file(&wrong) };
        let line = Launch::prepare(&args).expect_err("is wrong").to_string();
        assert_eq!(line, "Invalid value x for configuration num.partitions: Not a number of type INT");

        let malformed = file("a=1\nb=\\u12\n");
        let line = Launch::prepare(&with_file(&malformed)).expect_err("is wrong").to_string();
        let path = malformed.path().display().to_string();
        assert_eq!(line, format!("{path}: line 2: Malformed \\uxxxx encoding."));

        let args = Args { config: Some("/no/such/file".into()), ..Args::default() };
        let line = Launch::prepare(&args).expect_err("is missing").to_string();
        assert!(line.starts_with("cannot read /no/such/file: No such file"), "{line}");
    }
}
