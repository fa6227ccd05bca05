//! A store of what was computed once: memory before files, files before computing.
//!
//! Central type [`KeptStore`]: [`KeptStore::get_or_compute`] answers from memory, else from the file
//! of the key, else by computing. An entry is what [`Seen`] is, half-precision logits and voters, so
//! a score is the same bits wherever the entry came from. Files are written beside their final name
//! and moved there, carry a checksum, and are computed anew when it does not fit.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::KeptKey;
use super::files::Files;
use super::form::{decode, encode};
use super::held::Held;
use crate::pipeline::Seen;

/// How much a store may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptBounds {
    /// Bytes in memory.
    pub memory: usize,
    /// Bytes of files: the oldest are removed above, and computed again where they are wanted.
    pub files: u64,
}

/// Where an entry came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was held in memory.
    Memory,
    /// It was read from its file.
    File,
    /// It was computed now.
    Computed,
}

/// An entry with what is worth telling about it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The entry.
    pub seen: Arc<Seen>,
    /// Where it came from.
    pub origin: Origin,
    /// What went wrong with files on the way; the entry itself is sound.
    pub warnings: Vec<KeptWarning>,
}

/// What went wrong beside an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeptWarning {
    /// The file was damaged; the entry was computed anew.
    #[error("kept file {path} is damaged ({reason}); computed anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The file could not be read; the entry was computed anew.
    #[error("kept file {path} could not be read ({reason}); computed anew")]
    Unread {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The file could not be written; the entry will be computed anew when memory has dropped it.
    #[error(
        "kept file {path} could not be written ({reason}); it will be computed again when needed"
    )]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// An older file could not be removed to make room: the folder holds more than it is meant to.
    #[error(
        "old kept file {path} could not be removed ({reason}); the folder holds more than its bound"
    )]
    Unremoved {
        /// The older file.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
}

/// The store. Shared between threads by reference; two that miss the same key at once both compute
/// the same entry.
#[derive(Debug)]
pub struct KeptStore {
    files: Files,
    budget: usize,
    held: Mutex<Held>,
}

impl KeptStore {
    /// A store with files under `folder`, made if absent.
    ///
    /// # Errors
    /// The folder cannot be made or read, or a file in it that is to go cannot be removed.
    pub fn open(folder: &Path, bounds: KeptBounds) -> std::io::Result<Self> {
        Ok(Self {
            files: Files::open(folder, bounds.files)?,
            budget: bounds.memory,
            held: Mutex::default(),
        })
    }

    /// A store that only reads: nothing is made or removed when it is opened. What is computed all the same is written.
    pub fn reading(folder: &Path, bounds: KeptBounds) -> Self {
        Self {
            files: Files::reading(folder, bounds.files),
            budget: bounds.memory,
            held: Mutex::default(),
        }
    }

    /// Whether there is an entry of `key`, in memory or as a file (which may yet prove damaged).
    pub fn holds(&self, key: &KeptKey) -> bool {
        self.held().recall(key).is_some() || self.files.path(key).exists()
    }

    /// The entry of `key`, from memory, else from its file, else from `compute`.
    ///
    /// # Errors
    /// Only what `compute` answers; trouble with files is a warning beside the entry.
    pub fn get_or_compute<E>(
        &self,
        key: &KeptKey,
        compute: impl FnOnce() -> Result<Seen, E>,
    ) -> Result<Kept, E> {
        if let Some(seen) = self.held().recall(key) {
            return Ok(Kept {
                seen,
                origin: Origin::Memory,
                warnings: Vec::new(),
            });
        }
        let path = self.files.path(key);
        let (seen, origin, warnings) = match self.read(&path, key) {
            Ok(Some(seen)) => (seen, Origin::File, Vec::new()),
            other => {
                let seen = compute()?;
                let mut warnings: Vec<KeptWarning> = other.err().into_iter().collect();
                warnings.extend(self.write(&path, &encode(&seen, key)));
                (seen, Origin::Computed, warnings)
            }
        };
        let seen = Arc::new(seen);
        self.held().remember(key, &seen, self.budget);
        Ok(Kept {
            seen,
            origin,
            warnings,
        })
    }

    /// Writes a file and makes room for it; what went wrong.
    fn write(&self, path: &Path, bytes: &[u8]) -> Option<KeptWarning> {
        if let Err(error) = self.files.write(path, bytes) {
            return Some(KeptWarning::Unwritten {
                path: path.into(),
                reason: error.to_string(),
            });
        }
        let (path, error) = self.files.trim().err()?;
        let reason = error.to_string();
        Some(KeptWarning::Unremoved { path, reason })
    }

    /// Bytes now held in memory, at most the budget.
    pub fn bytes(&self) -> usize {
        self.held().bytes
    }

    /// Lets go of everything in memory; files stay. Answers the bytes let go.
    pub fn release(&self) -> usize {
        std::mem::take(&mut *self.held()).bytes
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Every change of `Held` is complete before anything can panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of a file; none if there is no file.
    fn read(&self, path: &Path, key: &KeptKey) -> Result<Option<Seen>, KeptWarning> {
        let bytes = self.files.read(path).map_err(|error| KeptWarning::Unread {
            path: path.into(),
            reason: error.to_string(),
        })?;
        let seen = bytes.map(|bytes| decode(&bytes, key)).transpose();
        seen.map_err(|reason| KeptWarning::Damaged {
            path: path.into(),
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use half::f16;

    use super::*;
    use crate::geometry::Segment;

    fn open(folder: &Path, memory: usize) -> KeptStore {
        let bounds = KeptBounds {
            memory,
            files: 1 << 30,
        };
        KeptStore::open(folder, bounds).unwrap()
    }

    fn seen(number: u32) -> Seen {
        let logits = (0..20 * 10)
            .map(|i| f16::from_f32((i * number) as f32 / 7.0 - 9.0))
            .collect();
        Seen {
            width: 20,
            height: 10,
            logits,
            voters: vec![Segment::new(1.0, 2.5, -3.0, number as f32)],
        }
    }

    fn key(number: u32) -> KeptKey {
        KeptKey {
            pixels: format!("{number}"),
            corruption: String::new(),
            network: "n".into(),
            preprocessing: "p".into(),
            device: "cpu".into(),
        }
    }

    fn get(store: &KeptStore, number: u32) -> Kept {
        store
            .get_or_compute(&key(number), || Ok::<_, Infallible>(seen(number)))
            .unwrap()
    }

    #[test]
    fn an_entry_is_the_same_from_memory_file_and_computation() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), 1 << 20);
        let first = get(&store, 3);
        assert_eq!((first.origin, &*first.seen), (Origin::Computed, &seen(3)));
        assert_eq!(get(&store, 3).origin, Origin::Memory);
        let again = open(folder.path(), 1 << 20);
        let read = get(&again, 3);
        assert_eq!((read.origin, read.seen), (Origin::File, first.seen));
    }

    #[test]
    fn memory_stays_within_the_budget_and_drops_the_longest_unused() {
        let folder = tempfile::tempdir().unwrap();
        let budget = 3 * seen(1).bytes();
        let store = open(folder.path(), budget);
        for number in 0..50 {
            get(&store, number);
            get(&store, 0);
            assert!(store.bytes() <= budget);
        }
        assert_eq!(get(&store, 0).origin, Origin::Memory);
        assert_eq!(get(&store, 49).origin, Origin::Memory);
        assert_eq!(get(&store, 5).origin, Origin::File);
        assert!(store.release() > 0);
        assert_eq!((store.bytes(), get(&store, 0).origin), (0, Origin::File));
        let none = open(folder.path(), 0);
        assert_eq!((get(&none, 0).origin, none.bytes()), (Origin::File, 0));
    }

    #[test]
    fn a_damaged_file_is_told_and_computed_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), 0);
        get(&store, 1);
        let path = store.files.path(&key(1));
        let good = std::fs::read(&path).unwrap();
        for (at, length) in [
            (60, good.len()),
            (0, good.len()),
            (0, 10),
            (0, 0),
            (0, good.len() - 1),
        ] {
            let mut bad = good[..length].to_vec();
            bad.iter_mut().skip(at).take(1).for_each(|b| *b ^= 1);
            std::fs::write(&path, &bad).unwrap();
            let kept = get(&store, 1);
            assert!(
                matches!(kept.warnings[..], [KeptWarning::Damaged { .. }]),
                "{at} {length}"
            );
            assert_eq!((kept.origin, &*kept.seen), (Origin::Computed, &seen(1)));
            assert_eq!(std::fs::read(&path).unwrap(), good);
        }
    }

    #[test]
    fn each_trouble_with_files_is_told_as_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let size = encode(&seen(1), &key(1)).len() as u64;
        let bounds = KeptBounds {
            memory: 0,
            files: size,
        };
        let store = KeptStore::open(folder.path(), bounds).unwrap();
        // a folder in the place of a file can be neither read nor written
        let path = |number| store.files.path(&key(number));
        std::fs::create_dir_all(path(1).join("within")).unwrap();
        let told = get(&store, 1).warnings;
        assert!(
            matches!(
                told[..],
                [KeptWarning::Unread { .. }, KeptWarning::Unwritten { .. }]
            ),
            "{told:?}"
        );
        // what was written stays, what cannot be removed is another file
        assert_eq!(get(&store, 2).warnings, []);
        std::fs::remove_file(path(2)).unwrap();
        std::fs::create_dir(path(2)).unwrap();
        let told = get(&store, 3).warnings;
        assert!(
            matches!(&told[..], [KeptWarning::Unremoved { path: old, .. }] if *old == path(2)),
            "{told:?}"
        );
        assert_eq!(get(&store, 3).origin, Origin::File);
    }

    #[test]
    fn keys_that_differ_anywhere_have_files_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), 0);
        let base = key(1);
        let other = KeptKey {
            pixels: "1n".into(),
            network: "".into(),
            ..base.clone()
        };
        assert_ne!(store.files.path(&base), store.files.path(&other));
        let newer = KeptKey {
            preprocessing: "q".into(),
            ..base.clone()
        };
        assert_ne!(store.files.path(&base), store.files.path(&newer));
    }
}
