//! What was computed once for an image, kept: a bounded share in memory, all of it in files.
//!
//! Central type [`KeptStore`]: [`KeptStore::get_or_compute`] answers from memory, else from the file
//! of the key, else by computing. An entry is what [`Seen`] is, half-precision logits and voters, so
//! a score is the same bits wherever the entry came from. Files are written beside their final name
//! and moved there, carry a checksum, and are computed anew when it does not fit.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use half::f16;

use crate::geometry::Segment;
use crate::pipeline::Seen;

/// First bytes of every file; the digit is the version of the form.
const MAGIC: &[u8; 8] = b"bo-kept1";

/// Magic, key, width, height and number of voters.
const HEADER: usize = 8 + 32 + 12;

/// Everything that an entry depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptKey {
    /// Hash of the image's pixels: [`crate::source::ImageSource::pixel_hash`].
    pub pixels: String,
    /// What was done to them: [`crate::corruption::Corruption::key`].
    pub corruption: String,
    /// [`crate::edge::EdgeNetwork::fingerprint`].
    pub network: String,
    /// Version of everything that is kept but the network: [`crate::pipeline::preprocessing`].
    pub preprocessing: String,
    /// Kind of device that computed it (`cpu`, `cuda`): another one rounds otherwise.
    pub device: String,
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
    /// A damaged file that was computed anew, or a file that could not be written; the entry itself
    /// is sound in either case.
    pub warning: Option<KeptWarning>,
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
}

/// The store. Shared between threads by reference; two that miss the same key at once both compute
/// the same entry.
#[derive(Debug)]
pub struct KeptStore {
    folder: PathBuf,
    budget: usize,
    writes: AtomicU64,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    entries: BTreeMap<KeptKey, (u64, Arc<Seen>)>,
    clock: u64,
    bytes: usize,
}

impl KeptKey {
    /// 32 bytes that stand for the key: name of the file and part of its content.
    fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for part in [
            &self.pixels,
            &self.corruption,
            &self.network,
            &self.preprocessing,
            &self.device,
        ] {
            hasher
                .update(&(part.len() as u64).to_le_bytes())
                .update(part.as_bytes());
        }
        hasher.finalize()
    }
}

impl KeptStore {
    /// A store with files under `folder` (made if absent) and at most `budget` bytes in memory.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(folder: &Path, budget: usize) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self {
            folder: folder.into(),
            budget,
            writes: AtomicU64::new(0),
            held: Mutex::default(),
        })
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
                warning: None,
            });
        }
        let path = self.path(key);
        let read = self.read(&path, key);
        let (seen, origin, warning) = match read {
            Ok(Some(seen)) => (seen, Origin::File, None),
            other => {
                let seen = compute()?;
                let damaged = other.err().map(|reason| KeptWarning::Damaged {
                    path: path.clone(),
                    reason,
                });
                let unwritten = self.write(&path, key, &seen).err();
                let unwritten = unwritten.map(|e| KeptWarning::Unwritten {
                    path,
                    reason: e.to_string(),
                });
                (seen, Origin::Computed, damaged.or(unwritten))
            }
        };
        let seen = Arc::new(seen);
        self.held().remember(key, &seen, self.budget);
        Ok(Kept {
            seen,
            origin,
            warning,
        })
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

    fn path(&self, key: &KeptKey) -> PathBuf {
        self.folder
            .join(format!("{}.kept", &key.digest().to_hex()[..32]))
    }

    /// The entry of a file; none if there is no file, an error in words if it is damaged.
    fn read(&self, path: &Path, key: &KeptKey) -> Result<Option<Seen>, String> {
        match std::fs::read(path) {
            Ok(bytes) => decode(&bytes, key).map(Some),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.to_string()),
        }
    }

    fn write(&self, path: &Path, key: &KeptKey, seen: &Seen) -> std::io::Result<()> {
        let turn = self.writes.fetch_add(1, Ordering::Relaxed);
        let beside = path.with_extension(format!("{}-{turn}.tmp", std::process::id()));
        let written = std::fs::File::create(&beside)
            .and_then(|mut file| file.write_all(&encode(seen, key)))
            .and_then(|()| std::fs::rename(&beside, path));
        if written.is_err() {
            let _ = std::fs::remove_file(&beside); // the first error is the one to tell
        }
        written
    }
}

impl Held {
    fn recall(&mut self, key: &KeptKey) -> Option<Arc<Seen>> {
        self.clock += 1;
        let (used, seen) = self.entries.get_mut(key)?;
        *used = self.clock;
        Some(seen.clone())
    }

    fn remember(&mut self, key: &KeptKey, seen: &Arc<Seen>, budget: usize) {
        let size = seen.bytes();
        if size > budget {
            return;
        }
        self.clock += 1;
        if let Some((_, old)) = self.entries.insert(key.clone(), (self.clock, seen.clone())) {
            self.bytes -= old.bytes();
        }
        self.bytes += size;
        while self.bytes > budget {
            let oldest = self
                .entries
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(key, _)| key.clone());
            let Some((_, gone)) = oldest.and_then(|key| self.entries.remove(&key)) else {
                break;
            };
            self.bytes -= gone.bytes();
        }
    }
}

fn encode(seen: &Seen, key: &KeptKey) -> Vec<u8> {
    let mut bytes =
        Vec::with_capacity(HEADER + seen.logits.len() * 2 + seen.voters.len() * 16 + 32);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(key.digest().as_bytes());
    for number in [seen.width, seen.height, seen.voters.len() as u32] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for logit in &seen.logits {
        bytes.extend_from_slice(&logit.to_le_bytes());
    }
    for v in &seen.voters {
        for number in [v.p0.x, v.p0.y, v.p1.x, v.p1.y] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    let sum = blake3::hash(&bytes);
    bytes.extend_from_slice(sum.as_bytes());
    bytes
}

fn decode(bytes: &[u8], key: &KeptKey) -> Result<Seen, String> {
    let Some((body, sum)) = bytes
        .split_last_chunk::<32>()
        .filter(|(body, _)| body.len() >= HEADER)
    else {
        return Err(format!("only {} bytes", bytes.len()));
    };
    if &body[..8] != MAGIC {
        return Err("written by another version".into());
    }
    if blake3::hash(body).as_bytes() != sum {
        return Err("checksum differs".into());
    }
    if body[8..40] != key.digest().as_bytes()[..] {
        return Err("belongs to another image or network".into());
    }
    let words = body[40..HEADER].as_chunks::<4>().0;
    let [width, height, voters] = [0, 1, 2].map(|i| u32::from_le_bytes(words[i]));
    let split = width as usize * height as usize * 2;
    let rest = &body[HEADER..];
    if rest.len() != split + voters as usize * 16 {
        return Err("length differs from what the header says".into());
    }
    let (logits, voters) = rest.split_at(split);
    let logits = logits
        .as_chunks::<2>()
        .0
        .iter()
        .map(|b| f16::from_le_bytes(*b))
        .collect();
    let number = |b: &[u8; 16], i: usize| f32::from_le_bytes(b.as_chunks::<4>().0[i]);
    let segment =
        |b: &[u8; 16]| Segment::new(number(b, 0), number(b, 1), number(b, 2), number(b, 3));
    let voters = voters.as_chunks::<16>().0.iter().map(segment).collect();
    Ok(Seen {
        width,
        height,
        logits,
        voters,
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

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
        let store = KeptStore::open(folder.path(), 1 << 20).unwrap();
        let first = get(&store, 3);
        assert_eq!((first.origin, &*first.seen), (Origin::Computed, &seen(3)));
        assert_eq!(get(&store, 3).origin, Origin::Memory);
        let again = KeptStore::open(folder.path(), 1 << 20).unwrap();
        let read = get(&again, 3);
        assert_eq!((read.origin, read.seen), (Origin::File, first.seen));
    }

    #[test]
    fn memory_stays_within_the_budget_and_drops_the_longest_unused() {
        let folder = tempfile::tempdir().unwrap();
        let budget = 3 * seen(1).bytes();
        let store = KeptStore::open(folder.path(), budget).unwrap();
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
        let none = KeptStore::open(folder.path(), 0).unwrap();
        assert_eq!((get(&none, 0).origin, none.bytes()), (Origin::File, 0));
    }

    #[test]
    fn a_damaged_file_is_told_and_computed_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = KeptStore::open(folder.path(), 0).unwrap();
        get(&store, 1);
        let path = store.path(&key(1));
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
                matches!(kept.warning, Some(KeptWarning::Damaged { .. })),
                "{at} {length}"
            );
            assert_eq!((kept.origin, &*kept.seen), (Origin::Computed, &seen(1)));
            assert_eq!(std::fs::read(&path).unwrap(), good);
        }
    }

    #[test]
    fn keys_that_differ_anywhere_have_files_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let store = KeptStore::open(folder.path(), 0).unwrap();
        let base = key(1);
        let other = KeptKey {
            pixels: "1n".into(),
            network: "".into(),
            ..base.clone()
        };
        assert_ne!(store.path(&base), store.path(&other));
        let newer = KeptKey {
            preprocessing: "q".into(),
            ..base.clone()
        };
        assert_ne!(store.path(&base), store.path(&newer));
    }
}
