//! kafka-consumer-groups and kafka-groups.

use std::process::{Child, Stdio};
use std::time::Duration;

use ottla_compat_tests::needs;
use ottla_compat_tests::process::{eventually, spawn};
use ottla_compat_tests::tools::{CONSOLE_CONSUMER, CONSUMER_GROUPS, GROUPS, Ran, own_jvm};

use crate::{BROKER, create_topic, produce, tool};

fn groups(args: &[&str]) -> Ran {
    tool(CONSUMER_GROUPS, args)
}

/// A group of its own, with its topic of `records` records, of which it has read and committed `read`.
fn group_with_offsets(name: &str, protocol: &str, records: usize, read: usize) {
    create_topic(name, 1);
    produce(name, &(0..records).map(|n| format!("{n}\n")).collect::<String>());
    let (read, property) = (read.to_string(), format!("group.protocol={protocol}"));
    let args = ["--topic", name, "--group", name, "--from-beginning", "--max-messages", &read];
    let more = ["--command-property", &property, "--timeout-ms", "20000"];
    tool(CONSOLE_CONSUMER, &[&args[..], &more].concat()).ok();
}

/// A console consumer that stays in its group until dropped.
struct Member(Child);

impl Member {
    fn join(group: &str, protocol: &str) -> Self {
        let (address, property) = (BROKER.address(), format!("group.protocol={protocol}"));
        let args = ["--bootstrap-server", &address, "--topic", group, "--group", group];
        let mut command =
            own_jvm(CONSOLE_CONSUMER, &[&args[..], &["--command-property", &property]].concat());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(spawn(command).expect("start a console consumer"))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The fields of `kafka-consumer-groups --describe`'s line for partition 0 of the group's only topic.
#[track_caller]
fn described(group: &str) -> Vec<String> {
    let shown = groups(&["--describe", "--group", group]).ok();
    shown.fields_of(&format!("{group} ")).iter().map(|field| (*field).to_owned()).collect()
}

#[test]
fn groups_are_listed_with_type_and_state() {
    needs!(Broker, Tools);
    group_with_offsets("g-list-classic", "classic", 1, 1);
    group_with_offsets("g-list-consumer", "consumer", 1, 1);
    let listed = groups(&["--list"]).ok();
    assert!(listed.lines().contains(&"g-list-classic"), "{listed}");
    let states = groups(&["--list", "--state"]).ok();
    assert_eq!(states.fields_of("g-list-classic"), ["g-list-classic", "Empty"]);
    let types = groups(&["--list", "--type", "consumer"]).ok().hides("g-list-classic");
    assert_eq!(types.fields_of("g-list-consumer"), ["g-list-consumer", "Consumer"]);
    let all = tool(GROUPS, &["--list"]).ok();
    assert_eq!(all.fields_of("g-list-classic"), ["g-list-classic", "Classic", "consumer"], "{all}");
    assert_eq!(all.fields_of("g-list-consumer"), ["g-list-consumer", "Consumer", "consumer"], "{all}");
}

#[test]
fn lag_of_an_empty_group_is_shown() {
    needs!(Broker, Tools);
    for protocol in ["classic", "consumer"] {
        let group = format!("g-lag-{protocol}");
        group_with_offsets(&group, protocol, 5, 2);
        groups(&["--describe", "--group", &group])
            .ok()
            .shows(&format!("Consumer group '{group}' has no active members."));
        assert_eq!(described(&group), [&group, &group, "0", "2", "5", "3", "-", "-", "-"]);
    }
}

#[test]
fn members_and_state_of_a_live_group_are_shown() {
    needs!(Broker, Tools);
    for (protocol, assignor) in [("classic", "range"), ("consumer", "uniform")] {
        let group = format!("g-live-{protocol}");
        create_topic(&group, 2);
        let _member = Member::join(&group, protocol);
        let state = eventually("a stable group", Duration::from_secs(30), || {
            let state = groups(&["--describe", "--group", &group, "--state"]);
            state.out.contains("Stable").then_some(state)
        });
        let fields = state.fields_of(&BROKER.address());
        assert_eq!(fields[3..], [assignor, "Stable", "1"], "{state}");
        let members = groups(&["--describe", "--group", &group, "--members", "--verbose"]).ok();
        members.clone().shows("console-consumer").shows("/127.0.0.1").shows(&format!("{group}:0,1"));
        groups(&["--delete", "--group", &group]).shows("The group is not empty.");
        let args = ["--reset-offsets", "--group", &group, "--topic", &group, "--to-earliest", "--execute"];
        groups(&args).shows(&format!("Assignments can only be reset if the group '{group}' is inactive"));
    }
}

#[test]
fn offsets_are_reset() {
    needs!(Broker, Tools);
    group_with_offsets("g-reset", "classic", 10, 10);
    let reset = |how: &[&str]| {
        groups(&[&["--reset-offsets", "--group", "g-reset", "--topic", "g-reset"], how].concat()).ok()
    };
    let dry = reset(&["--to-earliest", "--dry-run"]);
    assert_eq!(dry.fields_of("g-reset "), ["g-reset", "g-reset", "0", "0"]);
    assert_eq!(described("g-reset")[3], "10", "a dry run changes nothing");
    for (how, offset) in [
        (&["--to-offset", "4", "--execute"][..], "4"),
        (&["--shift-by", "3", "--execute"], "7"),
        (&["--shift-by", "-2", "--execute"], "5"),
        (&["--to-earliest", "--execute"], "0"),
        (&["--to-latest", "--execute"], "10"),
        (&["--to-datetime", "2020-01-01T00:00:00.000", "--execute"], "0"),
        (&["--to-current", "--execute"], "0"),
        (&["--to-offset", "1000", "--execute"], "10"),
    ] {
        reset(how);
        assert_eq!(described("g-reset")[3], offset, "{how:?}");
    }
    let exported = reset(&["--to-offset", "6", "--export"]);
    assert!(exported.lines().contains(&"g-reset,0,6"), "{exported}");
}

#[test]
fn offsets_and_groups_are_deleted() {
    needs!(Broker, Tools);
    for protocol in ["classic", "consumer"] {
        let group = format!("g-delete-{protocol}");
        group_with_offsets(&group, protocol, 3, 3);
        let deleted = groups(&["--delete-offsets", "--group", &group, "--topic", &group]).ok();
        deleted.clone().shows(&format!("Request succeeded for deleting offsets from group {group}."));
        groups(&["--describe", "--group", &group]).hides(&format!("{group} {group}"));
        groups(&["--delete", "--group", &group])
            .ok()
            .shows(&format!("Deletion of requested consumer groups ('{group}') was successful."));
        assert!(!groups(&["--list"]).ok().lines().contains(&group.as_str()));
    }
}

#[test]
fn unknown_group_is_refused() {
    needs!(Broker, Tools);
    groups(&["--describe", "--group", "g-nowhere"])
        .shows("Error: Executing consumer group command failed due to org.apache.kafka.common.errors.GroupIdNotFoundException: Group g-nowhere not found.");
    groups(&["--delete", "--group", "g-nowhere"])
        .shows("Group 'g-nowhere' could not be deleted due to:")
        .shows("GroupIdNotFoundException");
}
