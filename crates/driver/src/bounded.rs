//! Files that others wrote, read up to a bound: a slip of the finger (`--config film.mp4`, `/dev/zero`) is told of before it
//! fills the memory.

use std::fs::File;
use std::io::{Error, ErrorKind, Read as _};
use std::path::Path;

use crate::quantity::bytes;

/// What people write by hand: settings.
pub const SETTINGS: u64 = 1 << 20;
/// What programs write for people: a space file, its table, regions.
pub const TABLE: u64 = 64 << 20;
/// A line for each step of a training: ten million.
pub const LEDGER: u64 = 1 << 30;

/// The bytes of a file that holds no more than `most`.
///
/// # Errors
/// What the system says; [`ErrorKind::FileTooLarge`] for a file that holds more.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>, Error> {
    let mut held = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut held)?;
    if held.len() as u64 > most {
        let reason = format!("larger than the {} that are read of it", bytes(most));
        return Err(Error::new(ErrorKind::FileTooLarge, reason));
    }
    Ok(held)
}

/// The text of a file that holds no more than `most` bytes.
///
/// # Errors
/// As [`read`]; [`ErrorKind::InvalidData`] where it is no text in UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String, Error> {
    let held = read(path, most)?;
    String::from_utf8(held).map_err(|_| Error::new(ErrorKind::InvalidData, "no text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_bound_and_refused_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let error = read_text(&path, 4).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert!(read(Path::new("/dev/zero"), 1000).is_err());
        std::fs::write(&path, [0xFF]).unwrap();
        assert_eq!(
            read_text(&path, 5).unwrap_err().kind(),
            ErrorKind::InvalidData
        );
        assert_eq!(
            read(&folder.path().join("b"), 5).unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
}
