//! The few requests of an administrator, by hand: a JVM would take longer than all the rest.

use ottla_compat_tests::Broker;
use ottla_compat_tests::wire::{Connection, request_header};

const FETCH: i16 = 1;
const CREATE_TOPICS: i16 = 19;
const DELETE_TOPICS: i16 = 20;
const DELETE_RECORDS: i16 = 21;
const TIMEOUT_MS: i32 = 20_000;

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend(i16::try_from(text.len()).expect("a short string").to_be_bytes());
    out.extend(text.as_bytes());
}

fn ask(broker: &Broker, key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut connection = Connection::open(broker.port()).expect("connect");
    let mut frame = request_header(key, version, 1, "admin");
    frame.extend_from_slice(body);
    connection.send_frame(&frame).expect("send");
    connection.read_frame().expect("an answer")
}

fn int16(body: &[u8], pos: usize) -> i16 {
    i16::from_be_bytes([body[pos], body[pos + 1]])
}

/// CreateTopics 2, of one partition; the error code.
pub(crate) fn create(broker: &Broker, topic: &str, configs: &[(&str, &str)]) -> i16 {
    let mut body = 1_i32.to_be_bytes().to_vec();
    string(&mut body, topic);
    body.extend(1_i32.to_be_bytes());
    body.extend(1_i16.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(i32::try_from(configs.len()).expect("few configs").to_be_bytes());
    for (name, value) in configs {
        string(&mut body, name);
        string(&mut body, value);
    }
    body.extend(TIMEOUT_MS.to_be_bytes());
    body.push(0);
    int16(&ask(broker, CREATE_TOPICS, 2, &body), 4 + 4 + 4 + 2 + topic.len())
}

/// DeleteTopics 1; the error code.
pub(crate) fn delete(broker: &Broker, topic: &str) -> i16 {
    let mut body = 1_i32.to_be_bytes().to_vec();
    string(&mut body, topic);
    body.extend(TIMEOUT_MS.to_be_bytes());
    int16(&ask(broker, DELETE_TOPICS, 1, &body), 4 + 4 + 4 + 2 + topic.len())
}

/// DeleteRecords 0 of partition 0, in front of `offset`; the error code.
pub(crate) fn delete_records(broker: &Broker, topic: &str, offset: i64) -> i16 {
    let mut body = 1_i32.to_be_bytes().to_vec();
    string(&mut body, topic);
    body.extend(1_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(offset.to_be_bytes());
    body.extend(TIMEOUT_MS.to_be_bytes());
    int16(&ask(broker, DELETE_RECORDS, 0, &body), 4 + 4 + 4 + 2 + topic.len() + 4 + 4 + 8)
}

/// Fetch 4 of partition 0 from `offset` on, answered at once; the error code.
pub(crate) fn fetch(broker: &Broker, topic: &str, offset: i64) -> i16 {
    let mut body = (-1_i32).to_be_bytes().to_vec();
    for number in [0_i32, 1, 1_048_576] {
        body.extend(number.to_be_bytes());
    }
    body.push(0);
    body.extend(1_i32.to_be_bytes());
    string(&mut body, topic);
    body.extend(1_i32.to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    body.extend(offset.to_be_bytes());
    body.extend(1_048_576_i32.to_be_bytes());
    // Correlation id, throttle time, one topic: name, one partition: index, error.
    int16(&ask(broker, FETCH, 4, &body), 4 + 4 + 4 + 2 + topic.len() + 4 + 4)
}
