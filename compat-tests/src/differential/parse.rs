//! Expressions of scripts and recordings: values as [`Value`] prints them, `$variables` with paths, and calls.

use super::Value;

/// What a script writes where a value is wanted.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Literal(Value),
    /// Text with `${name}` in it: the pieces, each text or an expression.
    Joined(Vec<Expr>),
    /// `$name.Field[0]`.
    Variable(String, Vec<Step>),
    List(Vec<Expr>),
    Struct(Vec<(String, Expr)>),
    Call(String, Vec<Expr>),
}

/// One step of a path into a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Field(String),
    At(usize),
}

/// A place in a text that is being read.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
}

type Result<T> = std::result::Result<T, String>;

/// One value and nothing after it; variables and calls are errors.
pub fn value(text: &str) -> Result<Value> {
    let mut reader = Reader::new(text);
    let expr = reader.expr()?;
    reader.end()?;
    literal(expr)
}

fn literal(expr: Expr) -> Result<Value> {
    match expr {
        Expr::Literal(value) => Ok(value),
        Expr::List(items) => Ok(Value::List(items.into_iter().map(literal).collect::<Result<_>>()?)),
        Expr::Struct(fields) => {
            let fields = fields.into_iter().map(|(name, expr)| Ok((name, literal(expr)?)));
            Ok(Value::Struct(fields.collect::<Result<_>>()?))
        }
        other => Err(format!("not a plain value: {other:?}")),
    }
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text }
    }

    fn skip_blanks(&mut self) {
        self.text = self.text.trim_start();
    }

    /// True, and past it, when the text goes on with `token`.
    pub fn take(&mut self, token: &str) -> bool {
        self.skip_blanks();
        match self.text.strip_prefix(token) {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => false,
        }
    }

    fn want(&mut self, token: &str) -> Result<()> {
        if self.take(token) { Ok(()) } else { Err(format!("wanted {token} at: {}", self.near())) }
    }

    fn near(&self) -> String {
        self.text.chars().take(60).collect()
    }

    pub fn at_end(&mut self) -> bool {
        self.skip_blanks();
        self.text.is_empty()
    }

    pub fn end(&mut self) -> Result<()> {
        if self.at_end() { Ok(()) } else { Err(format!("unexpected: {}", self.near())) }
    }

    /// A name: letters, digits, underscores, and dashes within.
    pub fn word(&mut self) -> Result<String> {
        self.skip_blanks();
        let len = self.text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.text.len());
        if len == 0 {
            return Err(format!("wanted a name at: {}", self.near()));
        }
        let (word, rest) = self.text.split_at(len);
        self.text = rest;
        Ok(word.to_owned())
    }

    pub fn at_digit(&self) -> bool {
        self.text.starts_with(|c: char| c.is_ascii_digit())
    }

    /// What stands before the next blank or closing bracket.
    pub fn until_blank(&mut self) -> String {
        let len = self.text.find([' ', '}', ']']).unwrap_or(self.text.len());
        let (text, rest) = self.text.split_at(len);
        self.text = rest;
        text.to_owned()
    }

    pub fn expr(&mut self) -> Result<Expr> {
        self.skip_blanks();
        let first = self.text.chars().next().ok_or("wanted a value, found the end")?;
        match first {
            '{' => self.fields(),
            '[' => Ok(Expr::List(self.items("[", "]")?)),
            '"' => self.quoted(),
            '$' => self.variable(),
            '-' | '0'..='9' => self.number(),
            _ => self.named(),
        }
    }

    fn fields(&mut self) -> Result<Expr> {
        self.want("{")?;
        let mut fields = Vec::new();
        while !self.take("}") {
            let name = self.word()?;
            self.want(":")?;
            fields.push((name, self.expr()?));
            if !self.take(",") {
                self.want("}")?;
                break;
            }
        }
        Ok(Expr::Struct(fields))
    }

    fn items(&mut self, open: &str, close: &str) -> Result<Vec<Expr>> {
        self.want(open)?;
        let mut items = Vec::new();
        while !self.take(close) {
            items.push(self.expr()?);
            if !self.take(",") {
                self.want(close)?;
                break;
            }
        }
        Ok(items)
    }

    fn variable(&mut self) -> Result<Expr> {
        self.want("$")?;
        let name = self.word()?;
        let mut path = Vec::new();
        loop {
            if self.text.starts_with('.') {
                self.text = &self.text[1..];
                path.push(Step::Field(self.word()?));
            } else if self.text.starts_with('[') {
                self.text = &self.text[1..];
                let at = self.word()?;
                path.push(Step::At(at.parse().map_err(|_| format!("not an index: {at}"))?));
                self.want("]")?;
            } else {
                return Ok(Expr::Variable(name, path));
            }
        }
    }

    fn number(&mut self) -> Result<Expr> {
        let len = self
            .text
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+')))
            .unwrap_or(self.text.len());
        let (text, rest) = self.text.split_at(len);
        self.text = rest;
        let int = text.parse().ok().map(Value::Int);
        let value = int.or_else(|| text.parse().ok().map(Value::Float));
        value.map(Expr::Literal).ok_or_else(|| format!("not a number: {text}"))
    }

    fn named(&mut self) -> Result<Expr> {
        let word = self.word()?;
        match word.as_str() {
            "null" => Ok(Expr::Literal(Value::Null)),
            "true" => Ok(Expr::Literal(Value::Bool(true))),
            "false" => Ok(Expr::Literal(Value::Bool(false))),
            "x" if self.text.starts_with('"') => match self.quoted()? {
                Expr::Literal(Value::Text(hex)) => Ok(Expr::Literal(Value::Bytes(bytes_of_hex(&hex)?))),
                other => Err(format!("not hex: {other:?}")),
            },
            _ if self.text.starts_with('(') => Ok(Expr::Call(word, self.items("(", ")")?)),
            _ => Err(format!("unknown word: {word}")),
        }
    }

    fn quoted(&mut self) -> Result<Expr> {
        self.want("\"")?;
        let (mut pieces, mut text) = (Vec::new(), String::new());
        loop {
            let c = self.next_char()?;
            match c {
                '"' => break,
                '\\' => text.push(self.escaped()?),
                '$' => {
                    self.want("{")?;
                    let name = self.word()?;
                    self.want("}")?;
                    pieces.push(Expr::Literal(Value::Text(std::mem::take(&mut text))));
                    pieces.push(Expr::Variable(name, Vec::new()));
                }
                c => text.push(c),
            }
        }
        let last = Expr::Literal(Value::Text(text));
        if pieces.is_empty() {
            return Ok(last);
        }
        pieces.push(last);
        Ok(Expr::Joined(pieces))
    }

    fn escaped(&mut self) -> Result<char> {
        Ok(match self.next_char()? {
            'n' => '\n',
            'u' => {
                self.want("{")?;
                let hex = self.word()?;
                self.want("}")?;
                u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32).ok_or("not a character")?
            }
            c => c,
        })
    }

    fn next_char(&mut self) -> Result<char> {
        let c = self.text.chars().next().ok_or("the text ends within quotes")?;
        self.text = &self.text[c.len_utf8()..];
        Ok(c)
    }
}

fn bytes_of_hex(hex: &str) -> Result<Vec<u8>> {
    let hex: String = hex.chars().filter(|c| !c.is_whitespace()).collect();
    if !hex.is_ascii() || !hex.len().is_multiple_of(2) {
        return Err(format!("not hex: {hex}"));
    }
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).map_err(|_| format!("not hex: {hex}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let text = r#"{A: null, B: [true, -5, 1.5], C: "a\"\$\\b\n\u{1}é", D: x"00ff", E: {F: []}}"#;
        assert_eq!(value(text).expect("a value").to_string(), text);
    }

    #[test]
    fn variables_have_paths() {
        let expr = Reader::new("$answer.Topics[0].TopicId").expr().expect("an expression");
        let path = vec![Step::Field("Topics".into()), Step::At(0), Step::Field("TopicId".into())];
        assert_eq!(expr, Expr::Variable("answer".into(), path));
    }

    #[test]
    fn unfinished_texts_are_errors() {
        for text in ["{A: 1", "[1, ", "\"abc", "x\"0\"", "{A 1}", "nonsense", "1 2", "$a"] {
            assert!(value(text).is_err(), "{text}");
        }
    }
}
