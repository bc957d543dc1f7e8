//! Wrong use: the user sees what Kafka's user would see.

use ottla_compat_tests::tools::{
    CONSOLE_CONSUMER, CONSOLE_PRODUCER, PRODUCER_PERF, Ran, TOPICS, run_bare, run_with_stdin,
};
use ottla_compat_tests::{Broker, needs};

use crate::{BROKER, create_topic, tool};

fn produce(topic: &str, properties: &[&str], lines: &str) -> Ran {
    let mut args = vec!["--topic", topic];
    for property in properties {
        args.extend(["--command-property", property]);
    }
    run_with_stdin(&BROKER, CONSOLE_PRODUCER, &args, lines)
}

#[test]
fn record_over_the_topics_limit_is_refused() {
    needs!(Broker, Tools);
    let create = ["--create", "--topic", "w-limit", "--config", "max.message.bytes=1000"];
    tool(TOPICS, &create).ok();
    produce("w-limit", &[], &format!("{}\n", "x".repeat(5000)))
        .shows("RecordTooLargeException: The request included a message larger than the max message size the server will accept.");
    produce("w-limit", &[], "small\n").ok().hides("Exception");
}

#[test]
fn record_over_the_producers_limit_is_refused_by_the_client() {
    needs!(Broker, Tools);
    create_topic("w-client-limit", 1);
    produce("w-client-limit", &[], &format!("{}\n", "x".repeat(1_100_000))).shows("RecordTooLargeException");
}

#[test]
fn record_without_a_key_is_refused_by_a_compacted_topic() {
    needs!(Broker, Tools);
    tool(TOPICS, &["--create", "--topic", "w-compact", "--config", "cleanup.policy=compact"]).ok();
    produce("w-compact", &[], "no key\n")
        .shows("InvalidRecordException: Compacted topic cannot accept message without key in topic partition w-compact-0");
}

#[test]
fn unknown_topic_without_auto_creation_is_named() {
    needs!(Broker, Tools);
    let broker = Broker::start_with(&[("auto.create.topics.enable", "false")]);
    let properties = ["--topic", "w-nowhere", "--command-property", "max.block.ms=3000"];
    run_with_stdin(&broker, CONSOLE_PRODUCER, &properties, "lost\n")
        .shows("UNKNOWN_TOPIC_OR_PARTITION")
        .shows("TimeoutException: Topic w-nowhere not present in metadata after 3000 ms.");
}

#[test]
fn unknown_topic_is_created_on_first_use() {
    needs!(Broker, Tools);
    produce("w-auto", &[], "first\n").ok();
    let args = ["--topic", "w-auto", "--from-beginning", "--max-messages", "1", "--timeout-ms", "20000"];
    assert_eq!(tool(CONSOLE_CONSUMER, &args).ok().lines(), ["first"]);
    tool(TOPICS, &["--describe", "--topic", "w-auto"]).ok().shows("PartitionCount: 1");
}

#[test]
fn internal_topic_cannot_be_created_by_name_with_a_bad_name() {
    needs!(Broker, Tools);
    for (name, why) in [
        (".", "Topic name is invalid: '.' is not allowed"),
        ("..", "Topic name is invalid: '..' is not allowed"),
    ] {
        tool(TOPICS, &["--create", "--topic", name]).fails().shows(why);
    }
    tool(TOPICS, &["--create", "--topic", &"x".repeat(250)])
        .fails()
        .shows("the length of 'xxx")
        .shows("is longer than the max allowed length 249");
}

#[test]
fn stopped_broker_is_a_timeout() {
    needs!(Broker, Tools);
    let [port] = ottla_compat_tests::broker::free_ports();
    let address = format!("127.0.0.1:{port}");
    let config = BROKER.dir().join("short-timeouts.properties");
    std::fs::write(&config, "default.api.timeout.ms=3000\nrequest.timeout.ms=2000\n")
        .expect("write properties");
    let config = config.to_str().expect("a UTF-8 path");
    let args = ["--bootstrap-server", &address, "--command-config", config, "--list"];
    run_bare(TOPICS, &args, "").fails().shows("TimeoutException");
}

#[test]
fn bad_acks_is_refused() {
    needs!(Broker, Tools);
    produce("w-acks", &["acks=7"], "x\n").fails().shows("acks");
}

#[test]
fn transactional_producer_is_refused_plainly_or_served() {
    needs!(Broker, Tools);
    create_topic("w-txn", 1);
    let args = ["--topic", "w-txn", "--num-records", "10", "--record-size", "10", "--throughput", "-1"];
    let ran = tool(
        PRODUCER_PERF,
        &[&args[..], &["--transactional-id", "w-txn", "--transaction-duration-ms", "100"]].concat(),
    );
    assert!(ran.code == 0 || ran.err.contains("Exception") || ran.out.contains("Exception"), "{ran}");
}
