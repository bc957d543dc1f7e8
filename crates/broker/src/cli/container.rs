//! The entry point of a container: settings come from where the `apache/kafka` image takes them, so that what deploys
//! that image keeps its variables, files and volumes. Source: `docker/examples/README.md` and
//! `kafka.docker.KafkaDockerWrapper` of Kafka.

use std::path::{Path, PathBuf};

use ottla_config::ConfigMap;

/// Where a file of settings is mounted.
const MOUNTED: &str = "/mnt/shared/config/server.properties";
/// Where the image has its volume.
const DATA_DIR: &str = "/var/lib/kafka/data";
/// Reached from outside the container, where its port is published.
const METRICS_LISTEN: &str = "0.0.0.0:9404";
/// What is served and named to clients if nobody says anything: what the image's own `server.properties` says.
const LISTENERS: [(&str, &str); 2] =
    [("listeners", "PLAINTEXT://:9092"), ("advertised.listeners", "PLAINTEXT://localhost:9092")];

const PREFIX: &str = "KAFKA_";

/// Variables that begin as settings do and are for a JVM or for logging by log4j.
const NO_SETTINGS: [&str; 11] = [
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JMX_OPTS",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_OPTS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_VERSION",
];

/// The mounted file, if there is one.
pub(super) fn mounted() -> Option<PathBuf> {
    Some(PathBuf::from(MOUNTED)).filter(|path| Path::exists(path))
}

/// The settings of a container: the variables' over the mounted file's; without any, those of the image.
pub(super) fn settings(
    mut of_file: ConfigMap,
    variables: impl IntoIterator<Item = (String, String)>,
) -> ConfigMap {
    of_file.extend(of_variables(variables));
    let mut settings = of_file;
    if settings.keys().all(|key| key.starts_with("ottla.")) {
        settings.extend(LISTENERS.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    // `log.dir` is the older name of `log.dirs`.
    if !settings.contains_key("log.dir") {
        settings.entry("log.dirs".to_owned()).or_insert_with(|| DATA_DIR.to_owned());
    }
    settings.entry("ottla.metrics.listen".to_owned()).or_insert_with(|| METRICS_LISTEN.to_owned());
    settings
}

/// The settings among `variables`. Listeners that are only advertised are listened for on every interface; the id that
/// Kafka's storage is formatted with (`CLUSTER_ID`) is that of a new cluster.
fn of_variables(variables: impl IntoIterator<Item = (String, String)>) -> ConfigMap {
    let mut settings = ConfigMap::new();
    for (name, value) in variables {
        if name == "CLUSTER_ID" {
            settings.insert("ottla.cluster.id".to_owned(), value);
        } else if let Some(key) = key(&name) {
            settings.insert(key, value);
        }
    }
    if !settings.contains_key("listeners")
        && let Some(advertised) = settings.get("advertised.listeners")
    {
        let listeners = advertised.split(',').map(everywhere).collect::<Vec<_>>().join(",");
        settings.insert("listeners".to_owned(), listeners);
    }
    settings
}

/// `_` stands for a dot, two of them for one, three for a dash.
fn key(variable: &str) -> Option<String> {
    let name = variable.strip_prefix(PREFIX).filter(|_| !NO_SETTINGS.contains(&variable))?;
    let key = name.to_lowercase().replace('_', ".").replace("...", "-").replace("..", "_");
    Some(key).filter(|key| !key.is_empty())
}

/// `NAME://HOST:PORT` without its host, which means every interface.
fn everywhere(listener: &str) -> String {
    match (listener.split_once("://"), listener.rsplit_once(':')) {
        (Some((name, _)), Some((_, port))) => format!("{}://:{port}", name.trim()),
        _ => listener.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        of_variables(variables).into_iter().collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn names_become_keys() {
        assert_eq!(key("KAFKA_ABC_DEF").as_deref(), Some("abc.def"));
        assert_eq!(key("KAFKA_ABC__DEF").as_deref(), Some("abc_def"));
        assert_eq!(key("KAFKA_ABC___DEF").as_deref(), Some("abc-def"));
        assert_eq!(of(&[("KAFKA_NODE_ID", "1"), ("PATH", "/bin")]), [pair("node.id", "1")]);
        assert_eq!(of(&[("KAFKA_HEAP_OPTS", "-Xmx1g"), ("KAFKA_", "x")]), []);
    }

    #[test]
    fn what_is_advertised_is_listened_for_unless_it_says_where() {
        let advertised =
            ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT_HOST://localhost:9092, PLAINTEXT://[::1]:19092");
        let given = of(&[advertised]);
        assert!(given.contains(&pair("listeners", "PLAINTEXT_HOST://:9092,PLAINTEXT://:19092")), "{given:?}");
        let given = of(&[advertised, ("KAFKA_LISTENERS", "PLAINTEXT://:1")]);
        assert!(given.contains(&pair("listeners", "PLAINTEXT://:1")), "{given:?}");
    }

    #[test]
    fn the_cluster_has_the_id_that_storage_would_be_formatted_with() {
        assert_eq!(
            of(&[("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw")]),
            [pair("ottla.cluster.id", "4L6g3nShT-eMCtK--X86sw")]
        );
    }
    #[test]
    fn a_container_without_settings_serves_localhost_and_one_with_settings_what_they_say() {
        let map = |pairs: &[(&str, &str)]| -> ConfigMap {
            pairs.iter().map(|(key, value)| pair(key, value)).collect()
        };
        let named = [("log.dirs", DATA_DIR), ("ottla.metrics.listen", METRICS_LISTEN)];
        let nothing = settings(ConfigMap::new(), []);
        assert_eq!(nothing, map(&[&LISTENERS[..], &named].concat()));
        let file = map(&[("num.partitions", "3"), ("log.dir", "/data")]);
        let both = settings(file, [pair("KAFKA_NUM_PARTITIONS", "4")]);
        assert_eq!(both, map(&[("num.partitions", "4"), ("log.dir", "/data"), named[1]]));
    }

    /// The settings of each service of a compose file that runs our image.
    fn of_services(file: &str) -> Vec<ConfigMap> {
        let mut services: Vec<Vec<(String, String)>> = Vec::new();
        for line in file.lines() {
            let is_ours = line.trim() == "image: ottla";
            if is_ours {
                services.push(Vec::new());
            }
            if let (Some((name, value)), Some(service)) = (line.split_once(": "), services.last_mut())
                && let Some(name) = name.strip_prefix("      ").filter(|name| name.starts_with(PREFIX))
            {
                service.push(pair(name, value.trim_matches('\'')));
            }
        }
        services.into_iter().map(|variables| settings(ConfigMap::new(), variables)).collect()
    }

    #[test]
    fn our_compose_files_say_what_is_accepted() {
        let one = of_services(include_str!("../../../../docker/compose.yaml"));
        assert_eq!(one.len(), 1);
        ottla_config::BrokerConfig::from_static(one[0].clone()).expect("is accepted");

        let three = of_services(include_str!("../../../../docker/compose.cluster.yaml"));
        assert_eq!(three.len(), 3);
        for (at, settings) in three.iter().enumerate() {
            ottla_config::BrokerConfig::from_static(settings.clone()).expect("is accepted");
            let id = (at + 1).to_string();
            assert_eq!(settings["node.id"], id);
            let name = format!("ottla-{id}");
            assert!(settings["advertised.listeners"].contains(&format!("PLAINTEXT://{name}:19092")));
            let voters: Vec<&str> = settings["controller.quorum.voters"].split(',').collect();
            assert!(voters.contains(&format!("{id}@{name}:9093").as_str()), "{voters:?}");
            assert_eq!((voters.len(), settings["listeners"].contains("CONTROLLER://:9093")), (3, true));
        }
        let voters = |settings: &ConfigMap| settings["controller.quorum.voters"].clone();
        assert!(three.iter().all(|settings| voters(settings) == voters(&three[0])), "the same at each");
    }
}
