//! RE2/J's parser: what it refuses, with its words and in its order, and what it accepts as an expression of the `regex`
//! crate.
//!
//! Everything that the two read differently is spelled out: flags stand with the pieces that they concern, characters
//! and classes are written as numbers and ranges, a repetition stands behind a group of its own. Greediness is dropped:
//! only whole names are matched.

use std::collections::BTreeSet;

use super::regex::InvalidRegex;
use super::regex_class::{self, Cursor};

/// Repetitions within repetitions, multiplied.
const MAX_REPEAT: u32 = 1000;

/// Rewrites an expression for the `regex` crate.
///
/// # Errors
/// `InvalidRegex`, in RE2/J's words.
pub(super) fn translate(expression: &str) -> Result<String, InvalidRegex> {
    let mut parser = Parser::default();
    let mut cursor = Cursor::new(expression);
    let mut after_repetition = false;
    while let Some(c) = cursor.peek() {
        after_repetition = parser.step(c, &mut cursor, after_repetition)?;
    }
    parser.finish()
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    pub(super) fold_case: bool,
    multi_line: bool,
    dot_newline: bool,
}

impl Flags {
    fn set(&mut self, flag: char, on: bool) {
        match flag {
            'i' => self.fold_case = on,
            'm' => self.multi_line = on,
            's' => self.dot_newline = on,
            _ => {}
        }
    }
}

/// What a repetition can repeat.
#[derive(Debug)]
struct Operand {
    text: String,
    /// The highest product of repetitions on a way down.
    repeats: u32,
}

/// An open group: the alternatives before the present one, and the present one's pieces.
#[derive(Debug, Default)]
struct Group {
    alternatives: Vec<String>,
    operands: Vec<Operand>,
    repeats: u32,
    /// Those outside, which come back at its end.
    outer_flags: Flags,
}

impl Group {
    fn end_alternative(&mut self) {
        let mut text = String::new();
        for operand in self.operands.drain(..) {
            text.push_str(&operand.text);
            self.repeats = self.repeats.max(operand.repeats);
        }
        self.alternatives.push(text);
    }

    fn close(mut self) -> Operand {
        self.end_alternative();
        Operand { text: format!("(?:{})", self.alternatives.join("|")), repeats: self.repeats.max(1) }
    }
}

#[derive(Debug, Default)]
struct Parser {
    flags: Flags,
    outermost: Group,
    open: Vec<Group>,
    names: BTreeSet<String>,
}

impl Parser {
    fn finish(self) -> Result<String, InvalidRegex> {
        if self.open.is_empty() { Ok(self.outermost.close().text) } else { Err(error("missing closing )")) }
    }

    fn group(&mut self) -> &mut Group {
        self.open.last_mut().unwrap_or(&mut self.outermost)
    }

    fn push(&mut self, text: String) {
        self.group().operands.push(Operand { text, repeats: 1 });
    }

    /// Takes one construct, which begins with `c`; whether no repetition may follow.
    fn step(
        &mut self,
        c: char,
        cursor: &mut Cursor<'_>,
        after_repetition: bool,
    ) -> Result<bool, InvalidRegex> {
        match c {
            '*' | '+' | '?' => {
                cursor.skip(1);
                self.repeat(cursor, after_repetition, &c.to_string(), None)?;
                return Ok(true);
            }
            '{' => {
                if let Some((min, max)) = counts(cursor)? {
                    let max_text = max.map_or_else(String::new, |max| max.to_string());
                    let operator = format!("{{{min},{max_text}}}");
                    self.repeat(cursor, after_repetition, &operator, Some((min, max)))?;
                    return Ok(true);
                }
                // RE2/J forgets that this was none: `{*` is a repetition of a repetition to it.
                self.literal(cursor);
                return Ok(true);
            }
            '(' if cursor.rest().starts_with("(?") => self.perl_group(cursor)?,
            '(' => {
                cursor.skip(1);
                self.open_group(self.flags);
            }
            ')' => self.close_group(cursor)?,
            '|' => {
                cursor.skip(1);
                self.group().end_alternative();
            }
            '[' => {
                let class = regex_class::class(cursor)?;
                self.push_folded(class);
            }
            '\\' => self.escape(cursor)?,
            '^' | '$' | '.' => {
                cursor.skip(1);
                let text = self.anchor(c);
                self.push(text.to_owned());
            }
            _ => self.literal(cursor),
        }
        Ok(false)
    }

    const fn anchor(&self, c: char) -> &'static str {
        match (c, self.flags) {
            ('^', Flags { multi_line: true, .. }) => "(?m:^)",
            ('^', _) => r"\A",
            ('$', Flags { multi_line: true, .. }) => "(?m:$)",
            ('$', _) => r"\z",
            (_, Flags { dot_newline: true, .. }) => "(?s:.)",
            _ => ".",
        }
    }

    fn literal(&mut self, cursor: &mut Cursor<'_>) {
        if let Some(c) = cursor.pop() {
            self.push_folded(regex_class::character(u32::from(c)));
        }
    }

    fn push_folded(&mut self, text: String) {
        let text = if self.flags.fold_case { format!("(?i:{text})") } else { text };
        self.push(text);
    }

    fn repeat(
        &mut self,
        cursor: &mut Cursor<'_>,
        after_repetition: bool,
        operator: &str,
        counts: Option<(u32, Option<u32>)>,
    ) -> Result<(), InvalidRegex> {
        if cursor.peek() == Some('?') {
            cursor.skip(1);
        }
        if after_repetition {
            return Err(error("invalid nested repetition operator"));
        }
        let Some(operand) = self.group().operands.pop() else {
            return Err(error("missing argument to repetition operator"));
        };
        let repeats = match counts {
            None => operand.repeats,
            Some((_, Some(0))) => 0,
            Some((min, max)) => operand.repeats.saturating_mul(max.unwrap_or(min).max(1)),
        };
        let many = counts.is_some_and(|(min, max)| min >= 2 || max.is_some_and(|max| max >= 2));
        if many && repeats > MAX_REPEAT {
            return Err(error("invalid repeat count"));
        }
        let text = format!("(?:{}){operator}", operand.text);
        self.group().operands.push(Operand { text, repeats });
        Ok(())
    }

    fn open_group(&mut self, outer_flags: Flags) {
        self.open.push(Group { outer_flags, ..Group::default() });
    }

    fn close_group(&mut self, cursor: &mut Cursor<'_>) -> Result<(), InvalidRegex> {
        cursor.skip(1);
        let Some(group) = self.open.pop() else { return Err(error("regexp/syntax: internal error")) };
        self.flags = group.outer_flags;
        let operand = group.close();
        self.group().operands.push(operand);
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?flags)` and `(?flags:`.
    fn perl_group(&mut self, cursor: &mut Cursor<'_>) -> Result<(), InvalidRegex> {
        let rest = cursor.rest();
        let named = rest.strip_prefix("(?P<").or_else(|| rest.strip_prefix("(?<"));
        let Some(named) = named else { return self.flag_group(cursor) };
        let name = named.split_once('>').map(|(name, _)| name);
        let name =
            name.filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
        let Some(name) = name else { return Err(error("invalid named capture")) };
        cursor.skip(rest.len() - named.len() + name.len() + 1);
        self.open_group(self.flags);
        if self.names.insert(name.to_owned()) { Ok(()) } else { Err(error("duplicate capture group name")) }
    }

    fn flag_group(&mut self, cursor: &mut Cursor<'_>) -> Result<(), InvalidRegex> {
        cursor.skip(2);
        let (mut flags, mut on, mut any) = (self.flags, true, false);
        while let Some(c) = cursor.pop() {
            match c {
                'i' | 'm' | 's' | 'U' => {
                    flags.set(c, on);
                    any = true;
                }
                '-' if on => (on, any) = (false, false),
                ':' | ')' if on || any => {
                    if c == ':' {
                        self.open_group(self.flags);
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            }
        }
        Err(error("invalid or unsupported Perl syntax"))
    }

    fn escape(&mut self, cursor: &mut Cursor<'_>) -> Result<(), InvalidRegex> {
        let Some(c) = cursor.rest().chars().nth(1) else {
            return Err(error("trailing backslash at end of expression"));
        };
        match c {
            'A' | 'b' | 'B' | 'z' => {
                cursor.skip(2);
                self.push(format!(r"\{c}"));
            }
            'Q' => {
                let (quoted, _) = cursor.rest()[2..].split_once(r"\E").unwrap_or((&cursor.rest()[2..], ""));
                cursor.skip(2 + quoted.len());
                for c in quoted.chars() {
                    self.push_folded(regex_class::character(u32::from(c)));
                }
                if cursor.rest().starts_with(r"\E") {
                    cursor.skip(2);
                }
            }
            _ => {
                let text = match regex_class::class_escape(cursor)? {
                    Some(class) => format!("[{class}]"),
                    None => regex_class::character(regex_class::escape(cursor)?),
                };
                self.push_folded(text);
            }
        }
        Ok(())
    }
}

pub(super) fn error(description: &str) -> InvalidRegex {
    InvalidRegex(description.to_owned())
}

/// `{n}`, `{n,}` or `{n,m}`, taken; `None`, and nothing taken, if the brace starts nothing such.
fn counts(cursor: &mut Cursor<'_>) -> Result<Option<(u32, Option<u32>)>, InvalidRegex> {
    let rest = cursor.rest();
    let Some(inner) = rest.strip_prefix('{').and_then(|r| r.split_once('}')).map(|(inner, _)| inner) else {
        return Ok(None);
    };
    let (low, high) = inner.split_once(',').unwrap_or((inner, inner));
    let is_number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits && (text.len() == 1 || !text.starts_with('0'))
    };
    if !is_number(low) || !(high.is_empty() || is_number(high)) {
        return Ok(None);
    }
    cursor.skip(inner.len() + 2);
    let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
    let (min, max) = (number(low), (!high.is_empty()).then(|| number(high)));
    if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || min > max) {
        return Err(error("invalid repeat count"));
    }
    Ok(Some((min, max)))
}
