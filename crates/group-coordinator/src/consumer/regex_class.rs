//! Characters, escapes and classes of RE2/J, written out for the `regex` crate.

use super::regex::InvalidRegex;
use super::regex_syntax::error;

/// Where the parser stands.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    pub(super) const fn rest(&self) -> &'a str {
        self.rest
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    pub(super) fn pop(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.skip(c.len_utf8());
        Some(c)
    }

    /// Skips so many bytes.
    pub(super) fn skip(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or("");
    }
}

/// One character, whatever it means elsewhere; a surrogate, which no name has, matches nothing.
pub(super) fn character(code: u32) -> String {
    match char::from_u32(code) {
        Some(c) if c.is_ascii_alphanumeric() => c.to_string(),
        Some(_) => format!(r"\x{{{code:x}}}"),
        None => r"[^\x{0}-\x{10ffff}]".to_owned(),
    }
}

/// `[...]`.
pub(super) fn class(cursor: &mut Cursor<'_>) -> Result<String, InvalidRegex> {
    cursor.skip(1);
    let negated = cursor.peek() == Some('^');
    if negated {
        cursor.skip(1);
    }
    let mut items = String::new();
    let mut first = true;
    while first || cursor.peek() != Some(']') {
        first = false;
        items.push_str(&class_item(cursor)?);
    }
    cursor.skip(1);
    if items.is_empty() {
        // Nothing but surrogates: nothing, or else everything.
        return Ok(if negated { "(?s:.)".to_owned() } else { character(0xd800) });
    }
    Ok(if negated { format!("[^{items}]") } else { format!("[{items}]") })
}

fn class_item(cursor: &mut Cursor<'_>) -> Result<String, InvalidRegex> {
    if let Some(named) = named_class(cursor)? {
        return Ok(named);
    }
    if let Some(class) = class_escape(cursor)? {
        return Ok(class);
    }
    let low = class_character(cursor)?;
    let mut high = low;
    if cursor.rest().starts_with('-') && !cursor.rest().starts_with("-]") {
        cursor.skip(1);
        high = class_character(cursor)?;
        if high < low {
            return Err(error("invalid character class range"));
        }
    }
    Ok(range(low, high))
}

fn class_character(cursor: &mut Cursor<'_>) -> Result<u32, InvalidRegex> {
    match cursor.peek() {
        None => Err(error("missing closing ]")),
        Some('\\') => escape(cursor),
        Some(_) => Ok(cursor.pop().map_or(0, u32::from)),
    }
}

/// Without surrogates, which are no characters.
fn range(low: u32, high: u32) -> String {
    let low = if (0xd800..0xe000).contains(&low) { 0xe000 } else { low };
    let high = if (0xd800..0xe000).contains(&high) { 0xd7ff } else { high };
    if low > high { String::new() } else { format!(r"\x{{{low:x}}}-\x{{{high:x}}}") }
}

/// `[:alpha:]` and `[:^alpha:]`; `None` if it is not one, for `[:` alone is two characters.
fn named_class(cursor: &mut Cursor<'_>) -> Result<Option<String>, InvalidRegex> {
    const NAMES: [&str; 14] = [
        "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
        "upper", "word", "xdigit",
    ];
    let Some((inner, _)) = cursor.rest().strip_prefix("[:").and_then(|rest| rest.split_once(":]")) else {
        return Ok(None);
    };
    cursor.skip(inner.len() + 4);
    let name = inner.strip_prefix('^').unwrap_or(inner);
    if NAMES.contains(&name) {
        Ok(Some(format!("[:{inner}:]")))
    } else {
        Err(error("invalid character class range"))
    }
}

/// `\d`, `\pL`, `\P{Han}` and their like, as an item of a class; `None`, and nothing taken, for any other escape.
pub(super) fn class_escape(cursor: &mut Cursor<'_>) -> Result<Option<String>, InvalidRegex> {
    let Some(kind) = cursor.rest().strip_prefix('\\').and_then(|rest| rest.chars().next()) else {
        return Ok(None);
    };
    let class = match kind {
        'd' => "0-9",
        'D' => "[^0-9]",
        's' => r"\t\n\f\r\x{20}",
        'S' => r"[^\t\n\f\r\x{20}]",
        'w' => "0-9A-Za-z_",
        'W' => "[^0-9A-Za-z_]",
        'p' | 'P' => return unicode_class(cursor, kind == 'P').map(Some),
        _ => return Ok(None),
    };
    cursor.skip(2);
    Ok(Some(class.to_owned()))
}

fn unicode_class(cursor: &mut Cursor<'_>, negated: bool) -> Result<String, InvalidRegex> {
    let invalid = || error("invalid character class range");
    cursor.skip(2);
    let name = match cursor.rest().strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or_else(invalid)?.0,
        None => {
            let first = cursor.peek().ok_or_else(invalid)?;
            &cursor.rest()[..first.len_utf8()]
        }
    };
    cursor.skip(if cursor.rest().starts_with('{') { name.len() + 2 } else { name.len() });
    let (name, negated) = name.strip_prefix('^').map_or((name, negated), |name| (name, !negated));
    if !is_unicode_table(name) {
        return Err(invalid());
    }
    // The crate knows no surrogates.
    let name = if name == "Cs" { "Co" } else { name };
    Ok(format!(r"\{}{{{name}}}", if negated { 'P' } else { 'p' }))
}

/// The names that RE2/J has: `Any`, general categories by their short names, scripts by their long ones, in this
/// spelling only.
fn is_unicode_table(name: &str) -> bool {
    const CATEGORIES: [&str; 36] = [
        "C", "Cc", "Cf", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd",
        "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl",
        "Zp", "Zs",
    ];
    let is_word = |word: &str| {
        let mut letters = word.chars();
        letters.next().is_some_and(|c| c.is_ascii_uppercase()) && letters.all(|c| c.is_ascii_lowercase())
    };
    let is_script = || {
        let spelled = name.len() > 2 && name.split('_').all(is_word);
        spelled && regex::Regex::new(&format!(r"\p{{Script={name}}}")).is_ok()
    };
    name == "Any" || CATEGORIES.contains(&name) || is_script()
}

/// An escaped character.
pub(super) fn escape(cursor: &mut Cursor<'_>) -> Result<u32, InvalidRegex> {
    cursor.skip(1);
    let invalid = || error("invalid escape sequence");
    let c = cursor.pop().ok_or_else(|| error("trailing backslash at end of expression"))?;
    match c {
        // A digit alone is a reference, which RE2 has not.
        '1'..='7' if !cursor.peek().is_some_and(|next| next.is_digit(8)) => Err(invalid()),
        '0'..='7' => Ok(octal(c, cursor)),
        'x' => hexadecimal(cursor).ok_or_else(invalid),
        'a' => Ok(7),
        'f' => Ok(12),
        'n' => Ok(10),
        'r' => Ok(13),
        't' => Ok(9),
        'v' => Ok(11),
        c if c.is_ascii_alphanumeric() => Err(invalid()),
        c => Ok(u32::from(c)),
    }
}

/// Up to three digits.
fn octal(first: char, cursor: &mut Cursor<'_>) -> u32 {
    let mut value = first.to_digit(8).unwrap_or(0);
    for _ in 0..2 {
        let Some(digit) = cursor.peek().and_then(|c| c.to_digit(8)) else { break };
        value = value * 8 + digit;
        cursor.skip(1);
    }
    value
}

/// Two digits, or any number of them in braces.
fn hexadecimal(cursor: &mut Cursor<'_>) -> Option<u32> {
    let digits = match cursor.rest().strip_prefix('{') {
        Some(braced) => braced.split_once('}')?.0,
        None => cursor.rest().get(..2)?,
    };
    cursor.skip(if cursor.rest().starts_with('{') { digits.len() + 2 } else { 2 });
    let significant = digits.trim_start_matches('0');
    let valid = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()) && significant.len() <= 6;
    let value = u32::from_str_radix(digits, 16).ok().or_else(|| u32::from_str_radix(significant, 16).ok());
    value.filter(|value| valid && *value <= 0x10_ffff)
}
