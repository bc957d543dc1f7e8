//! Records of our own topics: cluster metadata, groups.

use std::fs;
use std::path::Path;

use ottla_group_coordinator::records::GroupRecord;
use ottla_metadata::MetadataRecord;

use super::Target;
use crate::from_hex;

pub(crate) const METADATA: Target = Target {
    name: "metadata-records",
    about: "a record of the metadata log: refused, or written again as it was read",
    run: metadata,
    quick: 200_000,
    seeds: metadata_seeds,
};

pub(crate) const GROUPS: Target = Target {
    name: "group-records",
    about: "the length of a key, then a key and a value of __consumer_offsets: refused, or the same when written and read again",
    run: groups,
    quick: 100_000,
    seeds: group_seeds,
};

fn metadata(bytes: &[u8]) {
    if let Ok(record) = MetadataRecord::decode(bytes) {
        let again = MetadataRecord::decode(&record.encode());
        assert_eq!(again.as_ref(), Ok(&record));
    }
}

fn groups(bytes: &[u8]) {
    let Some((key_len, bytes)) = bytes.split_first() else { return };
    let (key, value) = bytes.split_at(usize::from(*key_len).min(bytes.len()));
    for value in [Some(value), None] {
        if let Ok(record) = GroupRecord::decode(key, value) {
            let written = (record.encode_key(), record.encode_value());
            let again = GroupRecord::decode(&written.0, written.1.as_deref());
            assert_eq!(again.as_ref(), Ok(&record));
        }
    }
}

fn vectors(file: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// NAME HEX
fn metadata_seeds() -> Vec<Vec<u8>> {
    let text = vectors("../metadata/testdata/records.txt");
    text.lines().filter_map(|line| from_hex(line.split(' ').nth(1)?)).collect()
}

/// NAME tab KEY tab VALUE; `-` is none.
fn group_seeds() -> Vec<Vec<u8>> {
    let seed = |line: &str| {
        let mut columns = line.split('\t').skip(1);
        let (key, value) = (from_hex(columns.next()?)?, from_hex(columns.next()?.trim_matches('-'))?);
        Some([&[u8::try_from(key.len()).ok()?], &key[..], &value[..]].concat())
    };
    vectors("../group-coordinator/testdata/records.tsv").lines().filter_map(seed).collect()
}
