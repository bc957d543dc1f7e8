//! Which partition of `__consumer_offsets` a group lives in.

/// Kafka's: the absolute value of Java's `String.hashCode`, modulo the number of partitions.
pub(super) fn partition_of(group: &str, partition_count: i32) -> i32 {
    let hash = group
        .encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit.cast_signed()) & 0xffff));
    // `Utils.abs`: the most negative number has no absolute value.
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive.checked_rem(partition_count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_is_where_kafka_puts_it() {
        // "polygenelubricants".hashCode() is Integer.MIN_VALUE; "console-consumer-1".hashCode() is 1612371938.
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("", 50), 0);
        assert_eq!(partition_of("abc", 50), 96_354 % 50);
        assert_eq!(partition_of("ü", 50), 252 % 50);
        assert_eq!(partition_of("g", 0), 0);
    }
}
