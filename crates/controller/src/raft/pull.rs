//! What an observer asks the active controller, and is told: it pulls committed entries, as Kafka's brokers fetch the metadata
//! log, and a snapshot where the log no longer goes back so far.

use bytes::Bytes;
use ottla_metadata::DirectoryId;
use ottla_model::wire::{Reader, WireError, Writer};
use ottla_model::{BrokerId, TopicId};

use super::codec::{get_optional_log_id, get_u64, put_optional_log_id, put_u64};
use super::types::LogId;
use crate::peers::Peer;

/// Voters of one answer at most.
const VOTERS_MAX: usize = 1_000;
/// Batches of one answer at most.
const BATCHES_MAX: usize = 100_000;

/// Asks for what is committed behind an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pull {
    pub(super) directory_id: DirectoryId,
    /// The last entry that the observer has replayed.
    pub(super) last: Option<LogId>,
    /// The offset after its last record.
    pub(super) end_offset: i64,
    /// Who leads, as far as the observer knows: news of another leader does not wait.
    pub(super) leader: BrokerId,
    /// How long the answer may wait for something new.
    pub(super) wait_ms: u32,
}

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pulled {
    /// [`BrokerId::NONE`] while nobody leads. Only the leader gives entries.
    pub(super) leader: BrokerId,
    pub(super) voters: Vec<Peer>,
    pub(super) news: News,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Committed entries that follow, as the batches of the log; maybe none.
    Entries(Vec<Bytes>),
    /// The log does not go back so far: this snapshot does, which is read piece by piece.
    Snapshot { name: String, len: u64 },
}

/// Asks for bytes of a snapshot's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PullSnapshot {
    pub(super) name: String,
    pub(super) pos: u64,
}

impl Pull {
    pub(super) fn put(&self, out: &mut Writer) {
        out.topic_id(TopicId(self.directory_id.0));
        put_optional_log_id(out, self.last.as_ref());
        out.i64(self.end_offset);
        out.i32(self.leader.get());
        out.i32(self.wait_ms.cast_signed());
    }

    pub(super) fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            directory_id: DirectoryId(from.topic_id()?.0),
            last: get_optional_log_id(from)?,
            end_offset: from.i64()?,
            leader: BrokerId(from.i32()?),
            wait_ms: from.i32()?.cast_unsigned(),
        })
    }
}

impl Pulled {
    pub(super) fn put(&self, out: &mut Writer) {
        out.i32(self.leader.get());
        put_peers(out, &self.voters);
        match &self.news {
            News::Entries(batches) => {
                out.bool(false);
                out.array_len(Some(batches.len()));
                for batch in batches {
                    out.bytes(batch);
                }
            }
            News::Snapshot { name, len } => {
                out.bool(true);
                out.string(name);
                put_u64(out, *len);
            }
        }
    }

    pub(super) fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let (leader, voters) = (BrokerId(from.i32()?), get_peers(from)?);
        let news = if from.bool()? {
            News::Snapshot { name: from.string()?.to_owned(), len: get_u64(from)? }
        } else {
            let mut batches = Vec::new();
            for _ in 0..bounded(from.array_len()?, BATCHES_MAX)? {
                batches.push(Bytes::copy_from_slice(from.bytes()?));
            }
            News::Entries(batches)
        };
        Ok(Self { leader, voters, news })
    }
}

impl PullSnapshot {
    pub(super) fn put(&self, out: &mut Writer) {
        out.string(&self.name);
        put_u64(out, self.pos);
    }

    pub(super) fn get(from: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self { name: from.string()?.to_owned(), pos: get_u64(from)? })
    }
}

pub(super) fn put_peers(out: &mut Writer, peers: &[Peer]) {
    out.array_len(Some(peers.len()));
    for peer in peers {
        out.i32(peer.id.get());
        out.topic_id(TopicId(peer.directory_id.0));
        out.string(&peer.host);
        out.u16(peer.port);
    }
}

pub(super) fn get_peers(from: &mut Reader<'_>) -> Result<Vec<Peer>, WireError> {
    let mut peers = Vec::new();
    for _ in 0..bounded(from.array_len()?, VOTERS_MAX)? {
        let (id, directory_id) = (BrokerId(from.i32()?), DirectoryId(from.topic_id()?.0));
        peers.push(Peer { id, directory_id, host: from.string()?.to_owned(), port: from.u16()? });
    }
    Ok(peers)
}

fn bounded(count: Option<usize>, max: usize) -> Result<usize, WireError> {
    match count.unwrap_or(0) {
        count if count <= max => Ok(count),
        count => Err(WireError::BadLength(count as i64)),
    }
}
