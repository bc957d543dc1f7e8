//! Our own bytes for what voters say to each other: compact, versioned, and bounded by the frame that carries them.
//!
//! | field of a request | type |
//! |--|--|
//! | version | int8, 0 |
//! | cluster id of the sender; empty while it has none | string |
//! | sender, receiver | int32, int32; the receiver -1: whoever is there |
//! | the receiver's directory id; nil: any | uuid |
//! | kind | int8 |
//! | what the kind has | see [`PeerRequest`] |
//!
//! An answer is the version, 0 or 1 for what follows (the kind's answer, or why there is none), and that. Entries travel as
//! the batches that stand in the log, from offset 0 each.

use std::io;

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, VoteRequest,
    VoteResponse,
};
use ottla_metadata::DirectoryId;
use ottla_model::batch::BatchHeader;
use ottla_model::wire::{Reader, WireError, Writer};
use ottla_model::{BrokerId, TopicId};

use super::attending::Attend;
use super::codec::{
    begin, corrupt, get_optional_log_id, get_u64, get_vote, parse, put_optional_log_id, put_u64, put_vote,
};
use super::entry_batch;
use super::pull::{Pull, PullSnapshot, Pulled, get_peers, put_peers};
use super::types::{Entry, LogId, TypeConfig, Vote};
use crate::peers::Peer;

/// Entries of one request at most; openraft sends fewer.
const ENTRIES_MAX: usize = 10_000;

/// Who asks whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) cluster_id: String,
    pub(super) from: BrokerId,
    /// [`BrokerId::NONE`]: whoever is at the address.
    pub(super) to: BrokerId,
    /// Of the receiver's metadata log; nil where the sender does not know it.
    pub(super) to_directory: DirectoryId,
}

/// What one voter asks another.
#[derive(Debug)]
pub(super) enum PeerRequest {
    Append(AppendEntriesRequest<TypeConfig>),
    Vote(VoteRequest<TypeConfig>),
    PreVote(VoteRequest<TypeConfig>),
    /// A piece of a snapshot; the last one has it installed.
    Snapshot(SnapshotPiece),
    TransferLeader(TransferLeaderRequest<TypeConfig>),
    /// Before there is a quorum: what are you?
    Hello(Hello),
    /// An observer's question.
    Pull(Pull),
    PullSnapshot(PullSnapshot),
    /// A controller is there, and may wish to vote.
    Attend(Attend),
}

/// Part of a snapshot's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SnapshotPiece {
    pub(super) vote: Vote,
    /// The same for all pieces of a transmission.
    pub(super) transmission: u64,
    pub(super) pos: u64,
    pub(super) total_len: u64,
    pub(super) bytes: Bytes,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) id: BrokerId,
    pub(super) cluster_id: Option<String>,
    pub(super) directory_id: DirectoryId,
    pub(super) standing: HelloStanding,
    /// The term of its last vote.
    pub(super) term: u64,
    /// Entries that were ever in its log: the last index and one.
    pub(super) log_len: u64,
    /// Those that were as new as this node when it first took part.
    pub(super) founders: Vec<(BrokerId, DirectoryId)>,
    /// The voters that it knows of.
    pub(super) voters: Vec<Peer>,
}

impl Hello {
    /// Of a node that knows nothing yet.
    pub(super) fn of(id: BrokerId) -> Self {
        Self {
            id,
            cluster_id: None,
            directory_id: DirectoryId::UNASSIGNED,
            standing: HelloStanding::Blank,
            term: 0,
            log_len: 0,
            founders: Vec::new(),
            voters: Vec::new(),
        }
    }
}

/// How far a node's word goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum HelloStanding {
    /// Its disk is empty: it has never taken part, or has lost all that it knew.
    #[default]
    Blank,
    /// It may have lost what it promised, and does not vote until it has caught up.
    CatchingUp,
    /// It remembers every promise it made.
    Member,
}

/// What the other one answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PeerAnswer {
    Append(AppendEntriesResponse<TypeConfig>),
    Vote(VoteResponse<TypeConfig>),
    Snapshot(SnapshotResponse<TypeConfig>),
    /// A piece that was not the last.
    Piece,
    TransferLeader,
    Hello(Hello),
    Pulled(Pulled),
    /// Bytes of a snapshot that was asked for.
    PulledPiece(Bytes),
    /// What was due has been done.
    Attended,
}

const APPEND: i8 = 0;
const VOTE: i8 = 1;
const PRE_VOTE: i8 = 2;
const SNAPSHOT: i8 = 3;
const TRANSFER_LEADER: i8 = 4;
const HELLO: i8 = 5;
const PIECE: i8 = 6;
const PULL: i8 = 7;
const PULL_SNAPSHOT: i8 = 8;
const ATTEND: i8 = 9;

/// # Errors
/// An entry that does not fit a batch.
pub(super) fn request_bytes(envelope: &Envelope, request: &PeerRequest) -> io::Result<Bytes> {
    let mut out = begin();
    out.string(&envelope.cluster_id);
    out.i32(envelope.from.get());
    out.i32(envelope.to.get());
    out.topic_id(TopicId(envelope.to_directory.0));
    match request {
        PeerRequest::Append(request) => {
            out.i8(APPEND);
            put_append(&mut out, request)?;
        }
        PeerRequest::Vote(request) => {
            out.i8(VOTE);
            put_vote_request(&mut out, request);
        }
        PeerRequest::PreVote(request) => {
            out.i8(PRE_VOTE);
            put_vote_request(&mut out, request);
        }
        PeerRequest::Snapshot(piece) => {
            out.i8(SNAPSHOT);
            put_vote(&mut out, &piece.vote);
            put_u64(&mut out, piece.transmission);
            put_u64(&mut out, piece.pos);
            put_u64(&mut out, piece.total_len);
            out.bytes(&piece.bytes);
        }
        PeerRequest::TransferLeader(request) => {
            out.i8(TRANSFER_LEADER);
            put_vote(&mut out, request.from_leader());
            put_u64(&mut out, *request.to_node_id());
            put_optional_log_id(&mut out, request.last_log_id());
        }
        PeerRequest::Hello(hello) => {
            out.i8(HELLO);
            put_hello(&mut out, hello);
        }
        PeerRequest::Pull(pull) => {
            out.i8(PULL);
            pull.put(&mut out);
        }
        PeerRequest::PullSnapshot(pull) => {
            out.i8(PULL_SNAPSHOT);
            pull.put(&mut out);
        }
        PeerRequest::Attend(told) => {
            out.i8(ATTEND);
            told.put(&mut out);
        }
    }
    Ok(out.into_vec().into())
}

/// # Errors
/// Bytes that are no request of this version.
pub(super) fn read_request(bytes: &Bytes) -> io::Result<(Envelope, PeerRequest)> {
    let (envelope, raw) = parse("peer request", bytes, |from| {
        let cluster_id = from.string()?.to_owned();
        let (sender, to) = (BrokerId(from.i32()?), BrokerId(from.i32()?));
        let to_directory = DirectoryId(from.topic_id()?.0);
        let envelope = Envelope { cluster_id, from: sender, to, to_directory };
        Ok((envelope, RawRequest::read(from)?))
    })?;
    Ok((envelope, raw.finish()?))
}

pub(super) fn answer_bytes(answer: &Result<PeerAnswer, String>) -> Bytes {
    let mut out = begin();
    match answer {
        Err(why) => {
            out.bool(true);
            // A string's length is 16 bits.
            out.string(&why.chars().take(1_000).collect::<String>());
        }
        Ok(answer) => {
            out.bool(false);
            put_answer(&mut out, answer);
        }
    }
    out.into_vec().into()
}

/// The answer, or why the other one gave none.
///
/// # Errors
/// Bytes that are no answer of this version.
pub(super) fn read_answer(bytes: &[u8]) -> io::Result<Result<PeerAnswer, String>> {
    parse("peer answer", bytes, |from| {
        if from.bool()? {
            return Ok(Err(from.string()?.to_owned()));
        }
        get_answer(from).map(Ok)
    })
}

/// A request whose entries are batches still.
enum RawRequest<'a> {
    Append { vote: Vote, prev: Option<LogId>, commit: Option<LogId>, batches: Vec<&'a [u8]> },
    Whole(PeerRequest),
}

impl<'a> RawRequest<'a> {
    fn read(from: &mut Reader<'a>) -> Result<Self, WireError> {
        let kind = from.i8()?;
        Ok(Self::Whole(match kind {
            APPEND => return Self::read_append(from),
            VOTE => PeerRequest::Vote(get_vote_request(from)?),
            PRE_VOTE => PeerRequest::PreVote(get_vote_request(from)?),
            SNAPSHOT => PeerRequest::Snapshot(SnapshotPiece {
                vote: get_vote(from)?,
                transmission: get_u64(from)?,
                pos: get_u64(from)?,
                total_len: get_u64(from)?,
                bytes: Bytes::copy_from_slice(from.bytes()?),
            }),
            TRANSFER_LEADER => {
                let (vote, to) = (get_vote(from)?, get_u64(from)?);
                let last = get_optional_log_id(from)?;
                PeerRequest::TransferLeader(TransferLeaderRequest::new(vote, to, last))
            }
            HELLO => PeerRequest::Hello(get_hello(from)?),
            PULL => PeerRequest::Pull(Pull::get(from)?),
            PULL_SNAPSHOT => PeerRequest::PullSnapshot(PullSnapshot::get(from)?),
            ATTEND => PeerRequest::Attend(Attend::get(from)?),
            kind => return Err(WireError::BadLength(i64::from(kind))),
        }))
    }

    fn read_append(from: &mut Reader<'a>) -> Result<Self, WireError> {
        let vote = get_vote(from)?;
        let (prev, commit) = (get_optional_log_id(from)?, get_optional_log_id(from)?);
        let count = from.array_len()?.unwrap_or(0);
        if count > ENTRIES_MAX {
            return Err(WireError::BadLength(count as i64));
        }
        // Nothing is reserved by a count that the bytes need not bear out.
        let mut batches = Vec::new();
        for _ in 0..count {
            batches.push(from.bytes()?);
        }
        Ok(Self::Append { vote, prev, commit, batches })
    }

    fn finish(self) -> io::Result<PeerRequest> {
        match self {
            Self::Whole(request) => Ok(request),
            Self::Append { vote, prev, commit, batches } => {
                let entries = batches.into_iter().map(read_entry).collect::<io::Result<Vec<Entry>>>()?;
                let request =
                    AppendEntriesRequest { vote, prev_log_id: prev, entries, leader_commit: commit };
                Ok(PeerRequest::Append(request))
            }
        }
    }
}

/// The entry of a batch that another node has sent.
pub(super) fn read_entry(batch: &[u8]) -> io::Result<Entry> {
    let header = BatchHeader::read(batch).map_err(|error| corrupt("entry", error))?;
    if header.size() != batch.len() {
        return Err(corrupt("entry", "its length is not its batch's"));
    }
    header.verify(batch).map_err(|error| corrupt("entry", error))?;
    entry_batch::decode(batch)
}

fn put_append(out: &mut Writer, request: &AppendEntriesRequest<TypeConfig>) -> io::Result<()> {
    put_vote(out, &request.vote);
    put_optional_log_id(out, request.prev_log_id.as_ref());
    put_optional_log_id(out, request.leader_commit.as_ref());
    out.array_len(Some(request.entries.len()));
    for entry in &request.entries {
        out.bytes(&entry_batch::encode(entry, 0)?);
    }
    Ok(())
}

fn put_vote_request(out: &mut Writer, request: &VoteRequest<TypeConfig>) {
    put_vote(out, &request.vote);
    put_optional_log_id(out, request.last_log_id.as_ref());
    out.bool(request.leadership_transfer);
}

fn get_vote_request(from: &mut Reader<'_>) -> Result<VoteRequest<TypeConfig>, WireError> {
    let mut request = VoteRequest::new(get_vote(from)?, get_optional_log_id(from)?);
    request.leadership_transfer = from.bool()?;
    Ok(request)
}

fn put_hello(out: &mut Writer, hello: &Hello) {
    out.i32(hello.id.get());
    out.nullable_string(hello.cluster_id.as_deref());
    out.topic_id(TopicId(hello.directory_id.0));
    out.i8(match hello.standing {
        HelloStanding::Blank => 0,
        HelloStanding::CatchingUp => 1,
        HelloStanding::Member => 2,
    });
    put_u64(out, hello.term);
    put_u64(out, hello.log_len);
    put_founders(out, &hello.founders);
    put_peers(out, &hello.voters);
}

fn get_hello(from: &mut Reader<'_>) -> Result<Hello, WireError> {
    Ok(Hello {
        id: BrokerId(from.i32()?),
        cluster_id: from.nullable_string()?.map(str::to_owned),
        directory_id: DirectoryId(from.topic_id()?.0),
        standing: match from.i8()? {
            0 => HelloStanding::Blank,
            1 => HelloStanding::CatchingUp,
            2 => HelloStanding::Member,
            other => return Err(WireError::BadLength(i64::from(other))),
        },
        term: get_u64(from)?,
        log_len: get_u64(from)?,
        founders: get_founders(from)?,
        voters: get_peers(from)?,
    })
}

pub(super) fn put_founders(out: &mut Writer, founders: &[(BrokerId, DirectoryId)]) {
    out.array_len(Some(founders.len()));
    for (id, directory_id) in founders {
        out.i32(id.get());
        out.topic_id(TopicId(directory_id.0));
    }
}

pub(super) fn get_founders(from: &mut Reader<'_>) -> Result<Vec<(BrokerId, DirectoryId)>, WireError> {
    let mut founders = Vec::new();
    for _ in 0..from.array_len()?.unwrap_or(0) {
        founders.push((BrokerId(from.i32()?), DirectoryId(from.topic_id()?.0)));
    }
    Ok(founders)
}

fn put_answer(out: &mut Writer, answer: &PeerAnswer) {
    match answer {
        PeerAnswer::Append(answer) => {
            out.i8(APPEND);
            match answer {
                AppendEntriesResponse::Success => out.i8(0),
                AppendEntriesResponse::PartialSuccess(log_id) => {
                    out.i8(1);
                    put_optional_log_id(out, log_id.as_ref());
                }
                AppendEntriesResponse::Conflict => out.i8(2),
                AppendEntriesResponse::HigherVote(vote) => {
                    out.i8(3);
                    put_vote(out, vote);
                }
            }
        }
        PeerAnswer::Vote(answer) => {
            out.i8(VOTE);
            put_vote(out, &answer.vote);
            put_optional_log_id(out, answer.last_log_id.as_ref());
            out.bool(answer.vote_granted);
        }
        PeerAnswer::Snapshot(answer) => {
            out.i8(SNAPSHOT);
            put_vote(out, &answer.vote);
        }
        PeerAnswer::Piece => out.i8(PIECE),
        PeerAnswer::TransferLeader => out.i8(TRANSFER_LEADER),
        PeerAnswer::Attended => out.i8(ATTEND),
        PeerAnswer::Hello(hello) => {
            out.i8(HELLO);
            put_hello(out, hello);
        }
        PeerAnswer::Pulled(pulled) => {
            out.i8(PULL);
            pulled.put(out);
        }
        PeerAnswer::PulledPiece(bytes) => {
            out.i8(PULL_SNAPSHOT);
            out.bytes(bytes);
        }
    }
}

fn get_answer(from: &mut Reader<'_>) -> Result<PeerAnswer, WireError> {
    Ok(match from.i8()? {
        APPEND => PeerAnswer::Append(match from.i8()? {
            0 => AppendEntriesResponse::Success,
            1 => AppendEntriesResponse::PartialSuccess(get_optional_log_id(from)?),
            2 => AppendEntriesResponse::Conflict,
            3 => AppendEntriesResponse::HigherVote(get_vote(from)?),
            other => return Err(WireError::BadLength(i64::from(other))),
        }),
        VOTE => {
            let (vote, last) = (get_vote(from)?, get_optional_log_id(from)?);
            PeerAnswer::Vote(VoteResponse::new(vote, last, from.bool()?))
        }
        SNAPSHOT => PeerAnswer::Snapshot(SnapshotResponse::new(get_vote(from)?)),
        PIECE => PeerAnswer::Piece,
        TRANSFER_LEADER => PeerAnswer::TransferLeader,
        ATTEND => PeerAnswer::Attended,
        HELLO => PeerAnswer::Hello(get_hello(from)?),
        PULL => PeerAnswer::Pulled(Pulled::get(from)?),
        PULL_SNAPSHOT => PeerAnswer::PulledPiece(Bytes::copy_from_slice(from.bytes()?)),
        other => return Err(WireError::BadLength(i64::from(other))),
    })
}
