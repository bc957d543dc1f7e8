mod golden;

use proptest::prelude::*;

use super::*;
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TimestampMs};

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

#[derive(Clone, Debug, PartialEq)]
struct Plain {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn read_all(batch: &[u8]) -> Result<Vec<Plain>, BatchError> {
    let header = BatchHeader::read(batch)?;
    let section = decompress(&header, batch, 1 << 20)?;
    let mut out = Vec::new();
    for (index, record) in Records::new(&header, &section).enumerate() {
        let record = record?;
        assert_eq!(record.offset, header.base_offset.plus(i64::try_from(index).unwrap()));
        let headers = record.headers.map(|h| (h.key.to_vec(), h.value.map(<[u8]>::to_vec)));
        out.push(Plain {
            timestamp: record.timestamp.get(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: headers.collect(),
        });
    }
    Ok(out)
}

fn push_all(builder: &mut BatchBuilder, records: &[Plain]) {
    for record in records {
        let headers: Vec<_> = record.headers.iter().map(|(k, v)| (k.as_slice(), v.as_deref())).collect();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.push(TimestampMs(record.timestamp), key, value, &headers);
    }
}

fn build(records: &[Plain], codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Offset(7)).compression(codec, None).leader_epoch(LeaderEpoch(3));
    push_all(&mut builder, records);
    builder.build().unwrap()
}

fn plain() -> impl Strategy<Value = Plain> {
    let bytes = || prop::option::of(prop::collection::vec(any::<u8>(), 0..40));
    let headers = prop::collection::vec((prop::collection::vec(any::<u8>(), 0..4), bytes()), 0..4);
    (0i64..1 << 45, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| Plain {
        timestamp,
        key,
        value,
        headers,
    })
}

proptest! {
    #[test]
    fn build_then_read_gives_the_records_back(
        records in prop::collection::vec(plain(), 1..30),
        codec in prop::sample::select(CODECS.to_vec()),
    ) {
        let batch = build(&records, codec);
        let header = BatchHeader::read(&batch).unwrap();
        header.verify(&batch).unwrap();
        prop_assert_eq!(header.size(), batch.len());
        prop_assert_eq!(header.compression().unwrap(), codec);
        let section = decompress(&header, &batch, 1 << 20).unwrap();
        let newest = Records::new(&header, &section).map(|record| record.unwrap().timestamp).max();
        prop_assert_eq!(newest.unwrap().max(TimestampMs::NONE), header.max_timestamp);
        prop_assert_eq!(read_all(&batch).unwrap(), records);
    }

    #[test]
    fn random_sections_never_panic(
        codec in prop::sample::select(CODECS.to_vec()),
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        xerial in any::<bool>(),
        count in any::<i32>(),
    ) {
        if xerial {
            bytes.splice(0..0, *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
        }
        let _ = decompress_section(codec, &bytes, 4096);
        let batch = build(&[Plain { timestamp: 1, key: None, value: None, headers: vec![] }], Compression::None);
        let mut header = BatchHeader::read(&batch).unwrap();
        header.record_count = count;
        let _ = Records::new(&header, &bytes).count();
    }

    #[test]
    fn a_flipped_byte_never_panics(
        records in prop::collection::vec(plain(), 1..5),
        codec in prop::sample::select(CODECS.to_vec()),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let mut batch = build(&records, codec);
        let at = at.index(batch.len());
        batch[at] = to;
        if let Ok(header) = BatchHeader::read(&batch) {
            let _ = decompress(&header, &batch, 1 << 16).map(|s| Records::new(&header, &s).count());
            let _ = stamp(&mut batch, TimestampType::LogAppendTime, TimestampMs(5));
        }
    }
}

#[test]
fn header_fields_come_back() {
    let mut builder = BatchBuilder::new(Offset(100))
        .leader_epoch(LeaderEpoch(9))
        .producer(ProducerId(4000), ProducerEpoch(2), 17)
        .transactional()
        .control()
        .log_append_time(TimestampMs(555));
    builder.push(TimestampMs(10), Some(b"k"), None, &[]);
    builder.push(TimestampMs(20), Some(b"k"), None, &[]);
    let batch = builder.build().unwrap();
    let header = BatchHeader::read(&batch).unwrap();
    assert_eq!((header.base_offset, header.next_offset()), (Offset(100), Offset(102)));
    assert_eq!(header.partition_leader_epoch, LeaderEpoch(9));
    assert_eq!((header.producer_id, header.producer_epoch), (ProducerId(4000), ProducerEpoch(2)));
    assert_eq!((header.base_sequence, header.last_sequence()), (17, 18));
    assert!(header.is_transactional() && header.is_control());
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
    assert!(read_all(&batch).unwrap().iter().all(|record| record.timestamp == 555));
}

#[test]
fn a_lying_record_count_is_an_error() {
    let record = Plain { timestamp: 1, key: None, value: Some(b"v".to_vec()), headers: vec![] };
    let batch = build(&[record.clone(), record], Compression::None);
    for (count, want_ok) in [(2, true), (1, false), (3, false), (i32::MAX, false), (-1, false), (0, false)] {
        let mut header = BatchHeader::read(&batch).unwrap();
        header.record_count = count;
        let all: Result<Vec<_>, _> = Records::new(&header, &batch[HEADER_LEN..]).collect();
        assert_eq!(all.is_ok(), want_ok, "count {count}");
    }
}

#[test]
fn an_empty_batch_is_refused() {
    assert_eq!(
        BatchBuilder::new(Offset::ZERO).build(),
        Err(BatchError::Count { count: 0, last_offset_delta: -1 })
    );
}

#[test]
fn decompression_stops_at_its_limit() {
    let zeros = vec![0u8; 1 << 20];
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let packed = compress(codec, None, &zeros).unwrap();
        assert!(packed.len() < zeros.len() / 10, "{codec:?}");
        assert_eq!(decompress_section(codec, &packed, zeros.len()).as_deref(), Ok(zeros.as_slice()));
        let limit = zeros.len() - 1;
        assert_eq!(decompress_section(codec, &packed, limit), Err(BatchError::TooLarge(limit)));
        assert_eq!(
            decompress_section(codec, &packed[..packed.len() / 2], 1 << 21),
            Err(BatchError::Decompress)
        );
    }
}

#[test]
fn raw_snappy_is_read_and_its_length_claim_checked() {
    let raw = snap::raw::Encoder::new().compress_vec(b"librdkafka writes one raw block").unwrap();
    let read = decompress_section(Compression::Snappy, &raw, 100).unwrap();
    assert_eq!(read, b"librdkafka writes one raw block");
    let claims_3_gib = [0xff, 0xff, 0xff, 0xff, 0x0b, 0];
    assert_eq!(
        decompress_section(Compression::Snappy, &claims_3_gib, usize::MAX),
        Err(BatchError::Decompress)
    );
}

#[test]
fn stamping_log_append_time_keeps_the_crc_right() {
    let record = Plain { timestamp: 1, key: None, value: None, headers: vec![] };
    let mut batch = build(&[record], Compression::None);
    stamp(&mut batch, TimestampType::LogAppendTime, TimestampMs(777)).unwrap();
    let header = BatchHeader::read(&batch).unwrap();
    header.verify(&batch).unwrap();
    assert_eq!(read_all(&batch).unwrap()[0].timestamp, 777);
}

#[test]
fn levels_are_honoured_and_read_back() {
    let section: Vec<u8> = (0..200_000u32).flat_map(|n| (n % 977 * (n % 13)).to_le_bytes()).collect();
    for (codec, low, high) in
        [(Compression::Gzip, 1, 9), (Compression::Lz4, 9, 17), (Compression::Zstd, 1, 19)]
    {
        let lens = [low, high].map(|level| {
            let packed = compress(codec, Some(level), &section).unwrap();
            assert_eq!(
                decompress_section(codec, &packed, section.len()).unwrap(),
                section,
                "{codec:?} {level}"
            );
            packed.len()
        });
        assert!(lens[1] < lens[0], "{codec:?}: {lens:?}");
    }
}

#[test]
fn a_stream_that_is_cut_off_is_refused() {
    let section: Vec<u8> = (0..200_000_u32).flat_map(|n| (n % 251).to_be_bytes()).collect();
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let whole = compress(codec, None, &section).unwrap();
        assert_eq!(decompress_section(codec, &whole, 1 << 20).unwrap(), section);
        for missing in [1, 2, 3, 4, 5, whole.len() / 2, whole.len() - 1] {
            let cut = decompress_section(codec, &whole[..whole.len() - missing], 1 << 20);
            assert_eq!(cut, Err(BatchError::Decompress), "{codec:?} without the last {missing} bytes");
        }
    }
    // As other encoders write it: sizes and checksums of blocks and contents.
    let info = lz4_flex::frame::FrameInfo::new().content_size(Some(800_000)).block_checksums(true);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info.content_checksum(true), Vec::new());
    std::io::Write::write_all(&mut encoder, &section).unwrap();
    let whole = encoder.finish().unwrap();
    assert_eq!(decompress_section(Compression::Lz4, &whole, 1 << 20).unwrap(), section);
}
