//! Compaction of a log on the simulated disk against a naive model: the list of all records that were ever appended.
//! The model says what must be there, what may be gone and what must be gone; power cuts hit anywhere.

#![allow(clippy::unwrap_used, reason = "a test")]

mod bench;
mod cases;
mod model;

use ottla_storage::CleanerSettings;
use proptest::collection::vec;
use proptest::prelude::*;

use model::{Op, Pair, RecordSpec};

fn record() -> impl Strategy<Value = RecordSpec> {
    (0..12u8, prop::option::weighted(0.75, 0..200u16))
        .prop_map(|(key, value_len)| RecordSpec { key, value_len })
}

fn settings() -> impl Strategy<Value = CleanerSettings> {
    (0..16u64, 1..2000usize).prop_map(|(slots, io_buffer_bytes)| CleanerSettings {
        dedupe_buffer_bytes: slots * 24,
        dedupe_load_factor: 0.9,
        io_buffer_bytes,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let append = (vec(record(), 1..6), 0..5u8, prop::option::of(0..3u8));
    prop_oneof![
        12 => append.prop_map(|(records, codec, producer)| Op::Append { records, codec, producer }),
        2 => Just(Op::Roll),
        3 => Just(Op::Flush),
        4 => settings().prop_map(Op::Clean),
        3 => (settings(), 0..60u64, any::<bool>()).prop_map(|(settings, changes, kill)| Op::CleanUntilCut {
            settings,
            changes,
            kill
        }),
        2 => (settings(), 0..30u8, 0..1000u16).prop_map(|(settings, steps, at)| Op::DeleteWhileCleaning {
            settings,
            steps,
            at
        }),
        1 => (0..1000u16).prop_map(|at| Op::DeleteBefore { at }),
        3 => (0..600u16).prop_map(|ms| Op::Wait { ms }),
        1 => Just(Op::NewEpoch),
        1 => prop::bool::ANY.prop_map(|snapshots| Op::Restart { snapshots }),
        1 => prop::bool::ANY.prop_map(|kill| Op::Crash { kill }),
        1 => prop_oneof![Just(0), Just(300)].prop_map(|ms| Op::MinLag { ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn compaction_keeps_what_the_model_keeps(ops in vec(op(), 1..70)) {
        let mut pair = Pair::new();
        for op in &ops {
            pair.run(op);
        }
        pair.clean_all();
    }
}
