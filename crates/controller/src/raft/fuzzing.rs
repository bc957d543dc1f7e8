//! What the fuzz targets call: bytes in the place of the controller's own files and values.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use ottla_metadata::{DirectoryId, MetadataImage, MetadataRecord, Provenance, TopicRecord};
use ottla_model::{BrokerId, Offset, TimestampMs, TopicId};
use ottla_storage::{Disk, OpenMode, SimDisk};

use super::attending::Attend;
use super::codec::{
    Identity, Purged, identity_bytes, log_id_bytes, membership_bytes, purged_bytes, read_identity,
    read_log_id, read_membership, read_purged, read_stored_membership, read_vote, stored_membership_bytes,
    vote_bytes,
};
use super::peer_codec::{
    Envelope, Hello, HelloStanding, PeerAnswer, PeerRequest, SnapshotPiece, answer_bytes, read_answer,
    read_request, request_bytes,
};
use super::pull::{News, Pull, PullSnapshot, Pulled};
use super::segmented_log::{EntryPlace, Known, SegmentedLog};
use super::snapshot::SnapshotState;
use super::standing::Standing;
use super::types::{
    Entry, LeaderId, Membership, Payload, Proposal, SnapshotMeta, StoredMembership, Vote, Voter, log_id,
};
use crate::peers::{Peer, VoteWish};

const DIR: &str = "/log";
const SEGMENT_BYTES: u64 = 1_000;

/// `choice` says what the bytes are: 0 a file of the metadata log, 1 the same behind a purged entry, 2 a snapshot, 3 to 8
/// the values kept beside them, 9 and 10 what another voter asks and answers, 11 how far a voter's word goes.
///
/// # Panics
/// If what was read is not what is written of it, or a log that opened does not open again.
pub fn read(choice: u8, bytes: &[u8]) {
    // An error is an answer.
    let _ = match choice {
        0 => open_log(bytes, None),
        1 => open_log(bytes, Some(Purged { log_id: log_id(1, 1), end_offset: 3 })),
        2 => snapshot(bytes),
        3 => again(bytes, read_vote, vote_bytes),
        4 => again(bytes, read_log_id, log_id_bytes),
        5 => again(bytes, read_purged, purged_bytes),
        6 => again(bytes, read_membership, membership_bytes),
        7 => again(bytes, read_stored_membership, stored_membership_bytes),
        8 => again(bytes, read_identity, identity_bytes),
        9 => peer_request(bytes),
        10 => again(bytes, read_answer, |answer| answer_bytes(answer).to_vec()),
        _ => again(bytes, Standing::read, Standing::bytes),
    };
}

/// What is read is written alike each time.
fn peer_request(bytes: &[u8]) -> io::Result<()> {
    let (envelope, request) = read_request(&Bytes::copy_from_slice(bytes))?;
    let written = request_bytes(&envelope, &request)?;
    let (envelope, request) =
        read_request(&written).unwrap_or_else(|error| panic!("what was written does not read: {error}"));
    assert_eq!(request_bytes(&envelope, &request).ok(), Some(written));
    Ok(())
}

/// What is read, written and read again, is the same.
fn again<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    read: impl Fn(&[u8]) -> io::Result<T>,
    write: impl Fn(&T) -> Vec<u8>,
) -> io::Result<()> {
    let value = read(bytes)?;
    let written = write(&value);
    assert_eq!(read(&written).ok().as_ref(), Some(&value), "written as {written:?}");
    Ok(())
}

fn open_log(bytes: &[u8], purged: Option<Purged>) -> io::Result<()> {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let dir = Path::new(DIR);
    disk.create_dir(dir)?;
    let base = purged.map_or(0, |purged| purged.end_offset);
    disk.open(&dir.join(format!("{base:020}.log")), OpenMode::Create)?.write_all_at(bytes, 0)?;
    let open =
        || SegmentedLog::open(Arc::clone(&disk), dir, SEGMENT_BYTES, Known { purged, ..Known::default() });
    let mut log = open()?;
    let entries = |log: &SegmentedLog| -> Vec<Option<Entry>> {
        log.places(0, u64::MAX).iter().map(EntryPlace::read).map(Result::ok).collect()
    };
    let before = entries(&log);
    assert!(
        log.places(0, u64::MAX).windows(2).all(|pair| pair[0].log_id().index + 1 == pair[1].log_id().index)
    );
    let first = (1, purged.map_or(0, |purged| purged.log_id.index + 1));
    let (term, index) =
        log.last_log_id().map_or(first, |last| (**last.committed_leader_id(), last.index + 1));
    let next = Entry { log_id: log_id(term, index), payload: Payload::Blank };
    // An index or offset at the end of its range takes no more.
    if log.append(&next).is_ok() {
        let after = entries(&open().unwrap_or_else(|error| panic!("it opened before: {error}")));
        assert_eq!(after.split_last(), Some((&Some(next), &before[..])));
    }
    Ok(())
}

fn snapshot(bytes: &[u8]) -> io::Result<()> {
    let state = SnapshotState::decode("cluster".into(), bytes)?;
    let written = state.encode()?;
    let again = SnapshotState::decode("cluster".into(), &written)
        .unwrap_or_else(|error| panic!("what was written does not read: {error}"));
    assert_eq!((again.meta, again.timestamp), (state.meta, state.timestamp));
    assert_eq!(again.image.to_records(), state.image.to_records());
    Ok(())
}

/// Inputs that go deep, each with its choice.
#[must_use]
pub fn seeds() -> Vec<(u8, Vec<u8>)> {
    let voter = Voter { directory_id: DirectoryId::default(), host: "host".to_owned(), port: 9 };
    let voters = std::collections::BTreeMap::from([(1, voter.clone()), (2, voter)]);
    let membership = Membership::new(vec![[1].into(), [1, 2].into()], voters).unwrap_or_default();
    let stored = StoredMembership::new(Some(log_id(1, 1)), membership.clone());
    let vote = Vote { leader_id: LeaderId { term: 3, voted_for: 1 }, committed: true };
    let identity = Identity {
        cluster_id: "cluster".to_owned(),
        node_id: BrokerId(1),
        directory_id: DirectoryId::default(),
    };
    let values = [
        (3, vote_bytes(&vote)),
        (4, log_id_bytes(&log_id(3, 9))),
        (5, purged_bytes(&Purged { log_id: log_id(3, 9), end_offset: 20 })),
        (6, membership_bytes(&membership)),
        (7, stored_membership_bytes(&stored)),
        (8, identity_bytes(&identity)),
    ];
    let topic = |n: u128| {
        let topic_id = TopicId(uuid::Uuid::from_u128(n));
        MetadataRecord::Topic(TopicRecord { name: format!("t{n}"), topic_id })
    };
    let records = vec![topic(1), topic(2)];
    let proposal = Payload::Normal(Proposal { term: 1, timestamp: TimestampMs(5), records });
    let payloads = [Payload::Membership(membership), Payload::Blank, proposal, Payload::Blank];
    let mut image = MetadataImage::new("cluster");
    let _ = image.replay(&topic(7));
    image.set_provenance(Provenance { offset: Offset(4), epoch: 1 });
    let meta = SnapshotMeta { last_log_id: Some(log_id(1, 3)), last_membership: stored };
    let snapshot = SnapshotState { meta, image, timestamp: TimestampMs(5) }.encode().unwrap_or_default();
    let logs = [(0, 0, 0), (1, 2, 3)].map(|(choice, first, base)| (choice, log_file(&payloads, first, base)));
    let standing = Standing::Founder(vec![(BrokerId(1), DirectoryId::default())]);
    let beside = [(2, snapshot), (11, standing.bytes()), (11, Standing::CatchingUp { log_len: 9 }.bytes())];
    values.into_iter().chain(logs).chain(beside).chain(peer_seeds(&payloads)).collect()
}

/// One of each kind of question and answer between voters.
fn peer_seeds(payloads: &[Payload]) -> Vec<(u8, Vec<u8>)> {
    let vote = Vote { leader_id: LeaderId { term: 3, voted_for: 1 }, committed: true };
    let last = Some(log_id(3, 9));
    let entries = payloads.iter().zip(0..);
    let entries =
        entries.map(|(payload, index)| Entry { log_id: log_id(1, index), payload: payload.clone() });
    let append = AppendEntriesRequest {
        vote,
        prev_log_id: last,
        entries: entries.collect(),
        leader_commit: Some(log_id(1, 1)),
    };
    let piece =
        SnapshotPiece { vote, transmission: 7, pos: 5, total_len: 9, bytes: Bytes::from_static(b"snap") };
    let hello = Hello {
        cluster_id: Some("cluster".to_owned()),
        standing: HelloStanding::Member,
        term: 3,
        log_len: 10,
        founders: vec![(BrokerId(1), DirectoryId::default())],
        voters: vec![Peer::of_id(BrokerId(1), "host", 9)],
        ..Hello::of(BrokerId(1))
    };
    let pull = Pull {
        directory_id: DirectoryId::default(),
        last,
        end_offset: 12,
        leader: BrokerId(1),
        wait_ms: 500,
    };
    let pulled =
        |news| Pulled { leader: BrokerId(1), voters: vec![Peer::of_id(BrokerId(1), "host", 9)], news };
    let requests = [
        PeerRequest::Append(append),
        PeerRequest::Vote(VoteRequest::new(vote, last)),
        PeerRequest::PreVote(VoteRequest::new(vote, None)),
        PeerRequest::Snapshot(piece),
        PeerRequest::TransferLeader(TransferLeaderRequest::new(vote, 2, last)),
        PeerRequest::Hello(hello.clone()),
        PeerRequest::Pull(pull),
        PeerRequest::PullSnapshot(PullSnapshot { name: "1-1.checkpoint".to_owned(), pos: 5 }),
        PeerRequest::Attend(Attend {
            directory_id: DirectoryId::UNASSIGNED,
            host: "h".to_owned(),
            port: 9,
            wish: VoteWish::VoteIfOdd { max: 3 },
        }),
    ];
    let answers = [
        Ok(PeerAnswer::Append(AppendEntriesResponse::PartialSuccess(last))),
        Ok(PeerAnswer::Append(AppendEntriesResponse::HigherVote(vote))),
        Ok(PeerAnswer::Vote(VoteResponse::new(vote, last, true))),
        Ok(PeerAnswer::Hello(hello)),
        Ok(PeerAnswer::Pulled(pulled(News::Entries(vec![Bytes::from_static(b"batch")])))),
        Ok(PeerAnswer::Pulled(pulled(News::Snapshot { name: "1-1.checkpoint".to_owned(), len: 9 }))),
        Ok(PeerAnswer::PulledPiece(Bytes::from_static(b"snap"))),
        Ok(PeerAnswer::Attended),
        Ok(PeerAnswer::Piece),
        Err("no".to_owned()),
    ];
    let envelope = Envelope {
        cluster_id: "cluster".to_owned(),
        from: BrokerId(1),
        to: BrokerId(2),
        to_directory: DirectoryId::UNASSIGNED,
    };
    let requests = requests.iter().map(|request| {
        let bytes = request_bytes(&envelope, request).unwrap_or_default();
        (9, bytes.to_vec())
    });
    requests.chain(answers.iter().map(|answer| (10, answer_bytes(answer).to_vec()))).collect()
}

fn log_file(payloads: &[Payload], first_index: u64, base_offset: i64) -> Vec<u8> {
    let (mut file, mut offset) = (Vec::new(), base_offset);
    for (payload, index) in payloads.iter().zip(first_index..) {
        let entry = Entry { log_id: log_id(1, index), payload: payload.clone() };
        file.extend(super::entry_batch::encode(&entry, offset).unwrap_or_default());
        offset += if let Payload::Normal(proposal) = payload { proposal.records.len() as i64 } else { 1 };
    }
    file
}
