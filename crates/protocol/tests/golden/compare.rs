//! Holds what we read against Kafka's own rendering of the same message.

use ottla_model::TopicId;
use serde_json::{Map, Value};

use crate::debug_value::DebugValue;

/// What a field was called in 4.1, whose names the crate has, under its name of 4.4.
const RENAMED: &[(&str, &str)] = &[("generationIdOrMemberEpoch", "generation_id")];

/// Every field that Kafka renders must be there and equal; `path` is for the message of a failure.
///
/// Fields that Kafka does not render are not in the version, or tagged and at their default.
pub(crate) fn assert_same(path: &str, ours: &DebugValue, kafkas: &Value) {
    match (ours, kafkas) {
        (DebugValue::Struct(fields), Value::Object(rendered)) => assert_same_fields(path, fields, rendered),
        (DebugValue::List(ours), Value::Array(kafkas)) => {
            assert_eq!(ours.len(), kafkas.len(), "{path}");
            for (i, (ours, kafkas)) in ours.iter().zip(kafkas).enumerate() {
                assert_same(&format!("{path}[{i}]"), ours, kafkas);
            }
        }
        (DebugValue::Null, Value::Null) => {}
        (DebugValue::Word(word), Value::Bool(kafkas)) => assert_eq!(word, &kafkas.to_string(), "{path}"),
        (DebugValue::Word(word), Value::Number(kafkas)) => assert_eq!(word, &kafkas.to_string(), "{path}"),
        (DebugValue::Word(word), Value::String(id)) => {
            let id = TopicId::from_base64(id).unwrap_or_else(|| panic!("{path}: {id} is no uuid"));
            assert_eq!(word, &id.0.to_string(), "{path}");
        }
        (DebugValue::Text(text), Value::String(kafkas)) => assert_eq!(text, kafkas, "{path}"),
        (DebugValue::Bytes(bytes), Value::String(kafkas)) => assert_eq!(&base64(bytes), kafkas, "{path}"),
        (ours, kafkas) => panic!("{path}: {ours:?} is not {kafkas}"),
    }
}

fn assert_same_fields(
    path: &str,
    fields: &std::collections::BTreeMap<String, DebugValue>,
    rendered: &Map<String, Value>,
) {
    for (name, value) in rendered {
        let path = format!("{path}.{name}");
        let is_it = |field: &str| plain(field) == plain(name) || RENAMED.contains(&(name.as_str(), field));
        let ours = fields.iter().find(|(field, _)| is_it(field));
        let (_, ours) = ours.unwrap_or_else(|| panic!("{path} is missing"));
        // Kafka renders no records; that they are the same shows in the bytes.
        if !["records", "unalignedRecords"].contains(&name.as_str()) {
            assert_same(&path, ours, value);
        }
    }
    if let Some(tags) = fields.get("unknown_tagged_fields") {
        assert_eq!(tags, &DebugValue::Struct(Default::default()), "{path}");
    }
}

/// `snake_case` and `camelCase` alike.
fn plain(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits =
            chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let sextet = usize::try_from(bits >> (18 - 6 * i) & 63).unwrap();
            out.push(if i <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    out
}
