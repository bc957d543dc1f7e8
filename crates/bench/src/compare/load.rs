//! Requests that were made beforehand, sent on several connections, a thread each.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;

use crate::Result;
use crate::wire::Wire;

/// In microseconds, up to a minute, to three digits.
pub(super) type Latencies = Histogram<u64>;

/// A connection's requests.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Sent in turn, again and again.
    pub(super) frames: Vec<Bytes>,
    pub(super) count: usize,
}

/// What all connections do.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) parts: Vec<Part>,
    /// Unanswered requests of a connection.
    pub(super) in_flight: usize,
    /// Requests that are not answered, as produce with acks=0, end with one that is.
    pub(super) last: Option<Bytes>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Driven {
    pub(super) elapsed: Duration,
    pub(super) requests: usize,
    pub(super) answer_bytes: usize,
    pub(super) latencies: Latencies,
    /// CPU of the threads that sent.
    pub(super) client_cpu: Duration,
}

pub(super) fn latencies() -> Result<Latencies> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}

impl Load {
    /// As fast as the answers come.
    pub(super) fn drive(&self, address: SocketAddr) -> Result<Driven> {
        let wires: Vec<Wire> = self.parts.iter().map(|_| Wire::connect(address)).collect::<Result<_>>()?;
        let from = Instant::now();
        let parts = std::thread::scope(|scope| {
            let threads = self.parts.iter().zip(wires).map(|(part, wire)| {
                scope.spawn(move || self.drive_part(part, wire).map_err(|error| error.to_string()))
            });
            let threads: Vec<_> = threads.collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err("a client panicked".into())))
                .collect::<std::result::Result<Vec<_>, String>>()
        })?;
        let mut all = Driven {
            elapsed: from.elapsed(),
            requests: 0,
            answer_bytes: 0,
            latencies: latencies()?,
            client_cpu: Duration::ZERO,
        };
        for part in parts {
            all.requests += part.requests;
            all.answer_bytes += part.answer_bytes;
            all.client_cpu += part.client_cpu;
            all.latencies.add(part.latencies)?;
        }
        Ok(all)
    }

    fn drive_part(&self, part: &Part, mut wire: Wire) -> Result<Driven> {
        let from = Instant::now();
        let mut driven = Driven {
            elapsed: Duration::ZERO,
            requests: part.count,
            answer_bytes: 0,
            latencies: latencies()?,
            client_cpu: Duration::ZERO,
        };
        let mut sent = VecDeque::with_capacity(self.in_flight);
        for frame in part.frames.iter().cycle().take(part.count) {
            if self.last.is_none() && sent.len() == self.in_flight {
                driven.answered(&mut wire, &mut sent)?;
            }
            sent.push_back(Instant::now());
            wire.send(frame)?;
            if self.last.is_some() {
                sent.clear();
            }
        }
        while !sent.is_empty() {
            driven.answered(&mut wire, &mut sent)?;
        }
        if let Some(last) = &self.last {
            wire.call(last)?;
        }
        driven.elapsed = from.elapsed();
        driven.client_cpu = crate::measure::thread_cpu();
        Ok(driven)
    }
}

impl Driven {
    fn answered(&mut self, wire: &mut Wire, sent: &mut VecDeque<Instant>) -> Result<()> {
        self.answer_bytes += wire.discard()?;
        if let Some(at) = sent.pop_front() {
            self.latencies.saturating_record(micros(at.elapsed()));
        }
        Ok(())
    }
}
