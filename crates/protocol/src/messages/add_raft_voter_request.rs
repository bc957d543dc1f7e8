//! `AddRaftVoterRequest` v0-1 (4.4.0); v1 lets the one that is to vote not wait for its own vote (KIP-1186).

use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

crate::part::message! {
    /// Which controller shall vote, and where it is reached.
    pub struct AddRaftVoterRequest {
        cluster_id: Option<StrBytes> = None => 0.., nullable(0..);
        timeout_ms: i32 => 0..;
        voter_id: i32 => 0..;
        voter_directory_id: Uuid => 0..;
        listeners: Vec<VoterListener> => 0..;
        /// Whether the answer waits until the change is committed, or only written.
        ack_when_committed: bool = true => 1..;
    }

    pub struct VoterListener {
        name: StrBytes => 0..;
        host: StrBytes => 0..;
        port: u16 => 0..;
    }
}
