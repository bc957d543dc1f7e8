//! Inputs that were worth keeping: `corpus/<target>.txt`, one in hexadecimal a line.

use std::path::{Path, PathBuf};
use std::{fs, io};

fn path(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{target}.txt"))
}

/// The committed inputs of a target; none if it has no file.
///
/// # Errors
/// A file that cannot be read, or a line that is not hexadecimal.
pub fn saved(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let text = match fs::read_to_string(path(target)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    text.lines()
        .map(|line| from_hex(line).ok_or_else(|| io::Error::other(format!("{target}: {line:?}"))))
        .collect()
}

/// Bytes of pairs of hexadecimal digits; `None` for anything else.
#[must_use]
pub fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    hex.as_bytes().chunks(2).map(|digits| if digits.len() == 2 { pair(digits) } else { None }).collect()
}

/// Bytes of one target's file.
const KEPT_BYTES: usize = 150_000;

/// Makes `inputs` the saved inputs of a target: sorted, the short ones first, as many as the file may hold.
///
/// # Errors
/// A file that cannot be written.
pub fn keep(target: &str, mut inputs: Vec<Vec<u8>>) -> io::Result<()> {
    inputs.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    inputs.dedup();
    let mut text = String::new();
    for input in inputs.iter().filter(|input| !input.is_empty()) {
        let line: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
        if text.len() + line.len() >= KEPT_BYTES {
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    let path = path(target);
    fs::create_dir_all(path.parent().unwrap_or(&path))?;
    fs::write(path, text)
}
