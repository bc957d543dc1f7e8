//! What scripts may call: batches, frames, pieces of bytes and text.

use super::{Value, batch};

type Result<T> = std::result::Result<T, String>;

/// The value of `name(arguments)`.
pub fn call(name: &str, arguments: &[Value]) -> Result<Value> {
    match (name, arguments) {
        ("batch", [settings]) => Ok(Value::Bytes(batch::build(settings)?)),
        ("bytes", [Value::Text(text)]) => Ok(Value::Bytes(text.as_bytes().to_vec())),
        ("join", pieces) => {
            let pieces = pieces.iter().map(|piece| match piece {
                Value::Bytes(bytes) => Ok(bytes.clone()),
                other => Err(format!("no bytes: {other}")),
            });
            Ok(Value::Bytes(pieces.collect::<Result<Vec<_>>>()?.concat()))
        }
        ("with", [Value::Struct(fields), Value::Struct(others)]) => {
            let kept = fields.iter().filter(|(name, _)| !others.iter().any(|(other, _)| other == name));
            Ok(Value::Struct(kept.chain(others).cloned().collect()))
        }
        ("cut", [Value::Bytes(bytes), Value::Int(len)]) => {
            let len = usize::try_from(*len).map_err(|e| e.to_string())?;
            Ok(Value::Bytes(bytes[..len.min(bytes.len())].to_vec()))
        }
        ("repeat", [value, Value::Int(count)]) => {
            let count = usize::try_from(*count).map_err(|e| e.to_string())?;
            Ok(match value {
                Value::Text(text) => Value::Text(text.repeat(count)),
                Value::Bytes(bytes) => Value::Bytes(bytes.repeat(count)),
                other => Value::List(vec![other.clone(); count]),
            })
        }
        ("subscription", [Value::List(topics)]) => subscription(topics),
        ("pad", [Value::Text(text), Value::Int(len)]) => {
            let len = usize::try_from(*len).map_err(|e| e.to_string())?;
            Ok(Value::Text(format!("{text}{}", "x".repeat(len.saturating_sub(text.len())))))
        }
        ("add", [Value::Int(a), Value::Int(b)]) => Ok(Value::Int(a.wrapping_add(*b))),
        ("frame", [Value::Int(key), Value::Int(version), Value::Bytes(rest)]) => {
            let mut frame = Vec::new();
            frame.extend_from_slice(&key.to_be_bytes()[6..]);
            frame.extend_from_slice(&version.to_be_bytes()[6..]);
            frame.extend_from_slice(&77_i32.to_be_bytes());
            frame.extend_from_slice(b"\0\x04diff");
            frame.extend_from_slice(rest);
            Ok(Value::Bytes(frame))
        }
        _ => Err(format!("no function {name} of {} such arguments", arguments.len())),
    }
}

/// What a consumer of the classic protocol says it wants: version 0, topics, no user data.
fn subscription(topics: &[Value]) -> Result<Value> {
    let mut out = vec![0, 0];
    out.extend_from_slice(&u32::try_from(topics.len()).map_err(|e| e.to_string())?.to_be_bytes());
    for topic in topics {
        let name = topic.as_text().ok_or_else(|| format!("no topic name: {topic}"))?;
        out.extend_from_slice(&u16::try_from(name.len()).map_err(|e| e.to_string())?.to_be_bytes());
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    Ok(Value::Bytes(out))
}
