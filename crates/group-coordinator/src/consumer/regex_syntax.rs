//! From RE2/J's dialect to the `regex` crate's. Where the two read the same text differently, it is rewritten or, if
//! RE2/J refuses it, refused.
//!
//! | text | RE2/J | `regex` crate | here |
//! |--|--|--|--|
//! | `\Q..\E` | quotes | refuses | escaped |
//! | `[[a]`, `[a&&b]`, `[~]` | plain characters in a class | set operations | escaped |
//! | `{` that starts no repetition | a plain character | refuses | escaped |
//! | `a**`, `a{2}{3}` | refuses | repeats twice | refused |
//! | `a{1001}` | refuses | repeats | refused |
//! | `(?x)`, `(?R)` | refuses | flags | refused |

use super::regex::InvalidRegex;

const MAX_REPEAT: u32 = 1000;

/// Rewrites an expression for the `regex` crate.
///
/// # Errors
/// `InvalidRegex` in RE2/J's words, for what only RE2/J refuses.
pub(super) fn translate(expression: &str) -> Result<String, InvalidRegex> {
    let mut translator = Translator { rest: expression, out: String::with_capacity(expression.len() + 8) };
    let mut after_repetition = false;
    while let Some(c) = translator.rest.chars().next() {
        after_repetition = match c {
            '*' | '+' | '?' => translator.repetition(1, after_repetition)?,
            '{' => match repeat_len(translator.rest)? {
                Some(len) => translator.repetition(len, after_repetition)?,
                None => translator.escaped(),
            },
            '\\' => translator.escape(),
            '[' => translator.class(),
            '(' => translator.group()?,
            _ => translator.copy(c.len_utf8()),
        };
    }
    Ok(translator.out)
}

/// The methods take one construct each and say whether it was a repetition.
struct Translator<'a> {
    rest: &'a str,
    out: String,
}

impl Translator<'_> {
    fn copy(&mut self, len: usize) -> bool {
        let (piece, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.out.push_str(piece);
        self.rest = rest;
        false
    }

    fn escaped(&mut self) -> bool {
        self.out.push('\\');
        self.copy(1)
    }

    /// `len` bytes of repetition and a `?` that makes it lazy.
    fn repetition(&mut self, len: usize, after_repetition: bool) -> Result<bool, InvalidRegex> {
        if after_repetition {
            return Err(InvalidRegex("invalid nested repetition operator".to_owned()));
        }
        self.copy(len);
        if self.rest.starts_with('?') {
            self.copy(1);
        }
        Ok(true)
    }

    fn escape(&mut self) -> bool {
        if let Some(quoted) = self.rest.strip_prefix(r"\Q") {
            let (literal, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            self.out.push_str(&regex::escape(literal));
            self.rest = rest;
            return false;
        }
        if self.rest.starts_with(r"\<") || self.rest.starts_with(r"\>") {
            self.rest = &self.rest[1..];
            return self.copy(1);
        }
        self.copy(escape_len(self.rest))
    }

    fn class(&mut self) -> bool {
        self.copy(if self.rest.starts_with("[^") { 2 } else { 1 });
        // A `]` right after the opening is a plain character.
        if self.rest.starts_with(']') {
            self.escaped();
        }
        while let Some(c) = self.rest.chars().next() {
            match c {
                ']' => return self.copy(1),
                '\\' => self.copy(escape_len(self.rest)),
                '[' => match self.rest.find(":]").filter(|_| self.rest.starts_with("[:")) {
                    Some(end) => self.copy(end + 2),
                    None => self.escaped(),
                },
                '&' | '~' => self.escaped(),
                _ => self.copy(c.len_utf8()),
            };
        }
        false
    }

    fn group(&mut self) -> Result<bool, InvalidRegex> {
        let named = self.rest.starts_with("(?P<") || self.rest.starts_with("(?<");
        if let Some(flags) = self.rest.strip_prefix("(?").filter(|_| !named) {
            let end = flags.find(|c| !matches!(c, 'i' | 'm' | 's' | 'U' | '-')).unwrap_or(flags.len());
            if !flags[end..].starts_with([':', ')']) {
                return Err(InvalidRegex("invalid or unsupported Perl syntax".to_owned()));
            }
            return Ok(self.copy(2 + end));
        }
        Ok(self.copy(1))
    }
}

/// Length of a backslash and the character after it, with the braces of `\p{Greek}` and `\x{41}`.
fn escape_len(rest: &str) -> usize {
    if rest.starts_with(r"\p{") || rest.starts_with(r"\P{") || rest.starts_with(r"\x{") {
        return rest.find('}').map_or(rest.len(), |end| end + 1);
    }
    rest.char_indices().nth(2).map_or(rest.len(), |(i, _)| i)
}

/// Length of `{n}`, `{n,}` or `{n,m}`; `None` if the brace starts nothing such.
fn repeat_len(rest: &str) -> Result<Option<usize>, InvalidRegex> {
    let Some(inner) = rest.strip_prefix('{').and_then(|r| r.split_once('}')).map(|(inner, _)| inner) else {
        return Ok(None);
    };
    let (low, high) = inner.split_once(',').unwrap_or((inner, inner));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(low) || !(high.is_empty() || is_number(high)) {
        return Ok(None);
    }
    let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
    let high = if high.is_empty() { number(low) } else { number(high) };
    if high > MAX_REPEAT || number(low) > high {
        return Err(InvalidRegex("invalid repeat count".to_owned()));
    }
    Ok(Some(inner.len() + 2))
}
