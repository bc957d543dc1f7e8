//! Which items of a request appear more than once.

use std::collections::BTreeSet;

/// The keys that `keys` yields more than once.
pub(super) fn duplicates<K: Ord + Clone>(keys: impl IntoIterator<Item = K>) -> BTreeSet<K> {
    let mut seen = BTreeSet::new();
    keys.into_iter().filter(|key| !seen.insert(key.clone())).collect()
}
