//! One cleaning, step by step: throttled, given up when the broker stops or the log is to move, and never under a
//! partition's lock for longer than a few renames.

use std::time::Duration;

use ottla_config::CleanerConfig;
use ottla_storage::{CleanError, CleanerSettings, Cleaning, CleaningStats, CleaningStep};

use super::board::Job;
use super::throttle::rescaled;
use super::{Shared, thread_count};
use crate::partitions::Partition;

/// The smallest piece that is read at once.
const IO_BYTES_MIN: i32 = 4096;
/// A throttled thread looks this often whether the broker stops.
const WAIT_MAX: Duration = Duration::from_millis(500);

impl Shared {
    /// Compacts the log, whatever its size, with what the settings allow one thread.
    pub(super) fn clean(&self, job: &Job, number: usize) -> Result<CleaningStats, CleanError> {
        let settings = settings(&self.config.load().cleaner);
        let partition = &job.partition;
        let mut cleaning = partition.begin_cleaning(&job.cleanable, settings, self.clock.now())?;
        let outcome = self.take_steps(job, number, &mut cleaning);
        match outcome {
            Ok(()) => {
                partition.finish_cleaning(&cleaning)?;
                let written = self.logs.write_cleaner_checkpoint(partition, &self.partitions);
                let written = written.map_err(CleanError::from);
                written.inspect_err(|error| self.report(error, partition))?;
                Ok(*cleaning.stats())
            }
            // An error that comes of a log that has changed, or is gone, says nothing of the log.
            Err(_) if partition.abandon_cleaning(&mut cleaning) => Err(CleanError::Aborted),
            Err(error) => {
                self.report(&error, partition);
                Err(error)
            }
        }
    }

    /// A disk that fails for the cleaner has failed for all.
    fn report(&self, error: &CleanError, partition: &Partition) {
        if let (CleanError::Storage(cause), Some(dir)) = (error, partition.log_dir()) {
            self.logs.failures.report_of(cause, &dir);
        }
    }

    fn take_steps(&self, job: &Job, number: usize, cleaning: &mut Cleaning) -> Result<(), CleanError> {
        let partition = &job.partition;
        loop {
            if partition.is_cleaning_paused() {
                return Err(CleanError::Aborted);
            }
            match cleaning.step()? {
                CleaningStep::Worked { bytes } => self.pay(bytes, job, number)?,
                CleaningStep::WantsFiles => partition.create_replacement(cleaning, self.clock.now())?,
                CleaningStep::WantsSwap => partition.swap(cleaning, self.clock.now())?,
                CleaningStep::Done => return Ok(()),
            }
        }
    }

    /// Waits until the bytes are within the rate, which may change while it waits.
    fn pay(&self, bytes: u64, job: &Job, number: usize) -> Result<(), CleanError> {
        let rate_max = || self.config.load().cleaner.io_bytes_per_second_max;
        let mut rate = rate_max();
        let wait_ms = self.throttle.lock().take(bytes, rate, self.clock.now().mono);
        let mut left = Duration::from_millis(wait_ms);
        let mut goes_on = self.is_wanted(number);
        while goes_on && !left.is_zero() {
            let piece = left.min(WAIT_MAX);
            goes_on = self.wait(piece, number) && !job.partition.is_cleaning_paused();
            left -= piece;
            let rate_now = rate_max();
            left = rescaled(left, rate, rate_now);
            rate = rate_now;
        }
        if goes_on { Ok(()) } else { Err(CleanError::Aborted) }
    }
}

/// One thread's share. Source: Kafka's `LogCleaner.CleanerThread`.
fn settings(config: &CleanerConfig) -> CleanerSettings {
    let threads = u64::try_from(thread_count(config)).unwrap_or(1).max(1);
    let io_bytes = u64::try_from(config.io_buffer_bytes.max(IO_BYTES_MIN)).unwrap_or(0) / threads / 2;
    CleanerSettings {
        dedupe_buffer_bytes: u64::try_from(config.dedupe_buffer_bytes).unwrap_or(0) / threads,
        dedupe_load_factor: config.dedupe_load_factor,
        io_buffer_bytes: usize::try_from(io_bytes).unwrap_or(usize::MAX).max(1),
    }
}

#[cfg(test)]
mod tests {
    use ottla_config::{BrokerConfig, ConfigMap};

    #[test]
    fn a_thread_has_its_share_of_what_the_settings_say() {
        let settings = |changed: &[(&str, &str)]| {
            let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let map: ConfigMap = changed.iter().map(text).collect();
            super::settings(&BrokerConfig::from_static(map).expect("builds").cleaner)
        };
        let alone = settings(&[]);
        assert_eq!(alone.dedupe_buffer_bytes, 134_217_728);
        assert_eq!(alone.io_buffer_bytes, 524_288 / 2);
        let one_of_two = settings(&[
            ("log.cleaner.threads", "2"),
            ("log.cleaner.dedupe.buffer.size", "8000000"),
            ("log.cleaner.io.buffer.size", "65536"),
            ("log.cleaner.io.buffer.load.factor", "0.5"),
        ]);
        assert_eq!(one_of_two.dedupe_buffer_bytes, 4_000_000);
        assert_eq!(one_of_two.io_buffer_bytes, 65_536 / 4);
        assert!((one_of_two.dedupe_load_factor - 0.5).abs() < f64::EPSILON);
    }
}
