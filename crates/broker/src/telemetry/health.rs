//! Whether the broker lives and is ready, as `/health/live` and `/health/ready` tell it.

use std::time::Duration;

use tokio::sync::watch;

/// What the broker is at.
#[derive(Debug)]
pub struct Health {
    state: watch::Sender<State>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Not listening yet, or not all logs are open; the text says how far it has come.
    Starting(String),
    Ready,
    /// Answering what is parked, serving nothing new.
    Stopping,
}

impl Default for Health {
    fn default() -> Self {
        Self { state: watch::Sender::new(State::Starting("starting".to_owned())) }
    }
}

impl Health {
    /// Says how far the start has come, in one line (`recovered 12 of 100 logs`).
    pub fn progress(&self, text: impl Into<String>) {
        self.starting_to(State::Starting(text.into()));
    }

    /// Listening, and all logs are recovered.
    pub fn ready(&self) {
        self.starting_to(State::Ready);
    }

    /// Whoever reports the start may be late: one that is over, or given up, stays so.
    fn starting_to(&self, state: State) {
        self.state.send_if_modified(|current| {
            let is_starting = matches!(*current, State::Starting(_));
            if is_starting {
                *current = state;
            }
            is_starting
        });
    }

    /// Waits until the broker is ready, but no longer than `limit`; answers whether it is.
    pub async fn ready_within(&self, limit: Duration) -> bool {
        let mut state = self.state.subscribe();
        tokio::time::timeout(limit, state.wait_for(|state| *state == State::Ready)).await.is_ok()
    }

    /// Shutting down.
    pub fn stopping(&self) {
        self.state.send_replace(State::Stopping);
    }

    /// Whether clients are served, from all logs.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.state.borrow() == State::Ready
    }

    /// The line that `/health/ready` answers.
    #[must_use]
    pub fn line(&self) -> String {
        match &*self.state.borrow() {
            State::Starting(progress) => progress.clone(),
            State::Ready => "ready".to_owned(),
            State::Stopping => "stopping".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reports_the_start_cannot_bring_it_back() {
        let health = Health::default();
        health.progress("recovered 1 of 2 logs");
        assert_eq!((health.is_ready(), health.line()), (false, "recovered 1 of 2 logs".to_owned()));
        health.ready();
        health.progress("recovered 2 of 2 logs");
        assert!(health.is_ready());
        health.stopping();
        health.ready();
        assert_eq!((health.is_ready(), health.line()), (false, "stopping".to_owned()));
    }
}
