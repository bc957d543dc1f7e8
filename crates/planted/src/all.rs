//! The list.

use crate::Planted;

const fn bug(name: &'static str, breaks: &'static str) -> Planted {
    Planted { name, breaks }
}

/// Every bug that is planted, by the crate it is in.
pub const ALL: &[Planted] = &[
    // replication
    bug("hw_ignores_expansion", "the HW does not wait for a member whose admission is on its way (KIP-497)"),
    bug("hw_trusts_shrink", "the HW no longer waits for a member whose removal is only asked for (KIP-497)"),
    bug("hw_below_min_isr", "the HW moves while the ISR is below min.insync.replicas (KIP-966)"),
    bug("ack_before_hw", "acks=all is answered once the leader has appended"),
    bug("ack_before_flush", "under the flushed policy the leader's own LEO counts before its fsync"),
    bug(
        "isr_join_below_epoch_start",
        "a replica joins the ISR below the start of the leader's epoch (KIP-101)",
    ),
    bug("isr_join_below_hw", "a replica joins the ISR below the HW"),
    bug("stale_fetch_accepted", "a fetch of an earlier leader epoch is served and counts"),
    bug(
        "answer_of_another_proposal",
        "the answer to an earlier AlterPartition is taken for that to the one in flight",
    ),
    bug("old_registration_taken", "metadata of an earlier partition epoch is taken in"),
    bug(
        "truncation_without_fallback",
        "a follower cuts at the leader's end of an epoch that it never had (KIP-279)",
    ),
    bug("divergence_by_offset_only", "a leader sees a divergence by the offset alone, not by the epoch"),
    bug("shrinks_unflushed", "nothing is flushed before the ISR shrinks to the leader"),
    bug(
        "hw_unflushed_before_alone",
        "the HW passes what is flushed while the ISR is about to shrink to the leader",
    ),
    bug(
        "session_goes_on_after_loss",
        "a follower's fetch session goes on though an answer was lost (KIP-227)",
    ),
    bug(
        "coordinator_outlives_leadership",
        "what waits for a commit in one epoch is told the HW of whatever came after it",
    ),
    bug("delayed_partition_forgotten", "a partition that was left out for a while is not asked for again"),
    // storage
    bug("closed_segment_not_synced", "a flush syncs the active segment only"),
    bug("names_not_synced", "a flush does not sync the directory that has a new segment's name"),
    bug("epochs_survive_truncation", "the leader epochs of what is cut off stay"),
    bug("epoch_end_is_its_start", "the end of an epoch is looked up as its start (KIP-101)"),
    bug("producers_survive_truncation", "the producers' state still has what is cut off"),
    bug("sequence_gap_accepted", "a producer's batch is taken though one before it is missing"),
    bug("duplicate_appended", "a batch that is there already is appended again"),
    bug("producers_not_replayed", "the producers' state ends at its snapshot"),
    bug("torn_tail_trusted", "a recovery does not look at CRCs"),
    bug("fsync_tried_again", "a log goes on after a failed fsync"),
    // controller: decisions
    bug("isr_without_partition_epoch", "an ISR is changed from a state that is no longer the present one"),
    bug("dead_incarnation_in_isr", "a broker joins an ISR by what its last process had (KIP-903)"),
    bug("unclean_election", "a replica that is not in sync leads where the topic does not allow it"),
    bug("lost_replica_eligible", "a broker that may have lost its disk's tail stays eligible (KIP-966)"),
    bug("elr_never_cleared", "who left a large ISR counts as eligible (KIP-966)"),
    bug("reassigned_before_in_sync", "a reassignment is complete before the new replicas are in sync"),
    bug("cancelled_replica_stays_in_isr", "a reassignment's cancellation leaves the new replicas in the ISR"),
    bug("producer_ids_twice", "a block of producer ids is given out twice"),
    bug("leaderless_stays", "a broker that comes back does not lead what waits for it"),
    bug("preferred_leads_out_of_sync", "the preferred replica leads, in sync or not"),
    // controller: raft
    bug("vote_not_synced", "a vote is answered before it is on the disk"),
    bug("entries_not_synced", "entries are acknowledged before they are on the disk"),
    bug(
        "metadata_roll_not_synced",
        "the metadata log goes on in a new file while the last one is not on the disk",
    ),
    bug("snapshot_not_synced", "the pointer names a snapshot that is not on the disk"),
    bug("other_terms_proposal", "records are applied in another term than they were decided in"),
    bug(
        "decides_before_caught_up",
        "a new controller decides before it has applied what was there before it",
    ),
    bug("blank_voter_votes", "a voter whose disk was emptied votes at once"),
    bug("skipped_changes_lost", "a slow subscriber is not told what the images changed that it has skipped"),
    bug(
        "lost_proposal_answered",
        "what a deposed controller has proposed is answered as if it were committed",
    ),
    bug(
        "decides_beside_proposal",
        "a controller that stops decides as if what it waits for no longer were not in its log",
    ),
    bug("snapshot_without_producer_ids", "a snapshot of the metadata has no producer ids"),
    // controller: kraft.version from 0 to 1
    bug("raised_unnamed", "kraft.version is 1 though the log does not name the voters (KIP-853)"),
    bug("raise_not_finished", "who leads after one that died in the raise does not write what is missing"),
    bug("naming_not_taken_back", "a node goes by the log though the entry that named the voters is gone"),
    bug("lone_voter_by_file", "kraft.version is 1, and a lone voter goes by its file"),
    // coordinators
    bug("reply_one_early", "an answer leaves when the HW is one record short of what it waits for"),
    bug("reply_at_append", "an answer leaves once the leader has appended"),
    bug("kept_after_failed_append", "a coordinator's state stays though its append failed"),
    bug("serves_while_loading", "a coordinator answers before it has replayed its log"),
    bug("close_acknowledges", "a coordinator that resigns answers what waits as if it were committed"),
    bug("generation_not_written", "a classic group's record has the generation before"),
    bug("load_skips_tombstones", "a loading coordinator does not see that something was deleted"),
    bug("uncommitted_offset_shown", "a fetch of offsets sees what may still be lost"),
    bug("replaced_static_commits", "the process before of a static member is not fenced"),
    bug("stale_generation_commits", "a member of an earlier generation commits offsets"),
    bug("stale_member_epoch_commits", "a member commits for a partition that it has given up (KIP-848)"),
    bug("generation_not_raised", "a rebalance ends in the same generation"),
    bug("given_before_released", "a partition has a new owner while the old one still owns it (KIP-848)"),
];
