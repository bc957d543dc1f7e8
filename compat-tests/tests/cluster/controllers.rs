//! Controllers that register, and are forgotten (KIP-919), over the wire: by each other's listeners.

use std::time::{Duration, Instant};

use ottla_compat_tests::{Cluster, FoundBy, Role};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{DescribeClusterRequest, UnregisterControllerRequest};

use super::{PATIENCE, client, described, quorum_answer};

/// Where the controllers listen, by ascending id.
pub(super) async fn controllers(address: &str) -> Vec<(i32, String)> {
    let nodes = quorum_answer(address).await.nodes;
    let at = nodes.iter().map(|node| {
        let listener = &node.listeners[0];
        (node.node_id.0, format!("{}:{}", listener.host.as_str(), listener.port))
    });
    let mut at: Vec<_> = at.collect();
    at.sort_unstable();
    at
}

/// The controllers that the one at `address` names (KIP-919).
async fn registered(address: &str) -> Vec<(i32, String)> {
    let request = DescribeClusterRequest::default().with_endpoint_type(2);
    let answer = client(address).await.expect("connects").call(&request).await.expect("answers");
    let named =
        answer.brokers.iter().map(|node| (node.broker_id.0, format!("{}:{}", node.host.as_str(), node.port)));
    let mut named: Vec<_> = named.collect();
    named.sort_unstable();
    named
}

pub(super) async fn registered_become(address: &str, expected: &[(i32, String)]) {
    let began = Instant::now();
    loop {
        let named = registered(address).await;
        if named == expected {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{named:?}, not {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn unregister(address: &str, id: i32) -> ErrorCode {
    let request = UnregisterControllerRequest { controller_id: id };
    let answer = client(address).await.expect("connects").call(&request).await.expect("answers");
    ErrorCode::from_code(answer.error_code).expect("a code of Kafka's")
}

#[tokio::test]
async fn controllers_register_and_are_forgotten_once_they_are_gone() {
    let mut cluster = Cluster::start_as(&[Role::Combined; 3], FoundBy::Voters, &[]);
    let addresses = cluster.addresses();
    let all = controllers(&addresses[0]).await;
    assert_eq!(all.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2, 3]);
    for (_, at) in &all {
        registered_become(at, &all).await;
    }
    let leader = described(&addresses[0]).await.leader_id.0;
    let other = leader % 3 + 1;
    // Whichever node is asked: the active controller answers.
    for address in &addresses {
        assert_eq!(unregister(address, leader).await, ErrorCode::InvalidRequest);
        assert_eq!(unregister(address, 9).await, ErrorCode::ControllerIdNotRegistered);
    }
    // Who lives comes back.
    assert_eq!(unregister(&addresses[0], other).await, ErrorCode::None);
    let at_leader = all.iter().find(|(id, _)| *id == leader).expect("the leader").1.clone();
    registered_become(&at_leader, &all).await;
    let gone = usize::try_from(other).expect("a node");
    cluster.kill(gone);
    let others: Vec<_> = all.iter().filter(|(id, _)| *id != other).cloned().collect();
    let still = usize::try_from(leader).expect("a node") - 1;
    assert_eq!(unregister(&addresses[still], other).await, ErrorCode::None);
    for (_, at) in &others {
        registered_become(at, &others).await;
    }
    cluster.restart(gone);
    for (_, at) in &all {
        registered_become(at, &all).await;
    }
}
