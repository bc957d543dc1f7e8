//! Records about topics and partitions.

use ottla_model::wire::{Reader, Writer};
use ottla_model::{BrokerId, LeaderEpoch, PartitionEpoch, TopicId};

use super::RecordError;
use super::codec::{
    DirectoryId, Tags, read_array, read_broker, read_brokers, read_directory, read_nullable_array,
    write_brokers, write_directories,
};
use crate::image::LeaderRecoveryState;

/// A topic has been created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRecord {
    pub name: String,
    pub topic_id: TopicId,
}

impl TopicRecord {
    pub(super) fn write(&self, out: &mut Writer) {
        out.compact_string(&self.name);
        out.topic_id(self.topic_id);
        out.no_tagged_fields();
    }

    pub(super) fn read(from: &mut Reader<'_>, _version: u32) -> Result<Self, RecordError> {
        let record = Self { name: from.compact_string()?.to_owned(), topic_id: from.topic_id()? };
        from.skip_tagged_fields()?;
        Ok(record)
    }
}

/// A topic has been deleted, with all its partitions and configs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoveTopicRecord {
    pub topic_id: TopicId,
}

impl RemoveTopicRecord {
    pub(super) fn write(&self, out: &mut Writer) {
        out.topic_id(self.topic_id);
        out.no_tagged_fields();
    }

    pub(super) fn read(from: &mut Reader<'_>, _version: u32) -> Result<Self, RecordError> {
        let record = Self { topic_id: from.topic_id()? };
        from.skip_tagged_fields()?;
        Ok(record)
    }
}

/// A partition's whole registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecord {
    pub partition_id: i32,
    pub topic_id: TopicId,
    /// The preferred leader first.
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
    pub removing_replicas: Vec<BrokerId>,
    pub adding_replicas: Vec<BrokerId>,
    /// [`BrokerId::NONE`] if there is no leader.
    pub leader: BrokerId,
    pub leader_recovery_state: LeaderRecoveryState,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    /// One for each of `replicas`, in their order; empty only in records older than KIP-858.
    pub directories: Vec<DirectoryId>,
    /// KIP-966.
    pub elr: Vec<BrokerId>,
    /// KIP-966.
    pub last_known_elr: Vec<BrokerId>,
}

impl PartitionRecord {
    pub(super) fn write(&self, out: &mut Writer) {
        out.i32(self.partition_id);
        out.topic_id(self.topic_id);
        write_brokers(out, &self.replicas);
        write_brokers(out, &self.isr);
        write_brokers(out, &self.removing_replicas);
        write_brokers(out, &self.adding_replicas);
        out.i32(self.leader.get());
        out.i32(self.leader_epoch.get());
        out.i32(self.partition_epoch.get());
        write_directories(out, &self.directories);
        let mut tags = Tags::default();
        if self.leader_recovery_state != LeaderRecoveryState::Recovered {
            tags.add(0, |out| out.i8(self.leader_recovery_state.id()));
        }
        tags.add_brokers(1, non_empty(&self.elr));
        tags.add_brokers(2, non_empty(&self.last_known_elr));
        tags.finish(out);
    }

    pub(super) fn read(from: &mut Reader<'_>, version: u32) -> Result<Self, RecordError> {
        let mut record = Self {
            partition_id: from.i32()?,
            topic_id: from.topic_id()?,
            replicas: read_brokers(from)?,
            isr: read_brokers(from)?,
            removing_replicas: read_brokers(from)?,
            adding_replicas: read_brokers(from)?,
            leader: read_broker(from)?,
            leader_recovery_state: LeaderRecoveryState::Recovered,
            leader_epoch: LeaderEpoch(from.i32()?),
            partition_epoch: PartitionEpoch(from.i32()?),
            directories: if version >= 1 { read_array(from, read_directory)? } else { Vec::new() },
            elr: Vec::new(),
            last_known_elr: Vec::new(),
        };
        let mut recovery = 0;
        from.tagged_fields(|tag, field| {
            let mut field = Reader::new(field);
            match tag {
                0 => recovery = field.i8()?,
                1 => record.elr = read_nullable_array(&mut field, read_broker)?.unwrap_or_default(),
                2 => {
                    record.last_known_elr = read_nullable_array(&mut field, read_broker)?.unwrap_or_default()
                }
                _ => {}
            }
            Ok(())
        })?;
        record.leader_recovery_state = recovery_state(recovery)?;
        Ok(record)
    }
}

/// Parts of a partition's registration have changed; `None` leaves a part as it is. Each replay adds one to the
/// partition epoch, and one to the leader epoch if `leader` is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionChangeRecord {
    pub partition_id: i32,
    pub topic_id: TopicId,
    pub isr: Option<Vec<BrokerId>>,
    /// `Some(BrokerId::NONE)`: there is now no leader.
    pub leader: Option<BrokerId>,
    pub replicas: Option<Vec<BrokerId>>,
    pub removing_replicas: Option<Vec<BrokerId>>,
    pub adding_replicas: Option<Vec<BrokerId>>,
    pub leader_recovery_state: Option<LeaderRecoveryState>,
    pub directories: Option<Vec<DirectoryId>>,
    pub elr: Option<Vec<BrokerId>>,
    pub last_known_elr: Option<Vec<BrokerId>>,
}

/// What `Leader` carries when it did not change.
const NO_LEADER_CHANGE: i32 = -2;
/// What `LeaderRecoveryState` carries when it did not change.
const NO_RECOVERY_CHANGE: i8 = -1;

impl PartitionChangeRecord {
    /// A record that changes nothing yet.
    #[must_use]
    pub const fn new(topic_id: TopicId, partition_id: i32) -> Self {
        Self {
            partition_id,
            topic_id,
            isr: None,
            leader: None,
            replicas: None,
            removing_replicas: None,
            adding_replicas: None,
            leader_recovery_state: None,
            directories: None,
            elr: None,
            last_known_elr: None,
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.i32(self.partition_id);
        out.topic_id(self.topic_id);
        let mut tags = Tags::default();
        tags.add_brokers(0, self.isr.as_deref());
        if let Some(leader) = self.leader {
            tags.add(1, |out| out.i32(leader.get()));
        }
        tags.add_brokers(2, self.replicas.as_deref());
        tags.add_brokers(3, self.removing_replicas.as_deref());
        tags.add_brokers(4, self.adding_replicas.as_deref());
        if let Some(state) = self.leader_recovery_state {
            tags.add(5, |out| out.i8(state.id()));
        }
        tags.add_brokers(6, self.elr.as_deref());
        tags.add_brokers(7, self.last_known_elr.as_deref());
        tags.add_directories(8, self.directories.as_deref());
        tags.finish(out);
    }

    pub(super) fn read(from: &mut Reader<'_>, _version: u32) -> Result<Self, RecordError> {
        let partition_id = from.i32()?;
        let mut record = Self::new(from.topic_id()?, partition_id);
        let mut leader = NO_LEADER_CHANGE;
        let mut recovery = NO_RECOVERY_CHANGE;
        from.tagged_fields(|tag, field| {
            let mut field = Reader::new(field);
            match tag {
                0 => record.isr = read_nullable_array(&mut field, read_broker)?,
                1 => leader = field.i32()?,
                2 => record.replicas = read_nullable_array(&mut field, read_broker)?,
                3 => record.removing_replicas = read_nullable_array(&mut field, read_broker)?,
                4 => record.adding_replicas = read_nullable_array(&mut field, read_broker)?,
                5 => recovery = field.i8()?,
                6 => record.elr = read_nullable_array(&mut field, read_broker)?,
                7 => record.last_known_elr = read_nullable_array(&mut field, read_broker)?,
                8 => record.directories = read_nullable_array(&mut field, read_directory)?,
                _ => {}
            }
            Ok(())
        })?;
        record.leader = (leader != NO_LEADER_CHANGE).then_some(BrokerId(leader));
        if recovery != NO_RECOVERY_CHANGE {
            record.leader_recovery_state = Some(recovery_state(recovery)?);
        }
        Ok(record)
    }
}

fn recovery_state(id: i8) -> Result<LeaderRecoveryState, RecordError> {
    LeaderRecoveryState::from_id(id)
        .ok_or(RecordError::BadValue { field: "LeaderRecoveryState", value: i64::from(id) })
}

fn non_empty(brokers: &[BrokerId]) -> Option<&[BrokerId]> {
    (!brokers.is_empty()).then_some(brokers)
}
