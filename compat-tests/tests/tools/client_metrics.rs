//! kafka-client-metrics, and what clients then push (KIP-714).

use std::time::{Duration, Instant};

use ottla_compat_tests::target::Target;
use ottla_compat_tests::tools::{CLIENT_METRICS, CONSOLE_CONSUMER, PRODUCER_PERF};
use ottla_compat_tests::{http, needs};

use crate::{BROKER, create_topic, tool};

const PATIENCE: Duration = Duration::from_secs(30);

/// The value of the first series that begins so, once it is there.
fn shown(series: &str) -> f64 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, text) = http::get(BROKER.second_port(), "/metrics").expect("metrics");
        let value =
            text.lines().find_map(|line| line.strip_prefix(series)?.rsplit_once("} ")?.1.parse().ok());
        if let Some(value) = value {
            return value;
        }
        assert!(Instant::now() < deadline, "{series} is not in\n{text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The subscription `name` asks the client of the same name for all metrics.
fn subscribe(name: &str) {
    let pattern = format!("client_id={name},client_software_name=apache-kafka-java");
    let args = ["--alter", "--name", name, "--metrics", "*", "--interval", "100", "--match", &pattern];
    tool(CLIENT_METRICS, &args).ok().shows(&format!("Altered client metrics config for {name}."));
}

#[test]
fn subscriptions_are_made_shown_and_deleted() {
    needs!(Broker, Tools);
    let args = ["--alter", "--name", "kip714-s", "--metrics", "a.,b.", "--interval", "1000"];
    tool(CLIENT_METRICS, &[&args[..], &["--match", "client_id=nobody"]].concat()).ok();
    let described = tool(CLIENT_METRICS, &["--describe", "--name", "kip714-s"]).ok();
    assert_eq!(
        described.lines()[1..],
        ["  interval.ms=1000", "  match=client_id=nobody", "  metrics=a.,b."],
        "{described}"
    );
    tool(CLIENT_METRICS, &["--list"]).ok().shows("kip714-s");
    tool(CLIENT_METRICS, &["--delete", "--name", "kip714-s"]).ok();
    tool(CLIENT_METRICS, &["--list"]).ok().hides("kip714-s");
}

#[test]
fn a_java_producer_and_a_java_consumer_push_what_is_shown() {
    needs!(Broker, Tools);
    if Target::current() == Target::Kafka {
        return; // It shows metrics elsewhere, and only those that a plugin receives.
    }
    create_topic("kip714", 1);
    subscribe("kip714-p");
    subscribe("kip714-c");
    // Three seconds: what is sent last is not in the last push.
    let args = ["--topic", "kip714", "--num-records", "60", "--record-size", "10", "--throughput", "20"];
    tool(PRODUCER_PERF, &[&args[..], &["--command-property", "client.id=kip714-p"]].concat()).ok();
    let sent = "ottla_client_sum_total{metric=\"org.apache.kafka.producer.record.send.total\",client_id=\"kip714-p\"";
    let sent = shown(sent);
    assert!((20.0..=60.0).contains(&sent), "{sent} of 60, a few in each push");
    let args = ["--topic", "kip714", "--from-beginning", "--max-messages", "60", "--timeout-ms", "30000"];
    tool(CONSOLE_CONSUMER, &[&args[..], &["--command-property", "client.id=kip714-c"]].concat()).ok();
    let read = "ottla_client_sum_total{metric=\"org.apache.kafka.consumer.fetch.manager.records.consumed.total\",client_id=\"kip714-c\"";
    assert_eq!(shown(read), 60.0);
}
