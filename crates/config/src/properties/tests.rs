use proptest::prelude::*;

use super::*;

/// Made by `testdata/PropertiesVectors.java`.
const VECTORS: &str = include_str!("../../testdata/properties.tsv");

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        hex.chars().map(|c| u8::try_from(c.to_digit(16).expect("hex")).expect("digit")).collect();
    digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect()
}

fn text(hex: &str) -> String {
    String::from_utf8(bytes(hex)).expect("utf-8")
}

#[test]
fn reads_what_java_reads() {
    assert!(VECTORS.lines().count() > 700);
    for line in VECTORS.lines() {
        let (file, expected) = line.split_once('\t').expect(line);
        let file = bytes(file);
        let shown = String::from_utf8_lossy(&file);
        let read = Properties::parse(&file);
        if expected == "error" {
            assert!(matches!(read, Err(ConfigError::Syntax { .. })), "{shown:?}: {read:?}");
            continue;
        }
        let read = read.unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        let read: Vec<(String, String)> =
            read.iter().map(|(name, property)| (name.to_owned(), property.value.clone())).collect();
        let mut expected: Vec<(String, String)> = expected
            .split(',')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').expect(pair))
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        expected.sort();
        assert_eq!(read, expected, "{shown:?}");
    }
}

#[test]
fn entries_know_their_line() {
    let file = b"# comment\n\na=1\r\nb=2\\\n   3\rc=\\\n4\n";
    let properties = Properties::parse(file).expect("parses");
    let lines: Vec<(&str, usize)> = properties.iter().map(|(name, property)| (name, property.line)).collect();
    assert_eq!(lines, [("a", 3), ("b", 4), ("c", 6)]);
    assert_eq!(properties.get("b").map(|property| property.value.as_str()), Some("23"));
}

#[test]
fn a_bad_escape_names_its_line() {
    let error = Properties::parse(b"a=1\nb=\\u12x4\n").expect_err("malformed");
    assert_eq!(error.to_string(), "line 2: Malformed \\uxxxx encoding.");
}

/// What `Properties.store` writes.
fn escape(text: &str) -> String {
    text.encode_utf16()
        .map(|unit| match char::from_u32(u32::from(unit)) {
            Some(c) if c.is_ascii_alphanumeric() => c.to_string(),
            _ => format!("\\u{unit:04x}"),
        })
        .collect()
}

proptest! {
    #[test]
    fn never_panics(file in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Properties::parse(&file);
    }

    #[test]
    fn what_is_stored_is_read_back(pairs in proptest::collection::btree_map(".{1,8}", ".{0,8}", 0..6)) {
        let file: String =
            pairs.iter().map(|(name, value)| format!("{} = {}\n", escape(name), escape(value))).collect();
        let read = Properties::parse(file.as_bytes()).expect("parses");
        let read: BTreeMap<String, String> =
            read.iter().map(|(name, property)| (name.to_owned(), property.value.clone())).collect();
        prop_assert_eq!(read, pairs);
    }
}
