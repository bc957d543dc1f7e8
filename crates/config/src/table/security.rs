//! Settings of SASL, principals, authorization and delegation tokens.

use super::{
    AUTHORIZER, Definition, PLUGINS, SASL, TLS, class, double, int, list, long, password, short, string,
};
use crate::Check::{Any, AtLeast, ListOf, OneOf};
use crate::DefaultValue::{Null, Text};
use crate::Effect::NotYet;
use crate::UpdateMode::{PerBroker, ReadOnly};

pub(super) const ROWS: &[Definition] = &[
    string("authorizer.class.name", Text(""), Any, ReadOnly, NotYet(AUTHORIZER)),
    int("connection.failed.authentication.delay.ms", Text("100"), AtLeast(0), ReadOnly, NotYet(SASL)),
    long("connections.max.reauth.ms", Text("0"), Any, ReadOnly, NotYet(SASL)),
    long("delegation.token.expiry.check.interval.ms", Text("3600000"), AtLeast(1), ReadOnly, NotYet(SASL)),
    long("delegation.token.expiry.time.ms", Text("86400000"), AtLeast(1), ReadOnly, NotYet(SASL)),
    long("delegation.token.max.lifetime.ms", Text("604800000"), AtLeast(1), ReadOnly, NotYet(SASL)),
    password("delegation.token.secret.key", Null, Any, ReadOnly, NotYet(SASL)),
    class(
        "principal.builder.class",
        Text("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"),
        Any,
        PerBroker,
        NotYet(PLUGINS),
    ),
    class("sasl.client.callback.handler.class", Null, Any, ReadOnly, NotYet(SASL)),
    list(
        "sasl.enabled.mechanisms",
        Text("GSSAPI"),
        ListOf { words: &[], may_be_empty: true },
        PerBroker,
        NotYet(SASL),
    ),
    password("sasl.jaas.config", Null, Any, PerBroker, NotYet(SASL)),
    string("sasl.kerberos.kinit.cmd", Text("/usr/bin/kinit"), Any, PerBroker, NotYet(SASL)),
    long("sasl.kerberos.min.time.before.relogin", Text("60000"), Any, PerBroker, NotYet(SASL)),
    list(
        "sasl.kerberos.principal.to.local.rules",
        Text("DEFAULT"),
        ListOf { words: &[], may_be_empty: true },
        PerBroker,
        NotYet(SASL),
    ),
    string("sasl.kerberos.service.name", Null, Any, PerBroker, NotYet(SASL)),
    double("sasl.kerberos.ticket.renew.jitter", Text("0.05"), Any, PerBroker, NotYet(SASL)),
    double("sasl.kerberos.ticket.renew.window.factor", Text("0.8"), Any, PerBroker, NotYet(SASL)),
    class("sasl.login.callback.handler.class", Null, Any, ReadOnly, NotYet(SASL)),
    class("sasl.login.class", Null, Any, ReadOnly, NotYet(SASL)),
    int("sasl.login.connect.timeout.ms", Null, Any, ReadOnly, NotYet(SASL)),
    int("sasl.login.read.timeout.ms", Null, Any, ReadOnly, NotYet(SASL)),
    short("sasl.login.refresh.buffer.seconds", Text("300"), Any, PerBroker, NotYet(SASL)),
    short("sasl.login.refresh.min.period.seconds", Text("60"), Any, PerBroker, NotYet(SASL)),
    double("sasl.login.refresh.window.factor", Text("0.8"), Any, PerBroker, NotYet(SASL)),
    double("sasl.login.refresh.window.jitter", Text("0.05"), Any, PerBroker, NotYet(SASL)),
    long("sasl.login.retry.backoff.max.ms", Text("10000"), Any, ReadOnly, NotYet(SASL)),
    long("sasl.login.retry.backoff.ms", Text("100"), Any, ReadOnly, NotYet(SASL)),
    string("sasl.mechanism.controller.protocol", Text("GSSAPI"), Any, ReadOnly, NotYet(SASL)),
    string("sasl.mechanism.inter.broker.protocol", Text("GSSAPI"), Any, PerBroker, NotYet(SASL)),
    class("sasl.server.callback.handler.class", Null, Any, ReadOnly, NotYet(SASL)),
    int("sasl.server.max.receive.size", Text("524288"), Any, ReadOnly, NotYet(SASL)),
    string(
        "security.inter.broker.protocol",
        Text("PLAINTEXT"),
        OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
        ReadOnly,
        NotYet(TLS),
    ),
    string("security.providers", Null, Any, ReadOnly, NotYet(SASL)),
];
