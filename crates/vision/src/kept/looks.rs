//! What decoding an image told of it, kept by the hash of its file: opening it again decodes nothing.
//!
//! Central type [`KeptLooks`], one file of a cache folder with a record for each image, each under a checksum of its own.
//! It changes speed only: what is damaged, of another version or gone is looked at anew, and where several programs write
//! at once the file of the last one stays.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use blake3::Hash;

use super::files::put;
use crate::feature::{Look, VERSION};

/// Records that are kept, the oldest go first: 10 MB.
const MOST: usize = 100_000;
/// Hash, columns, rows, six features.
const BODY: usize = 32 + 2 * 4 + 6 * 8;
/// With the first bytes of the checksum.
const RECORD: usize = BODY + 16;

/// Looks at images by the hash of their files. By default it knows none and is written nowhere.
#[derive(Debug, Default)]
pub struct KeptLooks {
    /// Its file, if it has one.
    file: Option<PathBuf>,
    known: BTreeMap<[u8; 32], Look>,
    /// Those that are not in the file.
    news: BTreeMap<[u8; 32], Look>,
    damaged: usize,
}

impl KeptLooks {
    /// What is kept in a cache folder, which need not exist.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        let file = folder.join(format!("{}.looks", VERSION.replace(' ', "-")));
        let bytes = read(&file)?;
        let records: Vec<_> = bytes.chunks(RECORD).map(decode).collect();
        Ok(Self {
            file: Some(file),
            damaged: records.iter().filter(|record| record.is_none()).count(),
            known: records.into_iter().flatten().collect(),
            news: BTreeMap::new(),
        })
    }

    /// How many records were damaged: those images are looked at anew.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// What is known of the image whose file has this hash.
    pub fn get(&self, hash: &Hash) -> Option<Look> {
        let hash = hash.as_bytes();
        self.known
            .get(hash)
            .or_else(|| self.news.get(hash))
            .copied()
    }

    /// Takes a look, unless it is known.
    pub fn learn(&mut self, hash: Hash, look: Look) {
        if !self.known.contains_key(hash.as_bytes()) {
            self.news.insert(*hash.as_bytes(), look);
        }
    }

    /// Puts what is new into the file, beside what other programs have put there meanwhile; without damaged records.
    ///
    /// # Errors
    /// The file cannot be read or written: what is new will be looked at again.
    pub fn save(&self) -> std::io::Result<()> {
        let Some(file) = self
            .file
            .as_ref()
            .filter(|_| !self.news.is_empty() || self.damaged > 0)
        else {
            return Ok(());
        };
        let there = read(file)?;
        let others = there.chunks(RECORD).filter(|record| {
            decode(record).is_some_and(|(hash, _)| !self.news.contains_key(&hash))
        });
        let mut all: Vec<u8> = others.flatten().copied().collect();
        for (hash, look) in &self.news {
            all.extend(encode(hash, look));
        }
        let spare = (all.len() / RECORD).saturating_sub(MOST) * RECORD;
        put(file, &all[spare..], 0)
    }
}

/// The bytes of the file; none if there is no file.
fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    match std::fs::read(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        other => other,
    }
}

fn encode(hash: &[u8; 32], look: &Look) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(RECORD);
    bytes.extend_from_slice(hash);
    for number in [look.size.0, look.size.1] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for feature in look.features {
        bytes.extend_from_slice(&feature.to_le_bytes());
    }
    let sum = blake3::hash(&bytes);
    bytes.extend_from_slice(&sum.as_bytes()[..RECORD - BODY]);
    bytes
}

/// The record that the bytes hold; none if they are damaged.
fn decode(record: &[u8]) -> Option<([u8; 32], Look)> {
    let (body, sum) = record.split_at_checked(BODY)?;
    if blake3::hash(body).as_bytes()[..RECORD - BODY] != *sum {
        return None;
    }
    let (hash, numbers) = body.split_first_chunk::<32>()?;
    let (size, features) = numbers.split_first_chunk::<8>()?;
    let size = size.as_chunks::<4>().0;
    let features = features.as_chunks::<8>().0;
    let look = Look {
        size: (u32::from_le_bytes(size[0]), u32::from_le_bytes(size[1])),
        features: std::array::from_fn(|k| f64::from_le_bytes(features[k])),
    };
    Some((*hash, look))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(number: u32) -> Look {
        Look {
            size: (number, 480),
            features: std::array::from_fn(|k| 1.0 / f64::from(number + k as u32 + 3)),
        }
    }

    fn hash(number: u32) -> Hash {
        blake3::hash(&number.to_le_bytes())
    }

    /// Opens, learns these and saves.
    fn taught(folder: &Path, numbers: std::ops::Range<u32>) -> KeptLooks {
        let mut looks = KeptLooks::open(folder).unwrap();
        numbers.for_each(|number| looks.learn(hash(number), look(number)));
        looks.save().unwrap();
        looks
    }

    #[test]
    fn looks_are_the_same_bits_again_also_where_two_programs_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("not there yet");
        let mut other = KeptLooks::open(&folder).unwrap();
        taught(&folder, 0..5);
        other.learn(hash(4), look(4));
        other.learn(hash(5), look(5));
        other.save().unwrap();
        let again = KeptLooks::open(&folder).unwrap();
        for number in 0..6 {
            assert_eq!(again.get(&hash(number)), Some(look(number)));
        }
        assert_eq!((again.get(&hash(6)), again.damaged()), (None, 0));
        assert_eq!(again.known.len(), 6);
    }

    #[test]
    fn a_damaged_record_is_alone_forgotten_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let file = taught(folder.path(), 0..4).file.unwrap();
        let sound = std::fs::read(&file).unwrap();
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&file, &bytes).unwrap();
            let looks = KeptLooks::open(folder.path()).unwrap();
            assert_eq!((looks.known.len(), looks.damaged()), (3, 1), "byte {at}");
            assert!((0..4).all(|n| looks.get(&hash(n)).is_none_or(|known| known == look(n))));
        }
        std::fs::write(&file, &sound[..3 * RECORD + 7]).unwrap();
        assert_eq!(KeptLooks::open(folder.path()).unwrap().damaged(), 1);
        taught(folder.path(), 0..4);
        assert_eq!(KeptLooks::open(folder.path()).unwrap().damaged(), 0);
        assert_eq!(std::fs::read(&file).unwrap().len(), sound.len());
    }

    #[test]
    fn without_a_folder_nothing_is_written() {
        let mut looks = KeptLooks::default();
        looks.learn(hash(1), look(1));
        looks.save().unwrap();
        assert_eq!(looks.get(&hash(1)), Some(look(1)));
    }
}
