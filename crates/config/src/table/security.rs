//! Settings of SASL, principals, authorization and delegation tokens.

use super::{Definition, class, double, int, list, long, password, short, string};
use crate::Check::{Any, AtLeast, ListOf, OneOf};
use crate::DefaultValue::{Null, Text};
use crate::Effect::{NotYet, Security};
use crate::UpdateMode::{PerBroker, ReadOnly};

pub(super) const ROWS: &[Definition] = &[
    string("authorizer.class.name", Text(""), Any, ReadOnly, Security),
    int("connection.failed.authentication.delay.ms", Text("100"), AtLeast(0), ReadOnly, NotYet),
    long("connections.max.reauth.ms", Text("0"), Any, ReadOnly, NotYet),
    long("delegation.token.expiry.check.interval.ms", Text("3600000"), AtLeast(1), ReadOnly, NotYet),
    long("delegation.token.expiry.time.ms", Text("86400000"), AtLeast(1), ReadOnly, NotYet),
    long("delegation.token.max.lifetime.ms", Text("604800000"), AtLeast(1), ReadOnly, NotYet),
    password("delegation.token.secret.key", Null, Any, ReadOnly, NotYet),
    class(
        "principal.builder.class",
        Text("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"),
        Any,
        PerBroker,
        Security,
    ),
    class("sasl.client.callback.handler.class", Null, Any, ReadOnly, NotYet),
    list(
        "sasl.enabled.mechanisms",
        Text("GSSAPI"),
        ListOf { words: &[], may_be_empty: true },
        PerBroker,
        NotYet,
    ),
    password("sasl.jaas.config", Null, Any, PerBroker, NotYet),
    string("sasl.kerberos.kinit.cmd", Text("/usr/bin/kinit"), Any, PerBroker, NotYet),
    long("sasl.kerberos.min.time.before.relogin", Text("60000"), Any, PerBroker, NotYet),
    list(
        "sasl.kerberos.principal.to.local.rules",
        Text("DEFAULT"),
        ListOf { words: &[], may_be_empty: true },
        PerBroker,
        NotYet,
    ),
    string("sasl.kerberos.service.name", Null, Any, PerBroker, NotYet),
    double("sasl.kerberos.ticket.renew.jitter", Text("0.05"), Any, PerBroker, NotYet),
    double("sasl.kerberos.ticket.renew.window.factor", Text("0.8"), Any, PerBroker, NotYet),
    class("sasl.login.callback.handler.class", Null, Any, ReadOnly, NotYet),
    class("sasl.login.class", Null, Any, ReadOnly, NotYet),
    int("sasl.login.connect.timeout.ms", Null, Any, ReadOnly, NotYet),
    int("sasl.login.read.timeout.ms", Null, Any, ReadOnly, NotYet),
    short("sasl.login.refresh.buffer.seconds", Text("300"), Any, PerBroker, NotYet),
    short("sasl.login.refresh.min.period.seconds", Text("60"), Any, PerBroker, NotYet),
    double("sasl.login.refresh.window.factor", Text("0.8"), Any, PerBroker, NotYet),
    double("sasl.login.refresh.window.jitter", Text("0.05"), Any, PerBroker, NotYet),
    long("sasl.login.retry.backoff.max.ms", Text("10000"), Any, ReadOnly, NotYet),
    long("sasl.login.retry.backoff.ms", Text("100"), Any, ReadOnly, NotYet),
    string("sasl.mechanism.controller.protocol", Text("GSSAPI"), Any, ReadOnly, NotYet),
    string("sasl.mechanism.inter.broker.protocol", Text("GSSAPI"), Any, PerBroker, NotYet),
    class("sasl.server.callback.handler.class", Null, Any, ReadOnly, NotYet),
    int("sasl.server.max.receive.size", Text("524288"), Any, ReadOnly, NotYet),
    string(
        "security.inter.broker.protocol",
        Text("PLAINTEXT"),
        OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
        ReadOnly,
        Security,
    ),
    string("security.providers", Null, Any, ReadOnly, NotYet),
];
