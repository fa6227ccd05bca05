//! An append-only file of sealed lines that count once they are synced.
//!
//! [`Journal::open`] reads what is there. A last line that was cut is moved to `NAME.torn` with a notice;
//! a damaged line before the last is reported, never skipped in silence. After a failed append the
//! journal takes no more lines: what reached the disk is found out by reading it again.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::aside::Aside;
use super::error::RecordError;
use super::lease::Fence;
use super::replace::{read_limited, replace, sync_folder};
use super::seal::{SealError, Sealed, open, seal};
use super::writeback;

/// Largest journal read: far beyond any run, small enough not to end one.
const LARGEST: u64 = 4 << 30;

/// An open journal of lines of type `T`.
#[derive(Debug)]
pub struct Journal<T> {
    path: PathBuf,
    file: Arc<File>,
    broken: bool,
    /// Lines were appended since the last sync was begun.
    unsynced: bool,
    aside: Option<Aside>,
    fence: Option<Fence>,
    lines: PhantomData<T>,
}

/// Bytes that a cut append left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where they were moved.
    pub moved_to: PathBuf,
    /// How many.
    pub bytes: usize,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a line was cut while it was written: its {} bytes were moved to {}",
            self.bytes,
            self.moved_to.display()
        )
    }
}

/// What a journal holds.
#[derive(Debug)]
pub struct Contents<T> {
    /// Good lines with their number (from 1).
    pub lines: Vec<(usize, T)>,
    /// Damaged lines before the last, with the reason.
    pub damaged: Vec<(usize, String)>,
    /// Where the torn tail begins, if there is one.
    torn_at: Option<usize>,
    /// The last line is whole but its newline is missing.
    unended: bool,
}

impl<T: Sealed> Contents<T> {
    /// # Errors
    /// The number of a whole line that is of another kind or of a newer program, and what it is: nothing of such a journal
    /// may be cut or mended.
    fn parse(bytes: &[u8]) -> Result<Self, (usize, SealError)> {
        let mut contents = Self {
            lines: Vec::new(),
            damaged: Vec::new(),
            torn_at: None,
            unended: false,
        };
        let mut start = 0;
        for (index, piece) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
            let end = start + piece.len();
            let ended = piece.last() == Some(&b'\n');
            match open::<T>(piece) {
                Ok(line) => {
                    contents.lines.push((index + 1, line));
                    contents.unended = !ended;
                }
                Err(reason) if !reason.is_damage() => return Err((index + 1, reason)),
                Err(_) if end == bytes.len() && !joined(piece) => contents.torn_at = Some(start),
                Err(reason) => contents.damaged.push((index + 1, reason.to_string())),
            }
            start = end;
        }
        Ok(contents)
    }
}

/// Two lines whose newline was damaged: not the tail of one cut append.
fn joined(piece: &[u8]) -> bool {
    const HEAD: &[u8] = b"{\"format\":";
    piece
        .windows(HEAD.len())
        .filter(|window| *window == HEAD)
        .count()
        > 1
}

/// Reads a journal without touching it; a missing file is empty, a torn tail is left out.
///
/// # Errors
/// [`RecordError::Io`]; [`RecordError::Damaged`] for a file beyond the size limit; [`RecordError::Unknown`] for lines of
/// another program.
pub fn read<T: Sealed>(path: &Path) -> Result<Contents<T>, RecordError> {
    parsed(path, &content(path)?)
}

fn parsed<T: Sealed>(path: &Path, bytes: &[u8]) -> Result<Contents<T>, RecordError> {
    Contents::parse(bytes)
        .map_err(|(line, error)| RecordError::seal(path, &format!("line {line}: "), &error))
}

/// The bytes of a journal; a missing file is empty.
fn content(path: &Path) -> Result<Vec<u8>, RecordError> {
    match read_limited(path, LARGEST) {
        Err(RecordError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(Vec::new())
        }
        read => read,
    }
}

impl<T: Sealed> Journal<T> {
    /// Opens (or creates) a journal and reads it. The torn tail, if any, is moved to `NAME.torn`.
    /// Damaged lines are left to the caller: see [`Contents::damaged`] and [`Journal::rewrite`].
    ///
    /// What is read counts from here on, so it is written anew and synced first: whoever appended the last line may have
    /// been killed before its sync, and after a sync that failed the system still shows lines that it has dropped,
    /// which no second sync brings to the disk.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn open(path: &Path) -> Result<(Self, Contents<T>, Option<Torn>), RecordError> {
        let mut bytes = content(path)?;
        let contents: Contents<T> = parsed(path, &bytes)?;
        let mut torn = None;
        if let Some(at) = contents.torn_at {
            torn = Some(set_aside(path, &bytes[at..])?);
            bytes.truncate(at);
        }
        if contents.unended {
            bytes.push(b'\n');
        }
        let anew = !bytes.is_empty() || torn.is_some();
        if anew {
            replace(path, &bytes)?;
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(RecordError::io(path, "open"))?;
        if !anew {
            sync_folder(path.parent().unwrap_or(Path::new(".")))?;
        }
        let journal = Self {
            path: path.to_owned(),
            file: Arc::new(file),
            broken: false,
            unsynced: false,
            aside: None,
            fence: None,
            lines: PhantomData,
        };
        Ok((journal, contents, torn))
    }

    /// Asks `fence` before each line.
    pub fn behind(mut self, fence: Option<&Fence>) -> Self {
        self.fence = fence.cloned();
        self
    }

    /// Able to sync while its caller computes ([`Journal::sync_aside`]).
    pub fn with_aside(mut self) -> Self {
        self.aside = Aside::of(&self.file);
        self
    }

    /// Replaces the whole content, in one step. Used to restore damaged lines.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn rewrite<'l>(path: &Path, lines: impl Iterator<Item = &'l T>) -> Result<(), RecordError>
    where
        T: 'l,
    {
        let mut text = String::new();
        for line in lines {
            text.push_str(&sealed(path, line)?);
            text.push('\n');
        }
        replace(path, text.as_bytes())
    }

    /// Appends one line, which counts after [`Journal::sync`]; until then it may be lost with the power.
    ///
    /// # Errors
    /// [`RecordError`]; the journal takes no more lines afterwards.
    pub fn append(&mut self, line: &T) -> Result<(), RecordError> {
        let mut text = sealed(&self.path, line)?;
        text.push('\n');
        self.push(text.as_bytes())
    }

    /// Begins to bring what was appended to the disk, for a sync that follows the one of another journal.
    pub fn begin_sync(&self) {
        writeback::begin(&self.file);
    }

    /// Whether lines were appended that no sync was begun for.
    pub fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    /// Begins to sync what was appended, in another thread; [`Journal::sync`] waits for it.
    pub fn sync_aside(&mut self) {
        if let Some(aside) = self.aside.as_mut().filter(|_| self.unsynced) {
            self.unsynced = !aside.begin();
        }
    }

    /// Waits until every line is on disk.
    ///
    /// # Errors
    /// [`RecordError`]; the journal takes no more lines afterwards.
    pub fn sync(&mut self) -> Result<(), RecordError> {
        self.whole()?;
        let begun = self.aside.as_mut().map_or(Ok(()), Aside::end);
        let rest = match std::mem::take(&mut self.unsynced) {
            true => self.file.sync_all(),
            false => Ok(()),
        };
        if let Err(source) = begun.and(rest) {
            self.broken = true;
            return Err(RecordError::io(&self.path, "sync")(source));
        }
        Ok(())
    }

    fn whole(&self) -> Result<(), RecordError> {
        match self.broken {
            true => Err(RecordError::damaged(
                &self.path,
                "an earlier append failed: what is on disk must be read again",
            )),
            false => Ok(()),
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        self.whole()?;
        if let Some(fence) = &self.fence {
            fence.check()?;
        }
        // asked each time: another writer may have appended since
        let length = self.file.metadata().map(|data| data.len());
        let length = length.map_err(RecordError::io(&self.path, "measure"))?;
        self.unsynced = true;
        if let Err(source) = (&*self.file).write_all(bytes) {
            self.broken = true;
            // a partial line would be taken for a torn one; cutting it may fail on the same disk
            let _ = self.file.set_len(length);
            return Err(RecordError::io(&self.path, "append to")(source));
        }
        Ok(())
    }
}

fn sealed<T: Sealed>(path: &Path, line: &T) -> Result<String, RecordError> {
    seal(line).map_err(|error| RecordError::damaged(path, error))
}

/// Appends bytes to `NAME.torn` and waits until they are there.
fn set_aside(path: &Path, bytes: &[u8]) -> Result<Torn, RecordError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".torn");
    let moved_to = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&moved_to)
        .map_err(RecordError::io(&moved_to, "open"))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(RecordError::io(&moved_to, "write"))?;
    sync_folder(moved_to.parent().unwrap_or(Path::new(".")))?;
    Ok(Torn {
        moved_to,
        bytes: bytes.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use std::fs;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Line {
        id: u64,
        value: Option<f64>,
    }

    impl Sealed for Line {
        const FORMAT: &'static str = "bo/line";
        const VERSION: u32 = 1;
    }

    fn line(id: u64) -> Line {
        Line {
            id,
            value: Some(1.0 / (id as f64 + 3.0)),
        }
    }

    fn ids(contents: &Contents<Line>) -> Vec<u64> {
        contents.lines.iter().map(|(_, line)| line.id).collect()
    }

    #[test]
    fn a_journal_cut_at_every_byte_keeps_every_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        let (mut journal, _, _) = Journal::open(&path).unwrap();
        (0..4).for_each(|id| journal.append(&line(id)).unwrap());
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] == b'\n').collect();
        for cut in 0..=whole.len() {
            let path = folder.path().join(format!("cut_{cut}.jsonl"));
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, contents, torn) = Journal::<Line>::open(&path).unwrap();
            assert!(contents.damaged.is_empty());
            let kept = contents.lines.len();
            // a line counts from its closing brace
            assert_eq!(
                kept,
                ends.iter().filter(|&&end| end <= cut).count(),
                "{cut}"
            );
            let moved = torn.map_or(0, |torn| fs::read(torn.moved_to).unwrap().len());
            let good = fs::read(&path).unwrap();
            assert!(
                good.len() + moved == cut || good.len() == cut + 1,
                "nothing is dropped"
            );
            journal.append(&line(9)).unwrap();
            let (_, contents, torn) = Journal::<Line>::open(&path).unwrap();
            assert!(torn.is_none() && contents.damaged.is_empty());
            assert_eq!(contents.lines.len(), kept + 1);
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        let (mut journal, _, _) = Journal::open(&path).unwrap();
        (0..3).for_each(|id| journal.append(&line(id)).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        let second = bytes.iter().position(|&b| b == b'\n').unwrap() + 20;
        bytes[second] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let (_, contents, torn) = Journal::<Line>::open(&path).unwrap();
        assert_eq!(ids(&contents), [0, 2]);
        assert_eq!(contents.damaged[0].0, 2);
        assert!(torn.is_none());
        Journal::rewrite(&path, [line(0), line(1), line(2)].iter()).unwrap();
        assert_eq!(ids(&read(&path).unwrap()), [0, 1, 2]);
    }

    #[test]
    fn lines_of_a_newer_program_are_neither_cut_nor_mended() {
        #[derive(Serialize, Deserialize)]
        struct Newer {
            id: u64,
        }
        impl Sealed for Newer {
            const FORMAT: &'static str = "bo/line";
            const VERSION: u32 = 2;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        let (old, newer) = (seal(&line(0)).unwrap(), seal(&Newer { id: 1 }).unwrap());
        for text in [format!("{old}\n{newer}\n"), format!("{newer}\n{old}\n")] {
            fs::write(&path, &text).unwrap();
            let error = Journal::<Line>::open(&path).unwrap_err();
            assert!(matches!(error, RecordError::Unknown { .. }), "{error}");
            assert!(error.to_string().contains("use the newer bo"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    proptest! {
        #[test]
        fn mutated_journals_never_give_a_wrong_line(
            at in 0_usize..300, byte in any::<u8>(), cut in 0_usize..400,
        ) {
            let text: String = (0..3).map(|id| seal(&line(id)).unwrap() + "\n").collect();
            let mut bytes = text.into_bytes();
            if let Some(place) = bytes.get_mut(at) { *place = byte; }
            bytes.truncate(cut);
            let contents = Contents::<Line>::parse(&bytes).unwrap();
            for (_, found) in &contents.lines {
                prop_assert_eq!(found, &line(found.id));
            }
        }
    }
}
