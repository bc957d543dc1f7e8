//! `server.properties`: the syntax of `java.util.Properties`, with the line of each entry kept for messages.
//!
//! As Kafka does, the file is read as Latin-1; anything else is written `\uXXXX`.

use std::collections::BTreeMap;

use crate::ConfigError;

/// One entry of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub value: String,
    /// The line that the entry starts on, from 1.
    pub line: usize,
}

/// The entries of a file, by name. Of an entry that stands twice, the later holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    entries: BTreeMap<String, Property>,
}

impl Properties {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`]: a `\u` that four hexadecimal digits do not follow.
    pub fn parse(file: &[u8]) -> Result<Self, ConfigError> {
        let text: Vec<char> = file.iter().map(|byte| char::from(*byte)).collect();
        let mut lines = LogicalLines { text: &text, at: 0, line: 1 };
        let mut entries = BTreeMap::new();
        while let Some((line, content)) = lines.next_line() {
            let (name, value) = split(&content, line)?;
            entries.insert(name, Property { value, line });
        }
        Ok(Self { entries })
    }

    /// The entry of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Property> {
        self.entries.get(name)
    }

    /// All entries, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Property)> {
        self.entries.iter().map(|(name, property)| (name.as_str(), property))
    }
}

/// Natural lines put together: without comments, blank lines, leading blanks and continuations.
struct LogicalLines<'a> {
    text: &'a [char],
    at: usize,
    line: usize,
}

impl<'a> LogicalLines<'a> {
    /// The next logical line and the natural line that it starts on.
    fn next_line(&mut self) -> Option<(usize, Vec<char>)> {
        let mut content = Vec::new();
        let mut start = None;
        while self.at < self.text.len() {
            let line = self.line;
            let natural = skip_blanks(self.take_natural_line());
            if content.is_empty() && matches!(natural.first(), None | Some('#' | '!')) {
                continue;
            }
            let start = *start.get_or_insert(line);
            let Some(kept) = without_open_escape(natural) else {
                content.extend_from_slice(natural);
                return Some((start, content));
            };
            content.extend_from_slice(kept);
            if self.at >= self.text.len() {
                // Java: what the file's end cuts off is an entry; even an empty one, unless `\r\n` is the end.
                return Some((start, content))
                    .filter(|(_, content)| !content.is_empty() || !self.text.ends_with(&['\r', '\n']));
            }
        }
        None
    }

    /// Up to `\n`, `\r` or `\r\n`, which is passed over.
    fn take_natural_line(&mut self) -> &'a [char] {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|c| matches!(c, '\n' | '\r')).unwrap_or(rest.len());
        let end_len = match rest.get(len..len + 2) {
            Some(['\r', '\n']) => 2,
            _ => 1,
        };
        self.at += len + end_len;
        self.line += 1;
        rest.get(..len).unwrap_or_default()
    }
}

fn skip_blanks(line: &[char]) -> &[char] {
    let blanks = line.iter().take_while(|c| is_blank(**c)).count();
    line.get(blanks..).unwrap_or_default()
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

/// The line without the backslash that continues it; `None` if no unescaped backslash ends it.
fn without_open_escape(line: &[char]) -> Option<&[char]> {
    let backslashes = line.iter().rev().take_while(|c| **c == '\\').count();
    if backslashes % 2 == 0 {
        return None;
    }
    line.split_last().map(|(_, kept)| kept)
}

/// Name and value: parted by the first `=`, `:` or blank that is not escaped.
fn split(content: &[char], line: usize) -> Result<(String, String), ConfigError> {
    let mut escaped = false;
    let mut name_len = content.len();
    for (i, c) in content.iter().enumerate() {
        if !escaped && (matches!(c, '=' | ':') || is_blank(*c)) {
            name_len = i;
            break;
        }
        escaped = *c == '\\' && !escaped;
    }
    let (name, rest) = content.split_at(name_len);
    let rest = skip_blanks(rest);
    let value = match rest.split_first() {
        Some(('=' | ':', value)) => skip_blanks(value),
        _ => rest,
    };
    Ok((unescape(name, line)?, unescape(value, line)?))
}

fn unescape(text: &[char], line: usize) -> Result<String, ConfigError> {
    // UTF-16, since `\u` escapes are halves of pairs for what is beyond the first plane.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.iter().copied();
    while let Some(c) = chars.next() {
        let c = if c == '\\' { chars.next() } else { push(&mut units, c) };
        match c {
            None => {}
            Some('t') => units.push(0x09),
            Some('n') => units.push(0x0a),
            Some('f') => units.push(0x0c),
            Some('r') => units.push(0x0d),
            Some('u') => units.push(hex_unit(&mut chars, line)?),
            Some(c) => {
                push(&mut units, c);
            }
        }
    }
    Ok(String::from_utf16_lossy(&units))
}

/// Appends a character as it stands; `None`, so that nothing more is done with it.
fn push(units: &mut Vec<u16>, c: char) -> Option<char> {
    units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    None
}

fn hex_unit(chars: &mut impl Iterator<Item = char>, line: usize) -> Result<u16, ConfigError> {
    let malformed = || ConfigError::Syntax { line, reason: "Malformed \\uxxxx encoding.".to_owned() };
    let mut unit = 0u32;
    for _ in 0..4 {
        let digit = chars.next().and_then(|c| c.to_digit(16)).ok_or_else(malformed)?;
        unit = unit * 16 + digit;
    }
    u16::try_from(unit).map_err(|_| malformed())
}

#[cfg(test)]
mod tests;
