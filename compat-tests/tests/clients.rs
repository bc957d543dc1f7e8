//! Small programs over other languages' client libraries, each in its newest and oldest version that runs here:
//! produce, consume, groups, admin, errors.

use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use ottla_client::{Client, ConnectionConfig};
use ottla_compat_tests::layout::{cache_dir, crate_dir};
use ottla_compat_tests::outcomes::Outcomes;
use ottla_compat_tests::process::{bound_command, run};
use ottla_compat_tests::scoreboard::{conclude, read_list};
use ottla_compat_tests::suite_list::Scope;
use ottla_compat_tests::target::Target;
use ottla_compat_tests::{Broker, http, needs};
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{IncrementalAlterConfigsRequest, StrBytes};

const LIMIT: Duration = Duration::from_secs(600);

/// Every library against a broker of its own, and all that they came to against the list.
#[test]
fn listed_cases_pass() {
    needs!(Broker, Python, Node, Go);
    let list = read_list("clients");
    let wanted = list.must_pass(Scope::current());
    let mut outcomes = Outcomes::default();
    for age in ["newest", "oldest"] {
        for library in ["confluent-kafka", "kafka-python", "aiokafka", "kafkajs", "sarama", "kafka-go"] {
            let prefix = format!("{library}/{age}/");
            if wanted.iter().any(|name| name.starts_with(&prefix)) || Scope::current() == Scope::Whole {
                outcomes.extend(cases(library, age, &prefix));
            }
        }
    }
    conclude("clients", &outcomes);
}

fn cases(library: &str, age: &str, prefix: &str) -> Outcomes {
    let broker = Broker::start();
    let mut command = match library {
        "kafkajs" => kafkajs(age),
        "sarama" | "kafka-go" => bound_command(cache_dir().join("clients/go").join(age)),
        _ => python(age),
    };
    if library != "kafkajs" {
        command.arg(library);
    }
    command.arg(broker.address());
    let output = run(command, None, LIMIT);
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("failed ") || !output.status.success() {
        println!("{library} {age}: {}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        println!("{}", broker.log_tail());
    }
    Outcomes::from_programs(prefix, &text)
}

fn python(age: &str) -> Command {
    let mut command = interpreter(age);
    command.arg(crate_dir().join("python/clients.py"));
    command
}

/// Python with the libraries of that age.
fn interpreter(age: &str) -> Command {
    let mut command = bound_command(cache_dir().join(format!("clients/python-{age}/venv/bin/python")));
    command.arg("-B");
    command
}

fn kafkajs(age: &str) -> Command {
    let mut node = bound_command("node");
    node.env("NODE_PATH", cache_dir().join("clients/node/node_modules"));
    node.arg(crate_dir().join("node/clients.js")).arg(age);
    node
}

/// Heartbeats twice a second, so that a group gets through many steps in little time.
fn rolls(strategy: &str) {
    static BROKER: LazyLock<Broker> = LazyLock::new(|| {
        Broker::start_with(&[
            ("group.consumer.min.heartbeat.interval.ms", "500"),
            ("group.consumer.heartbeat.interval.ms", "500"),
            ("group.initial.rebalance.delay.ms", "0"),
        ])
    });
    let mut command = interpreter("newest");
    command.arg(crate_dir().join("python/rolling.py")).args([strategy, &BROKER.address()]);
    let output = run(command, None, Duration::from_secs(300));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success() && text(&output.stdout).trim_end().ends_with("ok"),
        "{}\n{}\n{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[test]
fn eager_members_roll_to_the_consumer_protocol_and_back() {
    needs!(Broker, Python);
    rolls("range");
}

#[test]
fn cooperative_members_roll_to_the_consumer_protocol_and_back() {
    needs!(Broker, Python);
    rolls("cooperative-sticky");
}

/// librdkafka as it comes asks for what is wanted of its metrics, and pushes it (KIP-714).
#[test]
fn librdkafka_pushes_its_metrics() {
    needs!(Broker, Python);
    if Target::current() == Target::Kafka {
        return; // It shows metrics elsewhere, and only those that a plugin receives.
    }
    let broker = Broker::start();
    subscribe(&broker.address());
    let mut command = interpreter("newest");
    command.arg(crate_dir().join("python/push_metrics.py"));
    command.args([&broker.address(), "kip714", "kip714-python", "3"]);
    let output = run(command, None, LIMIT);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (_, text) = http::get(broker.second_port(), "/metrics").expect("metrics");
    let is_pushed = |line: &&str| {
        line.starts_with("ottla_client_gauge{metric=\"org.apache.kafka.producer.request.latency.avg\"")
            && line.contains("client_id=\"kip714-python\"")
    };
    assert!(text.lines().any(|line| is_pushed(&line)), "{text}");
    let software = "client_software_name=\"confluent-kafka-python\"";
    assert!(
        text.lines().any(|line| line.starts_with("ottla_client_info{") && line.contains(software)),
        "{text}"
    );
}

/// Asks all clients for all their metrics ten times a second.
fn subscribe(address: &str) {
    let settings = [("metrics", "*"), ("interval.ms", "100")];
    let configs = settings.map(|(name, value)| {
        AlterableConfig::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_static_str(value)))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(16)
        .with_resource_name(StrBytes::from_static_str("all"))
        .with_configs(configs.to_vec());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(async {
        let client = Client::connect(address, ConnectionConfig::default()).await.expect("connects");
        client.call(&request).await.expect("an answer")
    });
    assert_eq!(answer.responses[0].error_code, 0, "{:?}", answer.responses[0].error_message);
}
