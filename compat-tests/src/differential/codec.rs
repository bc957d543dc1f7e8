//! Trees to bytes and back, by the schema; nothing of it is shared with the broker.

use super::Value;
use super::schema::{Api, Field, Kind, Scalar};

type Result<T> = std::result::Result<T, String>;

/// The name under which a struct's tagged fields that the schema lacks stand: a list of `[tag, bytes]`.
pub const UNKNOWN_TAGS: &str = "_tags";

/// A request's frame without its length: header v1 or v2, then the body.
pub fn encode_request(
    api: &Api,
    version: i16,
    correlation_id: i32,
    client_id: &Value,
    body: &Value,
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    out.extend_from_slice(&api.key.to_be_bytes());
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&correlation_id.to_be_bytes());
    // The client id is never compact: a broker reads it before it knows the header's version.
    Writer { version, flexible: false, out: &mut out }.scalar(Scalar::Text, client_id)?;
    let flexible = api.is_flexible(version);
    if flexible {
        out.push(0);
    }
    Writer { version, flexible, out: &mut out }.fields(&api.request, body)?;
    Ok(out)
}

/// A response's body; bytes that are missing or left are errors.
pub fn decode_response(api: &Api, version: i16, frame: &[u8]) -> Result<(i32, Value)> {
    let flexible = api.is_flexible(version);
    let mut reader = Bytes { version, flexible, rest: frame };
    let correlation_id = i32::from_be_bytes(reader.array()?);
    // KIP-511: an ApiVersions answer has header v0, whatever its version.
    if flexible && api.name != "ApiVersions" && reader.varint()? != 0 {
        return Err("tagged fields in the header".into());
    }
    let body = reader.fields(&api.response)?;
    if reader.rest.is_empty() {
        Ok((correlation_id, body))
    } else {
        Err(format!("{} bytes left", reader.rest.len()))
    }
}

struct Writer<'a> {
    version: i16,
    flexible: bool,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn fields(&mut self, fields: &[Field], value: &Value) -> Result<()> {
        let Value::Struct(given) = value else { return Err(format!("wanted a struct, found {value}")) };
        if let Some((name, _)) =
            given.iter().find(|(name, _)| name != UNKNOWN_TAGS && !fields.iter().any(|f| f.name == *name))
        {
            return Err(format!("no field {name}"));
        }
        let version = self.version;
        for field in fields.iter().filter(|field| field.tag.is_none() && field.is_in(version)) {
            let value = value.field(&field.name).unwrap_or(&field.default);
            self.field(field, value).map_err(|error| format!("{}: {error}", field.name))?;
        }
        if self.flexible { self.tags(fields, value) } else { Ok(()) }
    }

    fn field(&mut self, field: &Field, value: &Value) -> Result<()> {
        if let (Kind::Struct(fields), true) = (&field.kind, field.may_be_null(self.version)) {
            self.out.push(if *value == Value::Null { 0xff } else { 1 });
            return if *value == Value::Null { Ok(()) } else { self.fields(fields, value) };
        }
        self.kind(&field.kind, value)
    }

    fn kind(&mut self, kind: &Kind, value: &Value) -> Result<()> {
        match (kind, value) {
            (Kind::Scalar(scalar), _) => self.scalar(*scalar, value),
            (Kind::Struct(fields), _) => self.fields(fields, value),
            (Kind::List(_), Value::Null) => {
                self.len(None, 4);
                Ok(())
            }
            (Kind::List(item), Value::List(items)) => {
                self.len(Some(items.len()), 4);
                items.iter().try_for_each(|value| self.kind(item, value))
            }
            _ => Err(format!("wanted a list, found {value}")),
        }
    }

    fn scalar(&mut self, scalar: Scalar, value: &Value) -> Result<()> {
        match (scalar, value) {
            (Scalar::Bool, Value::Bool(bool)) => self.out.push(u8::from(*bool)),
            (Scalar::Bool | Scalar::Int8, Value::Int(int)) => self.int(*int, 1, true)?,
            (Scalar::Int16, Value::Int(int)) => self.int(*int, 2, true)?,
            (Scalar::Uint16, Value::Int(int)) => self.int(*int, 2, false)?,
            (Scalar::Int32, Value::Int(int)) => self.int(*int, 4, true)?,
            (Scalar::Uint32, Value::Int(int)) => self.int(*int, 4, false)?,
            (Scalar::Int64, Value::Int(int)) => self.out.extend_from_slice(&int.to_be_bytes()),
            (Scalar::Float64, Value::Float(float)) => self.out.extend_from_slice(&float.to_be_bytes()),
            (Scalar::Uuid, Value::Text(text)) => self.out.extend_from_slice(&uuid_bytes(text)?),
            (Scalar::Text, Value::Null) => self.len(None, 2),
            (Scalar::Text, Value::Text(text)) => {
                self.len(Some(text.len()), 2);
                self.out.extend_from_slice(text.as_bytes());
            }
            // Bytes that are no UTF-8, where a string is wanted.
            (Scalar::Text, Value::Bytes(bytes)) => {
                self.len(Some(bytes.len()), 2);
                self.out.extend_from_slice(bytes);
            }
            (Scalar::Bytes | Scalar::Records, Value::Null) => self.len(None, 4),
            (Scalar::Bytes | Scalar::Records, Value::Bytes(bytes)) => {
                self.len(Some(bytes.len()), 4);
                self.out.extend_from_slice(bytes);
            }
            _ => return Err(format!("wanted {scalar:?}, found {value}")),
        }
        Ok(())
    }

    fn int(&mut self, int: i64, width: usize, signed: bool) -> Result<()> {
        let bits = 8 * width;
        let (low, high) = if signed {
            (-(1_i64 << (bits - 1)), (1_i64 << (bits - 1)) - 1)
        } else {
            (0, (1_i64 << bits) - 1)
        };
        if int < low || int > high {
            return Err(format!("{int} does not fit in {width} bytes"));
        }
        self.out.extend_from_slice(&int.to_be_bytes()[8 - width..]);
        Ok(())
    }

    /// A length; `None` is null, whether the schema allows it or not.
    fn len(&mut self, len: Option<usize>, width: usize) {
        if self.flexible {
            return self.varint(len.map_or(0, |len| len + 1));
        }
        let len = len.map_or(-1, |len| i64::try_from(len).expect("a small length"));
        self.out.extend_from_slice(&len.to_be_bytes()[8 - width..]);
    }

    fn varint(&mut self, mut value: usize) {
        while value > 0x7f {
            self.out.push(u8::try_from(value & 0x7f | 0x80).expect("eight bits"));
            value >>= 7;
        }
        self.out.push(u8::try_from(value).expect("seven bits"));
    }

    /// The tagged fields that are given, in the order of their tags.
    fn tags(&mut self, fields: &[Field], value: &Value) -> Result<()> {
        let mut tags: Vec<(u32, Vec<u8>)> = Vec::new();
        for field in fields.iter().filter(|field| field.is_in(self.version)) {
            if let (Some(tag), Some(value)) = (field.tag, value.field(&field.name)) {
                let mut out = Vec::new();
                Writer { version: self.version, flexible: true, out: &mut out }.field(field, value)?;
                tags.push((tag, out));
            }
        }
        if let Some(Value::List(unknown)) = value.field(UNKNOWN_TAGS) {
            for tag in unknown {
                let Value::List(pair) = tag else { return Err(format!("no tag: {tag}")) };
                let [Value::Int(tag), Value::Bytes(bytes)] = &pair[..] else { return Err("no tag".into()) };
                tags.push((u32::try_from(*tag).map_err(|e| e.to_string())?, bytes.clone()));
            }
        }
        tags.sort_by_key(|(tag, _)| *tag);
        self.varint(tags.len());
        for (tag, bytes) in tags {
            self.varint(tag as usize);
            self.varint(bytes.len());
            self.out.extend_from_slice(&bytes);
        }
        Ok(())
    }
}

struct Bytes<'a> {
    version: i16,
    flexible: bool,
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or("the answer ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("N bytes"))
    }

    fn varint(&mut self) -> Result<usize> {
        let mut value = 0;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("a varint of more than five bytes".into())
    }

    fn fields(&mut self, fields: &[Field]) -> Result<Value> {
        let mut out = Vec::new();
        let version = self.version;
        for field in fields.iter().filter(|field| field.tag.is_none() && field.is_in(version)) {
            let value = self.field(field).map_err(|error| format!("{}: {error}", field.name))?;
            out.push((field.name.clone(), value));
        }
        if self.flexible {
            self.tags(fields, &mut out)?;
        }
        Ok(Value::Struct(out))
    }

    fn tags(&mut self, fields: &[Field], out: &mut Vec<(String, Value)>) -> Result<()> {
        let (mut unknown, mut last) = (Vec::new(), None);
        for _ in 0..self.varint()? {
            let tag = u32::try_from(self.varint()?).map_err(|e| e.to_string())?;
            if last.is_some_and(|last| tag <= last) {
                return Err("tags out of order".into());
            }
            last = Some(tag);
            let len = self.varint()?;
            let bytes = self.take(len)?;
            match fields.iter().find(|field| field.tag == Some(tag) && field.is_in(self.version)) {
                Some(field) => {
                    let mut reader = Bytes { rest: bytes, ..*self };
                    let value = reader.field(field).map_err(|error| format!("{}: {error}", field.name))?;
                    if !reader.rest.is_empty() {
                        return Err(format!("{}: bytes left in its tag", field.name));
                    }
                    out.push((field.name.clone(), value));
                }
                None => unknown.push(Value::List(vec![Value::Int(tag.into()), Value::Bytes(bytes.to_vec())])),
            }
        }
        if !unknown.is_empty() {
            out.push((UNKNOWN_TAGS.to_owned(), Value::List(unknown)));
        }
        Ok(())
    }

    fn field(&mut self, field: &Field) -> Result<Value> {
        if let (Kind::Struct(fields), true) = (&field.kind, field.may_be_null(self.version)) {
            let [marker] = self.array()?;
            return if marker == 0xff { Ok(Value::Null) } else { self.fields(fields) };
        }
        let value = self.kind(&field.kind)?;
        if value == Value::Null && !field.may_be_null(self.version) {
            return Err("null where the schema has none".into());
        }
        Ok(value)
    }

    fn kind(&mut self, kind: &Kind) -> Result<Value> {
        match kind {
            Kind::Scalar(scalar) => self.scalar(*scalar),
            Kind::Struct(fields) => self.fields(fields),
            Kind::List(item) => {
                let Some(len) = self.len(4)? else { return Ok(Value::Null) };
                if len > self.rest.len() {
                    return Err(format!("a list of {len} in {} bytes", self.rest.len()));
                }
                Ok(Value::List((0..len).map(|_| self.kind(item)).collect::<Result<_>>()?))
            }
        }
    }

    fn scalar(&mut self, scalar: Scalar) -> Result<Value> {
        Ok(match scalar {
            Scalar::Bool => match self.array()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => return Err(format!("a bool of {other}")),
            },
            Scalar::Int8 => Value::Int(i8::from_be_bytes(self.array()?).into()),
            Scalar::Int16 => Value::Int(i16::from_be_bytes(self.array()?).into()),
            Scalar::Uint16 => Value::Int(u16::from_be_bytes(self.array()?).into()),
            Scalar::Int32 => Value::Int(i32::from_be_bytes(self.array()?).into()),
            Scalar::Uint32 => Value::Int(u32::from_be_bytes(self.array()?).into()),
            Scalar::Int64 => Value::Int(i64::from_be_bytes(self.array()?)),
            Scalar::Float64 => Value::Float(f64::from_be_bytes(self.array()?)),
            Scalar::Uuid => Value::Text(uuid_text(self.array()?)),
            Scalar::Text => match self.len(2)? {
                None => Value::Null,
                Some(len) => {
                    Value::Text(String::from_utf8(self.take(len)?.to_vec()).map_err(|e| e.to_string())?)
                }
            },
            Scalar::Bytes | Scalar::Records => match self.len(4)? {
                None => Value::Null,
                Some(len) => Value::Bytes(self.take(len)?.to_vec()),
            },
        })
    }

    fn len(&mut self, width: usize) -> Result<Option<usize>> {
        if self.flexible {
            return Ok(self.varint()?.checked_sub(1));
        }
        let len = match width {
            2 => i64::from(i16::from_be_bytes(self.array()?)),
            _ => i64::from(i32::from_be_bytes(self.array()?)),
        };
        if len < -1 { Err(format!("a length of {len}")) } else { Ok(usize::try_from(len).ok()) }
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// 22 characters, as Kafka prints uuids.
pub fn uuid_text(bytes: [u8; 16]) -> String {
    let bits = u128::from_be_bytes(bytes);
    let digit = |shift: i32| {
        let value = if shift >= 0 { bits >> shift } else { bits << -shift };
        char::from(BASE64[usize::try_from(value & 63).expect("six bits")])
    };
    (0..22).map(|at| digit(122 - 6 * at)).collect()
}

fn uuid_bytes(text: &str) -> Result<[u8; 16]> {
    let digits: Option<Vec<u128>> = text
        .bytes()
        .map(|byte| BASE64.iter().position(|digit| *digit == byte).map(|digit| digit as u128))
        .collect();
    let digits = digits.filter(|digits| digits.len() == 22).ok_or_else(|| format!("no uuid: {text}"))?;
    let high = digits[..21].iter().fold(0_u128, |bits, digit| bits << 6 | digit);
    Ok((high << 2 | digits[21] >> 4).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::super::schema::SCHEMA;
    use super::*;

    #[test]
    fn uuids_are_kafkas_text() {
        let bytes = std::array::from_fn(|at| u8::try_from(17 * at).expect("small"));
        assert_eq!(uuid_text(bytes), "ABEiM0RVZneImaq7zN3u_w");
        assert_eq!(uuid_bytes("ABEiM0RVZneImaq7zN3u_w"), Ok(bytes));
        assert!(uuid_bytes("short").is_err());
    }

    #[test]
    fn request_is_written_by_its_version() {
        let api = SCHEMA.api("Metadata").expect("Metadata");
        let body =
            parse::value(r#"{Topics: [{Name: "ab"}], AllowAutoTopicCreation: false}"#).expect("a value");
        let client = Value::text("c");
        let old = encode_request(api, 1, 7, &client, &body).expect("version 1");
        assert_eq!(old, b"\0\x03\0\x01\0\0\0\x07\0\x01c\0\0\0\x01\0\x02ab");
        let new = encode_request(api, 9, 7, &client, &body).expect("version 9");
        assert_eq!(new, b"\0\x03\0\x09\0\0\0\x07\0\x01c\0\x02\x03ab\0\0\0\0\0");
        let wrong = parse::value("{Topix: []}").expect("a value");
        assert!(encode_request(api, 9, 7, &client, &wrong).is_err_and(|error| error.contains("Topix")));
    }

    #[test]
    fn answers_with_bytes_left_or_missing_are_refused() {
        let api = SCHEMA.api("Heartbeat").expect("Heartbeat");
        let (id, body) = decode_response(api, 4, b"\0\0\0\x05\0\0\0\0\0\0\x19\0").expect("an answer");
        assert_eq!((id, body.to_string().as_str()), (5, "{ThrottleTimeMs: 0, ErrorCode: 25}"));
        assert!(decode_response(api, 4, b"\0\0\0\x05\0\0\0\0\0\0\x19\0\0").is_err());
        assert!(decode_response(api, 4, b"\0\0\0\x05\0\0\0\0\0\0\x19").is_err());
    }
}
