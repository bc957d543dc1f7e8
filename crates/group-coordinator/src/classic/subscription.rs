//! The topics in a consumer's subscription (`ConsumerProtocolSubscription`), as far as the coordinator looks into it:
//! `version i16, topics ARRAY<STRING>`, the same in all versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use ottla_model::wire::{Reader, WireError};

pub(super) fn subscribed_topics(metadata: &[u8]) -> Result<BTreeSet<Arc<str>>, WireError> {
    let mut from = Reader::new(metadata);
    let version = from.i16()?;
    if version < 0 {
        return Err(WireError::BadLength(i64::from(version)));
    }
    let count = from.array_len()?.ok_or(WireError::BadLength(-1))?;
    (0..count).map(|_| from.string().map(Arc::from)).collect()
}
