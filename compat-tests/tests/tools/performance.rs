//! The performance tools and the verifiable clients run to their end and count what they should.

use std::fs;

use ottla_compat_tests::needs;
use ottla_compat_tests::tools::{
    CONSUMER_PERF, E2E_LATENCY, PRODUCER_PERF, VERIFIABLE_CONSUMER, VERIFIABLE_PRODUCER, run_alone,
};

use crate::{BROKER, create_topic, tool};

#[test]
fn producer_and_consumer_performance() {
    needs!(Broker, Tools);
    create_topic("perf", 2);
    let args = ["--topic", "perf", "--num-records", "20000", "--record-size", "200", "--throughput", "-1"];
    tool(PRODUCER_PERF, &args).ok().shows("20000 records sent").shows("99.9th");
    let consumed = tool(CONSUMER_PERF, &["--topic", "perf", "--num-records", "20000"]).ok();
    let fields: Vec<&str> = consumed.lines().last().expect("a result").split(", ").collect();
    assert_eq!(fields[4], "20000", "{consumed}");
    assert_eq!(fields[2], "3.8147", "megabytes: {consumed}");
}

#[test]
fn end_to_end_latency() {
    needs!(Broker, Tools);
    let args = ["--topic", "e2e", "--num-records", "200", "--producer-acks", "all", "--record-size", "100"];
    tool(E2E_LATENCY, &args).ok().shows("Avg latency: ").shows("Percentiles: 50th = ");
}

#[test]
fn verifiable_producer_and_consumer_agree() {
    needs!(Broker, Tools);
    create_topic("verifiable", 1);
    let config = BROKER.dir().join("verifiable.properties");
    fs::write(&config, "enable.idempotence=true\nretries=100\n").expect("write a client's properties");
    let config = config.to_str().expect("a UTF-8 path");
    let address = BROKER.address();
    let args =
        ["--bootstrap-server", &address, "--topic", "verifiable", "--max-messages", "300", "--acks", "-1"];
    let produced = run_alone(VERIFIABLE_PRODUCER, &[&args[..], &["--command-config", config]].concat()).ok();
    assert_eq!(produced.out.matches("\"name\":\"producer_send_success\"").count(), 300, "{produced}");
    produced.shows(r#""name":"tool_data","sent":300,"acked":300"#);
    for protocol in ["classic", "consumer"] {
        let group = format!("verifiable-{protocol}");
        let args = ["--bootstrap-server", &address, "--topic", "verifiable", "--group-id", &group];
        let more = ["--group-protocol", protocol, "--max-messages", "300", "--reset-policy", "earliest"];
        let consumed = run_alone(VERIFIABLE_CONSUMER, &[&args[..], &more].concat()).ok();
        consumed.shows(r#""name":"offsets_committed""#).shows(r#""offset":300"#).shows(r#""success":true"#);
    }
}
