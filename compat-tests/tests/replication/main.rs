//! Records on three real processes: copied, acknowledged by all in-sync replicas, and there when a leader is gone.

mod reassigning;
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use ottla_client::Client;
use ottla_compat_tests::admin::{
    self, PATIENCE, active_controller, await_isr, client, of_three, partitions, try_client,
};
use ottla_compat_tests::http::get;
use ottla_compat_tests::kcat::kcat;
use ottla_compat_tests::steady::{Acknowledged, SteadyProducer, find_leader, verify};
use ottla_compat_tests::tools::{CONSOLE_CONSUMER, CONSOLE_PRODUCER, TOPICS, run, run_with_stdin};
use ottla_compat_tests::{Cluster, needs};
use ottla_model::Offset;
use ottla_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::{
    DeleteRecordsRequest, DeleteTopicsRequest, FindCoordinatorRequest, GroupId, OffsetCommitRequest,
    OffsetFetchRequest, StrBytes, TopicName,
};

/// Offsets are committed and fetched by topics' names up to this version.
const BY_NAME: i16 = 9;
/// Topics are deleted by name alone up to this version.
const DELETE_BY_NAME: i16 = 5;

async fn create(address: &str, name: &str, partitions: i32, min_isr: &str) {
    admin::create(address, vec![of_three(name, partitions, &[("min.insync.replicas", min_isr)])]).await;
}

/// Every acknowledged record is at its offset.
async fn check(addresses: &[String], topic: &str, acknowledged: &[Acknowledged]) {
    let verdict = verify(addresses, topic, acknowledged).await;
    assert!(verdict.lost.is_empty() && verdict.twice == 0, "{verdict:?}");
    println!("{} records acknowledged, {} in the log, all there", acknowledged.len(), verdict.read);
}

#[test]
fn records_are_copied_and_every_broker_leads_some() {
    needs!(Broker, Kcat);
    let cluster = Cluster::start::<3>();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let addresses = cluster.addresses();
    runtime.block_on(create(&addresses[0], "copied", 3, "2"));
    let lines: String = (0..3_000).map(|n| format!("record {n}\n")).collect();
    for partition in ["0", "1", "2"] {
        let args = ["-P", "-t", "copied", "-p", partition, "-X", "acks=all"];
        kcat(cluster.node(1), &args, Some(lines.as_bytes()));
    }
    let seen = runtime.block_on(partitions(&addresses[2], "copied"));
    let leaders: std::collections::BTreeSet<i32> = seen.values().map(|(leader, _)| *leader).collect();
    assert_eq!(leaders.len(), 3, "{seen:?}");
    for (partition, (_, isr)) in &seen {
        assert_eq!(isr, &[1, 2, 3], "partition {partition}");
        let args = ["-C", "-t", "copied", "-p", &partition.to_string(), "-o", "beginning", "-e", "-q"];
        assert_eq!(kcat(cluster.node(2), &args, None), lines, "partition {partition}");
        let len = cluster.await_identical(&[1, 2, 3], "copied", *partition, PATIENCE);
        println!("partition {partition}: {len} bytes on all three");
    }
}

/// kill -9; how long it took until a record was acknowledged that was sent after it.
fn kill(cluster: &mut Cluster, id: usize, load: &SteadyProducer) -> Duration {
    let began = Instant::now();
    cluster.kill(id);
    let (killed, mut first) = (Instant::now(), None);
    cluster.wait_for("a record is acknowledged after the kill", PATIENCE, || {
        first = load.first_sent_after(killed);
        first.is_some()
    });
    first.expect("seen").duration_since(began)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_the_active_controller_takes_nothing_along() {
    let mut cluster = Cluster::start_with::<3>(&[("broker.session.timeout.ms", "3000")]);
    let addresses = cluster.addresses();
    for round in 0..3 {
        let controller = active_controller(&addresses[0]).await;
        let topic = format!("with-controller-{round}");
        let leader = i32::try_from(controller).expect("an id");
        let others = (1..=3).filter(|id| *id != leader);
        let replicas: Vec<i32> = std::iter::once(leader).chain(others).collect();
        let placed = admin::placed(&topic, &replicas, &[("min.insync.replicas", "2")]);
        admin::create(&addresses[0], vec![placed]).await;
        // The broker that is asked may hear of it later than the one that made it.
        await_isr(&addresses[0], &topic, &[1, 2, 3]).await;
        assert_eq!(usize::try_from(partitions(&addresses[0], &topic).await[&0].0), Ok(controller));
        let load = SteadyProducer::start(addresses.clone(), &topic);
        cluster.wait_for("records are acknowledged", PATIENCE, || load.acknowledged().len() > 100);
        let gap = kill(&mut cluster, controller, &load);
        println!(
            "round {round}: first acknowledged write {} ms after kill -9 of the active controller, node {controller}",
            gap.as_millis()
        );
        let before = load.acknowledged().len();
        cluster.wait_for("it goes on", PATIENCE, || load.acknowledged().len() > before + 50);
        cluster.restart(controller);
        let acknowledged = load.finish().await;
        await_isr(&addresses[0], &topic, &[1, 2, 3]).await;
        check(&addresses, &topic, &acknowledged).await;
        cluster.await_identical(&[1, 2, 3], &topic, 0, PATIENCE);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_takes_nothing_along() {
    let mut cluster = Cluster::start_with::<3>(&[("broker.session.timeout.ms", "3000")]);
    let addresses = cluster.addresses();
    create(&addresses[0], "steady", 1, "2").await;
    await_isr(&addresses[0], "steady", &[1, 2, 3]).await;
    let load = SteadyProducer::start(addresses.clone(), "steady");
    let mut figures = Vec::new();
    for round in 0..4 {
        let before = load.acknowledged().len();
        cluster.wait_for("records are acknowledged", PATIENCE, || load.acknowledged().len() > before + 100);
        let controller = active_controller(&addresses[0]).await;
        let (leader, _) = partitions(&addresses[0], "steady").await[&0].clone();
        let leader = usize::try_from(leader).expect("a leader");
        let gap = kill(&mut cluster, leader, &load);
        let with = if leader == controller { "the active controller" } else { "no controller" };
        println!(
            "round {round}: first acknowledged write {} ms after kill -9 of node {leader} ({with})",
            gap.as_millis()
        );
        figures.push((leader == controller, gap));
        let others: Vec<i32> = (1..=3).filter(|id| usize::try_from(*id) != Ok(leader)).collect();
        let alive = &addresses[usize::try_from(others[0]).expect("a node") - 1];
        await_isr(alive, "steady", &others).await;
        cluster.restart(leader);
        let grown = await_isr(alive, "steady", &[1, 2, 3]).await;
        println!("round {round}: in sync again {} ms after it answers", grown.as_millis());
    }
    let acknowledged = load.finish().await;
    check(&addresses, "steady", &acknowledged).await;
    let len = cluster.await_identical(&[1, 2, 3], "steady", 0, PATIENCE);
    println!("{len} bytes on all three");
    assert!(figures.iter().all(|(_, gap)| *gap < PATIENCE), "{figures:?}");
}

#[test]
fn a_log_whose_topic_was_deleted_while_its_broker_was_away_is_served_no_more() {
    needs!(Broker, Kcat);
    let mut cluster = Cluster::start_with::<3>(&[("broker.session.timeout.ms", "3000")]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let addresses = cluster.addresses();
    runtime.block_on(create(&addresses[0], "gone", 1, "2"));
    kcat(cluster.node(1), &["-P", "-t", "gone", "-p", "0", "-X", "acks=all"], Some(b"one\n"));
    cluster.await_identical(&[1, 2, 3], "gone", 0, PATIENCE);
    cluster.kill(3);
    let deleted = runtime.block_on(async {
        let names = vec![TopicName(StrBytes::from_static_str("gone"))];
        let request = DeleteTopicsRequest::default().with_topic_names(names).with_timeout_ms(20_000);
        client(&addresses[0]).await.connection().call(&request, DELETE_BY_NAME).await.expect("is answered")
    });
    assert_eq!(deleted.responses[0].error_code, 0);
    let is_there = |cluster: &Cluster, id: usize| cluster.node(id).partition_dir("gone", 0).exists();
    cluster.wait_for("the log is gone where its broker lives", PATIENCE, || !is_there(&cluster, 1));
    assert!(is_there(&cluster, 3));
    // A topic of the same name is another one: nothing of the old one's records turns up in it.
    runtime.block_on(create(&addresses[0], "gone", 1, "2"));
    kcat(cluster.node(1), &["-P", "-t", "gone", "-p", "0", "-X", "acks=all"], Some(b"two\n"));
    cluster.restart(3);
    runtime.block_on(await_isr(&addresses[0], "gone", &[1, 2, 3]));
    cluster.await_identical(&[1, 2, 3], "gone", 0, PATIENCE);
    let args = ["-C", "-t", "gone", "-p", "0", "-o", "beginning", "-e", "-q"];
    assert_eq!(kcat(cluster.node(3), &args, None), "two\n");
}

#[test]
fn the_official_tools_see_the_in_sync_set_shrink_and_grow() {
    needs!(Broker, Tools);
    let mut cluster = Cluster::start::<3>();
    let topic = ["--topic", "tools"];
    let create =
        ["--create", "--partitions", "1", "--replication-factor", "3", "--config", "min.insync.replicas=2"];
    run(cluster.node(1), TOPICS, &[&create[..], &topic].concat()).ok();
    let lines: String = (0..200).map(|n| format!("line {n}\n")).collect();
    let all = ["--topic", "tools", "--command-property", "acks=all"];
    run_with_stdin(cluster.node(1), CONSOLE_PRODUCER, &all, &lines).ok();
    let describe = |cluster: &Cluster, id: usize| {
        run(cluster.node(id), TOPICS, &["--describe", "--topic", "tools"]).ok().out
    };
    let isr = |text: &str| {
        let isr = text.split("Isr: ").nth(1).expect("in-sync replicas").split_whitespace().next();
        let mut isr: Vec<i32> = isr.expect("ids").split(',').map(|id| id.parse().expect("an id")).collect();
        isr.sort_unstable();
        isr
    };
    let seen = describe(&cluster, 1);
    assert_eq!(isr(&seen), [1, 2, 3], "{seen}");
    let leader = seen.split("Leader: ").nth(1).and_then(|rest| rest.split_whitespace().next());
    let leader: usize = leader.and_then(|id| id.parse().ok()).expect("a leader");
    let other = if leader == 1 { 2 } else { 1 };
    cluster.kill(leader);
    cluster.wait_for("the in-sync set has shrunk", PATIENCE, || isr(&describe(&cluster, other)).len() == 2);
    let under = ["--describe", "--under-replicated-partitions"];
    run(cluster.node(other), TOPICS, &under).ok().shows("tools");
    run_with_stdin(cluster.node(other), CONSOLE_PRODUCER, &all, "one more\n").ok();
    cluster.restart(leader);
    cluster.wait_for("the in-sync set has grown", PATIENCE, || isr(&describe(&cluster, leader)).len() == 3);
    run(cluster.node(leader), TOPICS, &under).ok().hides("tools");
    let args = ["--topic", "tools", "--from-beginning", "--max-messages", "201", "--timeout-ms", "20000"];
    let read = run(cluster.node(leader), CONSOLE_CONSUMER, &args).ok();
    assert_eq!(read.out, format!("{lines}one more\n"));
    cluster.await_identical(&[1, 2, 3], "tools", 0, PATIENCE);
}

/// A group's coordinator, once there is one.
async fn coordinator(addresses: &[String], group: &str) -> Option<Client> {
    let request = FindCoordinatorRequest::default()
        .with_coordinator_keys(vec![StrBytes::from_string(group.to_owned())]);
    for address in addresses {
        let Ok(client) = try_client(address, Duration::from_secs(5)).await else { continue };
        let Ok(answer) = client.call(&request).await else { continue };
        let Some(found) = answer.coordinators.first().filter(|found| found.error_code == 0) else { continue };
        if let Ok(client) =
            try_client(&format!("{}:{}", found.host, found.port), Duration::from_secs(5)).await
        {
            return Some(client);
        }
    }
    None
}

fn commit(group: &str, offset: i64) -> OffsetCommitRequest {
    let partition =
        OffsetCommitRequestPartition { committed_offset: offset, ..OffsetCommitRequestPartition::default() };
    let name = TopicName(StrBytes::from_static_str("groups"));
    OffsetCommitRequest {
        group_id: GroupId(StrBytes::from_string(group.to_owned())),
        topics: vec![OffsetCommitRequestTopic {
            name,
            partitions: vec![partition],
            ..OffsetCommitRequestTopic::default()
        }],
        ..OffsetCommitRequest::default()
    }
}

/// What a group has committed, as its coordinator tells once it can.
async fn committed(addresses: &[String], group: &str) -> i64 {
    let wanted = OffsetFetchRequestGroup {
        group_id: GroupId(StrBytes::from_string(group.to_owned())),
        topics: None,
        ..OffsetFetchRequestGroup::default()
    };
    let request = OffsetFetchRequest { groups: vec![wanted], ..OffsetFetchRequest::default() };
    let began = Instant::now();
    loop {
        if let Some(client) = coordinator(addresses, group).await
            && let Ok(answer) = client.connection().call(&request, BY_NAME).await
            && answer.groups[0].error_code == 0
        {
            let topics = &answer.groups[0].topics;
            return topics.first().map_or(-1, |topic| topic.partitions[0].committed_offset);
        }
        assert!(began.elapsed() < PATIENCE, "{group} has no coordinator");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Commits one offset after the other until told to stop; the last one that was acknowledged.
async fn keep_committing(
    addresses: Vec<String>,
    group: String,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicI64>,
) {
    let mut client = None;
    let mut offset = 0;
    while !stop.load(Ordering::Acquire) {
        let to = match client.take() {
            Some(to) => to,
            None => match coordinator(&addresses, &group).await {
                Some(to) => to,
                None => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
            },
        };
        offset += 1;
        match to.connection().call(&commit(&group, offset), BY_NAME).await {
            Ok(answer) if answer.topics[0].partitions[0].error_code == 0 => {
                acknowledged.store(offset, Ordering::Release);
                client = Some(to);
            }
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_move_with_their_partitions_and_lose_no_committed_offset() {
    let mut cluster = Cluster::start_with::<3>(&[
        ("broker.session.timeout.ms", "3000"),
        ("offsets.topic.replication.factor", "3"),
    ]);
    let addresses = cluster.addresses();
    create(&addresses[0], "groups", 1, "1").await;
    let groups: Vec<String> = (0..6).map(|n| format!("group-{n}")).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = Vec::new();
    for group in &groups {
        let acknowledged = Arc::new(AtomicI64::new(-1));
        let (to, group, stop) = (addresses.clone(), group.clone(), Arc::clone(&stop));
        let task = tokio::spawn(keep_committing(to, group, stop, Arc::clone(&acknowledged)));
        running.push((acknowledged, task));
    }
    for (round, address) in addresses.iter().enumerate() {
        let before: Vec<i64> = running.iter().map(|(last, _)| last.load(Ordering::Acquire)).collect();
        cluster.wait_for("offsets are committed", PATIENCE, || {
            running.iter().zip(&before).all(|((last, _), before)| last.load(Ordering::Acquire) > before + 20)
        });
        let offsets = partitions(address, "__consumer_offsets").await;
        assert!(offsets.values().all(|(_, isr)| isr.len() == 3), "{offsets:?}");
        let node = round + 1;
        let killed = Instant::now();
        cluster.kill(node);
        let others: Vec<String> =
            (1..=3).filter(|id| *id != node).map(|id| cluster.node(id).address()).collect();
        let before: Vec<i64> = running.iter().map(|(last, _)| last.load(Ordering::Acquire)).collect();
        for (group, before) in groups.iter().zip(&before) {
            assert!(committed(&others, group).await >= *before, "{group}");
        }
        cluster.wait_for("every group commits again", PATIENCE, || {
            running.iter().zip(&before).all(|((last, _), before)| last.load(Ordering::Acquire) > *before)
        });
        println!(
            "round {round}: every group commits {} ms after kill -9 of node {node}",
            killed.elapsed().as_millis()
        );
        cluster.restart(node);
        let began = Instant::now();
        while !partitions(&others[0], "__consumer_offsets").await.values().all(|(_, isr)| isr.len() == 3) {
            assert!(began.elapsed() < PATIENCE, "the in-sync sets do not grow again");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    stop.store(true, Ordering::Release);
    for ((acknowledged, task), group) in running.into_iter().zip(&groups) {
        task.await.expect("the member ends");
        let last = acknowledged.load(Ordering::Acquire);
        let found = committed(&addresses, group).await;
        assert!(found >= last, "{group}: {last} was acknowledged, {found} is there");
    }
}

/// What a node has sent to consumers.
fn sent_bytes(cluster: &Cluster, id: usize) -> f64 {
    let (_, page) = get(cluster.node(id).second_port(), "/metrics").expect("a page");
    let line = page.lines().find_map(|line| line.strip_prefix("ottla_fetch_bytes_total "));
    line.and_then(|value| value.parse().ok()).expect("a counter")
}

#[test]
fn a_consumer_reads_in_its_own_rack() {
    needs!(Broker, Kcat);
    let cluster = Cluster::start_with::<3>(&[
        ("broker.rack", "rack-{id}"),
        ("replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector"),
    ]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let addresses = cluster.addresses();
    runtime.block_on(create(&addresses[0], "near", 1, "2"));
    let lines: String = (0..2_000).map(|n| format!("record {n}\n")).collect();
    kcat(cluster.node(1), &["-P", "-t", "near", "-p", "0", "-X", "acks=all"], Some(lines.as_bytes()));
    runtime.block_on(await_isr(&addresses[0], "near", &[1, 2, 3]));
    let leader = runtime.block_on(partitions(&addresses[0], "near"))[&0].0;
    let leader = usize::try_from(leader).expect("a leader");
    for id in (1..=3).filter(|id| *id != leader) {
        let rack = format!("client.rack=rack-{id}");
        let args = ["-C", "-t", "near", "-p", "0", "-o", "beginning", "-e", "-q", "-X", &rack];
        // A follower hears of the high watermark with its next fetch.
        cluster.wait_for("all is read in the rack", PATIENCE, || {
            kcat(cluster.node(leader), &args, None) == lines
        });
        assert!(sent_bytes(&cluster, id) > 10_000.0, "node {id} has sent {}", sent_bytes(&cluster, id));
    }
    assert!(sent_bytes(&cluster, leader) < 1.0, "the leader has sent {}", sent_bytes(&cluster, leader));
}

async fn delete_below(leader: &Client, topic: &str, offset: i64) -> (i16, i64) {
    let asked = DeleteRecordsPartition::default().with_partition_index(0).with_offset(offset);
    let topic = DeleteRecordsTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![asked]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let answer = leader.call(&request).await.expect("is answered");
    let result = &answer.topics[0].partitions[0];
    (result.error_code, result.low_watermark)
}

#[test]
fn records_are_deleted_on_every_replica_before_it_is_answered() {
    needs!(Broker, Kcat);
    let mut cluster = Cluster::start_with::<3>(&[("broker.session.timeout.ms", "3000")]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let addresses = cluster.addresses();
    runtime.block_on(create(&addresses[0], "deleted", 1, "2"));
    let lines: String = (0..100).map(|n| format!("record {n}\n")).collect();
    let args = ["-P", "-t", "deleted", "-p", "0", "-X", "acks=all", "-X", "batch.num.messages=1"];
    kcat(cluster.node(1), &args, Some(lines.as_bytes()));
    runtime.block_on(await_isr(&addresses[0], "deleted", &[1, 2, 3]));
    let leader = runtime.block_on(find_leader(&addresses, "deleted")).expect("somebody leads");
    let began = Instant::now();
    assert_eq!(runtime.block_on(delete_below(&leader, "deleted", 40)), (0, 40));
    println!("deleted on all three within {} ms", began.elapsed().as_millis());
    let id = runtime.block_on(partitions(&addresses[0], "deleted"))[&0].0;
    cluster.kill(usize::try_from(id).expect("a leader"));
    let next = usize::try_from(if id == 1 { 2 } else { 1 }).expect("a node");
    cluster.wait_for("another leads", PATIENCE, || {
        let seen = runtime.block_on(partitions(&cluster.node(next).address(), "deleted"));
        seen.get(&0).is_some_and(|(leader, _)| *leader != id && *leader > 0)
    });
    let others: Vec<String> = (1..=3)
        .filter(|node| *node != id)
        .map(|node| cluster.node(usize::try_from(node).expect("a node")).address())
        .collect();
    let leader = runtime.block_on(find_leader(&others, "deleted")).expect("somebody leads");
    let fetched = runtime.block_on(leader.fetch("deleted", 0, Offset(60), 1, 5_000)).expect("is fetched");
    assert_eq!(fetched.log_start, Offset(40));
}
