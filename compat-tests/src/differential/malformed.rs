//! For every API and version: bodies that are too short, too long, null where they must not be or hostile, and versions that there are not.
//!
//! Also of the APIs that are excluded from the other conversations: whatever their body means, it has to be readable.

use super::parse::Expr;
use super::schema::{Api, Field, Kind, SCHEMA, Scalar};
use super::script::{Case, Statement};
use super::{Value, codec};

pub const FILE: &str = "malformed";

/// One conversation an API and version, one for each API's neighbouring versions.
pub fn cases() -> Vec<Case> {
    SCHEMA
        .apis()
        .iter()
        .flat_map(|api| {
            let (first, last) = api.versions;
            let bodies =
                (first..=last).map(|version| case(format!("{} v{version}", api.name), bodies(api, version)));
            let beyond = [first - 1, last + 1]
                .into_iter()
                .filter(|version| *version >= 0 && api.name != "ApiVersions");
            let beyond =
                beyond.map(|version| header(api, version, true)).chain([header(api, -1, false)]).collect();
            bodies.chain([case(format!("{} beyond its versions", api.name), beyond)]).collect::<Vec<_>>()
        })
        .collect()
}

fn case(name: String, frames: Vec<Vec<u8>>) -> Case {
    let raw = |frame| Statement::Raw { connection: "1".into(), frame: Expr::Literal(Value::Bytes(frame)) };
    Case {
        file: FILE.into(),
        name,
        versions: None,
        parameters: Vec::new(),
        statements: frames.into_iter().map(raw).collect(),
    }
}

/// A header, and nothing after it.
fn header(api: &Api, version: i16, flexible: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&api.key.to_be_bytes());
    frame.extend_from_slice(&version.to_be_bytes());
    frame.extend_from_slice(b"\0\0\0\x07\0\x04diff");
    if flexible && api.is_flexible(version) {
        frame.push(0);
    }
    frame
}

/// True for what has a length, of which one says null.
fn has_a_null(kind: &Kind) -> bool {
    matches!(kind, Kind::List(_) | Kind::Scalar(Scalar::Text | Scalar::Bytes | Scalar::Records))
}

fn bodies(api: &Api, version: i16) -> Vec<Vec<u8>> {
    let body = Value::Struct(Vec::new());
    let whole = codec::encode_request(api, version, 7, &Value::text("diff"), &body).expect("a default body");
    let head = header(api, version, true);
    let mut frames = Vec::new();
    // A body of nothing but tags cannot be cut.
    if whole.len() > head.len() {
        frames.push(head.clone());
        frames.push(whole[..whole.len() - 1].to_vec());
    }
    if let Some(field) = api.request.iter().find(|field| field.tag.is_none() && field.is_in(version))
        && matches!(field.kind, Kind::List(_))
    {
        // The first field is a list that claims to have more items than there are bytes.
        let huge: &[u8] =
            if api.is_flexible(version) { b"\xff\xff\xff\xff\x07" } else { b"\x7f\xff\xff\xff" };
        frames.push([&head, huge].concat());
    }
    // Null where none is allowed.
    let must_be = |field: &&Field| {
        field.tag.is_none() && field.is_in(version) && !field.may_be_null(version) && has_a_null(&field.kind)
    };
    for field in api.request.iter().filter(must_be) {
        let body = Value::Struct(vec![(field.name.clone(), Value::Null)]);
        let frame = codec::encode_request(api, version, 7, &Value::text("diff"), &body);
        frames.push(frame.expect("a body that Kafka refuses"));
    }
    if api.is_flexible(version) {
        // Tag 9 of five bytes, of which there are two.
        let mut cut = whole[..whole.len() - 1].to_vec();
        cut.extend_from_slice(b"\x01\x09\x05ab");
        frames.push(cut);
    }
    frames
}
