//! Settings of metrics, quotas, policies and configuration providers.

use super::{Definition, JVM, ONE_NODE, PLUGINS, QUOTAS, class, int, list, long, string};
use crate::Check::{Any, AtLeast, ListOf};
use crate::DefaultValue::{Null, Text};
use crate::Effect::{Honoured, Inert, NotYet};
use crate::UpdateMode::{ClusterWide, ReadOnly};

pub(super) const ROWS: &[Definition] = &[
    class("alter.config.policy.class.name", Null, Any, ReadOnly, NotYet(PLUGINS)),
    int("alter.log.dirs.replication.quota.window.num", Text("11"), AtLeast(1), ReadOnly, Inert(ONE_NODE)),
    int(
        "alter.log.dirs.replication.quota.window.size.seconds",
        Text("1"),
        AtLeast(1),
        ReadOnly,
        Inert(ONE_NODE),
    ),
    class("client.quota.callback.class", Null, Any, ReadOnly, NotYet(QUOTAS)),
    list(
        "config.providers",
        Text(""),
        ListOf { words: &[], may_be_empty: true },
        ClusterWide,
        NotYet(PLUGINS),
    ),
    int("controller.quota.window.num", Text("11"), AtLeast(1), ReadOnly, NotYet(QUOTAS)),
    int("controller.quota.window.size.seconds", Text("1"), AtLeast(1), ReadOnly, NotYet(QUOTAS)),
    class("create.topic.policy.class.name", Null, Any, ReadOnly, NotYet(PLUGINS)),
    int("kafka.metrics.polling.interval.secs", Text("10"), AtLeast(1), ReadOnly, Inert(JVM)),
    list(
        "kafka.metrics.reporters",
        Text(""),
        ListOf { words: &[], may_be_empty: true },
        ReadOnly,
        Inert(JVM),
    ),
    list(
        "metric.reporters",
        Text("org.apache.kafka.common.metrics.JmxReporter"),
        ListOf { words: &[], may_be_empty: true },
        ClusterWide,
        Inert(JVM),
    ),
    int("metrics.num.samples", Text("2"), AtLeast(1), ReadOnly, Inert(JVM)),
    string("metrics.recording.level", Text("INFO"), Any, ReadOnly, Inert(JVM)),
    long("metrics.sample.window.ms", Text("30000"), AtLeast(1), ReadOnly, Inert(JVM)),
    int("quota.window.num", Text("11"), AtLeast(1), ReadOnly, NotYet(QUOTAS)),
    int("quota.window.size.seconds", Text("1"), AtLeast(1), ReadOnly, NotYet(QUOTAS)),
    int("replication.quota.window.num", Text("11"), AtLeast(1), ReadOnly, Inert(ONE_NODE)),
    int("replication.quota.window.size.seconds", Text("1"), AtLeast(1), ReadOnly, Inert(ONE_NODE)),
    int("telemetry.max.bytes", Text("1048576"), AtLeast(1), ReadOnly, Honoured),
];
