//! What must hold after every step: one value per offset for all time, a leader per epoch, offsets that do not go back, and
//! whoever leads has all that was committed.

use std::collections::BTreeMap;

use ottla_model::batch::{Records, batches, decompress};
use ottla_model::{LeaderEpoch, Offset, TopicIdPartition};

use crate::message::Address;
use crate::node::{Node, Replica};

/// A check that failed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub check: &'static str,
    pub what: String,
}

impl Violation {
    pub(crate) fn new(check: &'static str, what: impl Into<String>) -> Self {
        Self { check, what: what.into() }
    }
}

/// A record as the history knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) value: u64,
    pub(crate) producer: i64,
    pub(crate) sequence: i32,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    /// What any replica has ever shown below its high watermark, by offset.
    pub(crate) committed: BTreeMap<i64, Entry>,
    leaders: BTreeMap<LeaderEpoch, Address>,
    seen: BTreeMap<Address, Seen>,
}

/// What a replica was like when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    boot: u64,
    epoch: LeaderEpoch,
    leads: bool,
    high_watermark: Offset,
    leo: Offset,
    log_start: Offset,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) histories: BTreeMap<TopicIdPartition, History>,
}

/// The records of some batches, by offset.
pub(crate) fn entries(bytes: &[u8]) -> Result<Vec<(i64, Entry)>, Violation> {
    let mut all = Vec::new();
    for batch in batches(bytes) {
        // The last one of a read may be cut.
        let Ok((header, batch)) = batch else { break };
        let broken = |error| Violation::new("a batch can be read", format!("{error}"));
        header.verify(batch).map_err(broken)?;
        let section = decompress(&header, batch, 1 << 20).map_err(broken)?;
        for record in Records::new(&header, &section) {
            let record = record.map_err(broken)?;
            let number = record.value.and_then(|value| value.try_into().ok()).map(u64::from_be_bytes);
            let value = number.unwrap_or_else(|| digest(record.key, record.value));
            let sequence =
                if header.has_producer_id() { header.base_sequence + record.offset_delta } else { -1 };
            let producer = header.producer_id.get();
            all.push((
                record.offset.get(),
                Entry { epoch: header.partition_leader_epoch, value, producer, sequence },
            ));
        }
    }
    Ok(all)
}

/// Of a record whose value is no number: a coordinator's.
fn digest(key: Option<&[u8]>, value: Option<&[u8]>) -> u64 {
    let bytes = key.unwrap_or_default().iter().chain(value.unwrap_or_default());
    bytes
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// What a replica's log holds in that range.
pub(crate) fn read(replica: &Replica, from: Offset, upper: Offset) -> Result<Vec<(i64, Entry)>, Violation> {
    let mut all: Vec<(i64, Entry)> = Vec::new();
    let mut at = from;
    while at < upper {
        let bytes = replica.read_records(at, upper).map_err(|refusal| {
            let cause = replica.log.read(at, 1_000, upper, true).err();
            Violation::new(
                "a log can be read",
                format!("{} at {at} below {upper}: {refusal:?}, {cause:?}", replica.name),
            )
        })?;
        let some = entries(&bytes)?;
        let Some((last, _)) = some.last() else {
            return Err(Violation::new(
                "a log can be read",
                format!("{} has nothing at {at} below {upper}: {:?}", replica.name, replica.machine),
            ));
        };
        let next = Offset(last + 1);
        all.extend(some.into_iter().filter(|(offset, _)| *offset >= at.get() && *offset < upper.get()));
        at = next;
    }
    Ok(all)
}

impl Ledger {
    /// Looks at every replica of a node that has changed. Answers those that lead and show more as committed.
    pub(crate) fn check(&mut self, node: &Node) -> Result<Vec<TopicIdPartition>, Violation> {
        let mut advanced = Vec::new();
        let Some(process) = &node.process else { return Ok(advanced) };
        for (id, replica) in &process.replicas {
            if replica.log.is_offline() {
                continue;
            }
            if self.histories.entry(*id).or_default().look(node.id, node.boot, replica)? {
                advanced.push(*id);
            }
        }
        Ok(advanced)
    }
}

impl History {
    /// Whether it leads and shows more as committed.
    fn look(&mut self, node: Address, boot: u64, replica: &Replica) -> Result<bool, Violation> {
        let (machine, name) = (&replica.machine, &replica.name);
        let log = machine.log();
        let now = Seen {
            boot,
            epoch: machine.leader_epoch(),
            leads: machine.is_leader(),
            high_watermark: log.high_watermark,
            leo: log.leo,
            log_start: log.log_start,
        };
        let before = self.seen.insert(node, now).filter(|seen| seen.boot == boot);
        if before == Some(now) {
            return Ok(false);
        }
        machine.check().map_err(|error| {
            Violation::new("the machine's own invariants", format!("{name} on {node}: {error}"))
        })?;
        if log.leo != replica.log.log_end_offset() {
            return Err(Violation::new("the machine knows its log", format!("{name} on {node}: {log:?}")));
        }
        if let Some(before) = before {
            self.look_back(node, replica, &before, &now)?;
        }
        let checked = before.map_or(log.log_start, |before| before.high_watermark.max(log.log_start));
        self.shown(node, replica, checked, log.high_watermark)?;
        if now.leads && before.is_none_or(|before| !before.leads || before.epoch != now.epoch) {
            self.leads(node, replica, &now)?;
        }
        Ok(now.leads && before.is_none_or(|before| before.high_watermark < now.high_watermark))
    }

    fn look_back(
        &self,
        node: Address,
        replica: &Replica,
        before: &Seen,
        now: &Seen,
    ) -> Result<(), Violation> {
        let name = &replica.name;
        if now.epoch < before.epoch {
            return Err(Violation::new(
                "epochs do not go back",
                format!("{name} on {node}: {before:?}, {now:?}"),
            ));
        }
        if before.leads && now.leads && now.high_watermark < before.high_watermark {
            let what = format!("{name} on {node}: {before:?}, {now:?}");
            return Err(Violation::new("a leader's high watermark does not go back", what));
        }
        if before.leads && now.leads && now.log_start < before.log_start {
            return Err(Violation::new(
                "a log's start does not go back",
                format!("{name} on {node}: {before:?}, {now:?}"),
            ));
        }
        if before.leads && now.leads && now.leo < before.leo {
            return Err(Violation::new(
                "a leader's log does not shrink",
                format!("{name} on {node}: {before:?}, {now:?}"),
            ));
        }
        Ok(())
    }

    /// A replica shows these records as committed.
    fn shown(
        &mut self,
        node: Address,
        replica: &Replica,
        from: Offset,
        upper: Offset,
    ) -> Result<(), Violation> {
        for (offset, entry) in read(replica, from, upper)? {
            match self.committed.get(&offset) {
                Some(known) if *known == entry => {}
                Some(known) => {
                    let what = format!(
                        "{} on {node} shows {entry:?} at {offset}, where {known:?} was shown",
                        replica.name
                    );
                    return Err(Violation::new("one value per offset", what));
                }
                None if replica.machine.is_leader() => {
                    self.committed.insert(offset, entry);
                }
                None => {
                    let what = format!(
                        "{} on {node} shows {entry:?} at {offset}, which no leader has",
                        replica.name
                    );
                    return Err(Violation::new("followers show what leaders have shown", what));
                }
            }
        }
        Ok(())
    }

    fn leads(&mut self, node: Address, replica: &Replica, now: &Seen) -> Result<(), Violation> {
        let leader = *self.leaders.entry(now.epoch).or_insert(node);
        if leader != node {
            let what = format!("{}: {leader} and {node} in {}", replica.name, now.epoch);
            return Err(Violation::new("one leader in an epoch", what));
        }
        let newest = self.leaders.last_key_value().is_none_or(|(epoch, _)| *epoch == now.epoch);
        if newest { self.holds_all(node, replica) } else { Ok(()) }
    }

    /// All that was ever committed, from its log's start on.
    pub(crate) fn holds_all(&self, node: Address, replica: &Replica) -> Result<(), Violation> {
        let (start, end) = (replica.log.log_start_offset(), replica.log.log_end_offset());
        let held: BTreeMap<i64, Entry> = read(replica, start, end)?.into_iter().collect();
        for (offset, entry) in self.committed.range(start.get()..) {
            if held.get(offset) != Some(entry) {
                let what = format!(
                    "{} on {node} has {:?} at {offset}, not {entry:?}; its log is {start}..{end}",
                    replica.name,
                    held.get(offset)
                );
                return Err(Violation::new("no committed record is lost", what));
            }
        }
        Ok(())
    }
}
