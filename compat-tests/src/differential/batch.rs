//! Record batches of magic 2: made for requests, right or wrong, and shown as trees in answers.

use super::Value;

const HEADER_LEN: usize = 61;
/// Where the bytes begin that the CRC covers.
const ATTRIBUTES: usize = 21;
/// A time in 2023: old enough to be no future time, and no test lets records expire.
pub const TIMESTAMP: i64 = 1_700_000_000_000;

type Result<T> = std::result::Result<T, String>;

/// A batch of `Records` (how many, or a list of `{Key, Value, TimestampDelta, OffsetDelta, Headers}`); every field of
/// its header can be set, rightly or not: `BaseOffset`, `Length`, `PartitionLeaderEpoch`, `Magic`, `Crc`, `Attributes`,
/// `LastOffsetDelta`, `BaseTimestamp`, `MaxTimestamp`, `ProducerId`, `ProducerEpoch`, `BaseSequence`, `Count`; `Body`
/// replaces the records' bytes.
pub fn build(settings: &Value) -> Result<Vec<u8>> {
    let Value::Struct(given) = settings else { return Err(format!("no batch: {settings}")) };
    const KNOWN: [&str; 15] = [
        "Records",
        "BaseOffset",
        "Length",
        "PartitionLeaderEpoch",
        "Magic",
        "Crc",
        "Attributes",
        "LastOffsetDelta",
        "BaseTimestamp",
        "MaxTimestamp",
        "ProducerId",
        "ProducerEpoch",
        "BaseSequence",
        "Count",
        "Body",
    ];
    if let Some((name, _)) = given.iter().find(|(name, _)| !KNOWN.contains(&name.as_str())) {
        return Err(format!("a batch has no {name}"));
    }
    let int = |name: &str, default: i64| settings.field(name).and_then(Value::as_int).unwrap_or(default);
    let (count, mut body) = records(settings.field("Records").unwrap_or(&Value::Int(1)))?;
    if let Some(Value::Bytes(bytes)) = settings.field("Body") {
        body.clone_from(bytes);
    }
    let base_timestamp = int("BaseTimestamp", TIMESTAMP);
    let mut covered = Vec::new();
    push(&mut covered, int("Attributes", 0), 2);
    push(&mut covered, int("LastOffsetDelta", count - 1), 4);
    push(&mut covered, base_timestamp, 8);
    push(&mut covered, int("MaxTimestamp", base_timestamp + (count - 1).max(0)), 8);
    push(&mut covered, int("ProducerId", -1), 8);
    push(&mut covered, int("ProducerEpoch", -1), 2);
    push(&mut covered, int("BaseSequence", -1), 4);
    push(&mut covered, int("Count", count), 4);
    covered.extend_from_slice(&body);

    let mut out = Vec::new();
    push(&mut out, int("BaseOffset", 0), 8);
    let len = i64::try_from(covered.len() + ATTRIBUTES - 12).map_err(|e| e.to_string())?;
    push(&mut out, int("Length", len), 4);
    push(&mut out, int("PartitionLeaderEpoch", -1), 4);
    push(&mut out, int("Magic", 2), 1);
    push(&mut out, int("Crc", crc32c(&covered).into()), 4);
    out.extend_from_slice(&covered);
    Ok(out)
}

/// The last `width` bytes of a number.
fn push(out: &mut Vec<u8>, value: i64, width: usize) {
    out.extend_from_slice(&value.to_be_bytes()[8 - width..]);
}

fn records(wanted: &Value) -> Result<(i64, Vec<u8>)> {
    let mut out = Vec::new();
    let count = match wanted {
        Value::Int(count) => {
            for at in 0..*count {
                record(&mut out, at, &Value::Struct(Vec::new()))?;
            }
            *count
        }
        Value::List(items) => {
            for (at, item) in items.iter().enumerate() {
                record(&mut out, i64::try_from(at).map_err(|e| e.to_string())?, item)?;
            }
            i64::try_from(items.len()).map_err(|e| e.to_string())?
        }
        other => return Err(format!("no records: {other}")),
    };
    Ok((count, out))
}

/// By default the record at `at` has the key `k<at>` and the value `v<at>`.
fn record(out: &mut Vec<u8>, at: i64, given: &Value) -> Result<()> {
    let int = |name: &str, default: i64| given.field(name).and_then(Value::as_int).unwrap_or(default);
    let mut body = Vec::new();
    push(&mut body, int("Attributes", 0), 1);
    varint(&mut body, int("TimestampDelta", at));
    varint(&mut body, int("OffsetDelta", at));
    for (name, letter) in [("Key", 'k'), ("Value", 'v')] {
        sized(&mut body, given.field(name).unwrap_or(&Value::text(format!("{letter}{at}"))))?;
    }
    let empty = Value::List(Vec::new());
    let Value::List(headers) = given.field("Headers").unwrap_or(&empty) else {
        return Err("headers are a list".into());
    };
    varint(&mut body, i64::try_from(headers.len()).map_err(|e| e.to_string())?);
    for header in headers {
        let Value::List(pair) = header else { return Err("a header is [key, value]".into()) };
        pair.iter().try_for_each(|part| sized(&mut body, part))?;
    }
    varint(out, int("Length", i64::try_from(body.len()).map_err(|e| e.to_string())?));
    out.extend_from_slice(&body);
    Ok(())
}

fn sized(out: &mut Vec<u8>, value: &Value) -> Result<()> {
    let bytes = match value {
        Value::Null => {
            varint(out, -1);
            return Ok(());
        }
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        other => return Err(format!("no bytes: {other}")),
    };
    varint(out, i64::try_from(bytes.len()).map_err(|e| e.to_string())?);
    out.extend_from_slice(bytes);
    Ok(())
}

/// Zigzag, then seven bits a byte.
fn varint(out: &mut Vec<u8>, value: i64) {
    let mut bits = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while bits > 0x7f {
        out.push(bits.to_le_bytes()[0] | 0x80);
        bits >>= 7;
    }
    out.push(bits.to_le_bytes()[0]);
}

fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// What a fetch returned, batch by batch; the CRC as right or wrong, for it covers times that the broker sets.
pub fn shown(mut records: &[u8]) -> Value {
    let mut batches = Vec::new();
    while !records.is_empty() {
        let len = records.get(8..12).and_then(|len| <[u8; 4]>::try_from(len).ok()).map(u32::from_be_bytes);
        let end = len.and_then(|len| usize::try_from(len).ok()).map(|len| len.saturating_add(12));
        let Some(batch) = end.and_then(|end| records.get(..end)).filter(|batch| batch.len() >= HEADER_LEN)
        else {
            batches.push(Value::Bytes(records.to_vec()));
            break;
        };
        batches.push(shown_batch(batch));
        records = &records[batch.len()..];
    }
    Value::List(batches)
}

fn shown_batch(batch: &[u8]) -> Value {
    let int = |from: usize, len: usize| {
        let negative = batch[from] & 0x80 != 0;
        let start = if negative { -1_i64 } else { 0 };
        Value::Int(batch[from..from + len].iter().fold(start, |int, byte| int << 8 | i64::from(*byte)))
    };
    let crc = u32::from_be_bytes(batch[17..21].try_into().expect("four bytes"));
    let crc = if crc == crc32c(&batch[ATTRIBUTES..]) { "right" } else { "wrong" };
    let fields = [
        ("BaseOffset", int(0, 8)),
        ("PartitionLeaderEpoch", int(12, 4)),
        ("Magic", int(16, 1)),
        ("Crc", Value::text(crc)),
        ("Attributes", int(21, 2)),
        ("LastOffsetDelta", int(23, 4)),
        ("BaseTimestamp", int(27, 8)),
        ("MaxTimestamp", int(35, 8)),
        ("ProducerId", int(43, 8)),
        ("ProducerEpoch", int(51, 2)),
        ("BaseSequence", int(53, 4)),
        ("Count", int(57, 4)),
        ("Body", Value::Bytes(batch[HEADER_LEN..].to_vec())),
    ];
    Value::Struct(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn what_is_built_is_shown() {
        let batch = build(&parse::value("{Records: 2, BaseOffset: 7, ProducerId: 5}").expect("a value"));
        let shown = shown(&batch.expect("a batch")).to_string();
        for part in ["BaseOffset: 7", "Crc: \"right\"", "LastOffsetDelta: 1", "ProducerId: 5", "Count: 2"] {
            assert!(shown.contains(part), "{shown}");
        }
    }

    #[test]
    fn crc_is_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}
