//! A second copy of the votes and pointers, in one small file with a checksum: what is damaged of one copy is mended from
//! the other. It alone has the committed pointer, which is written with each entry and synced with whatever else is.
//!
//! | type | field |
//! |--|--|
//! | int8 | version, 0 |
//! | int32 | CRC32C of what follows the length |
//! | int32 | length of what follows |
//! | per value: int8, bytes | its number ([`MetaKey::ALL`]), and the value |

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use ottla_model::batch::crc32c;
use ottla_model::wire::{Reader, WireError, Writer};
use ottla_storage::{Disk, DiskFile, OpenMode, is_for_lack_of_room};
use parking_lot::Mutex;

use super::meta_store::MetaKey;

pub(super) const FILE_NAME: &str = "quorum-state.copy";
const VERSION: i8 = 0;
const HEADER_LEN: usize = 9;

pub(super) type Values = BTreeMap<MetaKey, Vec<u8>>;

/// What stands in the file.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    Damaged,
    Sound(Values),
}

impl Found {
    pub(super) fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Self> {
        match disk.read(&dir.join(FILE_NAME)) {
            // For want of room it may have become empty.
            Ok(bytes) if bytes.is_empty() => Ok(Self::Nothing),
            Ok(bytes) => Ok(decode(&bytes).map_or(Self::Damaged, Self::Sound)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Nothing),
            Err(error) => Err(error),
        }
    }
}

/// The file, which is written in place.
#[derive(Debug)]
pub(super) struct MetaCopy {
    /// `None`: there was no room for it.
    file: Option<Arc<dyn DiskFile>>,
    values: Mutex<Values>,
}

impl MetaCopy {
    /// Writes the file anew, durably if there is room.
    pub(super) fn create(disk: &dyn Disk, dir: &Path, values: Values) -> io::Result<Self> {
        let file = match disk.open(&dir.join(FILE_NAME), OpenMode::Create) {
            Err(error) if is_for_lack_of_room(&error) => None,
            file => Some(file?),
        };
        let copy = Self { file, values: Mutex::new(values) };
        copy.write(&copy.values.lock())?;
        copy.sync()?;
        disk.sync_dir(dir)?;
        Ok(copy)
    }

    pub(super) fn get(&self, key: MetaKey) -> Option<Vec<u8>> {
        self.values.lock().get(&key).cloned()
    }

    /// A killed process leaves what was put; only a power cut may take what was not synced.
    pub(super) fn put(&self, key: MetaKey, value: &[u8]) -> io::Result<()> {
        let mut values = self.values.lock();
        values.insert(key, value.to_vec());
        self.write(&values)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.sync_data())
    }

    fn write(&self, values: &Values) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        match file.write_all_at(&encode(values), 0) {
            // Better no copy than an old one.
            Err(error) if is_for_lack_of_room(&error) => file.set_len(0),
            written => written,
        }
    }
}

fn encode(values: &Values) -> Vec<u8> {
    let mut body = Writer::new();
    for (number, key) in (0_i8..).zip(MetaKey::ALL) {
        if let Some(value) = values.get(&key) {
            body.i8(number);
            body.bytes(value);
        }
    }
    let body = body.into_vec();
    let mut out = Writer::new();
    out.i8(VERSION);
    out.i32(crc32c(&body).cast_signed());
    out.i32(i32::try_from(body.len()).unwrap_or(i32::MAX));
    [out.into_vec(), body].concat()
}

fn decode(bytes: &[u8]) -> Option<Values> {
    let (header, rest) = bytes.split_at_checked(HEADER_LEN)?;
    let mut from = Reader::new(header);
    let (version, crc, len) = (from.i8().ok()?, from.i32().ok()?, from.i32().ok()?);
    let body = rest.get(..usize::try_from(len).ok()?)?;
    if version != VERSION || crc32c(body).cast_signed() != crc {
        return None;
    }
    values(body).ok().flatten()
}

fn values(body: &[u8]) -> Result<Option<Values>, WireError> {
    let (mut from, mut values) = (Reader::new(body), Values::new());
    while !from.is_empty() {
        let Some(key) = usize::try_from(from.i8()?).ok().and_then(|number| MetaKey::ALL.get(number)) else {
            return Ok(None);
        };
        values.insert(*key, from.bytes()?.to_vec());
    }
    Ok(Some(values))
}

#[cfg(test)]
mod tests {
    use ottla_storage::{FaultyDisk, SimDisk};

    use super::*;

    const DIR: &str = "/log";

    fn disk() -> Arc<dyn Disk> {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        disk.create_dir(Path::new(DIR)).unwrap();
        disk
    }

    fn read(disk: &dyn Disk) -> Found {
        Found::read(disk, Path::new(DIR)).unwrap()
    }

    #[test]
    fn what_is_put_is_read_and_no_flipped_bit_is_believed() {
        let disk = disk();
        assert!(matches!(read(&*disk), Found::Nothing));
        let copy = MetaCopy::create(&*disk, Path::new(DIR), Values::new()).unwrap();
        for (key, value) in [(MetaKey::Vote, "a long vote"), (MetaKey::Committed, "7"), (MetaKey::Vote, "b")]
        {
            copy.put(key, value.as_bytes()).unwrap();
        }
        let Found::Sound(values) = read(&*disk) else { panic!("not sound") };
        let expected = [(MetaKey::Vote, b"b".to_vec()), (MetaKey::Committed, b"7".to_vec())];
        assert_eq!(values, expected.into());
        let bytes = disk.read(&Path::new(DIR).join(FILE_NAME)).unwrap();
        let used = encode(&values).len();
        for at in 0..used * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(decode(&flipped), None, "bit {at}");
        }
        for len in 1..used {
            assert_eq!(decode(&bytes[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn for_want_of_room_there_is_none_rather_than_an_old_one() {
        let faulty = FaultyDisk::new(disk());
        let copy = MetaCopy::create(&faulty, Path::new(DIR), Values::new()).unwrap();
        faulty.fill();
        copy.put(MetaKey::Vote, &[1; 100]).unwrap();
        assert!(matches!(read(&faulty), Found::Nothing));
        faulty.heal();
        copy.put(MetaKey::Committed, b"7").unwrap();
        let Found::Sound(values) = read(&faulty) else { panic!("not sound") };
        assert_eq!(values.len(), 2);
    }
}
