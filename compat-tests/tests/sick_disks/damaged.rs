//! A flipped byte in the middle of a closed segment, as stock clients meet it: the reader learns of it, and the broker says,
//! counts and refuses it.

use std::path::Path;

use ottla_compat_tests::kcat::{kcat, kcat_any, produce_lines};
use ottla_compat_tests::process::eventually;
use ottla_compat_tests::tools::{CONSOLE_CONSUMER, run};
use ottla_compat_tests::{Broker, Target, needs};

use crate::{LIMIT, admin, lines, metric, said};

const RECORDS: usize = 30;
/// The first record of the batch that is damaged.
const DAMAGED: usize = 10;

const CORRUPT_MESSAGE: i16 = 2;

/// Flips a bit in a record of the batch that begins with [`DAMAGED`]; gives the offset behind that batch.
fn flip(segment: &Path) -> usize {
    let mut bytes = std::fs::read(segment).expect("a segment");
    let number = |bytes: &[u8], at: usize, len: usize| {
        bytes[at..at + len].iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    };
    let mut at = 0;
    while number(&bytes, at, 8) < DAMAGED {
        at += 12 + number(&bytes, at + 8, 4);
    }
    assert_eq!(number(&bytes, at, 8), DAMAGED);
    bytes[at + 500] ^= 1;
    std::fs::write(segment, &bytes).expect("write");
    DAMAGED + number(&bytes, at + 23, 4) + 1
}

/// Three batches of ten records in closed segments, of which the second is damaged, and a sound topic.
fn damaged() -> (Broker, usize) {
    let mut broker = Broker::start_with(&[("log.segment.bytes", "1048576")]);
    for topic in ["bad", "good"] {
        assert_eq!(admin::create(&broker, topic, &[]), 0);
        produce_lines(&broker, topic, &lines(0, 10));
    }
    for part in 1..3 {
        produce_lines(&broker, "bad", &lines(part * 10, 10));
    }
    // A segment that is full: what follows is in the next one.
    let filler = format!("{}\n", "f".repeat(900_000));
    produce_lines(&broker, "bad", &filler);
    produce_lines(&broker, "bad", &filler);
    let (status, _) = broker.terminate(LIMIT);
    assert!(status.success(), "{status}");
    let segment = broker.partition_dir("bad", 0).join(format!("{:020}.log", 0));
    let behind = flip(&segment);
    broker.restart();
    (broker, behind)
}

fn values(broker: &Broker, topic: &str, offset: usize, count: usize) -> Vec<usize> {
    let (offset, count) = (offset.to_string(), count.to_string());
    let args =
        ["-C", "-t", topic, "-p", "0", "-o", &offset, "-c", &count, "-e", "-q", "-X", "check.crcs=true"];
    let read = kcat(broker, &args, None);
    read.lines().map(|line| line[..7].parse().expect("a number")).collect()
}

#[test]
fn stock_clients_learn_of_a_flipped_byte_and_everything_else_lives() {
    needs!(Broker, Kcat, Tools);
    let (broker, behind) = damaged();
    let at = DAMAGED.to_string();
    let read = kcat_any(
        &broker,
        &["-C", "-t", "bad", "-p", "0", "-o", &at, "-c", "1", "-q", "-X", "check.crcs=true"],
        None,
    );
    let told = String::from_utf8_lossy(&read.stderr).into_owned();
    assert!(!read.status.success() && told.contains("CRC"), "kcat: {}\n{told}", read.status);
    let console = [
        "--topic",
        "bad",
        "--partition",
        "0",
        "--offset",
        &at,
        "--max-messages",
        "1",
        "--timeout-ms",
        "10000",
    ];
    let ran = run(&broker, CONSOLE_CONSUMER, &console);
    assert!(ran.err.contains("orrupt") && ran.out.is_empty(), "{ran:?}");
    assert_eq!(values(&broker, "bad", 0, 10), (0..10).collect::<Vec<_>>());
    assert_eq!(values(&broker, "bad", behind, RECORDS - behind), (behind..RECORDS).collect::<Vec<_>>());
    assert_eq!(values(&broker, "good", 0, 10), (0..10).collect::<Vec<_>>());
    produce_lines(&broker, "bad", &lines(30, 1));
    if Target::current() == Target::Ottla {
        eventually("counted", LIMIT, || (metric(&broker, "ottla_log_damaged_places") == 1.0).then_some(()));
        assert_eq!(said(&broker, "damaged batch at position"), 1, "{}", broker.log_tail());
        // What is known to be damaged is not sent again; what is around it is.
        let fetch = |offset: usize| admin::fetch(&broker, "bad", i64::try_from(offset).expect("fits"));
        assert_eq!(fetch(DAMAGED), CORRUPT_MESSAGE);
        assert_eq!((fetch(0), fetch(behind)), (0, 0));
    }
}
