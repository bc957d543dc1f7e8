use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn committed_view_lags_behind_the_latest() {
    let mut map = TimelineMap::new();
    map.insert("a", 1);
    map.begin(WriteId(1));
    map.insert("a", 2);
    map.insert("b", 3);
    assert_eq!((map.get(&"a"), map.get_committed(&"a")), (Some(&2), Some(&1)));
    assert_eq!((map.get(&"b"), map.get_committed(&"b")), (Some(&3), None));
    map.commit(WriteId(1));
    assert_eq!(map.iter_committed().collect::<Vec<_>>(), vec![(&"a", &2), (&"b", &3)]);
}

#[test]
fn revert_restores_removed_keys() {
    let mut map = TimelineMap::new();
    map.insert("a", 1);
    map.begin(WriteId(1));
    assert!(map.remove(&"a"));
    map.begin(WriteId(2));
    map.insert("a", 5);
    map.revert(WriteId(1));
    assert_eq!(map.get(&"a"), Some(&1));
    assert_eq!(map.outstanding().count(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Begin,
    Insert(u8, u8),
    Update(u8, u8),
    Remove(u8),
    Commit(usize),
    Revert(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Begin),
        4 => (0..6u8, any::<u8>()).prop_map(|(k, v)| Step::Insert(k, v)),
        2 => (0..6u8, any::<u8>()).prop_map(|(k, v)| Step::Update(k, v)),
        2 => (0..6u8).prop_map(Step::Remove),
        1 => (0..4usize).prop_map(Step::Commit),
        1 => (0..4usize).prop_map(Step::Revert),
    ]
}

/// The naive model: a whole copy of the map after every outstanding write; the first is the committed one.
struct Model {
    copies: Vec<(u64, BTreeMap<u8, u8>)>,
}

impl Model {
    fn latest(&mut self) -> &mut BTreeMap<u8, u8> {
        &mut self.copies.last_mut().unwrap().1
    }
}

proptest! {
    #[test]
    fn equals_whole_copies(steps in proptest::collection::vec(step(), 1..80)) {
        let mut map = TimelineMap::new();
        let mut model = Model { copies: vec![(0, BTreeMap::new())] };
        let mut next = 1;
        for step in steps {
            match step {
                Step::Begin => {
                    map.begin(WriteId(next));
                    let copy = model.latest().clone();
                    model.copies.push((next, copy));
                    next += 1;
                }
                // Nothing is outstanding: a change would belong to a closed write.
                Step::Insert(..) | Step::Update(..) | Step::Remove(_) if model.copies.len() == 1 => {}
                Step::Insert(k, v) => {
                    map.insert(k, v);
                    model.latest().insert(k, v);
                }
                Step::Update(k, v) => {
                    let there = map.update(&k, |value| *value = value.wrapping_add(v));
                    prop_assert_eq!(there, model.latest().contains_key(&k));
                    model.latest().entry(k).and_modify(|value| *value = value.wrapping_add(v));
                }
                Step::Remove(k) => {
                    prop_assert_eq!(map.remove(&k), model.latest().remove(&k).is_some());
                }
                Step::Commit(n) => {
                    // The last one stays open: the engine commits no write that it still replays.
                    let n = n.min(model.copies.len().saturating_sub(2));
                    map.commit(WriteId(model.copies[n].0));
                    model.copies.drain(..n);
                }
                Step::Revert(n) => {
                    let keep = model.copies.len() - n.min(model.copies.len() - 1);
                    if let Some((id, _)) = model.copies.get(keep) {
                        map.revert(WriteId(*id));
                    }
                    model.copies.truncate(keep);
                    map.begin(WriteId(next));
                    let copy = model.latest().clone();
                    model.copies.push((next, copy));
                    next += 1;
                }
            }
            let committed = model.copies[0].1.clone();
            prop_assert_eq!(map.iter().map(|(k, v)| (*k, *v)).collect::<BTreeMap<_, _>>(), model.latest().clone());
            prop_assert_eq!(map.iter_committed().map(|(k, v)| (*k, *v)).collect::<BTreeMap<_, _>>(), committed);
        }
    }
}
