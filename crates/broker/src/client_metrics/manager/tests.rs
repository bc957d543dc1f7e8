use ottla_config::ConfigMap;

use super::*;

const BYTES_MAX: usize = 1_000;
const INTERVAL_MS: u64 = 1_000;

/// One that asks all clients for all metrics each second.
fn manager() -> Manager {
    let mut manager = Manager::new(BYTES_MAX);
    manager.set("all", subscription(&[("metrics", "*"), ("interval.ms", "1000")]));
    manager
}

fn subscription(settings: &[(&str, &str)]) -> SubscriptionConfig {
    let settings: ConfigMap =
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    SubscriptionConfig::new(&settings).expect("is allowed")
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn details(id: Uuid) -> ClientDetails {
    ClientDetails::new(id, Some("c"), ("unknown", "unknown"), "127.0.0.1", 1)
}

fn get(manager: &mut Manager, n: u128, at: u64) -> Result<i32, Refusal> {
    let subscribed = manager.subscription(id(n), details(id(n)), MonoMs(at));
    subscribed.map(|subscribed| subscribed.subscription_id)
}

fn header(n: u128, subscription_id: i32) -> PushHeader {
    PushHeader { instance: id(n), subscription_id, terminating: false, compression: 4, len: 10 }
}

fn push(manager: &mut Manager, header: &PushHeader, at: u64) -> Option<Refusal> {
    manager.push(header, details(header.instance), MonoMs(at)).err()
}

#[test]
fn a_client_pushes_after_it_asked_and_then_once_an_interval() {
    let mut manager = manager();
    let push_at = |manager: &mut Manager, id, at| push(manager, &header(7, id), at);
    let subscription = get(&mut manager, 7, 0).expect("the first may");
    assert_eq!(push_at(&mut manager, subscription, 1), None, "right after it asked");
    assert_eq!(push_at(&mut manager, subscription, INTERVAL_MS), Some(Refusal::TooSoon));
    assert_eq!(push_at(&mut manager, subscription, INTERVAL_MS + 1), None);
    assert_eq!(get(&mut manager, 7, INTERVAL_MS + 2), Err(Refusal::TooSoon));
    assert_eq!(get(&mut manager, 7, 2 * INTERVAL_MS + 1), Ok(subscription));
    assert_eq!(push_at(&mut manager, subscription, 2 * INTERVAL_MS + 2), None, "right after it asked");
}

#[test]
fn reserved_ids_are_refused_first() {
    let mut manager = manager();
    for n in [0, 1] {
        let all_wrong = PushHeader { compression: 9, len: BYTES_MAX + 1, ..header(n, 0) };
        assert_eq!(push(&mut manager, &all_wrong, 0), Some(Refusal::ReservedId));
    }
    assert_eq!(manager.instance_count(MonoMs(0)), 0);
}

#[test]
fn a_push_is_judged_in_kafkas_order() {
    let mut manager = manager();
    let subscription = get(&mut manager, 7, 0).expect("the first may");
    let all_wrong = PushHeader { compression: 5, len: BYTES_MAX + 1, ..header(7, subscription ^ 1) };
    assert_eq!(push(&mut manager, &all_wrong, 1), Some(Refusal::UnknownSubscription));
    assert_eq!(push(&mut manager, &all_wrong, 2), Some(Refusal::TooSoon));
    let right_id = PushHeader { subscription_id: subscription, ..all_wrong };
    assert_eq!(push(&mut manager, &right_id, INTERVAL_MS + 1), Some(Refusal::UnknownCompression));
    let right_codec = PushHeader { compression: 0, ..right_id };
    assert_eq!(push(&mut manager, &right_codec, 2 * INTERVAL_MS + 1), Some(Refusal::TooLarge));
    let largest = PushHeader { len: BYTES_MAX, ..right_codec };
    assert_eq!(push(&mut manager, &largest, 3 * INTERVAL_MS + 1), None);
}

#[test]
fn a_client_that_is_told_to_ask_again_may_at_once() {
    let mut manager = manager();
    let subscription = get(&mut manager, 7, 0).expect("the first may");
    for (wrong, refusal) in [
        (header(7, subscription ^ 1), Refusal::UnknownSubscription),
        (PushHeader { compression: -1, ..header(7, subscription) }, Refusal::UnknownCompression),
    ] {
        let mut manager = self::manager();
        get(&mut manager, 7, 0).expect("the first may");
        assert_eq!(push(&mut manager, &wrong, 1), Some(refusal));
        assert_eq!(get(&mut manager, 7, 2), Ok(subscription));
        assert_eq!(get(&mut manager, 7, 3), Err(Refusal::TooSoon), "once");
    }
    let large = PushHeader { len: BYTES_MAX + 1, ..header(7, subscription) };
    assert_eq!(push(&mut manager, &large, 1), Some(Refusal::TooLarge));
    assert_eq!(get(&mut manager, 7, 2), Err(Refusal::TooSoon));
}

#[test]
fn the_last_push_may_come_early_and_none_after_it() {
    let mut manager = manager();
    let subscription = get(&mut manager, 7, 0).expect("the first may");
    assert_eq!(push(&mut manager, &header(7, subscription), 1), None);
    let last = PushHeader { terminating: true, ..header(7, subscription) };
    assert_eq!(push(&mut manager, &last, 2), None);
    assert_eq!(push(&mut manager, &last, 3 * INTERVAL_MS), Some(Refusal::Terminated));
    assert_eq!(push(&mut manager, &header(7, subscription), 6 * INTERVAL_MS), Some(Refusal::Terminated));
}

#[test]
fn a_changed_subscription_is_told_at_once_and_the_old_one_refused() {
    let mut manager = manager();
    let before = get(&mut manager, 7, 0).expect("the first may");
    manager.set("more", subscription(&[("interval.ms", "500")]));
    assert_eq!(push(&mut manager, &header(7, before), 1), Some(Refusal::UnknownSubscription));
    let after = get(&mut manager, 7, 2).expect("at once");
    assert_ne!(before, after);
    manager.remove("more");
    assert_eq!(get(&mut manager, 7, 3), Ok(before));
}

#[test]
fn a_push_of_a_client_that_never_asked_is_taken_if_it_knows_the_id() {
    let mut manager = manager();
    let subscription = get(&mut manager, 7, 0).expect("the first may");
    manager.disconnected(id(7));
    assert!(!manager.knows(id(7)));
    assert_eq!(push(&mut manager, &header(7, subscription), 1), None, "another broker may have told it");
    assert!(manager.knows(id(7)));
}

#[test]
fn clients_are_forgotten_after_three_intervals_and_a_minute_at_least() {
    let mut manager = Manager::new(BYTES_MAX);
    manager.set("slow", subscription(&[("interval.ms", "30000"), ("match", "client_instance_id=.*B")]));
    manager.set("fast", subscription(&[("interval.ms", "100")]));
    get(&mut manager, 7, 1).expect("the first may");
    assert_eq!(manager.instance_count(MonoMs(60_000)), 1);
    assert_eq!(manager.instance_count(MonoMs(60_001)), 0);
    manager.remove("fast");
    manager.remove("slow");
    get(&mut manager, 7, 0).expect("the first may");
    assert_eq!(manager.instance_count(MonoMs(3 * 300_000 - 1)), 1);
    assert_eq!(manager.instance_count(MonoMs(3 * 300_000)), 0);
}

#[test]
fn the_longest_unheard_gives_way() {
    let mut manager = manager();
    for n in 2..2 + 16_384 {
        get(&mut manager, n, 0).expect("the first may");
    }
    assert_eq!(get(&mut manager, 2, 1), Err(Refusal::TooSoon), "but it was heard");
    get(&mut manager, 1_000_000, 2).expect("the first may");
    assert_eq!(manager.instance_count(MonoMs(2)), 16_384);
    assert!(manager.knows(id(2)) && !manager.knows(id(3)) && manager.knows(id(4)));
}
