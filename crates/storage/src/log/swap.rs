//! What a crash left of the replacement of segments by a compacted one. Source: Kafka's `LogLoader`.
//!
//! ```text
//!   files seen                                   then
//!   .cleaned (and .swap from the same offset on) the replacement was not complete      it goes
//!   .log.swap                                    complete: what it replaces may be there, renamed, or partly so
//!                                                                                      that goes, this comes
//!   .txnindex.swap, no .log.swap, no .cleaned    only this name was missing            it comes
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ottla_model::Offset;

use crate::disk::{Disk, OpenMode};
use crate::error::{At, StorageError};
use crate::segment::{BatchRead, Chunks, SUFFIXES};

use super::open::{offset_of, remove_if_exists};

const SWAP: &str = ".swap";
const CLEANED: &str = ".cleaned";
/// Only headers are looked at.
const CHUNK_BYTES: usize = 64 << 10;

/// Finishes the replacements that were complete and removes those that were not. It may be interrupted and begun anew.
/// `names` are those in `dir`; answers whether they have changed.
pub(super) fn finish_interrupted(
    disk: &dyn Disk,
    dir: &Path,
    names: &[String],
) -> Result<bool, StorageError> {
    let swaps = bases_with(names, SWAP);
    if swaps.is_empty() {
        return Ok(false);
    }
    let first_cleaned = bases_with(names, CLEANED).into_keys().next();
    for (base_offset, suffixes) in &swaps {
        if first_cleaned.is_some_and(|cleaned| cleaned <= *base_offset) {
            remove(disk, dir, *base_offset, SWAP)?;
            continue;
        }
        if suffixes.contains(&".log") {
            let end = end_offset(disk, dir, *base_offset)?;
            tracing::warn!(dir = %dir.display(), %base_offset, %end, "an interrupted compaction is completed");
            for replaced in
                live_bases(names).filter(|at| at == base_offset || (base_offset < at && *at < end))
            {
                remove(disk, dir, replaced, "")?;
            }
        }
        come(disk, dir, *base_offset, suffixes.contains(&".log"))?;
    }
    disk.sync_dir(dir).synced(dir)?;
    Ok(true)
}

/// Base offsets of files with `extra` at their end, each with the suffixes that are there.
fn bases_with(names: &[String], extra: &str) -> BTreeMap<Offset, Vec<&'static str>> {
    let mut bases: BTreeMap<Offset, Vec<&'static str>> = BTreeMap::new();
    for name in names.iter().filter_map(|name| name.strip_suffix(extra)) {
        for suffix in SUFFIXES {
            if let Some(base_offset) = offset_of(name, suffix) {
                bases.entry(base_offset).or_default().push(suffix);
            }
        }
    }
    bases
}

fn live_bases(names: &[String]) -> impl Iterator<Item = Offset> {
    bases_with(names, "").into_keys()
}

fn remove(disk: &dyn Disk, dir: &Path, base_offset: Offset, extra: &str) -> Result<(), StorageError> {
    for suffix in SUFFIXES {
        remove_if_exists(disk, &dir.join(format!("{:020}{suffix}{extra}", base_offset.get())))?;
    }
    Ok(())
}

/// Gives the files their names; the `.log` after the indexes that belong to it, and before the one that need not exist.
/// Without the `.log` the indexes are what an end of a cleaning was about to remove.
fn come(disk: &dyn Disk, dir: &Path, base_offset: Offset, has_log: bool) -> Result<(), StorageError> {
    for suffix in [".index", ".timeindex", ".log", ".txnindex"] {
        if !has_log && suffix != ".txnindex" {
            remove_if_exists(disk, &dir.join(format!("{:020}{suffix}{SWAP}", base_offset.get())))?;
            continue;
        }
        let to = dir.join(format!("{:020}{suffix}", base_offset.get()));
        let from = dir.join(format!("{:020}{suffix}{SWAP}", base_offset.get()));
        match disk.rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StorageError::io("rename", &from, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The offset after the last batch of a `.log.swap`.
fn end_offset(disk: &dyn Disk, dir: &Path, base_offset: Offset) -> Result<Offset, StorageError> {
    let path = dir.join(format!("{:020}.log{SWAP}", base_offset.get()));
    let file = disk.open(&path, OpenMode::Read).at("open", &path)?;
    let size = u32::try_from(file.len().at("stat", &path)?)
        .map_err(|_| StorageError::corrupt(&path, "longer than a segment can be"))?;
    let mut reader = Chunks::new(Arc::clone(&file), size, CHUNK_BYTES);
    let (mut position, mut end) = (0, base_offset);
    loop {
        match reader.batch(position).at("read", &path)? {
            BatchRead::End => return Ok(end),
            BatchRead::Whole(header, bytes) => {
                end = header.next_offset();
                position = position.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            }
            BatchRead::Broken(error) => {
                return Err(StorageError::corrupt(
                    &path,
                    format!("no batch at position {position}: {error}"),
                ));
            }
        }
    }
}
