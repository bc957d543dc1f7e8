//! Reads what `#[derive(Debug)]` writes, so that the fields of any message can be held against JSON.

use std::collections::BTreeMap;

/// A value as its `Debug` shows it. Newtypes and `Some` are seen through.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum DebugValue {
    Null,
    /// A number, a boolean or a uuid, as written.
    Word(String),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<DebugValue>),
    /// Fields by name.
    Struct(BTreeMap<String, DebugValue>),
}

pub(crate) fn parse(text: &str) -> DebugValue {
    let mut parser = Parser { left: text };
    let value = parser.value();
    assert_eq!(parser.left, "", "left over");
    value
}

struct Parser<'a> {
    left: &'a str,
}

impl Parser<'_> {
    fn value(&mut self) -> DebugValue {
        if self.eat("\"") {
            return DebugValue::Text(String::from_utf8(self.quoted()).unwrap());
        }
        if self.eat("b\"") {
            return DebugValue::Bytes(self.quoted());
        }
        if self.eat("[") {
            return DebugValue::List(self.list());
        }
        if self.eat("{") {
            return DebugValue::Struct(self.map());
        }
        let word = self.word();
        if self.eat("(") {
            let inner = self.value();
            self.expect(")");
            inner
        } else if self.eat(" {") {
            DebugValue::Struct(self.fields())
        } else if word == "None" {
            DebugValue::Null
        } else {
            DebugValue::Word(word)
        }
    }

    fn word(&mut self) -> String {
        let end = self.left.find([',', ' ', ')', ']', '}', '(', ':']).unwrap_or(self.left.len());
        self.take(end).to_owned()
    }

    fn list(&mut self) -> Vec<DebugValue> {
        let mut items = Vec::new();
        while !self.eat("]") {
            items.push(self.value());
            self.eat(", ");
        }
        items
    }

    /// A `BTreeMap`, after its opening brace.
    fn map(&mut self) -> BTreeMap<String, DebugValue> {
        let mut entries = BTreeMap::new();
        while !self.eat("}") {
            let name = self.word();
            self.expect(": ");
            entries.insert(name, self.value());
            self.eat(", ");
        }
        entries
    }

    /// A struct's fields, after its opening brace.
    fn fields(&mut self) -> BTreeMap<String, DebugValue> {
        let mut fields = BTreeMap::new();
        while !self.eat(" }") {
            self.eat(",");
            self.expect(" ");
            let name = self.word();
            self.expect(": ");
            fields.insert(name, self.value());
        }
        fields
    }

    /// A string or bytes, after the opening quote.
    fn quoted(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while !self.eat("\"") {
            let first = self.left.chars().next().unwrap();
            let text = self.take(first.len_utf8());
            if first == '\\' { out.extend(self.escape()) } else { out.extend(text.as_bytes()) }
        }
        out
    }

    fn escape(&mut self) -> Vec<u8> {
        match self.take(1) {
            "x" => vec![u8::from_str_radix(self.take(2), 16).unwrap()],
            "n" => vec![b'\n'],
            "r" => vec![b'\r'],
            "t" => vec![b'\t'],
            "0" => vec![0],
            other => other.as_bytes().to_vec(),
        }
    }

    fn take(&mut self, len: usize) -> &str {
        let (head, left) = self.left.split_at(len);
        self.left = left;
        head
    }

    fn eat(&mut self, prefix: &str) -> bool {
        let left = self.left.strip_prefix(prefix);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    fn expect(&mut self, prefix: &str) {
        assert!(
            self.eat(prefix),
            "{prefix:?} wanted before {:?}",
            self.left.chars().take(60).collect::<String>()
        );
    }
}

#[test]
fn reads_what_derive_writes() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only its Debug is looked at")]
    struct Inner(i32);
    #[derive(Debug)]
    #[expect(dead_code, reason = "only its Debug is looked at")]
    struct Outer {
        id: Inner,
        name: Option<String>,
        none: Option<i8>,
        tags: BTreeMap<i32, i32>,
        list: Vec<bool>,
        raw: bytes::Bytes,
    }
    let outer = Outer {
        id: Inner(-3),
        name: Some("a \"b\", \\ ä}".to_owned()),
        none: None,
        tags: BTreeMap::from([(1, 2)]),
        list: vec![true, false],
        raw: bytes::Bytes::from_static(b"\0\"\xff}"),
    };
    let word = |word: &str| DebugValue::Word(word.to_owned());
    let fields = [
        ("id", word("-3")),
        ("name", DebugValue::Text("a \"b\", \\ ä}".to_owned())),
        ("none", DebugValue::Null),
        ("tags", DebugValue::Struct(BTreeMap::from([("1".to_owned(), word("2"))]))),
        ("list", DebugValue::List(vec![word("true"), word("false")])),
        ("raw", DebugValue::Bytes(b"\0\"\xff}".to_vec())),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(parse(&format!("{outer:?}")), DebugValue::Struct(BTreeMap::from(fields)));
}
