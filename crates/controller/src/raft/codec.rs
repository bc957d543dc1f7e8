//! Our own bytes for what openraft keeps beside the log: never serde of its structs, which change between releases.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use ottla_metadata::DirectoryId;
use ottla_model::wire::{Reader, WireError, Writer};
use ottla_model::{BrokerId, TopicId};

use super::types::{LeaderId, LogId, Membership, StoredMembership, Vote, Voter, log_id};

/// The version of every value here; another one is not understood.
const VERSION: i8 = 0;

pub(crate) fn corrupt(what: &str, why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {why}"))
}

pub(super) fn begin() -> Writer {
    let mut out = Writer::new();
    out.i8(VERSION);
    out
}

/// Opens a value, lets `read` at it, and sees that nothing is left.
pub(super) fn parse<'a, T>(
    what: &str,
    bytes: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
) -> io::Result<T> {
    let mut from = Reader::new(bytes);
    let version = from.i8().map_err(|error| corrupt(what, error))?;
    if version != VERSION {
        return Err(corrupt(what, format_args!("version {version} is not known")));
    }
    let value = read(&mut from).map_err(|error| corrupt(what, error))?;
    if from.is_empty() { Ok(value) } else { Err(corrupt(what, "bytes follow it")) }
}

pub(crate) fn vote_bytes(vote: &Vote) -> Vec<u8> {
    let mut out = begin();
    put_vote(&mut out, vote);
    out.into_vec()
}

pub(crate) fn read_vote(bytes: &[u8]) -> io::Result<Vote> {
    parse("vote", bytes, get_vote)
}

pub(super) fn put_vote(out: &mut Writer, vote: &Vote) {
    put_u64(out, vote.leader_id.term);
    put_u64(out, vote.leader_id.voted_for);
    out.bool(vote.committed);
}

pub(super) fn get_vote(from: &mut Reader<'_>) -> Result<Vote, WireError> {
    let leader_id = LeaderId { term: get_u64(from)?, voted_for: get_u64(from)? };
    Ok(Vote { leader_id, committed: from.bool()? })
}

pub(crate) fn log_id_bytes(log_id: &LogId) -> Vec<u8> {
    let mut out = begin();
    put_log_id(&mut out, log_id);
    out.into_vec()
}

pub(crate) fn read_log_id(bytes: &[u8]) -> io::Result<LogId> {
    parse("log id", bytes, get_log_id)
}

/// What the log no longer holds: its last entry and the record offset after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purged {
    pub(crate) log_id: LogId,
    pub(crate) end_offset: i64,
}

pub(crate) fn purged_bytes(purged: &Purged) -> Vec<u8> {
    let mut out = begin();
    put_log_id(&mut out, &purged.log_id);
    out.i64(purged.end_offset);
    out.into_vec()
}

pub(crate) fn read_purged(bytes: &[u8]) -> io::Result<Purged> {
    parse("purged pointer", bytes, |from| Ok(Purged { log_id: get_log_id(from)?, end_offset: from.i64()? }))
}

pub(crate) fn membership_bytes(membership: &Membership) -> Vec<u8> {
    let mut out = begin();
    put_membership(&mut out, membership);
    out.into_vec()
}

pub(crate) fn read_membership(bytes: &[u8]) -> io::Result<Membership> {
    let (configs, nodes) = parse("membership", bytes, get_membership)?;
    build_membership(configs, nodes)
}

pub(crate) fn stored_membership_bytes(stored: &StoredMembership) -> Vec<u8> {
    let mut out = begin();
    put_optional_log_id(&mut out, stored.log_id().as_ref());
    put_membership(&mut out, stored.membership());
    out.into_vec()
}

pub(crate) fn read_stored_membership(bytes: &[u8]) -> io::Result<StoredMembership> {
    let (log_id, (configs, nodes)) =
        parse("stored membership", bytes, |from| Ok((get_optional_log_id(from)?, get_membership(from)?)))?;
    Ok(StoredMembership::new(log_id, build_membership(configs, nodes)?))
}

/// Whose log this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster_id: String,
    pub(crate) node_id: BrokerId,
    pub(crate) directory_id: DirectoryId,
}

pub(crate) fn identity_bytes(identity: &Identity) -> Vec<u8> {
    let mut out = begin();
    out.string(&identity.cluster_id);
    out.i32(identity.node_id.get());
    out.topic_id(TopicId(identity.directory_id.0));
    out.into_vec()
}

pub(crate) fn read_identity(bytes: &[u8]) -> io::Result<Identity> {
    parse("identity", bytes, |from| {
        Ok(Identity {
            cluster_id: from.string()?.to_owned(),
            node_id: BrokerId(from.i32()?),
            directory_id: DirectoryId(from.topic_id()?.0),
        })
    })
}

pub(super) fn put_u64(out: &mut Writer, value: u64) {
    out.i64(value.cast_signed());
}

pub(super) fn get_u64(from: &mut Reader<'_>) -> Result<u64, WireError> {
    from.i64().map(i64::cast_unsigned)
}

fn put_log_id(out: &mut Writer, log_id: &LogId) {
    put_u64(out, **log_id.committed_leader_id());
    put_u64(out, log_id.index);
}

fn get_log_id(from: &mut Reader<'_>) -> Result<LogId, WireError> {
    Ok(log_id(get_u64(from)?, get_u64(from)?))
}

pub(super) fn put_optional_log_id(out: &mut Writer, log_id: Option<&LogId>) {
    out.bool(log_id.is_some());
    if let Some(log_id) = log_id {
        put_log_id(out, log_id);
    }
}

pub(super) fn get_optional_log_id(from: &mut Reader<'_>) -> Result<Option<LogId>, WireError> {
    if from.bool()? { get_log_id(from).map(Some) } else { Ok(None) }
}

fn put_membership(out: &mut Writer, membership: &Membership) {
    let configs = membership.get_joint_config();
    out.array_len(Some(configs.len()));
    for config in configs {
        out.array_len(Some(config.len()));
        for node in config {
            put_u64(out, *node);
        }
    }
    out.array_len(Some(membership.nodes().count()));
    for (node, voter) in membership.nodes() {
        put_u64(out, *node);
        out.topic_id(TopicId(voter.directory_id.0));
        out.string(&voter.host);
        out.u16(voter.port);
    }
}

type Configs = Vec<BTreeSet<u64>>;
type Nodes = BTreeMap<u64, Voter>;

fn get_membership(from: &mut Reader<'_>) -> Result<(Configs, Nodes), WireError> {
    let mut configs = Vec::new();
    for _ in 0..from.array_len()?.unwrap_or(0) {
        let mut config = BTreeSet::new();
        for _ in 0..from.array_len()?.unwrap_or(0) {
            config.insert(get_u64(from)?);
        }
        configs.push(config);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..from.array_len()?.unwrap_or(0) {
        let node = get_u64(from)?;
        let directory_id = DirectoryId(from.topic_id()?.0);
        let voter = Voter { directory_id, host: from.string()?.to_owned(), port: from.u16()? };
        nodes.insert(node, voter);
    }
    Ok((configs, nodes))
}

fn build_membership(configs: Configs, nodes: Nodes) -> io::Result<Membership> {
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|error| corrupt("membership", error))
}
