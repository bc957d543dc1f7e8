//! Kafka's checkpoint files: a version, a count, one line an entry. Layout: `docs/formats/checkpoints.md`.

use std::path::Path;

use crate::error::StorageError;

const VERSION: &str = "0";

/// The text of a checkpoint file with these lines.
pub(crate) fn encode(lines: impl ExactSizeIterator<Item = String>) -> Vec<u8> {
    let mut text = format!("{VERSION}\n{}\n", lines.len());
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    text.into_bytes()
}

/// The entries of a checkpoint file, each read by `entry`; the count must agree.
pub(crate) fn decode<T>(
    path: &Path,
    bytes: &[u8],
    entry: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, StorageError> {
    let text = std::str::from_utf8(bytes).map_err(|_| StorageError::corrupt(path, "not UTF-8"))?;
    let mut lines = text.lines();
    if lines.next() != Some(VERSION) {
        return Err(StorageError::corrupt(path, "the first line is not version 0"));
    }
    let count: Option<usize> = lines.next().and_then(|line| line.trim().parse().ok());
    let entries: Option<Vec<T>> = lines.filter(|line| !line.trim().is_empty()).map(entry).collect();
    match (count, entries) {
        (Some(count), Some(entries)) if entries.len() == count => Ok(entries),
        (Some(_), Some(entries)) => {
            Err(StorageError::corrupt(path, format!("holds {} entries, not its count", entries.len())))
        }
        _ => Err(StorageError::corrupt(path, "a line cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_and_damage_is_refused() {
        let path = Path::new("/c");
        let bytes = encode(["1 2".to_owned(), "3 4".to_owned()].into_iter());
        assert_eq!(bytes, b"0\n2\n1 2\n3 4\n");
        let read = |bytes: &[u8]| decode(path, bytes, |line| Some(line.to_owned()));
        assert_eq!(read(&bytes).unwrap(), ["1 2", "3 4"]);
        assert_eq!(read(b"0\n0\n").unwrap(), Vec::<String>::new());
        for damaged in [&b""[..], b"1\n0\n", b"0\n", b"0\nx\n", b"0\n3\n1 2\n", b"0\n1\n\xff\n"] {
            assert!(read(damaged).is_err(), "{damaged:?}");
        }
    }
}
