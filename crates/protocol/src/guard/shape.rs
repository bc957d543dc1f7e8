//! What a message looks like: `shapes.txt`, read once.
//!
//! The grammar stands in `tools/shapes.py`, which writes the file from Kafka's schemas.

use std::str::FromStr;
use std::sync::LazyLock;

use super::Direction;
use crate::ApiKey;

pub(super) const SHAPES: &str = include_str!("shapes.txt");

/// By `slot`.
static BY_API: LazyLock<Vec<Option<Vec<Field>>>> = LazyLock::new(|| {
    let mut shapes = Vec::new();
    for (slot, fields) in SHAPES.lines().filter_map(read_line) {
        shapes.resize(shapes.len().max(slot + 1), None);
        shapes[slot] = Some(fields);
    }
    shapes
});

/// A field of a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) kind: Kind,
    /// The versions that have it, inclusive.
    versions: (i16, i16),
    /// The versions in which it may be null, if those are some of its versions only; else the decoder knows.
    nullable: Option<(i16, i16)>,
    pub(super) tag: Option<u32>,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// So many bytes.
    Fixed(usize),
    String,
    /// Bytes or records.
    Bytes,
    Array(Box<Kind>),
    Struct(Vec<Field>),
    NullableStruct(Vec<Field>),
}

impl Field {
    pub(super) fn is_in(&self, version: i16) -> bool {
        self.versions.0 <= version && version <= self.versions.1
    }

    pub(super) fn may_be_null(&self, version: i16) -> bool {
        self.nullable.is_none_or(|(first, last)| first <= version && version <= last)
    }
}

/// The fields of a message; `None` if the file has none or cannot be read, which a test rules out.
pub(super) fn of(key: ApiKey, direction: Direction) -> Option<&'static [Field]> {
    BY_API.get(slot(key, direction)?)?.as_deref()
}

fn slot(key: ApiKey, direction: Direction) -> Option<usize> {
    let half = usize::from(direction == Direction::Response);
    usize::try_from(key.code()).ok().map(|code| 2 * code + half)
}

fn read_line(line: &str) -> Option<(usize, Vec<Field>)> {
    let mut words = line.splitn(7, ' ');
    let key = ApiKey::from_code(words.next()?.parse().ok()?)?;
    let direction = match words.next()? {
        "request" => Direction::Request,
        "response" => Direction::Response,
        _ => return None,
    };
    // Name, versions, flexible version and listeners are the API table's; a test compares them.
    let mut text = Text { left: words.nth(4).unwrap_or_default() };
    let fields = text.fields()?;
    text.left.is_empty().then_some((slot(key, direction)?, fields))
}

struct Text<'a> {
    left: &'a str,
}

impl Text<'_> {
    fn fields(&mut self) -> Option<Vec<Field>> {
        let mut fields = Vec::new();
        while !self.left.is_empty() && !self.left.starts_with('}') {
            fields.push(self.field()?);
            self.eat(" ");
        }
        Some(fields)
    }

    fn field(&mut self) -> Option<Field> {
        let kind = self.kind()?;
        let versions = if self.eat(":") { self.range()? } else { (0, i16::MAX) };
        let nullable = if self.eat("?") { Some(self.range()?) } else { None };
        let tag = if self.eat("@") { Some(self.number()?) } else { None };
        Some(Field { kind, versions, nullable, tag })
    }

    /// `from-to`.
    fn range(&mut self) -> Option<(i16, i16)> {
        let from = self.number()?;
        if self.eat("-") { Some((from, self.number()?)) } else { None }
    }

    fn kind(&mut self) -> Option<Kind> {
        if self.eat("s") {
            Some(Kind::String)
        } else if self.eat("y") {
            Some(Kind::Bytes)
        } else if self.eat("[") {
            let element = self.kind()?;
            self.eat("]").then(|| Kind::Array(Box::new(element)))
        } else if self.eat("{") {
            let fields = self.fields()?;
            self.eat("}").then_some(Kind::Struct(fields))
        } else if self.eat("?{") {
            let fields = self.fields()?;
            self.eat("}").then_some(Kind::NullableStruct(fields))
        } else {
            self.number().map(Kind::Fixed)
        }
    }

    fn number<T: FromStr>(&mut self) -> Option<T> {
        let len = self.left.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.left.len());
        let (digits, left) = self.left.split_at(len);
        self.left = left;
        digits.parse().ok()
    }

    fn eat(&mut self, prefix: &str) -> bool {
        let left = self.left.strip_prefix(prefix);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}
