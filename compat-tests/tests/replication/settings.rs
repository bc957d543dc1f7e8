//! What is set while a cluster runs: how fast replicas are copied, and who may lead.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_client::Client;
use ottla_compat_tests::admin::{self, PATIENCE, await_isr, client, partitions, placed};
use ottla_compat_tests::http::get;
use ottla_compat_tests::steady::find_leader;
use ottla_compat_tests::{Cluster, needs};
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, TimestampMs};
use ottla_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use ottla_protocol::messages::{IncrementalAlterConfigsRequest, StrBytes};

use super::create;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

async fn set(address: &str, resource_type: i8, resource: &str, name: &str, value: &str) {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let config = AlterableConfig::default().with_name(text(name)).with_value(Some(text(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(resource_type)
        .with_resource_name(text(resource))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = client(address).await.call(&request).await.expect("is answered");
    assert_eq!(answer.responses[0].error_code, 0, "{name}={value}: {:?}", answer.responses[0].error_message);
}

fn batch(value: &[u8]) -> Bytes {
    let mut batch = BatchBuilder::new(Offset::ZERO);
    batch.push(TimestampMs(1_700_000_000_000), None, Some(value), &[]);
    Bytes::from(batch.build().expect("a batch"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_in_sync_is_copied_as_fast_as_the_settings_say() {
    needs!(Broker);
    const RATE: f64 = 2e6;
    let mut cluster = Cluster::start_with::<3>(&[
        ("broker.session.timeout.ms", "3000"),
        ("replica.fetch.max.bytes", "100000"),
    ]);
    let addresses = cluster.addresses();
    for side in ["leader", "follower"] {
        create(&addresses[0], side, 1, "1").await;
        await_isr(&addresses[0], side, &[1, 2, 3]).await;
        let leader_id = partitions(&addresses[0], side).await[&0].0;
        let away = (1..=3).rev().find(|id| i32::try_from(*id) != Ok(leader_id)).expect("a follower");
        cluster.kill(away);
        let leader = find_leader(&addresses, side).await.expect("somebody leads");
        for _ in 0..240 {
            leader.produce(side, 0, batch(&[7; 50_000]), 1).await.expect("is appended");
        }
        let address = cluster.node(usize::try_from(leader_id).expect("a node")).address();
        set(&address, BROKER, "", &format!("{side}.replication.throttled.rate"), "2000000").await;
        set(&address, TOPIC, side, &format!("{side}.replication.throttled.replicas"), "*").await;
        cluster.restart(away);
        let len = |cluster: &Cluster| cluster.segments(away, side, 0).len();
        cluster.wait_for("it has begun", PATIENCE, || len(&cluster) > 1_000_000);
        let (began, from) = (Instant::now(), len(&cluster));
        cluster.wait_for("it has come far", PATIENCE, || len(&cluster) > 9_000_000);
        let copied = f64::from(u32::try_from(len(&cluster) - from).expect("megabytes"));
        let rate = copied / began.elapsed().as_secs_f64();
        println!("throttled by its {side} to {RATE} bytes/s: {rate:.0} bytes/s");
        assert!(rate < 1.1 * RATE, "{rate}");
        // A busy machine copies no faster than it can.
        assert!(rate > 0.5 * RATE, "{rate}");
        // What is in sync is not throttled.
        set(&address, BROKER, "", &format!("{side}.replication.throttled.rate"), "9223372036854775807").await;
        await_isr(&address, side, &[1, 2, 3]).await;
        cluster.await_identical(&[1, 2, 3], side, 0, PATIENCE);
    }
}

async fn await_leader(address: &str, topic: &str, wanted: i32) {
    let began = Instant::now();
    while partitions(address, topic).await[&0].0 != wanted {
        assert!(began.elapsed() < PATIENCE, "{topic} is not led by {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Of both nodes that are alive: whichever is the active controller has counted.
fn unclean_elections(cluster: &Cluster) -> f64 {
    let of = |id| {
        let (_, page) = get(cluster.node(id).second_port(), "/metrics").expect("a page");
        let line =
            page.lines().find_map(|line| line.strip_prefix("ottla_controller_unclean_elections_total "));
        line.and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0)
    };
    of(2) + of(3)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_not_in_sync_leads_only_where_the_setting_says_so() {
    needs!(Broker);
    let mut cluster = Cluster::start_with::<3>(&[
        ("broker.session.timeout.ms", "3000"),
        ("unclean.leader.election.interval.ms", "100"),
    ]);
    let addresses = cluster.addresses();
    let third = addresses[2].clone();
    for topic in ["by-topic", "by-broker"] {
        admin::create(&third, vec![placed(topic, &[1, 2], &[])]).await;
        await_isr(&third, topic, &[1, 2]).await;
    }
    cluster.kill(2);
    for topic in ["by-topic", "by-broker"] {
        await_isr(&third, topic, &[1]).await;
        let leader: Client = find_leader(&addresses, topic).await.expect("the first leads");
        leader.produce(topic, 0, batch(b"only the first has it"), -1).await.expect("is acknowledged");
    }
    cluster.kill(1);
    cluster.restart(2);
    for topic in ["by-topic", "by-broker"] {
        await_leader(&third, topic, -1).await;
    }
    // Often enough it could have been elected meanwhile.
    tokio::time::sleep(Duration::from_secs(1)).await;
    set(&third, TOPIC, "by-topic", "unclean.leader.election.enable", "true").await;
    await_leader(&third, "by-topic", 2).await;
    await_leader(&third, "by-broker", -1).await;
    set(&third, BROKER, "", "unclean.leader.election.enable", "true").await;
    await_leader(&third, "by-broker", 2).await;
    cluster.wait_for("both are counted", PATIENCE, || unclean_elections(&cluster) >= 2.0);
    for topic in ["by-topic", "by-broker"] {
        let leader = find_leader(&addresses, topic).await.expect("the second leads");
        leader.produce(topic, 0, batch(b"from here on"), -1).await.expect("is acknowledged");
    }
    cluster.restart(1);
    for topic in ["by-topic", "by-broker"] {
        await_isr(&third, topic, &[1, 2]).await;
        cluster.await_identical(&[1, 2], topic, 0, PATIENCE);
    }
}
