//! Settings of SASL/OAUTHBEARER.

use super::{Definition, SASL, boolean, class, int, list, long, password, string};
use crate::Check::{Any, Between, ListOf, OneOfAnyCase};
use crate::DefaultValue::{Null, Text};
use crate::Effect::NotYet;
use crate::UpdateMode::ReadOnly;

pub(super) const ROWS: &[Definition] = &[
    boolean("sasl.oauthbearer.allow.unverified.audience", Text("false"), Any, ReadOnly, NotYet(SASL)),
    boolean("sasl.oauthbearer.allow.unverified.issuer", Text("false"), Any, ReadOnly, NotYet(SASL)),
    string(
        "sasl.oauthbearer.assertion.algorithm",
        Text("RS256"),
        OneOfAnyCase(&["ES256", "RS256"]),
        ReadOnly,
        NotYet(SASL),
    ),
    string("sasl.oauthbearer.assertion.claim.aud", Null, Any, ReadOnly, NotYet(SASL)),
    int(
        "sasl.oauthbearer.assertion.claim.exp.seconds",
        Text("300"),
        Between(0, 86_400),
        ReadOnly,
        NotYet(SASL),
    ),
    string("sasl.oauthbearer.assertion.claim.iss", Null, Any, ReadOnly, NotYet(SASL)),
    boolean("sasl.oauthbearer.assertion.claim.jti.include", Text("false"), Any, ReadOnly, NotYet(SASL)),
    int("sasl.oauthbearer.assertion.claim.nbf.seconds", Text("60"), Between(0, 3600), ReadOnly, NotYet(SASL)),
    string("sasl.oauthbearer.assertion.claim.sub", Null, Any, ReadOnly, NotYet(SASL)),
    string("sasl.oauthbearer.assertion.file", Null, Any, ReadOnly, NotYet(SASL)),
    string("sasl.oauthbearer.assertion.private.key.file", Null, Any, ReadOnly, NotYet(SASL)),
    password("sasl.oauthbearer.assertion.private.key.passphrase", Null, Any, ReadOnly, NotYet(SASL)),
    string("sasl.oauthbearer.assertion.template.file", Null, Any, ReadOnly, NotYet(SASL)),
    string("sasl.oauthbearer.client.credentials.client.id", Null, Any, ReadOnly, NotYet(SASL)),
    password("sasl.oauthbearer.client.credentials.client.secret", Null, Any, ReadOnly, NotYet(SASL)),
    int("sasl.oauthbearer.clock.skew.seconds", Text("30"), Any, ReadOnly, NotYet(SASL)),
    list(
        "sasl.oauthbearer.expected.audience",
        Text(""),
        ListOf { words: &[], may_be_empty: true },
        ReadOnly,
        NotYet(SASL),
    ),
    string("sasl.oauthbearer.expected.issuer", Null, Any, ReadOnly, NotYet(SASL)),
    long("sasl.oauthbearer.jwks.endpoint.refresh.ms", Text("3600000"), Any, ReadOnly, NotYet(SASL)),
    long("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Text("10000"), Any, ReadOnly, NotYet(SASL)),
    long("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Text("100"), Any, ReadOnly, NotYet(SASL)),
    string("sasl.oauthbearer.jwks.endpoint.url", Null, Any, ReadOnly, NotYet(SASL)),
    class(
        "sasl.oauthbearer.jwt.retriever.class",
        Text("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"),
        Any,
        ReadOnly,
        NotYet(SASL),
    ),
    class(
        "sasl.oauthbearer.jwt.validator.class",
        Text("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"),
        Any,
        ReadOnly,
        NotYet(SASL),
    ),
    string("sasl.oauthbearer.scope", Null, Any, ReadOnly, NotYet(SASL)),
    string("sasl.oauthbearer.scope.claim.name", Text("scope"), Any, ReadOnly, NotYet(SASL)),
    string("sasl.oauthbearer.sub.claim.name", Text("sub"), Any, ReadOnly, NotYet(SASL)),
    string("sasl.oauthbearer.token.endpoint.url", Null, Any, ReadOnly, NotYet(SASL)),
];
