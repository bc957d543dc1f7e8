//! Whether the broker lives and is ready, as `/health/live` and `/health/ready` tell it.

use parking_lot::Mutex;

/// What the broker is at.
#[derive(Debug)]
pub struct Health {
    state: Mutex<State>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Not serving yet; the text says how far it has come.
    Starting(String),
    Ready,
    /// Answering what is parked, serving nothing new.
    Stopping,
}

impl Default for Health {
    fn default() -> Self {
        Self { state: Mutex::new(State::Starting("starting".to_owned())) }
    }
}

impl Health {
    /// Says how far the start has come, in one line (`recovered 12 of 100 logs`).
    pub fn progress(&self, text: impl Into<String>) {
        *self.state.lock() = State::Starting(text.into());
    }

    /// Listening, and all logs are recovered.
    pub fn ready(&self) {
        *self.state.lock() = State::Ready;
    }

    /// Shutting down.
    pub fn stopping(&self) {
        *self.state.lock() = State::Stopping;
    }

    /// Whether clients are served.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.state.lock() == State::Ready
    }

    /// The line that `/health/ready` answers.
    #[must_use]
    pub fn line(&self) -> String {
        match &*self.state.lock() {
            State::Starting(progress) => progress.clone(),
            State::Ready => "ready".to_owned(),
            State::Stopping => "stopping".to_owned(),
        }
    }
}
