//! How many replicas an internal topic gets.

/// The replication factor of an internal topic: as configured, but not more than there are brokers, at least 1.
///
/// Kafka's default of 3 makes a single node's first consumer wait for ever; here the topic is created with what there
/// is. `brokers`: registered and not fenced.
#[must_use]
pub fn clamp_replication_factor(configured: i16, brokers: usize) -> i16 {
    let brokers = i16::try_from(brokers).unwrap_or(i16::MAX);
    configured.min(brokers).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_the_cluster() {
        assert_eq!(clamp_replication_factor(3, 1), 1);
        assert_eq!(clamp_replication_factor(3, 5), 3);
        assert_eq!(clamp_replication_factor(3, 0), 1);
    }
}
