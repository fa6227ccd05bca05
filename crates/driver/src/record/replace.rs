//! Writes a whole file so that it appears complete or not at all, also across a loss of power.
//!
//! Temporary file in the same folder, fsync, rename, fsync of the folder.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::path::Path;

use super::error::RecordError;
use crate::bounded;

/// Replaces or creates `path` with `bytes`. A reader sees the old content or the new, nothing between.
///
/// # Errors
/// [`RecordError::Io`]; the old content is then still in place, a `.tmp` file may remain.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    replace_with(path, |file| file.write_all(bytes)).map(|_| ())
}

/// As [`replace`], with what `write` writes; its bytes.
///
/// # Errors
/// As [`replace`].
pub fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<u64, RecordError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let file = File::create(&temporary).map_err(RecordError::io(&temporary, "create"))?;
    let mut file = BufWriter::new(file);
    let written = write(&mut file).and_then(|()| file.into_inner().map_err(|e| e.into_error()));
    let file = written.map_err(RecordError::io(&temporary, "write"))?;
    let bytes = file
        .metadata()
        .map_err(RecordError::io(&temporary, "look at"))?
        .len();
    file.sync_all()
        .map_err(RecordError::io(&temporary, "sync"))?;
    drop(file);
    fs::rename(&temporary, path).map_err(RecordError::io(path, "rename into place"))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))?;
    Ok(bytes)
}

/// Makes names that were created, renamed or removed in a folder durable.
///
/// # Errors
/// [`RecordError::Io`].
pub fn sync_folder(folder: &Path) -> Result<(), RecordError> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let handle = File::open(folder).map_err(RecordError::io(folder, "open"))?;
    handle.sync_all().map_err(RecordError::io(folder, "sync"))
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// [`RecordError::Io`]; [`RecordError::Damaged`] when it is larger.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>, RecordError> {
    bounded::read(path, limit).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => RecordError::damaged(path, error.to_string()),
        _ => RecordError::io(path, "read")(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(read_limited(&path, 2).is_err());
        assert!(replace(&folder.path().join("missing/run.json"), b"x").is_err());
    }
}
