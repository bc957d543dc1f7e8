//! Settings of TLS.

use super::{Definition, TLS, boolean, class, list, password, string};
use crate::Check::{Any, ListOf, OneOf};
use crate::DefaultValue::{Null, Text};
use crate::Effect::NotYet;
use crate::UpdateMode::{PerBroker, ReadOnly};

pub(super) const ROWS: &[Definition] = &[
    boolean("ssl.allow.dn.changes", Text("false"), Any, ReadOnly, NotYet(TLS)),
    boolean("ssl.allow.san.changes", Text("false"), Any, ReadOnly, NotYet(TLS)),
    list("ssl.cipher.suites", Text(""), ListOf { words: &[], may_be_empty: true }, PerBroker, NotYet(TLS)),
    string(
        "ssl.client.auth",
        Text("none"),
        OneOf(&["required", "requested", "none"]),
        PerBroker,
        NotYet(TLS),
    ),
    list(
        "ssl.enabled.protocols",
        Text("TLSv1.2,TLSv1.3"),
        ListOf { words: &[], may_be_empty: true },
        PerBroker,
        NotYet(TLS),
    ),
    string("ssl.endpoint.identification.algorithm", Text("https"), Any, PerBroker, NotYet(TLS)),
    class("ssl.engine.factory.class", Null, Any, PerBroker, NotYet(TLS)),
    password("ssl.key.password", Null, Any, PerBroker, NotYet(TLS)),
    string("ssl.keymanager.algorithm", Text("SunX509"), Any, PerBroker, NotYet(TLS)),
    password("ssl.keystore.certificate.chain", Null, Any, PerBroker, NotYet(TLS)),
    password("ssl.keystore.key", Null, Any, PerBroker, NotYet(TLS)),
    string("ssl.keystore.location", Null, Any, PerBroker, NotYet(TLS)),
    password("ssl.keystore.password", Null, Any, PerBroker, NotYet(TLS)),
    string("ssl.keystore.type", Text("JKS"), Any, PerBroker, NotYet(TLS)),
    string("ssl.principal.mapping.rules", Text("DEFAULT"), Any, ReadOnly, NotYet(TLS)),
    string("ssl.protocol", Text("TLSv1.3"), Any, PerBroker, NotYet(TLS)),
    string("ssl.provider", Null, Any, PerBroker, NotYet(TLS)),
    string("ssl.secure.random.implementation", Null, Any, PerBroker, NotYet(TLS)),
    string("ssl.trustmanager.algorithm", Text("PKIX"), Any, PerBroker, NotYet(TLS)),
    password("ssl.truststore.certificates", Null, Any, PerBroker, NotYet(TLS)),
    string("ssl.truststore.location", Null, Any, PerBroker, NotYet(TLS)),
    password("ssl.truststore.password", Null, Any, PerBroker, NotYet(TLS)),
    string("ssl.truststore.type", Text("JKS"), Any, PerBroker, NotYet(TLS)),
];
