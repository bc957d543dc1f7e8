//! Tests of the real `ottla` binary with other people's clients and the official Kafka tools.
