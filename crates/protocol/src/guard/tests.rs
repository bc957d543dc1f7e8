use super::*;
use crate::Listener;

#[test]
fn every_api_has_both_shapes_and_the_file_agrees_with_the_table() {
    let mut lines = 0;
    for line in shape::SHAPES.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.splitn(7, ' ').collect();
        let spec = ApiKey::from_code(words[0].parse().unwrap()).unwrap().spec();
        let flexible = spec.flexible_from.map_or("none".to_owned(), |from| from.to_string());
        let listener = match words[5] {
            "broker" => Listener::Broker,
            "controller" => Listener::Controller,
            _ => Listener::Both,
        };
        assert_eq!(
            (words[2], words[3], words[4], listener),
            (spec.name, format!("{}-{}", spec.min, spec.max).as_str(), flexible.as_str(), spec.listener)
        );
        lines += 1;
    }
    assert_eq!(lines, 2 * ApiKey::ALL.len());
    for key in ApiKey::ALL {
        assert!(shape::of(*key, Direction::Request).is_some(), "{key}");
        assert!(shape::of(*key, Direction::Response).is_some(), "{key}");
    }
}

fn metadata_v9(body: &[u8]) -> Result<usize, GuardError> {
    check(ApiKey::Metadata, Direction::Request, 9, body)
}

#[test]
fn gives_the_length_of_the_message_and_leaves_what_follows() {
    // One topic "t" without tags; three booleans; no tags; two bytes more.
    assert_eq!(metadata_v9(&[2, 2, b't', 0, 1, 0, 0, 0, 0xee, 0xee]), Ok(8));
    // Topics null, and an unknown tag.
    assert_eq!(metadata_v9(&[0, 1, 0, 0, 1, 77, 1, 0xaa]), Ok(8));
}

#[test]
fn refuses_counts_that_the_body_does_not_carry() {
    let short = |at, wanted, left| Err(GuardError::Wire { at, source: WireError::Short { wanted, left } });
    // The frames that abort a process whose codec trusts them.
    assert_eq!(
        check(ApiKey::Metadata, Direction::Request, 0, &[0x7f, 0xff, 0xff, 0xff]),
        Err(GuardError::LongArray { at: 4, count: 0x7fff_ffff })
    );
    assert_eq!(
        check(ApiKey::DescribeConfigs, Direction::Request, 4, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        Err(GuardError::LongArray { at: 5, count: 0xffff_fffe })
    );
    assert_eq!(metadata_v9(&[0xc1, 0x84, 0x3d]), short(3, 1, 0));
    assert_eq!(metadata_v9(&[0xc2, 0x84, 0x3d]), Err(GuardError::LongArray { at: 3, count: 1_000_001 }));
    assert_eq!(metadata_v9(&[2, 9, b't']), short(2, 8, 1));
    assert_eq!(
        metadata_v9(&[0, 1, 0, 0, 0x91, 0x4e]),
        Err(GuardError::ManyTaggedFields { at: 6, count: 10_001 })
    );
}

#[test]
fn refuses_what_decoders_would_read_differently() {
    let fetch = |tagged: &[u8]| {
        let head = [0; 4 + 4 + 4 + 1 + 4 + 4];
        let body = [&head[..], &[1, 1, 1], tagged].concat();
        check(ApiKey::Fetch, Direction::Request, 15, &body).map(|len| len == body.len())
    };
    // Replica state (tag 1): an id, an epoch, no tags: 13 bytes.
    let state = [0; 13];
    assert_eq!(fetch(&[&[1, 1, 13], &state[..]].concat()), Ok(true));
    assert!(matches!(fetch(&[&[1, 1, 12], &state[..]].concat()), Err(GuardError::Wire { .. })));
    assert!(matches!(
        fetch(&[&[1, 1, 14], &state[..], &[0]].concat()),
        Err(GuardError::TaggedLen { tag: 1, len: 14, .. })
    ));
    let cursor =
        |marker| check(ApiKey::DescribeTopicPartitions, Direction::Request, 0, &[1, 0, 0, 0, 1, marker, 0]);
    assert_eq!(cursor(0xff), Ok(7));
    assert_eq!(cursor(0), Err(GuardError::NullMarker { at: 6, marker: 0 }));
}
