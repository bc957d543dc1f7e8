//! Small files that are replaced as a whole: temporary file, fsync, rename, fsync of the directory.

use std::path::Path;

use crate::disk::{Disk, OpenMode};
use crate::error::{At, StorageError};

/// Replaces `<dir>/<name>` durably; after a crash it is the old or the new one.
pub(crate) fn replace(disk: &dyn Disk, dir: &Path, name: &str, contents: &[u8]) -> Result<(), StorageError> {
    write_and_rename(disk, dir, name, contents, true)?;
    disk.sync_dir(dir).synced(dir)
}

/// Replaces `<dir>/<name>`; its contents are durable if `sync`, its name once the directory is synced.
pub(crate) fn write_and_rename(
    disk: &dyn Disk,
    dir: &Path,
    name: &str,
    contents: &[u8],
    sync: bool,
) -> Result<(), StorageError> {
    let path = dir.join(name);
    let temporary = dir.join(format!("{name}.tmp"));
    let replaced = write(disk, &temporary, contents, sync)
        .and_then(|()| disk.rename(&temporary, &path).at("rename", &path));
    replaced.inspect_err(|error| {
        if error.is_for_lack_of_room() {
            // It would only take more of the room.
            let _ = disk.remove_file(&temporary);
        }
    })
}

fn write(disk: &dyn Disk, path: &Path, contents: &[u8], sync: bool) -> Result<(), StorageError> {
    let file = disk.open(path, OpenMode::Truncate).at("create", path)?;
    file.write_all_at(contents, 0).at("write", path)?;
    if sync { file.sync_all().synced(path) } else { Ok(()) }
}

/// The file's contents; `None` if it does not exist.
pub(crate) fn read_if_exists(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    match disk.read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StorageError::io("read", path, error)),
    }
}
