//! Records on three real processes: copied, acknowledged by all in-sync replicas, and there when a leader is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use ottla_client::{Client, ConnectionConfig};
use ottla_compat_tests::kcat::kcat;
use ottla_compat_tests::steady::{Acknowledged, SteadyProducer, find_leader};
use ottla_compat_tests::tools::{CONSOLE_CONSUMER, CONSOLE_PRODUCER, TOPICS, run, run_with_stdin};
use ottla_compat_tests::{Cluster, needs};
use ottla_model::Offset;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use ottla_protocol::messages::metadata_request::MetadataRequestTopic;
use ottla_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_protocol::messages::{
    CreateTopicsRequest, DescribeQuorumRequest, FindCoordinatorRequest, GroupId, MetadataRequest,
    OffsetCommitRequest, OffsetFetchRequest, StrBytes, TopicName, describe_quorum_request,
};

/// Offsets are committed and fetched by topics' names up to this version.
const BY_NAME: i16 = 9;
/// What a busy machine may take; figures are printed.
const PATIENCE: Duration = Duration::from_secs(30);

async fn client(address: &str) -> Client {
    let config = ConnectionConfig { timeout: Duration::from_secs(20), ..ConnectionConfig::default() };
    Client::connect(address, config).await.expect("connects")
}

async fn create(address: &str, name: &str, partitions: i32, min_isr: &str) {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let min_isr = CreatableTopicConfig::default()
        .with_name(text("min.insync.replicas"))
        .with_value(Some(text(min_isr)));
    let topic = CreatableTopic::default()
        .with_name(TopicName(text(name)))
        .with_num_partitions(partitions)
        .with_replication_factor(3)
        .with_configs(vec![min_isr]);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(20_000);
    let answer = client(address).await.call(&request).await.expect("is answered");
    assert_eq!(ErrorCode::from_code(answer.topics[0].error_code), Some(ErrorCode::None));
}

/// Leader and in-sync replicas of each partition, as one broker tells.
async fn partitions(address: &str, topic: &str) -> BTreeMap<i32, (i32, Vec<i32>)> {
    let name = TopicName(StrBytes::from_string(topic.to_owned()));
    let asked = MetadataRequestTopic::default().with_name(Some(name));
    let request = MetadataRequest::default().with_topics(Some(vec![asked]));
    let answer = client(address).await.call(&request).await.expect("is answered");
    let partitions = answer.topics[0].partitions.iter().map(|partition| {
        let mut isr: Vec<i32> = partition.isr_nodes.iter().map(|id| id.0).collect();
        isr.sort_unstable();
        (partition.partition_index, (partition.leader_id.0, isr))
    });
    partitions.collect()
}

/// Waits until the in-sync replicas of partition 0 are these.
async fn await_isr(address: &str, topic: &str, wanted: &[i32]) -> Duration {
    let began = Instant::now();
    loop {
        let seen = partitions(address, topic).await;
        if seen.get(&0).is_some_and(|(_, isr)| isr == wanted) {
            return began.elapsed();
        }
        assert!(began.elapsed() < PATIENCE, "wanted {wanted:?}, are {seen:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn active_controller(address: &str) -> usize {
    let partition = describe_quorum_request::PartitionData::default().with_partition_index(0);
    let topic = describe_quorum_request::TopicData::default()
        .with_topic_name(TopicName(StrBytes::from_static_str("__cluster_metadata")))
        .with_partitions(vec![partition]);
    let request = DescribeQuorumRequest::default().with_topics(vec![topic]);
    let answer = client(address).await.call(&request).await.expect("answers");
    usize::try_from(answer.topics[0].partitions[0].leader_id.0).expect("a node")
}

/// Every acknowledged record is at its offset.
async fn check(addresses: &[String], topic: &str, acknowledged: &[Acknowledged]) {
    let leader = find_leader(addresses, topic).await.expect("somebody leads");
    let (mut read, mut offset) = (BTreeMap::new(), Offset::ZERO);
    loop {
        let fetched = leader.fetch(topic, 0, offset, 1, 200).await.expect("is fetched");
        let records = fetched.records_from(offset).expect("sound records");
        if records.is_empty() {
            break;
        }
        for record in records {
            let value = record.value.expect("a value");
            read.insert(record.offset.get(), String::from_utf8(value.to_vec()).expect("text"));
        }
        offset = fetched.next_offset(offset);
    }
    for record in acknowledged {
        assert_eq!(read.get(&record.offset), Some(&record.value), "offset {}", record.offset);
    }
    println!("{} records acknowledged, {} in the log, all there", acknowledged.len(), read.len());
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
        let killed = Instant::now();
        cluster.kill(leader);
        let mut first = None;
        cluster.wait_for("a record is acknowledged after the kill", PATIENCE, || {
            first = load.first_sent_after(killed);
            first.is_some()
        });
        let gap = first.expect("seen").duration_since(killed);
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
        let Ok(client) = try_client(address).await else { continue };
        let Ok(answer) = client.call(&request).await else { continue };
        let Some(found) = answer.coordinators.first().filter(|found| found.error_code == 0) else { continue };
        if let Ok(client) = try_client(&format!("{}:{}", found.host, found.port)).await {
            return Some(client);
        }
    }
    None
}

async fn try_client(address: &str) -> Result<Client, ottla_client::ClientError> {
    let config = ConnectionConfig { timeout: Duration::from_secs(5), ..ConnectionConfig::default() };
    Client::connect(address, config).await
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
