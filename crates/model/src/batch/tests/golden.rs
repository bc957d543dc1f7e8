//! Batches that Kafka's `MemoryRecordsBuilder` (see `testdata/BatchVectors.java`) and librdkafka wrote: we read the same records from
//! them, and write the same bytes where the codec leaves no choice.

use super::*;

const VECTORS: &str = include_str!("../../../testdata/batches.txt");

fn vector(name: &str) -> Vec<u8> {
    vector_of(VECTORS, name)
}

fn vector_of(vectors: &str, name: &str) -> Vec<u8> {
    let line = vectors.lines().find_map(|line| line.strip_prefix(&format!("{name} "))).unwrap();
    let digits = line.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn record(timestamp: i64, key: Option<&str>, value: Option<&str>) -> Plain {
    let bytes = |text: &str| text.as_bytes().to_vec();
    Plain { timestamp, key: key.map(bytes), value: value.map(bytes), headers: vec![] }
}

fn small() -> Vec<Plain> {
    let header =
        |key: &str, value: Option<&str>| (key.as_bytes().to_vec(), value.map(|v| v.as_bytes().to_vec()));
    vec![
        record(1_000, Some("first"), Some("value")),
        record(1_017, None, Some("no key")),
        record(1_034, Some("tombstone"), None),
        Plain {
            headers: vec![header("h", Some("1")), header("h", Some("2")), header("none", None)],
            ..record(990, Some(""), Some(""))
        },
        record(5_000_000_000, Some("last"), Some(&"x".repeat(200))),
    ]
}

fn large() -> Vec<Plain> {
    let value = (0..100_000u32).map(|i| u8::try_from((i / 100) & 0xff).unwrap()).collect();
    vec![Plain { timestamp: 5, key: None, value: Some(value), headers: vec![] }]
}

fn at_1000() -> BatchBuilder {
    BatchBuilder::new(Offset(1_000)).leader_epoch(LeaderEpoch(7))
}

fn written(mut builder: BatchBuilder, records: &[Plain]) -> Vec<u8> {
    push_all(&mut builder, records);
    builder.build().unwrap()
}

#[test]
fn kafkas_batches_read_as_kafka_wrote_them() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let batch = vector(&format!("small-{codec}"));
        BatchHeader::read(&batch).unwrap().verify(&batch).unwrap();
        assert_eq!(read_all(&batch).unwrap(), small(), "{codec}");
        if codec != "none" {
            let batch = vector(&format!("large-{codec}"));
            assert_eq!(read_all(&batch).unwrap(), large(), "{codec}");
        }
    }
}

#[test]
fn uncompressed_batches_are_written_byte_for_byte_as_kafka_does() {
    assert_eq!(written(at_1000(), &small()), vector("small-none"));
    let producer = (ProducerId(4_000), ProducerEpoch(3));
    let transactional = at_1000().producer(producer.0, producer.1, i32::MAX - 1).transactional();
    assert_eq!(written(transactional, &small()), vector("transactional"));
    let marker = at_1000().producer(producer.0, producer.1, -1).transactional().control();
    let commit = Plain {
        timestamp: 77,
        key: Some(vec![0, 0, 0, 1]),
        value: Some(vec![0, 0, 0, 0, 0, 12]),
        headers: vec![],
    };
    assert_eq!(written(marker, &[commit]), vector("commit-marker"));
}

#[test]
fn log_append_time_is_every_records_time() {
    let batch = vector("log-append-time");
    let records: Vec<_> = small().into_iter().map(|record| Plain { timestamp: 99_000, ..record }).collect();
    assert_eq!(read_all(&batch).unwrap(), records);
    // Kafka's builder writes what a broker makes of a CreateTime batch by patching it.
    let mut patched = vector("small-none");
    stamp(&mut patched, TimestampType::LogAppendTime, TimestampMs(99_000)).unwrap();
    assert_eq!(patched, batch);
}

#[test]
fn sequences_wrap_as_kafkas_do() {
    let header = BatchHeader::read(&vector("transactional")).unwrap();
    assert_eq!((header.base_sequence, header.last_sequence()), (i32::MAX - 1, 2));
}

#[test]
fn librdkafkas_batches_read_as_it_wrote_them() {
    let header = |value: &str| (b"h".to_vec(), Some(value.as_bytes().to_vec()));
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let batch = vector_of(include_str!("../../../testdata/librdkafka.txt"), codec);
        BatchHeader::read(&batch).unwrap().verify(&batch).unwrap();
        let records = read_all(&batch).unwrap();
        assert_eq!(records.len(), 3, "{codec}");
        for (index, record) in records.iter().enumerate() {
            let value = format!("librdkafka value {index} ").repeat(if index < 2 { 1 } else { 5_000 });
            assert_eq!(record.key.as_deref(), Some(format!("key-{index}").as_bytes()));
            assert_eq!(record.value.as_deref(), Some(value.as_bytes()), "{codec}");
            assert_eq!(record.headers, [header("1"), header("2")]);
        }
    }
}
