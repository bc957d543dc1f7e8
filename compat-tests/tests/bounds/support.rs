//! Requests by hand, many connections, and what the process holds.

use std::fs;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ottla_compat_tests::Broker;
use ottla_compat_tests::differential::{Value, batch};
use ottla_compat_tests::http;
use ottla_compat_tests::wire::{Connection, request_header};

/// What is waited for comes at once; the time is for a machine that does something else meanwhile.
pub(crate) const WAIT: Duration = Duration::from_secs(60);
pub(crate) const MIB: u64 = 1024 * 1024;

/// A request body under construction.
pub(crate) struct Body(pub(crate) Vec<u8>);

impl Body {
    pub(crate) fn new(key: i16, version: i16) -> Self {
        Self(request_header(key, version, 7, "bounds"))
    }

    pub(crate) fn i8(mut self, value: i8) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn i16(mut self, value: i16) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn i32(mut self, value: i32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn i64(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn text(self, value: &str) -> Self {
        let mut body = self.i16(i16::try_from(value.len()).expect("a short text"));
        body.0.extend_from_slice(value.as_bytes());
        body
    }

    pub(crate) fn bytes(self, value: &[u8]) -> Self {
        let mut body = self.i32(i32::try_from(value.len()).expect("a frame's bytes"));
        body.0.extend_from_slice(value);
        body
    }
}

/// CreateTopics v2 of one topic.
pub(crate) fn create_topic(
    connection: &mut Connection,
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) {
    let mut body = Body::new(19, 2).i32(1).text(name).i32(partitions).i16(1).i32(0);
    body = body.i32(i32::try_from(configs.len()).expect("few"));
    for (key, value) in configs {
        body = body.text(key).text(value);
    }
    connection.send_frame(&body.i32(30_000).i8(0).0).expect("send");
    let answer = connection.read_frame().expect("an answer");
    // Correlation id, throttle time, one topic: name, error, message.
    let at = 4 + 4 + 4 + 2 + name.len();
    assert_eq!(answer[at..at + 2], [0, 0], "create {name}: {answer:?}");
}

/// Produce v7 of one batch, acks=1.
pub(crate) fn produce_body(topic: &str, partition: i32, records: &[u8]) -> Vec<u8> {
    Body::new(0, 7).i16(-1).i16(1).i32(30_000).i32(1).text(topic).i32(1).i32(partition).bytes(records).0
}

/// Sends it and gives the partition's error code.
pub(crate) fn produce(connection: &mut Connection, topic: &str, records: &[u8]) -> i16 {
    connection.send_frame(&produce_body(topic, 0, records)).expect("send");
    produced(&connection.read_frame().expect("an answer to Produce"), topic)
}

/// The error code of the one partition of an answer to Produce.
pub(crate) fn produced(answer: &[u8], topic: &str) -> i16 {
    // Correlation id, one topic: name, one partition: index, error.
    let at = 4 + 4 + 2 + topic.len() + 4 + 4;
    i16::from_be_bytes([answer[at], answer[at + 1]])
}

/// A batch of one record whose value has `len` bytes.
pub(crate) fn batch_of(len: usize) -> Vec<u8> {
    let record = Value::Struct(vec![("Value".to_owned(), Value::Bytes(vec![b'x'; len]))]);
    let settings = Value::Struct(vec![("Records".to_owned(), Value::List(vec![record]))]);
    batch::build(&settings).expect("a batch")
}

/// Fetch v4 of one partition from its beginning.
pub(crate) fn fetch_body(topic: &str, max_wait_ms: i32, min_bytes: i32, max_bytes: i32) -> Vec<u8> {
    fetch(topic, 0, [max_wait_ms, min_bytes, max_bytes])
}

/// Fetch v4 of one partition that is answered at once.
pub(crate) fn fetch_body_from(topic: &str, offset: i64, max_bytes: i32) -> Vec<u8> {
    fetch(topic, offset, [0, 1, max_bytes])
}

fn fetch(topic: &str, offset: i64, [max_wait_ms, min_bytes, max_bytes]: [i32; 3]) -> Vec<u8> {
    let head = Body::new(1, 4).i32(-1).i32(max_wait_ms).i32(min_bytes).i32(max_bytes).i8(0);
    head.i32(1).text(topic).i32(1).i32(0).i64(offset).i32(max_bytes).0
}

/// A body behind its length.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let mut frame = i32::try_from(body.len()).expect("a frame").to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("fits")
}

/// Fetch v7 that asks for a session.
pub(crate) fn session_fetch(topic: &str) -> Vec<u8> {
    let head = Body::new(1, 7).i32(-1).i32(0).i32(0).i32(1_000).i8(0).i32(0).i32(0);
    head.i32(1).text(topic).i32(1).i32(0).i64(0).i64(-1).i32(1_000).i32(0).0
}

/// Sends `count` times the same, then reads all answers.
pub(crate) fn pipeline(connection: &mut Connection, body: &[u8], count: usize, mut each: impl FnMut(&[u8])) {
    connection.send_raw(&framed(body).repeat(count)).expect("send");
    for _ in 0..count {
        each(&connection.read_frame().expect("an answer"));
    }
}

/// So many connections.
pub(crate) fn connect_many(broker: &Broker, count: usize) -> Vec<Connection> {
    allow_descriptors();
    (0..count).map(|_| connect(broker)).collect()
}

pub(crate) fn connect(broker: &Broker) -> Connection {
    Connection::open(broker.port()).expect("connect")
}

/// The broker answers a newcomer.
pub(crate) fn still_serves(broker: &Broker) {
    connect(broker).api_versions(7).expect("an answer to ApiVersions");
}

/// This process may open as many files as the machine lets it.
fn allow_descriptors() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit of descriptors");
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("more descriptors");
    }
}

/// Resident bytes of the broker, and the most there were since [`reset_peak`].
pub(crate) fn resident(broker: &Broker) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{}/status", broker.pid().expect("runs"))).expect("status");
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a known line");
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
    };
    (kib("VmRSS:"), kib("VmHWM:"))
}

/// Makes the present size the peak; gives it.
pub(crate) fn reset_peak(broker: &Broker) -> u64 {
    fs::write(format!("/proc/{}/clear_refs", broker.pid().expect("runs")), "5").expect("reset the peak");
    resident(broker).0
}

/// A sample of `/metrics`, as `ottla_memory_used_bytes{pool="requests"}`.
pub(crate) fn metric(broker: &Broker, name: &str) -> f64 {
    let (_, text) = http::get(broker.second_port(), "/metrics").expect("metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

pub(crate) fn pushed_back(broker: &Broker, pool: &str) -> f64 {
    metric(broker, &format!("ottla_memory_pushed_back_total{{pool=\"{pool}\"}}"))
}
