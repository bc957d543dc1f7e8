use ottla_model::{MonoMs, Offset, TopicId};

use super::*;

fn key(partition: i32) -> FetchKey {
    FetchKey { topic: FetchTopic::Id(TopicId::METADATA), partition }
}

fn want(offset: i64) -> FetchPartition {
    FetchPartition {
        fetch_offset: Offset(offset),
        log_start: Offset::NONE,
        max_bytes: 1_000,
        current_leader_epoch: None,
        last_fetched_epoch: None,
    }
}

fn answer(high_watermark: i64, records_len: usize) -> PartitionAnswer {
    PartitionAnswer {
        high_watermark: Offset(high_watermark),
        log_start: Offset::ZERO,
        records_len,
        is_error: false,
        redirects: false,
    }
}

fn request(session_id: i32, epoch: i32) -> SessionRequest {
    SessionRequest { session_id, epoch, uses_topic_ids: true, privileged: false }
}

fn cache(slots: usize) -> FetchSessionCache<()> {
    FetchSessionCache::<()>::new(FetchSessionConfig { slots, partitions: 1_000, eviction_ms: 100 })
}

/// A full fetch of partitions `0..count`, each answered with HW 5.
fn create(cache: &mut FetchSessionCache<()>, id: i32, count: i32, privileged: bool, now: u64) -> i32 {
    let partitions: Vec<_> = (0..count).map(|p| (key(p), want(5), answer(5, 0))).collect();
    let request = SessionRequest { privileged, ..request(0, 0) };
    let wanted = partitions.iter().map(|(key, want, _)| (key.clone(), *want)).collect();
    let context = cache.begin(request, wanted, &[], MonoMs(now)).unwrap();
    assert!(matches!(context, FetchContext::Full(all) if all.len() == partitions.len()));
    cache.create(request, partitions.into_iter(), || id, MonoMs(now))
}

fn resume(
    cache: &mut FetchSessionCache<()>,
    request: SessionRequest,
    wanted: Vec<(FetchKey, FetchPartition)>,
    forgotten: &[FetchKey],
    now: u64,
) -> Box<FetchSession<()>> {
    match cache.begin(request, wanted, forgotten, MonoMs(now)).unwrap() {
        FetchContext::Incremental(session) => session,
        other => panic!("{other:?}"),
    }
}

fn order(session: &FetchSession<()>) -> Vec<i32> {
    session.due().map(|(_, key, _)| key.partition).collect()
}

fn settle(session: &mut FetchSession<()>, partition: i32, answer: &PartitionAnswer) -> bool {
    let slot = session.due().find(|(_, key, _)| key.partition == partition).unwrap().0;
    session.settle(slot, answer)
}

#[test]
fn an_incremental_answer_holds_only_news() {
    let mut cache = cache(10);
    assert_eq!(create(&mut cache, 77, 3, false, 0), 77);
    let mut session = resume(&mut cache, request(77, 1), vec![], &[], 1);
    assert!(!settle(&mut session, 0, &answer(5, 0)));
    assert!(settle(&mut session, 0, &answer(6, 0)), "the HW moved");
    assert!(!settle(&mut session, 0, &answer(6, 0)), "and has been told");
    assert!(settle(&mut session, 1, &PartitionAnswer { log_start: Offset(2), ..answer(5, 0) }));
    assert!(settle(&mut session, 2, &PartitionAnswer { redirects: true, ..answer(5, 0) }));
    let failed = PartitionAnswer { is_error: true, ..answer(5, 0) };
    assert!(settle(&mut session, 2, &failed) && settle(&mut session, 2, &failed));
    assert!(settle(&mut session, 2, &answer(5, 0)), "sound again: say so");
    assert!(!session.is_news(&key(2), &answer(5, 0)));
    assert!(session.is_news(&key(2), &answer(5, 1)));
}

#[test]
fn a_partition_with_records_goes_to_the_end() {
    let mut cache = cache(10);
    create(&mut cache, 1, 4, false, 0);
    let mut session = resume(&mut cache, request(1, 1), vec![], &[], 1);
    assert!(settle(&mut session, 1, &answer(5, 100)));
    assert!(settle(&mut session, 2, &answer(9, 0)));
    assert_eq!(order(&session), [0, 2, 3, 1]);
    assert!(settle(&mut session, 0, &answer(5, 100)));
    assert_eq!(order(&session), [2, 3, 1, 0]);
}

#[test]
fn who_rests_is_read_again_when_woken_or_named() {
    let mut cache = cache(10);
    create(&mut cache, 1, 4, false, 0);
    let mut session = resume(&mut cache, request(1, 1), vec![], &[], 1);
    let slots: Vec<_> = session.due().map(|(slot, ..)| slot).collect();
    for slot in &slots[..3] {
        session.rest(*slot);
    }
    assert_eq!(order(&session), [3]);
    session.wake(slots[1]);
    assert_eq!(order(&session), [1, 3], "in its place");
    cache.check_in(session);
    let session = resume(&mut cache, request(1, 2), vec![(key(0), want(6))], &[key(2)], 2);
    assert_eq!((order(&session), session.len()), (vec![0, 1, 3], 3));
}

#[test]
fn a_request_adds_changes_and_forgets() {
    let mut cache = cache(10);
    create(&mut cache, 1, 3, false, 0);
    let wanted = vec![(key(1), want(50)), (key(9), want(1))];
    let session = resume(&mut cache, request(1, 1), wanted, &[key(0), key(8)], 1);
    assert_eq!(order(&session), [1, 2, 9]);
    assert_eq!(session.fetch_offset(&key(1)), Some(Offset(50)));
    assert!(session.is_news(&key(9), &answer(0, 0)), "a new partition has been told nothing");
    assert_eq!(cache.partition_count(), 3);
    cache.check_in(session);
    let all = [key(1), key(2), key(9)];
    let context = cache.begin(request(1, 2), vec![], &all, MonoMs(2)).unwrap();
    assert!(matches!(context, FetchContext::Sessionless(none) if none.is_empty()));
    assert!(cache.is_empty() && cache.partition_count() == 0);
}

#[test]
fn epochs_run_and_are_checked() {
    let mut cache = cache(10);
    create(&mut cache, 1, 1, false, 0);
    let error = FetchSessionError::InvalidEpoch { found: 2, expected: 1 };
    assert_eq!(cache.begin(request(1, 2), vec![], &[], MonoMs(1)).unwrap_err(), error);
    let session = resume(&mut cache, request(1, 1), vec![], &[], 1);
    cache.check_in(session);
    let error = FetchSessionError::InvalidEpoch { found: 1, expected: 2 };
    assert_eq!(cache.begin(request(1, 1), vec![], &[], MonoMs(1)).unwrap_err(), error);
    let by_name = SessionRequest { uses_topic_ids: false, ..request(1, 2) };
    let error = cache.begin(by_name, vec![], &[], MonoMs(1)).unwrap_err();
    assert_eq!(error, FetchSessionError::TopicId);
    let error = cache.begin(request(2, 1), vec![], &[], MonoMs(1)).unwrap_err();
    assert_eq!(error, FetchSessionError::IdNotFound(2));
}

#[test]
fn a_full_or_final_request_closes_the_old_session() {
    for epoch in [0, -1] {
        let mut cache = cache(10);
        create(&mut cache, 1, 1, false, 0);
        let context = cache.begin(request(1, epoch), vec![(key(0), want(0))], &[], MonoMs(1)).unwrap();
        match context {
            FetchContext::Full(all) if epoch == 0 => assert_eq!(all.len(), 1),
            FetchContext::Sessionless(all) if epoch == -1 => assert_eq!(all.len(), 1),
            other => panic!("{other:?}"),
        }
        assert!(cache.is_empty());
    }
}

#[test]
fn a_session_closed_while_handed_out_stays_closed() {
    let mut cache = cache(10);
    create(&mut cache, 1, 1, false, 0);
    let session = resume(&mut cache, request(1, 1), vec![], &[], 1);
    let _ = cache.begin(request(1, -1), vec![], &[], MonoMs(2)).unwrap();
    create(&mut cache, 1, 2, false, 3);
    cache.check_in(session);
    assert_eq!(resume(&mut cache, request(1, 1), vec![], &[], 4).len(), 2, "the id's new owner is untouched");
}

#[test]
fn a_session_that_never_came_back_is_gone() {
    let mut cache = cache(10);
    create(&mut cache, 1, 1, false, 0);
    drop(resume(&mut cache, request(1, 1), vec![], &[], 1));
    let error = cache.begin(request(1, 2), vec![], &[], MonoMs(2)).unwrap_err();
    assert_eq!(error, FetchSessionError::IdNotFound(1));
    assert!(cache.is_empty());
}

#[test]
fn taken_ids_are_passed_over() {
    let mut cache = cache(10);
    create(&mut cache, 1, 1, false, 0);
    let mut ids = [1, 0, -4, 6].into_iter();
    let fresh = || ids.next().unwrap();
    assert_eq!(cache.create(request(0, 0), [].into_iter(), fresh, MonoMs(0)), 6);
    assert_eq!(cache.create(request(0, 0), [].into_iter(), || 1, MonoMs(0)), 0, "a broken source");
}

/// As Kafka's `FetchSessionTest`: who gives way to whom, with two slots and 100 ms.
#[test]
fn eviction_follows_age_kind_and_size() {
    let mut cache = cache(2);
    create(&mut cache, 1, 2, false, 0);
    create(&mut cache, 2, 4, false, 50);
    assert_eq!(create(&mut cache, 3, 9, false, 60), 0, "both are young and no follower asks");
    assert_eq!(
        create(&mut cache, 4, 1, true, 60),
        4,
        "a follower displaces any consumer, the smallest first"
    );
    assert_eq!(create(&mut cache, 5, 1, true, 70), 5);
    assert_eq!(create(&mut cache, 6, 9, true, 80), 0, "young followers stay");
    assert_eq!(cache.evictions(), 2);
    assert_eq!(create(&mut cache, 7, 1, false, 161), 7, "unused for more than 100 ms");
    assert_eq!(cache.evictions(), 3);
}

#[test]
fn an_old_session_in_use_gives_way_only_to_a_larger_one() {
    let mut cache = cache(1);
    create(&mut cache, 1, 3, false, 0);
    let session = resume(&mut cache, request(1, 1), vec![], &[], 90);
    cache.check_in(session);
    let session = resume(&mut cache, request(1, 2), vec![], &[], 150);
    cache.check_in(session);
    assert_eq!(create(&mut cache, 2, 2, false, 160), 0);
    assert_eq!(create(&mut cache, 2, 3, false, 160), 0, "equal in size: the old one stays");
    assert_eq!(create(&mut cache, 2, 4, false, 160), 2);
}

#[test]
fn sessions_have_no_more_partitions_than_there_is_room_for() {
    let mut cache =
        FetchSessionCache::<()>::new(FetchSessionConfig { slots: 10, partitions: 5, eviction_ms: 100 });
    assert_eq!(create(&mut cache, 1, 6, false, 0), 0, "it alone is too large");
    assert_eq!(create(&mut cache, 1, 2, false, 0), 1);
    assert_eq!(create(&mut cache, 2, 3, false, 0), 2);
    assert_eq!(create(&mut cache, 3, 1, false, 50), 0, "all are young");
    assert_eq!(create(&mut cache, 3, 4, false, 101), 3, "as many give way as must");
    assert_eq!((cache.len(), cache.evictions(), cache.refusals()), (1, 2, 2));
    let more = vec![(key(8), want(0)), (key(9), want(0))];
    let error = cache.begin(request(3, 1), more, &[], MonoMs(102)).unwrap_err();
    assert_eq!(error, FetchSessionError::IdNotFound(3), "who grows too large begins again");
    assert_eq!((cache.partition_count(), cache.refusals()), (0, 3));
}

mod against_a_naive_model {
    use proptest::prelude::*;

    use super::super::ordered::OrderedMap;
    use super::*;

    proptest! {
        /// Requests as they come, right and wrong, each answered at once, later or never.
        #[test]
        fn the_caches_indexes_agree(
            requests in prop::collection::vec(
                ((1i32..7, -1i32..5), (0i32..5, 0i32..5), any::<(bool, bool)>(), 0u64..60, 0u8..4),
                0..80,
            ),
        ) {
            let mut cache =
                FetchSessionCache::<()>::new(FetchSessionConfig { slots: 3, partitions: 7, eviction_ms: 100 });
            let (mut now, mut out) = (0, Vec::new());
            for ((session_id, epoch), (first, forget), (privileged, by_id), pass, fate) in requests {
                now += pass;
                let request =
                    SessionRequest { privileged, uses_topic_ids: by_id || epoch > 0, ..request(session_id, epoch) };
                let wanted: Vec<_> = (first..4).map(|partition| (key(partition), want(0))).collect();
                match cache.begin(request, wanted, &[key(forget)], MonoMs(now)) {
                    Ok(FetchContext::Full(wanted)) => {
                        let answered = wanted.into_iter().map(|(key, want)| (key, want, answer(1, 0)));
                        let answered: Vec<_> = answered.collect();
                        let _ = cache.create(request, answered.into_iter(), || session_id, MonoMs(now));
                    }
                    Ok(FetchContext::Incremental(session)) => match fate {
                        0 => out.push(session),
                        1 => drop(session),
                        _ => cache.check_in(session),
                    },
                    _ => {}
                }
                if fate == 3 && let Some(late) = out.pop() {
                    cache.check_in(late);
                }
                cache.check(MonoMs(now));
            }
        }

        #[test]
        fn ordered_map_keeps_order(ops in prop::collection::vec((0u8..5, 0u8..6), 0..60)) {
            let mut map = OrderedMap::new();
            // Key, value, whether it rests.
            let mut naive: Vec<(u8, usize, bool)> = Vec::new();
            for (step, (op, key)) in ops.into_iter().enumerate() {
                let at = naive.iter().position(|(k, ..)| *k == key);
                match (op, at) {
                    (0, None) => { map.insert(key, step); naive.push((key, step, false)); }
                    (0, Some(at)) => { map.insert(key, step); naive[at] = (key, step, false); }
                    (1, _) => {
                        prop_assert_eq!(map.remove(&key), at.map(|at| naive.remove(at).1));
                    }
                    (_, None) => prop_assert!(map.get(&key).is_none() && map.slot(&key).is_none()),
                    (2, Some(at)) => {
                        map.move_to_end(map.slot(&key).unwrap());
                        let entry = naive.remove(at);
                        naive.push(entry);
                    }
                    (3, Some(at)) => { map.rest(map.slot(&key).unwrap()); naive[at].2 = true; }
                    (_, Some(at)) => { map.wake(map.slot(&key).unwrap()); naive[at].2 = false; }
                }
                let due: Vec<_> = map.due().map(|(_, k, v)| (*k, *v)).collect();
                let wide_awake = naive.iter().filter(|entry| !entry.2).map(|entry| (entry.0, entry.1));
                prop_assert_eq!(due, wide_awake.collect::<Vec<_>>());
                prop_assert_eq!(map.len(), naive.len());
            }
        }
    }
}
