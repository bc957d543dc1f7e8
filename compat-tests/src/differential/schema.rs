//! Kafka's messages, as `differential/schema.txt` says them (`crates/protocol/tools/shapes.py --named`).

use std::sync::LazyLock;

use super::Value;
use super::parse::Reader;

/// All requests and responses that a broker's listener serves.
pub static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(include_str!("../../differential/schema.txt")));

#[derive(Debug)]
pub struct Schema {
    apis: Vec<Api>,
}

/// An API of the broker's listener.
#[derive(Debug)]
pub struct Api {
    pub key: i16,
    pub name: String,
    /// Stable versions of the request, both ends included.
    pub versions: (i16, i16),
    pub first_flexible: Option<i16>,
    pub request: Vec<Field>,
    pub response: Vec<Field>,
}

#[derive(Debug)]
pub struct Field {
    pub name: String,
    pub kind: Kind,
    /// None: all versions of what it stands in.
    pub versions: Option<(i16, i16)>,
    pub nullable: Option<(i16, i16)>,
    pub tag: Option<u32>,
    /// What a sender leaves out and a reader assumes.
    pub default: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    Text,
    Bytes,
    Records,
}

#[derive(Debug)]
pub enum Kind {
    Scalar(Scalar),
    List(Box<Kind>),
    Struct(Vec<Field>),
}

pub const ZERO_UUID: &str = "AAAAAAAAAAAAAAAAAAAAAA";
const ALL: (i16, i16) = (0, i16::MAX);

impl Api {
    pub fn is_flexible(&self, version: i16) -> bool {
        self.first_flexible.is_some_and(|first| version >= first)
    }
}

impl Field {
    pub fn is_in(&self, version: i16) -> bool {
        contains(self.versions.unwrap_or(ALL), version)
    }

    pub fn may_be_null(&self, version: i16) -> bool {
        self.nullable.is_some_and(|range| contains(range, version))
    }
}

fn contains((first, last): (i16, i16), version: i16) -> bool {
    first <= version && version <= last
}

impl Schema {
    pub fn apis(&self) -> &[Api] {
        &self.apis
    }

    pub fn api(&self, name: &str) -> Option<&Api> {
        self.apis.iter().find(|api| api.name == name)
    }

    fn parse(text: &str) -> Self {
        let mut apis: Vec<Api> = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let parts: Vec<&str> = line.splitn(7, ' ').collect();
            let [key, direction, name, versions, flexible, listeners, ..] = parts[..] else {
                panic!("schema: {line}")
            };
            if !listeners.split('+').any(|listener| listener == "broker") {
                continue;
            }
            let fields = parts.get(6).map_or_else(Vec::new, |fields| {
                let mut reader = Reader::new(fields);
                let fields = fields_until_end(&mut reader);
                fields.unwrap_or_else(|error| panic!("schema of {name}: {error}"))
            });
            match direction {
                "request" => apis.push(Api {
                    key: key.parse().expect("an API key"),
                    name: name.to_owned(),
                    versions: range(versions).expect("versions"),
                    first_flexible: flexible.parse().ok(),
                    request: fields,
                    response: Vec::new(),
                }),
                _ => {
                    let api = apis.last_mut().filter(|api| api.name == name);
                    api.expect("a response follows its request").response = fields;
                }
            }
        }
        Self { apis }
    }
}

type Result<T> = std::result::Result<T, String>;

fn range(text: &str) -> Option<(i16, i16)> {
    let (first, last) = text.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn fields_until_end(reader: &mut Reader<'_>) -> Result<Vec<Field>> {
    let mut fields = Vec::new();
    while !reader.at_end() {
        fields.push(field(reader)?);
    }
    Ok(fields)
}

/// `name:type/versions?nullable@tag=default`.
fn field(reader: &mut Reader<'_>) -> Result<Field> {
    // Kafka begins a few names with a small letter; nobody should have to remember which.
    let word = reader.word()?;
    let name = format!("{}{}", word[..1].to_ascii_uppercase(), &word[1..]);
    if !reader.take(":") {
        return Err(format!("{name} has no type"));
    }
    let kind = kind(reader)?;
    let versions = if reader.take("/") { Some(range_at(reader)?) } else { None };
    let nullable = if reader.take("?") {
        Some(if reader.at_digit() { range_at(reader)? } else { versions.unwrap_or(ALL) })
    } else {
        None
    };
    let tag = if reader.take("@") { Some(int(reader)?) } else { None };
    let default = if reader.take("=") { default_of(&kind, &reader.until_blank()) } else { zero(&kind) };
    Ok(Field { name, kind, versions, nullable, tag, default })
}

fn kind(reader: &mut Reader<'_>) -> Result<Kind> {
    if reader.take("[") {
        let item = kind(reader)?;
        return if reader.take("]") { Ok(Kind::List(Box::new(item))) } else { Err("unclosed [".into()) };
    }
    if reader.take("{") {
        let mut fields = Vec::new();
        while !reader.take("}") {
            fields.push(field(reader)?);
        }
        return Ok(Kind::Struct(fields));
    }
    Ok(Kind::Scalar(match reader.word()?.as_str() {
        "bool" => Scalar::Bool,
        "int8" => Scalar::Int8,
        "int16" => Scalar::Int16,
        "uint16" => Scalar::Uint16,
        "int32" => Scalar::Int32,
        "uint32" => Scalar::Uint32,
        "int64" => Scalar::Int64,
        "float64" => Scalar::Float64,
        "uuid" => Scalar::Uuid,
        "string" => Scalar::Text,
        "bytes" => Scalar::Bytes,
        "records" => Scalar::Records,
        other => return Err(format!("unknown type {other}")),
    }))
}

fn int<T: std::str::FromStr>(reader: &mut Reader<'_>) -> Result<T> {
    let word = reader.word()?;
    word.parse().map_err(|_| format!("not a number: {word}"))
}

fn range_at(reader: &mut Reader<'_>) -> Result<(i16, i16)> {
    let first = int(reader)?;
    if reader.take("-") { Ok((first, int(reader)?)) } else { Err("a range without an end".into()) }
}

/// The value of a field that has no default of its own.
fn zero(kind: &Kind) -> Value {
    match kind {
        Kind::Scalar(Scalar::Bool) => Value::Bool(false),
        Kind::Scalar(Scalar::Float64) => Value::Float(0.0),
        Kind::Scalar(Scalar::Uuid) => Value::text(ZERO_UUID),
        Kind::Scalar(Scalar::Text) => Value::text(""),
        Kind::Scalar(Scalar::Bytes | Scalar::Records) => Value::Bytes(Vec::new()),
        Kind::Scalar(_) => Value::Int(0),
        Kind::List(_) => Value::List(Vec::new()),
        // A struct that is left out has all fields at their defaults.
        Kind::Struct(_) => Value::Struct(Vec::new()),
    }
}

fn default_of(kind: &Kind, text: &str) -> Value {
    let int = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    match (text, kind) {
        ("null", _) => Value::Null,
        (_, Kind::Scalar(Scalar::Bool)) => Value::Bool(text.eq_ignore_ascii_case("true")),
        (_, Kind::Scalar(Scalar::Text)) => Value::text(text),
        (_, Kind::Scalar(Scalar::Float64)) => Value::Float(text.parse().expect("a number")),
        _ => Value::Int(int(text).unwrap_or_else(|_| panic!("default {text}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_is_read_whole() {
        let fetch = SCHEMA.api("Fetch").expect("Fetch");
        assert_eq!((fetch.key, fetch.versions, fetch.first_flexible), (1, (4, 18), Some(12)));
        let cluster_id = &fetch.request[0];
        assert_eq!(
            (cluster_id.versions, cluster_id.nullable, cluster_id.tag, &cluster_id.default),
            (Some((12, 18)), Some((12, 18)), Some(0), &Value::Null)
        );
        assert!(SCHEMA.api("Vote").is_none(), "a controller's API");
        assert!(SCHEMA.apis().iter().all(|api| !api.response.is_empty()), "every API has its response");
    }
}
