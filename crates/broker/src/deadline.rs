//! How long an administrator's request may wait for the controller.

use std::future::Future;
use std::time::Duration;

/// What the controller answers in time; `None` if the deadline has passed. Kafka's controller does not even begin what
/// is late when it arrives, so a timeout that is not positive is late at once.
pub(crate) async fn in_time<T>(timeout_ms: i32, answer: impl Future<Output = T>) -> Option<T> {
    let limit = u64::try_from(timeout_ms).ok().filter(|limit| *limit > 0)?;
    tokio::time::timeout(Duration::from_millis(limit), answer).await.ok()
}

#[cfg(test)]
mod tests {
    use super::in_time;

    #[tokio::test]
    async fn what_is_late_is_not_begun() {
        for late in [0, -1] {
            assert_eq!(in_time(late, std::future::ready(1)).await, None);
        }
        assert_eq!(in_time(1, std::future::ready(1)).await, Some(1));
        assert_eq!(in_time(5, std::future::pending::<i32>()).await, None);
    }
}
