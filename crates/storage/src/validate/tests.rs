//! What a Kafka 4.4.0 answered to the same batches.

use ottla_model::batch::{
    BatchBuilder, BatchError, BatchHeader, Compression, HEADER_LEN, Records, TimestampType, compress,
    decompress,
};
use ottla_model::{MonoMs, Now, Offset, ProducerEpoch, ProducerId, TimestampMs};

use super::{Sound, batches};
use crate::{AppendError, AppendOrigin, CleanupPolicy, InvalidRecord, LogConfig, RecordFault};

const WALL: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn check(batch: &[u8], config: &LogConfig) -> Result<Sound, AppendError> {
    let now = Now { wall: TimestampMs(WALL), mono: MonoMs(0) };
    batches(batch, AppendOrigin::Client, config, now)
}

fn at(timestamps: &[i64], codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset(0)).compression(codec, None);
    for timestamp in timestamps {
        builder.push(TimestampMs(*timestamp), Some(b"k"), Some(b"v"), &[]);
    }
    builder.build().unwrap()
}

/// Changes bytes of a batch and makes its CRC fit again.
fn patched(mut batch: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = ottla_model::batch::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn max_timestamp(batch: Vec<u8>, timestamp: i64) -> Vec<u8> {
    patched(batch, 35, &timestamp.to_be_bytes())
}

fn stamped_by_producer(batch: Vec<u8>) -> Vec<u8> {
    let attributes = batch[22] | 0x08;
    patched(batch, 22, &[attributes])
}

/// Index and kind of every fault.
fn faults(result: Result<Sound, AppendError>) -> Vec<(i32, RecordFault)> {
    match result.unwrap_err() {
        AppendError::InvalidRecords(errors) => errors.first,
        other => panic!("{other:?}"),
    }
}

fn too_late(index: i64, timestamp: i64) -> (i32, RecordFault) {
    let fault = RecordFault::Timestamp {
        timestamp: TimestampMs(timestamp),
        offset: Offset(index),
        min: TimestampMs(WALL.wrapping_sub(i64::MAX)),
        max: TimestampMs(WALL + HOUR),
    };
    (i32::try_from(index).unwrap(), fault)
}

#[test]
fn a_header_that_lies_about_its_largest_timestamp_is_corrected() {
    let config = LogConfig::default();
    for codec in CODECS {
        for lie in [WALL + 2 * HOUR, WALL - HOUR, WALL + 6, -1] {
            let batch = max_timestamp(at(&[WALL, WALL + 5], codec), lie);
            assert_eq!(check(&batch, &config).unwrap().max_timestamp, Some(TimestampMs(WALL + 5)), "{lie}");
        }
        let hidden = max_timestamp(at(&[WALL, WALL + 2 * HOUR], codec), WALL);
        assert_eq!(faults(check(&hidden, &config)), [too_late(1, WALL + 2 * HOUR)]);
    }
}

#[test]
fn every_record_with_a_bad_timestamp_is_blamed() {
    let late = WALL + 2 * HOUR;
    for codec in CODECS {
        let batch = at(&[late, WALL, late, -1], codec);
        assert_eq!(faults(check(&batch, &LogConfig::default())), [too_late(0, late), too_late(2, late)]);
        let old = at(&[WALL, WALL - 1_001, -1, WALL - 1_000], codec);
        let config = LogConfig { message_timestamp_before_max_ms: 1_000, ..LogConfig::default() };
        assert!(
            matches!(faults(check(&old, &config))[..], [(1, RecordFault::Timestamp { .. })]),
            "{codec:?}"
        );
        let stamping =
            LogConfig { message_timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() };
        check(&batch, &stamping).unwrap();
    }
}

#[test]
fn negative_timestamps_count_as_none_for_the_header() {
    let sound = check(&at(&[-5, -5], Compression::None), &LogConfig::default()).unwrap();
    assert_eq!(sound.max_timestamp, Some(TimestampMs::NONE));
}

#[test]
fn a_producer_may_not_set_log_append_time_but_where_kafka_overlooks_it() {
    let stamping = LogConfig { message_timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() };
    for codec in CODECS {
        let batch = stamped_by_producer(at(&[WALL], codec));
        assert_eq!(check(&batch, &LogConfig::default()).unwrap().max_timestamp, Some(TimestampMs(WALL)));
        let without_time = max_timestamp(batch.clone(), -1);
        for (batch, config, timestamp) in
            [(&batch, &stamping, WALL), (&without_time, &LogConfig::default(), -1)]
        {
            let expected = RecordFault::LogAppendTime {
                is_compressed: codec != Compression::None,
                offset: Offset(0),
                timestamp: TimestampMs(timestamp),
                key_len: Some(1),
                value_len: Some(1),
            };
            assert_eq!(faults(check(batch, config)), [(0, expected)]);
        }
    }
}

#[test]
fn records_of_a_compacted_topic_need_keys() {
    let cleanup_policy = CleanupPolicy { delete: false, compact: true };
    let config = LogConfig { cleanup_policy, ..LogConfig::default() };
    for codec in CODECS {
        let mut builder = BatchBuilder::new(Offset(0)).compression(codec, None);
        builder.push(TimestampMs(WALL), Some(b"k"), None, &[]);
        builder.push(TimestampMs(WALL), None, Some(b"v"), &[]);
        builder.push(TimestampMs(WALL + 2 * HOUR), Some(b""), None, &[]);
        let found = faults(check(&builder.build().unwrap(), &config));
        assert_eq!(found, [(1, RecordFault::NoKey), too_late(2, WALL + 2 * HOUR)]);
    }
}

#[test]
fn records_that_are_not_compressed_are_read_and_must_bear_out_the_header() {
    let config = LogConfig::default();
    let good = || at(&[WALL, WALL], Compression::None);
    let counted = |count: u8| patched(patched(good(), 26, &[count - 1]), 60, &[count]);
    let mut trailing = [good(), b"xx".to_vec()].concat();
    trailing[11] += 2;
    let first_len = patched(good(), HEADER_LEN, &[99]);
    for (name, batch) in [
        ("a record too many", counted(3)),
        ("a record too few", counted(1)),
        ("trailing bytes", patched(trailing, 0, &[0])),
        ("a record's length", first_len),
    ] {
        let error = check(&batch, &config).unwrap_err();
        assert!(
            matches!(error, AppendError::InvalidRecord(InvalidRecord::Malformed(_))),
            "{name}: {error:?}"
        );
    }
    // Kafka does not look at the offset deltas of records that are not compressed.
    let delta = patched(good(), HEADER_LEN + 3, &[4]);
    check(&delta, &config).unwrap();
}

/// A batch of this codec around a records section that was changed.
fn around(codec: Compression, change: impl FnOnce(&mut Vec<u8>), count: u8) -> Vec<u8> {
    let plain = at(&[WALL, WALL], Compression::None);
    let mut section = plain[HEADER_LEN..].to_vec();
    change(&mut section);
    let body = compress(codec, None, &section).unwrap();
    let mut batch = [&plain[..HEADER_LEN], &body].concat();
    let len = u32::try_from(batch.len() - 12).unwrap();
    batch[8..12].copy_from_slice(&len.to_be_bytes());
    batch[22] = at(&[WALL], codec)[22];
    patched(patched(batch, 26, &[count - 1]), 60, &[count])
}

#[test]
fn records_that_are_compressed_are_read_too() {
    let config = LogConfig::default();
    for codec in CODECS.into_iter().skip(1) {
        check(&around(codec, |_| {}, 2), &config).unwrap();
        for (name, batch) in [
            ("a record too many", around(codec, |_| {}, 3)),
            ("a record too few", around(codec, |_| {}, 1)),
            ("trailing bytes", around(codec, |section| section.extend(b"xx"), 2)),
            ("a record's length", around(codec, |section| section[0] = 99, 2)),
            ("nothing", around(codec, Vec::clear, 2)),
        ] {
            let error = check(&batch, &config).unwrap_err();
            assert!(
                matches!(error, AppendError::InvalidRecord(InvalidRecord::Malformed(_))),
                "{codec:?} {name}: {error:?}"
            );
        }
        let torn = patched(around(codec, |_| {}, 2), HEADER_LEN, b"garbage");
        let error = check(&torn, &config).unwrap_err();
        let no_stream = InvalidRecord::Malformed(BatchError::Decompress);
        assert!(matches!(error, AppendError::InvalidRecord(found) if found == no_stream), "{error:?}");
    }
}

#[test]
fn offset_deltas_with_gaps_are_refused_in_a_compressed_batch_but_where_it_is_written_anew() {
    for codec in CODECS.into_iter().skip(1) {
        let batch = around(codec, |section| section[3] = 8, 2);
        let error = check(&batch, &LogConfig::default()).unwrap_err();
        assert!(matches!(error, AppendError::InvalidRecord(InvalidRecord::OffsetDeltas)), "{error:?}");
        let anew = LogConfig { compression: Some(Compression::None), ..LogConfig::default() };
        let anew = check(&batch, &anew).unwrap().recompressed.unwrap();
        let header = BatchHeader::read(&anew).unwrap();
        let records = Records::new(&header, &anew[HEADER_LEN..]);
        let deltas: Vec<_> = records.map(|record| record.unwrap().offset_delta).collect();
        assert_eq!(deltas, [0, 1]);
    }
}

#[test]
fn several_batches_are_told_before_what_is_wrong_with_the_first() {
    let mut twice = at(&[WALL], Compression::None).repeat(2);
    twice[30] ^= 1;
    let error = check(&twice, &LogConfig::default()).unwrap_err();
    assert!(matches!(error, AppendError::InvalidRecord(InvalidRecord::SeveralBatches)), "{error:?}");
}

#[test]
fn a_record_larger_than_max_decompressed_message_bytes_is_refused_in_a_compressed_batch_only() {
    let config = LogConfig { max_decompressed_message_bytes: 1_000, ..LogConfig::default() };
    for codec in CODECS {
        let batch = |lens: &[usize]| {
            let mut builder = BatchBuilder::new(Offset(0)).compression(codec, None);
            for len in lens {
                builder.push(TimestampMs(WALL), None, Some(&vec![b'v'; *len]), &[]);
            }
            builder.build().unwrap()
        };
        check(&batch(&[200; 10]), &config).unwrap();
        let large = check(&batch(&[2_000]), &config);
        if codec == Compression::None {
            large.unwrap();
        } else {
            let error = large.unwrap_err();
            let too_large = InvalidRecord::DecompressedTooLarge;
            assert!(matches!(error, AppendError::InvalidRecord(found) if found == too_large), "{error:?}");
        }
    }
}

#[test]
fn recompression_keeps_records_headers_and_producer_and_gives_offsets_without_a_gap() {
    for from in CODECS {
        for to in CODECS {
            let config =
                LogConfig { compression: Some(to), compression_level: Some(1), ..LogConfig::default() };
            let mut builder = BatchBuilder::new(Offset(0)).compression(from, None);
            builder = builder.producer(ProducerId(7), ProducerEpoch(2), 40);
            builder.push(TimestampMs(WALL), None, Some(b"v"), &[(b"h", None), (b"h", Some(b""))]);
            builder.push(TimestampMs(WALL + 9), Some(b""), None, &[]);
            let batch = builder.build().unwrap();
            let sound = check(&batch, &config).unwrap();
            assert_eq!(sound.recompressed.is_none(), from == to);
            let Some(batch) = sound.recompressed else { continue };
            let header = BatchHeader::read(&batch).unwrap();
            header.verify(&batch).unwrap();
            assert_eq!(header.compression(), Ok(to));
            let producer = (header.producer_id, header.producer_epoch, header.base_sequence);
            assert_eq!(producer, (ProducerId(7), ProducerEpoch(2), 40));
            assert_eq!(header.max_timestamp, TimestampMs(WALL + 9));
            let section = decompress(&header, &batch, 1 << 20).unwrap();
            let records: Vec<_> = Records::new(&header, &section).map(Result::unwrap).collect();
            let first: Vec<_> = records[0].headers.clone().map(|header| (header.key, header.value)).collect();
            assert_eq!(first, [(&b"h"[..], None), (&b"h"[..], Some(&b""[..]))]);
            let fields: Vec<_> =
                records.iter().map(|r| (r.offset.get(), r.timestamp.get(), r.key, r.value)).collect();
            assert_eq!(fields, [(0, WALL, None, Some(&b"v"[..])), (1, WALL + 9, Some(&b""[..]), None)]);
        }
    }
}

#[test]
fn max_message_bytes_bounds_the_batch_before_and_after_recompression() {
    let value = vec![b'v'; 400];
    let batch = |codec| {
        let mut builder = BatchBuilder::new(Offset(0)).compression(codec, None);
        builder.push(TimestampMs(WALL), None, Some(&value), &[]);
        builder.build().unwrap()
    };
    let config = LogConfig { max_message_bytes: 300, ..LogConfig::default() };
    let too_large =
        |result: Result<Sound, AppendError>| matches!(result, Err(AppendError::MessageTooLarge { .. }));
    assert!(too_large(check(&batch(Compression::None), &config)));
    check(&batch(Compression::Gzip), &config).unwrap();
    let unpacked = LogConfig { compression: Some(Compression::None), ..config.clone() };
    assert!(too_large(check(&batch(Compression::Gzip), &unpacked)));
    let packed = LogConfig { compression: Some(Compression::Gzip), ..config };
    assert!(too_large(check(&batch(Compression::None), &packed)));
}

#[test]
fn a_bomb_is_refused_without_being_unpacked() {
    let config =
        LogConfig { max_message_bytes: 10_000, compression: Some(Compression::None), ..LogConfig::default() };
    let mut builder = BatchBuilder::new(Offset(0)).compression(Compression::Zstd, None);
    builder.push(TimestampMs(WALL), None, Some(&vec![0; 4_000_000]), &[]);
    let error = check(&builder.build().unwrap(), &config).unwrap_err();
    assert!(matches!(error, AppendError::InvalidRecord(InvalidRecord::Malformed(_))), "{error:?}");
}
