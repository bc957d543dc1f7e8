use super::*;

/// Field `tag` that holds bytes.
fn nested(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, &mut out);
    prost::encoding::encode_varint(u64::try_from(content.len()).unwrap(), &mut out);
    out.extend_from_slice(content);
    out
}

fn attribute(key: &str, value: &str) -> Vec<u8> {
    [nested(1, key.as_bytes()), nested(2, &nested(1, value.as_bytes()))].concat()
}

fn point(value: f64, attributes: &[(&str, &str)]) -> Vec<u8> {
    let mut out: Vec<u8> =
        attributes.iter().flat_map(|(key, value)| nested(7, &attribute(key, value))).collect();
    // start_time_unix_nano is passed over.
    out.push(2 << 3 | 1);
    out.extend(7_u64.to_le_bytes());
    out.push(4 << 3 | 1);
    out.extend(value.to_le_bytes());
    out
}

/// A push of these metrics by a client of `group_id` g.
fn push(metrics: &[Vec<u8>]) -> Bytes {
    let scope: Vec<u8> = metrics.iter().flat_map(|metric| nested(2, metric)).collect();
    let resource = nested(1, &nested(1, &attribute("group_id", "g")));
    Bytes::from(nested(1, &[resource, nested(2, &scope)].concat()))
}

fn metric(name: &str, tag: u32, data: &[u8]) -> Vec<u8> {
    [nested(1, name.as_bytes()), nested(3, b"ms"), nested(tag, data)].concat()
}

fn read(push: Bytes) -> (Vec<String>, Result<u64, OtlpError>) {
    let mut seen = Vec::new();
    let unread = read_metrics(push, |point| {
        seen.push(format!(
            "{} {:?} {:?} {:?} {}",
            point.metric, point.kind, point.resource, point.attributes, point.value
        ));
    });
    (seen, unread)
}

#[test]
fn gauges_and_sums_are_read_with_what_they_are_of() {
    let gauge = nested(1, &point(1.5, &[("node_id", "node-1")]));
    let sum = [nested(1, &point(2.0, &[])), nested(1, &point(3.0, &[])), vec![2 << 3, 1, 3 << 3, 1]].concat();
    let total = [nested(1, &point(9.0, &[])), vec![2 << 3, 2]].concat();
    let (seen, unread) = read(push(&[metric("a", 5, &gauge), metric("b", 7, &sum), metric("c", 7, &total)]));
    assert_eq!(
        seen,
        [
            r#"a Gauge [("group_id", "g")] [("node_id", "node-1")] 1.5"#,
            r#"b Counter { delta: true } [("group_id", "g")] [] 2"#,
            r#"b Counter { delta: true } [("group_id", "g")] [] 3"#,
            r#"c Sum { delta: false } [("group_id", "g")] [] 9"#,
        ]
    );
    assert_eq!(unread, Ok(0));
}

#[test]
fn what_is_no_number_is_counted() {
    let two = [nested(1, b""), nested(1, b"")].concat();
    let (seen, unread) = read(push(&[metric("h", 9, &two), metric("s", 11, &two)]));
    assert_eq!((seen, unread), (Vec::new(), Ok(4)));
}

#[test]
fn nothing_is_an_empty_push_and_what_is_cut_is_none() {
    assert_eq!(read(Bytes::new()), (Vec::new(), Ok(0)));
    let whole = push(&[metric("a", 5, &nested(1, &point(1.0, &[("x", "y")])))]);
    for len in 1..whole.len() {
        assert!(read(whole.slice(..len)).1.is_err(), "cut at {len}");
    }
}
