//! Real clients as a cross-check: the performance tools of Apache Kafka and of librdkafka against both brokers.

use std::path::Path;
use std::process::{Command, Stdio};

use indicatif::ProgressBar;

use super::Plan;
use super::sides::{Side, Sides, Topic};
use super::table::{Metric, Table, Three};
use super::usage::Usage;
use crate::Result;
use crate::broker::Server;

const PARTITIONS: i32 = 6;
const RECORD: usize = 1_000;
const RECORDS: usize = 1_000_000;

/// What a tool is asked to do.
#[derive(Clone, Copy, Debug)]
struct Order<'a> {
    /// `host:port` of the broker.
    broker: &'a str,
    /// How many records of [`RECORD`] bytes.
    records: &'a str,
}

/// Somebody's tools: one that produces, one that consumes, and the MB/s of what they say.
struct Client {
    produce: &'static str,
    consume: &'static str,
    producer: fn(&Path, Order<'_>) -> Command,
    consumer: fn(&Path, Order<'_>) -> Command,
    produced: fn(&str) -> Option<f64>,
    consumed: fn(&str) -> Option<f64>,
}

const OFFICIAL: Client = Client {
    produce: "kafka-producer-perf-test, 1 KB records",
    consume: "kafka-consumer-perf-test",
    producer: |libs, Order { broker, records }| {
        let mut command = java(libs, "ProducerPerformance");
        command.args(["--topic", "bench", "--num-records", records, "--record-size", &RECORD.to_string()]);
        command.args(["--throughput", "-1", "--producer-props", "acks=all"]);
        command.arg(format!("bootstrap.servers={broker}"));
        command
    },
    consumer: |libs, Order { broker, records }| {
        let mut command = java(libs, "ConsumerPerformance");
        command.args(["--bootstrap-server", broker, "--topic", "bench", "--num-records", records]);
        command
    },
    produced: official_produced,
    consumed: official_consumed,
};

const LIBRDKAFKA: Client = Client {
    produce: "rdkafka_performance -P, 1 KB records",
    consume: "rdkafka_performance -G",
    producer: |tool, Order { broker, records }| {
        let mut command = Command::new(tool);
        command.args(["-P", "-q", "-t", "bench", "-b", broker, "-a", "-1", "-c", records]);
        command.args(["-s", &RECORD.to_string()]);
        command
    },
    consumer: |tool, Order { broker, records }| {
        let mut command = Command::new(tool);
        command.args(["-G", "bench", "-q", "-t", "bench", "-b", broker, "-c", records]);
        command.args(["-X", "auto.offset.reset=earliest"]);
        command
    },
    produced: rdkafka_rate,
    consumed: rdkafka_rate,
};

#[derive(Debug, Default)]
struct Found {
    produce_cpu: Three,
    produce_rate: Three,
    consume_cpu: Three,
    consume_rate: Three,
}

pub(super) fn run(plan: &Plan, sides: &Sides, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    let clients = [(OFFICIAL, &plan.tools, "--tools"), (LIBRDKAFKA, &plan.rdkafka, "--rdkafka")];
    for (client, tool, option) in clients {
        let Some(tool) = tool else {
            println!("clients: {} is left out, {option} names none", client.produce);
            continue;
        };
        let mut found = Found::default();
        progress.inc_length(plan.rounds as u64 * 2);
        for round in 0..plan.rounds {
            for side in [Side::Kafka, Side::Ottla] {
                progress.set_message(format!("{}: {}, round {round}", client.produce, side.name()));
                found.measure(&client, tool, plan.scaled(RECORDS), sides.broker(side), side)?;
                progress.inc(1);
            }
        }
        let Client { produce, consume, .. } = client;
        table.extend(vec![
            Metric::new(format!("{produce}: CPU"), "CPU-s/GB", found.produce_cpu),
            Metric::new(format!("{produce}: rate"), "MB/s", found.produce_rate),
            Metric::new(format!("{consume}: CPU"), "CPU-s/GB", found.consume_cpu),
            Metric::new(format!("{consume}: rate"), "MB/s", found.consume_rate),
        ]);
    }
    Ok(())
}

impl Found {
    fn measure(
        &mut self,
        client: &Client,
        tool: &Path,
        records: usize,
        server: &Server,
        side: Side,
    ) -> Result<()> {
        let _topic = Topic::create(server, PARTITIONS, &[])?;
        let gigabytes = (records * RECORD) as f64 / 1e9;
        let (broker, records) = (server.address.to_string(), records.to_string());
        let order = Order { broker: &broker, records: &records };
        let (cpu, said) = spend(server, &mut (client.producer)(tool, order))?;
        let rate = (client.produced)(&said).ok_or_else(|| format!("the producer's tool said {said}"))?;
        self.produce_cpu.push(side, cpu / gigabytes);
        self.produce_rate.push(side, rate);
        let (cpu, said) = spend(server, &mut (client.consumer)(tool, order))?;
        let rate = (client.consumed)(&said).ok_or_else(|| format!("the consumer's tool said {said}"))?;
        self.consume_cpu.push(side, cpu / gigabytes);
        self.consume_rate.push(side, rate);
        Ok(())
    }
}

fn java(libs: &Path, tool: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-Xmx512M", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp"]).arg(libs.join("*"));
    command.arg(format!("org.apache.kafka.tools.{tool}"));
    command
}

/// CPU seconds of the broker while a tool runs, and what the tool says.
fn spend(server: &Server, command: &mut Command) -> Result<(f64, String)> {
    let before = Usage::of(server.pid())?;
    let ran = command.stdin(Stdio::null()).stderr(Stdio::piped()).output()?;
    let cpu = Usage::of(server.pid())?.since(before).cpu.as_secs_f64();
    if !ran.status.success() {
        return Err(format!("a tool failed: {}", String::from_utf8_lossy(&ran.stderr)).into());
    }
    Ok((cpu, String::from_utf8_lossy(&ran.stdout).into_owned()))
}

/// MB/s of the last line of `... records sent, 205338.8 records/sec (195.83 MB/sec), ...`; of its megabytes, 2^20 bytes.
fn official_produced(said: &str) -> Option<f64> {
    let line = said.lines().rfind(|line| line.contains("MB/sec"))?;
    let (before, _) = line.split_once(" MB/sec")?;
    Some(before.rsplit_once('(')?.1.parse::<f64>().ok()? * 1.048_576)
}

/// MB/s of the fetching alone: `start.time, end.time, data.consumed.in.MB, MB.sec, ..., fetch.MB.sec, fetch.nMsg.sec`.
fn official_consumed(said: &str) -> Option<f64> {
    let line = said.lines().rfind(|line| line.split(", ").count() == 10)?;
    Some(line.split(", ").nth(8)?.parse::<f64>().ok()? * 1.048_576)
}

/// MB/s of the last line of `% 1000000 messages ... in 5000ms: 200000 msgs/s and 200.00 MB/s, ...`, or `... (200.00 MB/s)`;
/// of its megabytes, 10^6 bytes.
fn rdkafka_rate(said: &str) -> Option<f64> {
    let line = said.lines().rfind(|line| line.contains(" MB/s"))?;
    let (before, _) = line.split_once(" MB/s")?;
    before.rsplit_once([' ', '('])?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_say_is_understood() {
        let said = "1 records sent, 5 records/sec (0.01 MB/sec), x\n\
                    1000 records sent, 204.8 records/sec (100.00 MB/sec), 3.1 ms avg latency, 9.0 ms max latency.\n";
        let bytes = |megabytes: Option<f64>| megabytes.map(|megabytes| (megabytes * 1e6).round());
        assert_eq!(bytes(official_produced(said)), Some(104_857_600.0));
        let said = "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, \
                    rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n\
                    2026-01-01 10:00:00:000, 2026-01-01 10:00:04:000, 95.3674, 23.8, 100000, 25000.0, 3500, 500, \
                    200.0000, 200000.0\n";
        assert_eq!(bytes(official_consumed(said)), Some(209_715_200.0));
        let said = "% 5 backpressures for 1000 produce calls: 0.500% backpressure rate\n\
                    % 1000 messages produced (1000000 bytes), 1000 delivered (offset 0, 0 failed) in 10ms: 100000 msgs/s \
                    and 104.86 MB/s, 0 produce failures, 0 in queue, no compression\n";
        assert_eq!(rdkafka_rate(said), Some(104.86));
        let said = "% 1000 messages (1000000 bytes) consumed in 10ms: 100000 msgs/s (100.00 MB/s)\n";
        assert_eq!(rdkafka_rate(said), Some(100.0));
        assert_eq!((official_produced(""), official_consumed("nothing")), (None, None));
    }
}
