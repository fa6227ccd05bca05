//! Entries as files of one folder: written whole or not at all, the oldest removed when there are too many bytes.
//!
//! Several programs may share a folder. Each counts the files it found and wrote itself, so the bound is kept by each
//! and may be passed by all together until one of them opens the folder anew.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::KeptKey;

/// After so long nobody is writing a file any more: it takes seconds.
const ABANDONED: Duration = Duration::from_secs(24 * 3600);

/// The files of a store.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    limit: u64,
    writes: AtomicU64,
    known: Mutex<Known>,
}

/// Names of files by the turn in which they were written, and their bytes together. There may be thousands: each name
/// is held once.
#[derive(Debug, Default)]
struct Known {
    by_turn: BTreeMap<u64, (Arc<OsStr>, u64)>,
    turns: BTreeMap<Arc<OsStr>, u64>,
    next: u64,
    bytes: u64,
}

impl Files {
    /// The files under `folder`, which is made if absent. What a writer that is no more left half written is removed,
    /// and so are the oldest files above `limit` bytes.
    pub fn open(folder: &Path, limit: u64) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if is_leftover(&path) {
                remove(&path)?;
            } else if path
                .extension()
                .is_some_and(|extension| extension == "kept")
            {
                // another program may remove it at any time
                if let Ok(about) = path.metadata() {
                    found.push((about.modified()?, path, about.len()));
                }
            }
        }
        found.sort();
        let mut known = Known::default();
        for (_, path, bytes) in found {
            known.add(&path, bytes);
        }
        known.shrink(folder, limit).map_err(|(path, error)| {
            let said = format!("{} cannot be removed: {error}", path.display());
            std::io::Error::new(error.kind(), said)
        })?;
        Ok(Self {
            folder: folder.into(),
            limit,
            writes: AtomicU64::new(0),
            known: Mutex::new(known),
        })
    }

    /// The files under `folder` as they are: nothing is made, looked at or removed.
    pub fn reading(folder: &Path, limit: u64) -> Self {
        Self {
            folder: folder.into(),
            limit,
            writes: AtomicU64::new(0),
            known: Mutex::default(),
        }
    }

    /// Where the entry of `key` is or would be.
    pub fn path(&self, key: &KeptKey) -> PathBuf {
        self.folder
            .join(format!("{}.kept", &key.digest().to_hex()[..32]))
    }

    /// The bytes at `path`, none if there is no file.
    pub fn read(&self, path: &Path) -> std::io::Result<Option<Vec<u8>>> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a file beside its place and moves it there. The folder is then to be trimmed.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.len() as u64 > self.limit {
            return Err(std::io::Error::other(format!(
                "{} bytes are more than the {} the folder may hold",
                bytes.len(),
                self.limit
            )));
        }
        put(path, bytes, self.writes.fetch_add(1, Ordering::Relaxed))?;
        self.known().add(path, bytes.len() as u64);
        Ok(())
    }

    /// Removes the oldest files above the limit.
    ///
    /// # Errors
    /// The file that cannot be removed, and why; it counts no more.
    pub fn trim(&self) -> Result<(), (PathBuf, std::io::Error)> {
        self.known().shrink(&self.folder, self.limit)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change of `Known` is complete before anything can panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn add(&mut self, path: &Path, bytes: u64) {
        let name: Arc<OsStr> = path.file_name().unwrap_or_default().into();
        // a file that was damaged or deleted is written again
        if let Some(turn) = self.turns.insert(Arc::clone(&name), self.next)
            && let Some((_, old)) = self.by_turn.remove(&turn)
        {
            self.bytes -= old;
        }
        self.by_turn.insert(self.next, (name, bytes));
        self.next += 1;
        self.bytes += bytes;
    }

    /// All that is above `limit` is tried; the first that cannot be removed is answered.
    fn shrink(&mut self, folder: &Path, limit: u64) -> Result<(), (PathBuf, std::io::Error)> {
        let mut first = Ok(());
        while self.bytes > limit
            && let Some((_, (name, bytes))) = self.by_turn.pop_first()
        {
            self.turns.remove(&name);
            self.bytes -= bytes;
            let path = folder.join(&*name);
            let removed = remove(&path).map_err(|error| (path, error));
            first = first.and(removed);
        }
        first
    }
}

/// Writes a file of a cache folder beside its place and moves it there; `turn` tells what this process writes at once
/// apart. The folder is made if absent: it may have been deleted since it was opened.
pub(super) fn put(path: &Path, bytes: &[u8], turn: u64) -> std::io::Result<()> {
    let (place, process) = (place(), std::process::id());
    let beside = path.with_extension(format!("{place}-{process}-{turn}.tmp"));
    let written = std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))
        .and_then(|()| std::fs::File::create(&beside))
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&beside); // the first error is the one to tell
    }
    written
}

/// Removes a file that another program may have removed before.
fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A name of where this program's process numbers mean something: this start of this machine, and the container.
fn place() -> String {
    let start = std::fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let container = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&start);
    hasher.update(container.as_os_str().as_encoded_bytes());
    hasher.finalize().to_hex()[..12].to_owned()
}

/// True for `KEY.PLACE-PID-N.tmp` whose process is no more. Where a process cannot be looked up, because it runs on another
/// machine or there is no list, it is gone once the file is [`ABANDONED`] old.
fn is_leftover(path: &Path) -> bool {
    let Some(writer) = path
        .file_name()
        .and_then(|name| name.to_str()?.strip_suffix(".tmp")?.rsplit_once('.'))
        .map(|(_, writer)| writer)
    else {
        return false;
    };
    let numbered = |text: &str| text.parse::<u32>().is_ok();
    let parts: Vec<&str> = writer.split('-').collect();
    let here = place();
    match parts[..] {
        [place, process, turn] if numbered(process) && numbered(turn) => {
            let processes = Path::new("/proc");
            match place == here && processes.join("self").exists() {
                true => !processes.join(process).exists(),
                false => is_abandoned(path),
            }
        }
        // as earlier versions named them
        [process, turn] if numbered(process) && numbered(turn) => is_abandoned(path),
        _ => false,
    }
}

fn is_abandoned(path: &Path) -> bool {
    let written = path.metadata().and_then(|about| about.modified());
    written.is_ok_and(|then| then.elapsed().is_ok_and(|age| age > ABANDONED))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Makes a file so much older.
    fn age(path: &Path, by: Duration) {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::now() - by)
            .unwrap();
    }

    #[test]
    fn what_dead_writers_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        let (own, here) = (std::process::id(), place());
        let kept = [
            format!("a.{here}-{own}-0.tmp"),
            "b.kept".to_owned(),
            // of another machine, which may be writing it now
            format!("c.0123456789ab-{dead}-7.tmp"),
            "notes.tmp".to_owned(),
        ];
        let gone = [
            format!("d.{here}-{dead}-7.tmp"),
            format!("e.0123456789ab-{own}-7.tmp"),
            format!("f.{own}-7.tmp"),
        ];
        for name in kept.iter().chain(&gone) {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        for name in &gone[1..] {
            age(&folder.path().join(name), ABANDONED * 2);
        }
        Files::open(folder.path(), 100).unwrap();
        assert_eq!(names(folder.path()), kept);
    }

    #[test]
    fn the_oldest_files_go_when_the_folder_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(format!("{name}.kept"));
        let files = Files::open(folder.path(), 30).unwrap();
        let write = |name: &str| {
            files.write(&path(name), &[1; 10]).unwrap();
            files.trim().unwrap();
        };
        ["d", "c", "b", "a"].into_iter().for_each(write);
        assert_eq!(names(folder.path()), ["a.kept", "b.kept", "c.kept"]);
        // the same file again takes no more room
        write("c");
        assert_eq!(names(folder.path()).len(), 3);
        write("e");
        assert_eq!(names(folder.path()), ["a.kept", "c.kept", "e.kept"]);
        assert!(files.write(&path("f"), &[1; 31]).is_err());
        age(&path("e"), Duration::from_secs(60));
        Files::open(folder.path(), 20).unwrap();
        assert_eq!(names(folder.path()), ["a.kept", "c.kept"]);
    }

    #[test]
    fn a_reader_leaves_a_folder_as_it_is() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        Files::reading(&folder, 1);
        assert!(!folder.exists());
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.kept"), [0; 10]).unwrap();
        let files = Files::reading(&folder, 1);
        assert_eq!(
            files.read(&folder.join("a.kept")).unwrap(),
            Some(vec![0; 10])
        );
        assert_eq!(names(&folder), ["a.kept"]);
    }

    #[test]
    fn a_deleted_folder_is_made_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("cache");
        let files = Files::open(&folder, 100).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(files.read(&folder.join("a.kept")).unwrap(), None);
        files.write(&folder.join("a.kept"), b"x").unwrap();
        assert_eq!(
            files.read(&folder.join("a.kept")).unwrap(),
            Some(b"x".to_vec())
        );
    }
}
