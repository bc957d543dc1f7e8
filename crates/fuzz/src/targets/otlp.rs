//! The metrics that clients push.

use bytes::Bytes;
use ottla_protocol::otlp::read_metrics;

use super::Target;

/// The saved inputs are pushes of a Java producer, a Java consumer (4.3.1) and of librdkafka (2.16.0), unpacked.
pub(crate) const OTLP: Target = Target {
    name: "otlp",
    about: "a client's metrics (KIP-714): refused, or fewer numbers, with shorter texts, than there are bytes",
    run,
    quick: 10_000,
    seeds,
};

fn run(bytes: &[u8]) {
    let (mut points, mut own, mut shared) = (0, 0, 0);
    let unread = read_metrics(Bytes::copy_from_slice(bytes), |point| {
        points += 1;
        own += point.attributes.iter().map(|(name, _)| name.len()).sum::<usize>();
        shared = point.resource.iter().map(|(name, _)| name.len()).sum::<usize>() + point.metric.len();
        assert!(own + shared <= bytes.len());
    });
    let unread = unread.map_or(0, |unread| usize::try_from(unread).unwrap_or(usize::MAX));
    assert!(points + unread <= bytes.len());
}

/// The shortest number there is: a gauge called `a`.
fn seeds() -> Vec<Vec<u8>> {
    let nested = |tag: u8, content: &[u8]| -> Vec<u8> {
        let len = u8::try_from(content.len()).unwrap_or_default();
        [tag << 3 | 2, len].into_iter().chain(content.iter().copied()).collect()
    };
    let point: Vec<u8> = [4 << 3 | 1].into_iter().chain(1_f64.to_le_bytes()).collect();
    let metric = [nested(1, b"a"), nested(5, &nested(1, &point))].concat();
    vec![nested(1, &nested(2, &nested(2, &metric)))]
}
