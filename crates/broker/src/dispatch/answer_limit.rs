//! What one answer may take: some requests ask in a few bytes for much, and may ask for it a million times.

/// About as much as the largest request that a client may send by default.
const LEN_MAX: usize = 100 * 1024 * 1024;

/// The room of one answer.
#[derive(Debug)]
pub(crate) struct AnswerLimit {
    left: usize,
}

impl AnswerLimit {
    pub(crate) const fn new() -> Self {
        Self { left: LEN_MAX }
    }

    /// `count` things of about `len` bytes each are part of the answer.
    pub(crate) fn take(&mut self, count: usize, len: usize) {
        self.left = self.left.saturating_sub(count.saturating_mul(len));
    }

    /// Takes `len` bytes if they fit. If not, nothing more does.
    pub(crate) fn try_take(&mut self, len: usize) -> bool {
        let left = self.left.checked_sub(len);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Whether nothing more may be added.
    pub(crate) const fn is_reached(&self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_over_it_is_the_last() {
        let mut limit = AnswerLimit::new();
        limit.take(LEN_MAX / 10, 9);
        assert!(!limit.is_reached());
        limit.take(LEN_MAX, 9);
        assert!(limit.is_reached());
    }

    #[test]
    fn what_must_not_go_over_it_is_refused_and_all_that_follows() {
        let mut limit = AnswerLimit::new();
        assert!(limit.try_take(LEN_MAX - 1));
        assert!(!limit.is_reached());
        assert!(!limit.try_take(2));
        assert!(limit.is_reached());
        assert!(!limit.try_take(1));
    }
}
