use std::collections::BTreeMap;

use ottla_model::batch::{BatchBuilder, BatchHeader};
use ottla_model::{ProducerEpoch, ProducerId, TimestampMs};

use super::*;
use crate::shard::{RecordBytesError, ReplayError};
use crate::timeline::TimelineMap;
use crate::timers::Timers;

/// A register per name: `set` writes, a timer clears.
#[derive(Debug, Default)]
struct Registers {
    values: TimelineMap<String, String>,
    timers: Timers<String>,
    told: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Set(String, Option<String>);

impl Record for Set {
    fn encode_key(&self) -> Vec<u8> {
        self.0.clone().into_bytes()
    }

    fn encode_value(&self) -> Option<Vec<u8>> {
        self.1.clone().map(String::into_bytes)
    }

    fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, RecordBytesError> {
        let text =
            |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|e| RecordBytesError(e.to_string()));
        Ok(Self(text(key)?, value.map(text).transpose()?))
    }
}

impl Shard for Registers {
    type Record = Set;
    type Token = u32;
    type Response = Result<String, WriteError>;
    type Completion = String;

    fn replay(&mut self, Set(name, value): Set) -> Result<(), ReplayError> {
        match value {
            Some(value) if value == "poison" => return Err(ReplayError("poison".into())),
            Some(value) => self.values.insert(name, value),
            None => drop(self.values.remove(&name)),
        }
        Ok(())
    }

    fn begin(&mut self, write: WriteId) {
        self.values.begin(write);
    }

    fn commit(&mut self, write: WriteId) {
        self.values.commit(write);
    }

    fn revert(&mut self, write: WriteId) {
        self.values.revert(write);
    }

    fn loaded(&mut self, _: Now, _: &mut Outcome<Self>) {
        self.told.push("loaded".into());
    }

    fn reverted(&mut self, error: &WriteError, _: Now, _: &mut Outcome<Self>) {
        self.told.push(format!("reverted: {error}"));
    }

    fn completed(&mut self, name: String, result: Result<(), WriteError>, _: Now, _: &mut Outcome<Self>) {
        self.told.push(format!("{name}: {}", result.is_ok()));
    }

    fn next_deadline(&self) -> Option<MonoMs> {
        self.timers.next_deadline()
    }

    fn tick(&mut self, now: Now, out: &mut Outcome<Self>) -> bool {
        let Some(name) = self.timers.pop_due(now.mono) else { return false };
        out.record(Set(name, None));
        true
    }

    fn close(&mut self, out: &mut Outcome<Self>) {
        out.reply_now(99, Err(WriteError::Closed));
    }

    fn failed(_: Self::Response, error: &WriteError) -> Self::Response {
        Err(error.clone())
    }
}

type Core = ShardCore<Registers>;

const fn at(ms: u64) -> Now {
    Now { wall: TimestampMs(1_700_000_000_000), mono: MonoMs(ms) }
}

fn active() -> Core {
    let mut core = Core::new(Registers::default(), CoreConfig::default());
    core.loaded(Offset::ZERO, at(0));
    core
}

fn set(core: &mut Core, token: u32, name: &str, value: &str) {
    core.write(at(0), |_, out| {
        out.record(Set(name.into(), Some(value.into())));
        out.reply(token, Ok(value.into()));
        out.on_completion(name.into());
    })
    .unwrap();
}

fn ping(core: &mut Core, token: u32) {
    core.write(at(0), |_, out| out.reply(token, Ok("pong".into()))).unwrap();
}

fn tokens(core: &mut Core) -> Vec<(u32, bool)> {
    std::iter::from_fn(|| core.poll_reply()).map(|(token, response)| (token, response.is_ok())).collect()
}

#[test]
fn reply_waits_for_the_high_watermark() {
    let mut core = active();
    set(&mut core, 1, "a", "x");
    let append = core.poll_append().unwrap();
    core.appended(append.write, Ok(Offset(0)), at(1));
    assert_eq!(tokens(&mut core), vec![]);
    assert_eq!(core.read().unwrap().values.get_committed(&"a".into()), None);
    core.high_watermark(Offset(1), at(2));
    assert_eq!(tokens(&mut core), vec![(1, true)]);
    assert_eq!(core.read().unwrap().values.get_committed(&"a".into()), Some(&"x".into()));
    assert_eq!(core.read().unwrap().told, ["loaded", "a: true"]);
}

#[test]
fn operation_without_records_waits_behind_outstanding_writes() {
    let mut core = active();
    ping(&mut core, 1);
    assert_eq!(tokens(&mut core), vec![(1, true)]);
    set(&mut core, 2, "a", "x");
    ping(&mut core, 3);
    core.write(at(0), |_, out| out.reply_now(4, Ok(String::new()))).unwrap();
    assert_eq!(tokens(&mut core), vec![(4, true)]);
    let append = core.poll_append().unwrap();
    core.high_watermark(Offset(1), at(0));
    core.appended(append.write, Ok(Offset(0)), at(0));
    assert_eq!(tokens(&mut core), vec![(2, true), (3, true)]);
}

#[test]
fn failed_append_reverts_everything_since() {
    let mut core = active();
    for (token, value) in [(1, "x"), (2, "y"), (3, "z")] {
        set(&mut core, token, "a", value);
    }
    let first = core.poll_append().unwrap();
    core.appended(first.write, Ok(Offset(0)), at(0));
    let second = core.poll_append().unwrap();
    core.appended(second.write, Err(WriteError::NotEnoughReplicas), at(0));
    assert_eq!(core.poll_append(), None, "the third must not be appended");
    assert_eq!(tokens(&mut core), vec![(2, false), (3, false)]);
    assert_eq!(core.read().unwrap().values.get(&"a".into()), Some(&"x".into()));
    core.high_watermark(Offset(1), at(0));
    assert_eq!(tokens(&mut core), vec![(1, true)]);
    let told = &core.read().unwrap().told;
    assert_eq!(told[2..], ["a: false", "a: false", "a: true"]);
}

#[test]
fn write_times_out_and_stays() {
    let mut core = active();
    set(&mut core, 1, "a", "x");
    let append = core.poll_append().unwrap();
    core.appended(append.write, Ok(Offset(0)), at(0));
    assert_eq!(core.next_deadline(), Some(MonoMs(5_000)));
    core.tick(at(5_000));
    assert_eq!(tokens(&mut core), vec![(1, false)]);
    assert_eq!(core.next_deadline(), None);
    core.high_watermark(Offset(1), at(6_000));
    assert_eq!(core.read().unwrap().values.get_committed(&"a".into()), Some(&"x".into()));
}

#[test]
fn unreplayable_or_oversized_operation_changes_nothing() {
    let mut core = active();
    core.write(at(0), |_, out| {
        out.record(Set("a".into(), Some("x".into())));
        out.record(Set("a".into(), Some("poison".into())));
        out.reply(1, Ok(String::new()));
    })
    .unwrap();
    set(&mut core, 2, "b", &"x".repeat(2_000_000));
    assert_eq!(tokens(&mut core), vec![(1, false), (2, false)]);
    assert_eq!(core.poll_append(), None);
    assert_eq!(core.read().unwrap().values.iter().count(), 0);
}

#[test]
fn divisible_operation_takes_the_batches_it_needs() {
    let mut core = active();
    let value = "x".repeat(400_000);
    core.write(at(0), |_, out| {
        out.divisible();
        for name in ["a", "b", "c", "d", "e"] {
            let size = if name == "c" { 2_000_000 } else { value.len() };
            out.record(Set(name.into(), Some(value.repeat(size / value.len()))));
        }
        out.reply(1, Ok(String::new()));
    })
    .unwrap();
    let mut next = 0;
    while let Some(append) = core.poll_append() {
        assert!(append.batch.len() <= CoreConfig::default().batch_bytes_max);
        assert_eq!(tokens(&mut core), vec![], "the answer goes with the last batch");
        next += BatchHeader::read(&append.batch).unwrap().next_offset().get();
        core.appended(append.write, Ok(Offset(next - 1)), at(0));
        core.high_watermark(Offset(next), at(0));
    }
    assert_eq!(tokens(&mut core), vec![(1, true)]);
    let names: Vec<_> = core.read().unwrap().values.iter_committed().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["a", "b", "d", "e"], "what no batch takes does not hold back the others");
}

#[test]
fn due_timers_write_one_batch_each() {
    let mut core = active();
    core.write(at(0), |shard, _| {
        shard.timers.schedule("a".into(), MonoMs(10));
        shard.timers.schedule("b".into(), MonoMs(10));
    })
    .unwrap();
    assert_eq!(core.next_deadline(), Some(MonoMs(10)));
    core.tick(at(10));
    assert_eq!(std::iter::from_fn(|| core.poll_append()).count(), 2);
}

#[test]
fn close_answers_everything() {
    let mut core = active();
    set(&mut core, 1, "a", "x");
    core.close();
    assert_eq!(tokens(&mut core), vec![(1, false), (99, false)]);
    assert_eq!(core.poll_append(), None);
    assert_eq!(core.write(at(0), |_, _| ()), Err(NotActive::Closed));
}

#[test]
fn load_rebuilds_what_was_written() {
    let mut core = active();
    set(&mut core, 1, "a", "x");
    set(&mut core, 2, "b", "y");
    core.write(at(0), |_, out| out.record(Set("a".into(), None))).unwrap();
    let mut log = Vec::new();
    let mut offset = 0;
    while let Some(mut append) = core.poll_append() {
        BatchHeader::assign(&mut append.batch, Offset(offset), ottla_model::LeaderEpoch(3));
        offset += 1;
        log.extend(append.batch);
    }
    let mut second = Core::new(Registers::default(), CoreConfig::default());
    assert_eq!(second.write(at(0), |_, _| ()), Err(NotActive::Loading));
    assert_eq!(second.load(&log), Ok(Some(Offset(3))));
    second.loaded(Offset(3), at(0));
    let left: BTreeMap<_, _> = second.read().unwrap().values.iter_committed().collect();
    assert_eq!(left, BTreeMap::from([(&"b".to_string(), &"y".to_string())]));
    let last = log.len() - 1;
    log[last] ^= 1;
    assert!(matches!(
        Core::new(Registers::default(), CoreConfig::default()).load(&log),
        Err(LoadError::Batch { at: Offset(2), error: ottla_model::batch::BatchError::Crc { .. } })
    ));
}

#[test]
fn load_holds_transactions_back_until_their_marker() {
    let transactional = |producer: i64, name: &str| {
        let mut batch =
            BatchBuilder::new(Offset(0)).producer(ProducerId(producer), ProducerEpoch(0), 0).transactional();
        batch.push(TimestampMs(0), Some(name.as_bytes()), Some(b"x"), &[]);
        batch.build().unwrap()
    };
    let marker = |producer: i64, kind: u8| {
        let builder = BatchBuilder::new(Offset(0)).producer(ProducerId(producer), ProducerEpoch(0), -1);
        let mut batch = builder.transactional().control();
        batch.push(TimestampMs(0), Some(&[0, 0, 0, kind]), Some(&[0, 0, 0, 0, 0, 0]), &[]);
        batch.build().unwrap()
    };
    let log = [transactional(1, "kept"), transactional(2, "aborted"), transactional(3, "open")].concat();
    let log = [log, marker(2, 0), marker(1, 1)].concat();
    let mut core = Core::new(Registers::default(), CoreConfig::default());
    core.load(&log).unwrap();
    core.loaded(Offset(5), at(0));
    let names: Vec<_> = core.read().unwrap().values.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, ["kept"]);
}
