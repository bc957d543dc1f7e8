//! Real clients as a cross-check: the performance tools of Apache Kafka against both brokers.

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

#[derive(Debug, Default)]
struct Found {
    produce_cpu: Three,
    produce_rate: Three,
    consume_cpu: Three,
    consume_rate: Three,
}

pub(super) fn run(plan: &Plan, sides: &Sides, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    let Some(_) = &plan.tools else {
        println!("clients: left out, --tools names no directory of the official tools' jars");
        return Ok(());
    };
    let mut found = Found::default();
    progress.inc_length(plan.rounds as u64 * 2);
    for round in 0..plan.rounds {
        for side in [Side::Kafka, Side::Ottla] {
            progress.set_message(format!("official clients: {}, round {round}", side.name()));
            found.measure(plan, sides.broker(side), side)?;
            progress.inc(1);
        }
    }
    let (produce, consume) = ("kafka-producer-perf-test, 1 KB records", "kafka-consumer-perf-test");
    table.extend(vec![
        Metric::new(format!("{produce}: CPU"), "CPU-s/GB", found.produce_cpu),
        Metric::new(format!("{produce}: rate"), "MB/s", found.produce_rate),
        Metric::new(format!("{consume}: CPU"), "CPU-s/GB", found.consume_cpu),
        Metric::new(format!("{consume}: rate"), "MB/s", found.consume_rate),
    ]);
    Ok(())
}

impl Found {
    fn measure(&mut self, plan: &Plan, server: &Server, side: Side) -> Result<()> {
        let _topic = Topic::create(server, PARTITIONS, &[])?;
        let (records, size) = (plan.scaled(RECORDS).to_string(), RECORD.to_string());
        let (records, address) = (records.as_str(), server.address.to_string());
        let bootstrap = format!("bootstrap.servers={address}");
        let gigabytes = (plan.scaled(RECORDS) * RECORD) as f64 / 1e9;
        let mut producer = tool(plan, "ProducerPerformance");
        producer.args(["--topic", "bench", "--num-records", records, "--record-size", size.as_str()]);
        producer.args(["--throughput", "-1", "--producer-props", bootstrap.as_str(), "acks=all"]);
        let (cpu, said) = spend(server, &mut producer)?;
        let rate = produced(&said).ok_or_else(|| format!("the producer's tool said {said}"))?;
        self.produce_cpu.push(side, cpu / gigabytes);
        self.produce_rate.push(side, rate);
        let mut consumer = tool(plan, "ConsumerPerformance");
        consumer.args(["--bootstrap-server", address.as_str(), "--topic", "bench", "--num-records", records]);
        let (cpu, said) = spend(server, &mut consumer)?;
        let rate = consumed(&said).ok_or_else(|| format!("the consumer's tool said {said}"))?;
        self.consume_cpu.push(side, cpu / gigabytes);
        self.consume_rate.push(side, rate);
        Ok(())
    }
}

fn tool(plan: &Plan, name: &str) -> Command {
    let mut command = Command::new("java");
    let libs = plan.tools.as_deref().unwrap_or(std::path::Path::new(".")).join("*");
    command.args(["-Xmx512M", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off", "-cp"]).arg(libs);
    command.arg(format!("org.apache.kafka.tools.{name}"));
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
fn produced(said: &str) -> Option<f64> {
    let line = said.lines().rfind(|line| line.contains("MB/sec"))?;
    let (before, _) = line.split_once(" MB/sec")?;
    Some(before.rsplit_once('(')?.1.parse::<f64>().ok()? * 1.048_576)
}

/// MB/s of the fetching alone: `start.time, end.time, data.consumed.in.MB, MB.sec, ..., fetch.MB.sec, fetch.nMsg.sec`.
fn consumed(said: &str) -> Option<f64> {
    let line = said.lines().rfind(|line| line.split(", ").count() == 10)?;
    Some(line.split(", ").nth(8)?.parse::<f64>().ok()? * 1.048_576)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_say_is_understood() {
        let said = "1 records sent, 5 records/sec (0.01 MB/sec), x\n\
                    1000 records sent, 204.8 records/sec (100.00 MB/sec), 3.1 ms avg latency, 9.0 ms max latency.\n";
        let bytes = |megabytes: Option<f64>| megabytes.map(|megabytes| (megabytes * 1e6).round());
        assert_eq!(bytes(produced(said)), Some(104_857_600.0));
        let said = "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, \
                    rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n\
                    2026-01-01 10:00:00:000, 2026-01-01 10:00:04:000, 95.3674, 23.8, 100000, 25000.0, 3500, 500, \
                    200.0000, 200000.0\n";
        assert_eq!(bytes(consumed(said)), Some(209_715_200.0));
        assert_eq!((produced(""), consumed("nothing")), (None, None));
    }
}
