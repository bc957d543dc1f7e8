//! The official tools on three brokers: a reassignment that is throttled, seen, taken back, and done; and replicas that are compared.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use ottla_compat_tests::admin::{self, PATIENCE, await_isr, partitions, placed};
use ottla_compat_tests::layout::scratch_dir;
use ottla_compat_tests::process::eventually;
use ottla_compat_tests::steady::find_leader;
use ottla_compat_tests::tools::{CONFIGS, REASSIGN_PARTITIONS, Ran, run_bare, run_staying};
use ottla_compat_tests::{Cluster, needs};
use ottla_model::batch::BatchBuilder;
use ottla_model::{Offset, TimestampMs};

const TOPIC: &str = "moved";
const REPLICA_VERIFICATION: &str = "org.apache.kafka.tools.ReplicaVerificationTool";
/// Of 50 KB each.
const BATCHES: usize = 240;
/// Bytes per second: the whole takes much longer than the tools.
const SLOW: &str = "200000";

async fn fill(addresses: &[String]) {
    let leader = find_leader(addresses, TOPIC).await.expect("somebody leads");
    for _ in 0..BATCHES {
        let mut batch = BatchBuilder::new(Offset::ZERO);
        batch.push(TimestampMs(1_700_000_000_000), None, Some(&[7; 50_000]), &[]);
        let batch = Bytes::from(batch.build().expect("a batch"));
        leader.produce(TOPIC, 0, batch, -1).await.expect("is acknowledged");
    }
}

/// What the settings of brokers and topic say of throttles.
fn throttles(bootstrap: &str) -> String {
    let of = |kind: &str, name: &str| {
        let args =
            ["--bootstrap-server", bootstrap, "--describe", "--entity-type", kind, "--entity-name", name];
        run_bare(CONFIGS, &args, "").ok().out
    };
    let all = [of("topics", TOPIC), of("brokers", "1"), of("brokers", "2"), of("brokers", "3")].concat();
    all.lines().filter(|line| line.contains("throttled")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_throttled_reassignment_is_seen_taken_back_and_done() {
    needs!(Broker, Tools);
    let cluster = Cluster::start_with::<3>(&[("replica.fetch.max.bytes", "100000")]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (addresses, bootstrap) = (cluster.addresses(), cluster.bootstrap());
    runtime.block_on(async {
        admin::create(&addresses[0], vec![placed(TOPIC, &[1, 2], &[])]).await;
        await_isr(&addresses[0], TOPIC, &[1, 2]).await;
        fill(&addresses).await;
    });
    let dir = scratch_dir("reassigning");
    let plan = dir.join("plan.json");
    let json =
        format!(r#"{{"version":1,"partitions":[{{"topic":"{TOPIC}","partition":0,"replicas":[2,3]}}]}}"#);
    fs::write(&plan, json).expect("write a plan");
    let plan = plan.to_str().expect("a path in UTF-8");
    let reassign = |args: &[&str]| -> Ran {
        let all: Vec<&str> =
            ["--bootstrap-server", &bootstrap].into_iter().chain(args.iter().copied()).collect();
        run_bare(REASSIGN_PARTITIONS, &all, "")
    };
    let of_plan = |args: &[&str]| -> Ran {
        let all: Vec<&str> =
            ["--reassignment-json-file", plan].into_iter().chain(args.iter().copied()).collect();
        reassign(&all)
    };

    of_plan(&["--execute", "--throttle", SLOW])
        .ok()
        .shows("The inter-broker throttle limit was set to 200000 B/s")
        .shows("Successfully started partition reassignment for moved-0");
    reassign(&["--list"]).ok().shows("moved-0: replicas: 2,3,1. adding: 3. removing: 1.");
    of_plan(&["--verify"]).ok().shows("Reassignment of partition moved-0 is still in progress.");
    let set = throttles(&bootstrap);
    for wanted in [
        "leader.replication.throttled.replicas=0:1,0:2",
        "follower.replication.throttled.replicas=0:3",
        "leader.replication.throttled.rate=200000",
        "follower.replication.throttled.rate=200000",
    ] {
        assert!(set.contains(wanted), "{wanted}: {set}");
    }
    of_plan(&["--execute"]).fails().shows("Cannot execute because there is an existing partition assignment");
    let copied = cluster.segments(3, TOPIC, 0).len();
    assert!(copied < BATCHES * 50_000 / 2, "{copied} bytes were copied: nothing has held them back");

    of_plan(&["--cancel"]).ok().shows("Successfully cancelled partition reassignment for: moved-0");
    reassign(&["--list"]).ok().shows("No partition reassignments found.");
    assert_eq!(throttles(&bootstrap), "", "what is over throttles nothing");
    runtime.block_on(await_isr(&addresses[0], TOPIC, &[1, 2]));
    eventually("the new replica's log is gone", PATIENCE, || {
        (!cluster.node(3).partition_dir(TOPIC, 0).exists()).then_some(())
    });

    of_plan(&["--execute", "--throttle", "1000000000"]).ok().shows("moved-0");
    eventually("the reassignment is done", PATIENCE, || {
        let told = of_plan(&["--verify"]).ok();
        told.out.contains("Reassignment of partition moved-0 is completed.").then_some(())
    });
    assert_eq!(throttles(&bootstrap), "", "--verify takes the throttles back");
    let after = runtime.block_on(partitions(&addresses[2], TOPIC));
    assert_eq!(after[&0].1, [2, 3]);
    cluster.await_identical(&[2, 3], TOPIC, 0, PATIENCE);
    fs::remove_dir_all(&dir).expect("remove the plan");
}

#[test]
fn the_verification_tool_finds_three_replicas_the_same() {
    needs!(Broker, Tools);
    let cluster = Cluster::start::<3>();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let addresses = cluster.addresses();
    runtime.block_on(async {
        admin::create(&addresses[0], vec![placed(TOPIC, &[3, 1, 2], &[])]).await;
        await_isr(&addresses[0], TOPIC, &[1, 2, 3]).await;
        fill(&addresses).await;
    });
    let bootstrap = cluster.bootstrap();
    let args = [
        "--broker-list",
        &bootstrap,
        "--topics-include",
        TOPIC,
        "--time",
        "-2",
        "--report-interval-ms",
        "1000",
    ];
    // It compares what the replicas give, batch by batch, and says so where they differ.
    let line = format!("max lag is 0 for partition {TOPIC}-0 at offset {BATCHES} among 1 partitions");
    let told = run_staying(REPLICA_VERIFICATION, &args, &line, Duration::from_secs(60));
    let told = told.unwrap_or_else(|| panic!("not told: {line}\n{}", cluster.logs().join("\n")));
    told.hides("doesn't match").hides("has unmatched checksum");
}
