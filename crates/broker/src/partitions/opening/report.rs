//! Says how far the opening of the logs has come: to `/health/ready` all the time, to the log now and then.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::OpeningQueue;
use crate::telemetry::Health;

const EVERY: Duration = Duration::from_millis(100);
/// What is over by then is no news.
const LOGGED_EVERY: Duration = Duration::from_secs(1);

/// Says so at once, before any client is served, and again until all logs are open or it is aborted.
pub(crate) fn report(queue: Arc<OpeningQueue>, health: Arc<Health>) -> impl Future<Output = ()> {
    let (over, total) = queue.progress();
    if over < total {
        health.progress(line(over, total, Duration::ZERO));
    }
    report_on(queue, health)
}

async fn report_on(queue: Arc<OpeningQueue>, health: Arc<Health>) {
    let from = Instant::now();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_line = LOGGED_EVERY;
    loop {
        ticks.tick().await;
        let (over, total) = queue.progress();
        let line = line(over, total, from.elapsed());
        if over >= total {
            if next_line > LOGGED_EVERY {
                tracing::info!("{line}");
            }
            return;
        }
        if from.elapsed() >= next_line {
            tracing::info!("{line}");
            next_line = from.elapsed() + LOGGED_EVERY;
        }
        health.progress(line);
    }
}

fn line(opened: usize, total: usize, elapsed: Duration) -> String {
    format!("recovered {opened} of {total} logs in {:.1} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use ottla_metadata::DirectoryId;
    use ottla_model::{TopicId, TopicPartition};

    use super::*;
    use crate::partitions::opening::OpeningJob;

    #[test]
    fn progress_is_said_before_the_reporter_is_run() {
        let (queue, health) = (Arc::new(OpeningQueue::default()), Arc::new(Health::default()));
        drop(report(Arc::clone(&queue), Arc::clone(&health)));
        assert_eq!(health.line(), "starting", "there is nothing to open");
        let job = OpeningJob {
            name: TopicPartition::new("t", 0),
            id: TopicId::default(),
            directory: DirectoryId::UNASSIGNED,
            config: Arc::default(),
        };
        queue.push(0, job);
        drop(report(queue, Arc::clone(&health)));
        assert_eq!(health.line(), "recovered 0 of 1 logs in 0.0 s");
    }

    #[test]
    fn line_has_counts_and_seconds() {
        assert_eq!(line(12, 100, Duration::from_millis(1_450)), "recovered 12 of 100 logs in 1.4 s");
    }
}
