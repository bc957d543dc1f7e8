//! Whatever nodes say to each other is read as it was written, and nothing else is taken for it.

use std::collections::BTreeMap;

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, VoteRequest,
    VoteResponse,
};
use ottla_metadata::{DirectoryId, MetadataRecord, TopicRecord};
use ottla_model::{BrokerId, TimestampMs, TopicId};
use proptest::prelude::*;

use super::attending::Attend;
use super::peer_codec::{
    Envelope, Hello, HelloStanding, PeerAnswer, PeerRequest, SnapshotPiece, answer_bytes, read_answer,
    read_request, request_bytes,
};
use super::pull::{News, Pull, PullSnapshot, Pulled};
use super::types::{Entry, LeaderId, LogId, Membership, Payload, Proposal, Vote, Voter, log_id};
use crate::peers::{Peer, VoteWish};

/// The log's batches carry terms in 31 bits and indexes in 63.
fn log_ids() -> impl Strategy<Value = LogId> {
    (0..i32::MAX.unsigned_abs(), 0..i64::MAX.unsigned_abs())
        .prop_map(|(term, index)| log_id(u64::from(term), index))
}

fn last() -> impl Strategy<Value = Option<LogId>> {
    prop::option::of(log_ids())
}

fn votes() -> impl Strategy<Value = Vote> {
    (any::<u64>(), any::<u64>(), any::<bool>())
        .prop_map(|(term, voted_for, committed)| Vote { leader_id: LeaderId { term, voted_for }, committed })
}

fn directories() -> impl Strategy<Value = DirectoryId> {
    any::<u128>().prop_map(|id| DirectoryId(uuid::Uuid::from_u128(id)))
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn peers() -> impl Strategy<Value = Vec<Peer>> {
    let peer = (any::<i32>(), directories(), "[a-z.]{0,20}", any::<u16>())
        .prop_map(|(id, directory_id, host, port)| Peer { id: BrokerId(id), directory_id, host, port });
    prop::collection::vec(peer, 0..6)
}

fn payloads() -> impl Strategy<Value = Payload> {
    let record = ("[a-z]{1,20}", any::<u128>()).prop_map(|(name, id)| {
        MetadataRecord::Topic(TopicRecord { name, topic_id: TopicId(uuid::Uuid::from_u128(id)) })
    });
    let proposal = (0..i32::MAX.unsigned_abs(), 0..i64::MAX, prop::collection::vec(record, 1..5));
    let proposal = proposal.prop_map(|(term, at, records)| {
        Payload::Normal(Proposal { term: u64::from(term), timestamp: TimestampMs(at), records })
    });
    let members = prop::collection::btree_set(0_u64..9, 1..5).prop_map(|ids| {
        let voter =
            |id: &u64| (*id, Voter { directory_id: DirectoryId::default(), host: format!("h{id}"), port: 1 });
        let nodes: BTreeMap<u64, Voter> = ids.iter().map(voter).collect();
        Payload::Membership(Membership::new(vec![ids], nodes).expect("each voter is a node"))
    });
    prop_oneof![Just(Payload::Blank), proposal, members]
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(
        (log_ids(), payloads()).prop_map(|(log_id, payload)| Entry { log_id, payload }),
        0..5,
    )
}

fn hellos() -> impl Strategy<Value = Hello> {
    let standing =
        prop_oneof![Just(HelloStanding::Blank), Just(HelloStanding::CatchingUp), Just(HelloStanding::Member)];
    let founders = prop::collection::vec((any::<i32>().prop_map(BrokerId), directories()), 0..4);
    let known = (prop::option::of("[A-Za-z0-9_-]{0,22}"), directories(), standing);
    (any::<i32>(), known, any::<u64>(), any::<u64>(), founders, peers()).prop_map(
        |(id, (cluster_id, directory_id, standing), term, log_len, founders, voters)| Hello {
            id: BrokerId(id),
            cluster_id,
            directory_id,
            standing,
            term,
            log_len,
            founders,
            voters,
        },
    )
}

fn requests() -> impl Strategy<Value = PeerRequest> {
    let append =
        (votes(), last(), entries(), last()).prop_map(|(vote, prev_log_id, entries, leader_commit)| {
            PeerRequest::Append(AppendEntriesRequest { vote, prev_log_id, entries, leader_commit })
        });
    let vote = (votes(), last(), any::<bool>(), any::<bool>()).prop_map(|(vote, last, transfer, before)| {
        let mut request = VoteRequest::new(vote, last);
        request.leadership_transfer = transfer;
        if before { PeerRequest::PreVote(request) } else { PeerRequest::Vote(request) }
    });
    let piece = (votes(), any::<u64>(), any::<u64>(), any::<u64>(), bytes()).prop_map(
        |(vote, transmission, pos, total_len, bytes)| {
            PeerRequest::Snapshot(SnapshotPiece { vote, transmission, pos, total_len, bytes })
        },
    );
    let transfer = (votes(), any::<u64>(), last())
        .prop_map(|(vote, to, last)| PeerRequest::TransferLeader(TransferLeaderRequest::new(vote, to, last)));
    let pull = (directories(), last(), any::<i64>(), any::<i32>(), any::<u32>()).prop_map(
        |(directory_id, last, end_offset, leader, wait_ms)| {
            PeerRequest::Pull(Pull { directory_id, last, end_offset, leader: BrokerId(leader), wait_ms })
        },
    );
    let snapshot = ("[0-9-]{0,40}", any::<u64>())
        .prop_map(|(name, pos)| PeerRequest::PullSnapshot(PullSnapshot { name, pos }));
    let wishes = prop_oneof![
        Just(VoteWish::Watch),
        Just(VoteWish::Vote),
        (1..100_u8).prop_map(|max| VoteWish::VoteIfOdd { max }),
    ];
    let attend = (directories(), "[a-z.]{0,20}", any::<u16>(), wishes);
    let attend = attend.prop_map(|(directory_id, host, port, wish)| {
        PeerRequest::Attend(Attend { directory_id, host, port, wish })
    });
    prop_oneof![append, vote, piece, transfer, hellos().prop_map(PeerRequest::Hello), pull, snapshot, attend]
}

fn answers() -> impl Strategy<Value = Result<PeerAnswer, String>> {
    let append = prop_oneof![
        Just(()).prop_map(|()| AppendEntriesResponse::Success),
        last().prop_map(AppendEntriesResponse::PartialSuccess),
        Just(()).prop_map(|()| AppendEntriesResponse::Conflict),
        votes().prop_map(AppendEntriesResponse::HigherVote),
    ];
    let vote = (votes(), last(), any::<bool>())
        .prop_map(|(vote, last, granted)| PeerAnswer::Vote(VoteResponse::new(vote, last, granted)));
    let news = prop_oneof![
        prop::collection::vec(bytes(), 0..4).prop_map(News::Entries),
        ("[0-9-]{0,40}", any::<u64>()).prop_map(|(name, len)| News::Snapshot { name, len }),
    ];
    let pulled = (any::<i32>(), peers(), news).prop_map(|(leader, voters, news)| {
        PeerAnswer::Pulled(Pulled { leader: BrokerId(leader), voters, news })
    });
    let answer = prop_oneof![
        append.prop_map(PeerAnswer::Append),
        vote,
        votes().prop_map(|vote| PeerAnswer::Snapshot(SnapshotResponse::new(vote))),
        Just(()).prop_map(|()| PeerAnswer::Piece),
        Just(()).prop_map(|()| PeerAnswer::TransferLeader),
        hellos().prop_map(PeerAnswer::Hello),
        pulled,
        bytes().prop_map(PeerAnswer::PulledPiece),
        Just(()).prop_map(|()| PeerAnswer::Attended),
    ];
    prop_oneof![8 => answer.prop_map(Ok), 1 => "[a-z ]{0,40}".prop_map(Err)]
}

proptest! {
    #[test]
    fn a_request_is_read_as_it_was_written(
        cluster_id in "[A-Za-z0-9_-]{0,22}",
        (from, to) in any::<(i32, i32)>(),
        to_directory in directories(),
        request in requests(),
        cut in any::<prop::sample::Index>(),
    ) {
        let envelope = Envelope { cluster_id, from: BrokerId(from), to: BrokerId(to), to_directory };
        let written = request_bytes(&envelope, &request).unwrap();
        let (read_envelope, read) = read_request(&written).unwrap();
        prop_assert_eq!(&read_envelope, &envelope);
        // Entries travel from offset 0 each, so what is written of them says all of them.
        prop_assert_eq!(format!("{read:?}"), format!("{request:?}"));
        prop_assert_eq!(request_bytes(&envelope, &read).unwrap(), written.clone());
        prop_assert!(read_request(&written.slice(..cut.index(written.len()))).is_err(), "a part is taken for the whole");
        let mut longer = written.to_vec();
        longer.push(0);
        prop_assert!(read_request(&longer.into()).is_err(), "what follows is not seen");
    }

    #[test]
    fn an_answer_is_read_as_it_was_written(answer in answers(), cut in any::<prop::sample::Index>()) {
        let written = answer_bytes(&answer);
        prop_assert_eq!(read_answer(&written).unwrap(), answer);
        prop_assert!(read_answer(&written[..cut.index(written.len())]).is_err(), "a part is taken for the whole");
    }
}
