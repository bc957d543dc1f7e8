//! A scrape of a broker with very many partitions: its time, its memory, and what a producer notices of it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::broker::{Server, free_address};
use crate::measure::status_bytes;
use crate::report::Report;
use crate::requests::{Requests, batch};
use crate::samples::{Samples, Turns};
use crate::wire::Wire;
use crate::{Options, Result};

const PARTITIONS: i32 = 40_000;
const CREATED_AT_ONCE: i32 = 2_500;
const MILLIS_MAX: f64 = 200.0;
const MIB_MAX: f64 = 20.0;
/// A producer's p99 while a scraper comes each second, beside its p99 while none does.
const DISTURBANCE_MAX: f64 = 1.5;
/// Between two requests of the producer.
const PRODUCE_EVERY: Duration = Duration::from_millis(1);
const PRODUCED_A_ROUND: u32 = 5_000;
const READY_WAIT: Duration = Duration::from_secs(300);

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<()> {
    let metrics = free_address()?;
    let shown = PARTITIONS.to_string();
    let settings = [("ottla.metrics.partitions.max", shown.as_str())];
    let server = Server::broker_with_metrics(&options.broker, &settings, metrics)?;
    drop(server.wait()?);
    create(&server)?;
    let (mut took, mut grown, mut len) = (Samples::default(), Samples::default(), 0);
    let mut turns = Turns::default();
    for round in 0..=options.rounds {
        let before = status_bytes(server.pid(), "VmRSS")?;
        // The high-water mark is that of now.
        fs::write(format!("/proc/{}/clear_refs", server.pid()), "5")?;
        let from = Instant::now();
        len = scrape(metrics)?;
        let (elapsed, high) = (from.elapsed(), status_bytes(server.pid(), "VmHWM")?);
        let (alone, beside) = (produce(&server, None)?, produce(&server, Some(metrics))?);
        // The first round makes what is made once.
        if round > 0 {
            took.push(elapsed.as_secs_f64() * 1e3);
            grown.push(mib(high.saturating_sub(before)));
            turns.push(alone, beside);
        }
    }
    let name = format!("scrape of {PARTITIONS} partitions, {:.1} MiB of text", mib(u64::try_from(len)?));
    report.limit(&name, &took, "ms", Some(MILLIS_MAX));
    report.limit("memory of such a scrape", &grown, "MiB", Some(MIB_MAX));
    report.ratio(
        "p99 of a produce each ms, none or one scrape a second",
        &turns,
        "ms",
        Some(DISTURBANCE_MAX),
    );
    Ok(())
}

fn create(server: &Server) -> Result<()> {
    let requests = Requests::default();
    let mut wire = Wire::connect_patiently(server.address)?;
    requests.check_create_topic(&wire.call(&requests.create_topic(CREATED_AT_ONCE)?)?)?;
    let mut count = 2 * CREATED_AT_ONCE;
    while count <= PARTITIONS {
        requests.check_create_partitions(&wire.call(&requests.create_partitions(count)?)?)?;
        count += CREATED_AT_ONCE;
    }
    let last = requests.produce_to(PARTITIONS - 1, batch(256)?)?;
    let until = Instant::now() + READY_WAIT;
    while let Err(error) = requests.check_produce(&wire.call(&last)?) {
        if Instant::now() > until {
            return Err(format!("the last partition does not lead: {error}").into());
        }
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Bytes of the whole page.
fn scrape(address: SocketAddr) -> Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut buffer = vec![0; 1 << 16];
    let (mut len, mut last) = (0, Vec::new());
    loop {
        let got = stream.read(&mut buffer)?;
        if got == 0 {
            break;
        }
        len += got;
        last.extend_from_slice(&buffer[..got]);
        last.drain(..last.len().saturating_sub(5));
    }
    // The end of a chunked body.
    if last == b"0\r\n\r\n" { Ok(len) } else { Err("a scrape that is not whole".into()) }
}

/// The p99 of a producer that sends when it is time, in milliseconds.
fn produce(server: &Server, scraped: Option<SocketAddr>) -> Result<f64> {
    let frame = Requests::default().produce_to(0, batch(0)?)?;
    let mut wire = Wire::connect(server.address)?;
    let from = Instant::now();
    std::thread::scope(|scope| {
        let until = from + PRODUCE_EVERY * PRODUCED_A_ROUND;
        let scraping = scope.spawn(move || {
            while let Some(address) = scraped.filter(|_| Instant::now() < until) {
                let next = Instant::now() + Duration::from_secs(1);
                scrape(address).map_err(|error| error.to_string())?;
                sleep(next.saturating_duration_since(Instant::now()));
            }
            Ok::<_, String>(())
        });
        let mut latencies = Vec::new();
        for at in 0..PRODUCED_A_ROUND {
            let intended = from + PRODUCE_EVERY * at;
            sleep(intended.saturating_duration_since(Instant::now()));
            wire.call(&frame)?;
            latencies.push(intended.elapsed());
        }
        scraping.join().unwrap_or_else(|_| Err("a scraper panicked".into()))?;
        latencies.sort_unstable();
        let p99 = latencies.get(latencies.len() * 99 / 100).ok_or("nothing was produced")?;
        Ok(p99.as_secs_f64() * 1e3)
    })
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
