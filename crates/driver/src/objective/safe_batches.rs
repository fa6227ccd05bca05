//! Batches and tiles that went well, remembered beside what is kept, so that the next process begins with them.
//!
//! A file for each network and kind of device. It changes speed only: one that cannot be read counts as absent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bo_vision::edge::{Safe, Size};
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::record::{RecordError, replace};

/// Name of the form.
const FORMAT: &str = "bo/safe-batches";

/// No network of ours sees more at once, or is cut more often: what says so was written by somebody else.
const LARGEST: usize = 4096;
const DEEPEST: u32 = 64;

/// What was found safe by one network on one kind of device.
#[derive(Debug)]
pub struct SafeBatches {
    file: PathBuf,
    budget: u64,
}

#[derive(Serialize, Deserialize)]
struct Content {
    format: String,
    version: u32,
    /// Bytes that were allowed.
    budget: u64,
    sizes: Vec<OfSize>,
}

#[derive(Serialize, Deserialize)]
struct OfSize {
    rows: usize,
    columns: usize,
    #[serde(flatten)]
    safe: Safe,
}

impl SafeBatches {
    /// Those of the network with this fingerprint at `place`, within `budget` bytes, in a cache folder.
    pub fn new(cache: &Path, fingerprint: &str, place: &str, budget: u64) -> Self {
        let name = blake3::hash(format!("{fingerprint} {place}").as_bytes()).to_hex();
        Self {
            file: cache.join(format!("{}.batches.json", &name[..32])),
            budget,
        }
    }

    /// Its name in the cache folder.
    #[cfg(any(test, fuzzing))]
    pub fn name(&self) -> String {
        let name = self.file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// What an earlier process found safe; nothing where its budget was another by more than a tenth.
    pub fn read(&self) -> BTreeMap<Size, Safe> {
        let content: Option<Content> = bounded::read(&self.file, bounded::SETTINGS)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let of_now = |content: &Content| {
            let (then, now) = (content.budget as f64, self.budget as f64);
            content.format == FORMAT && content.version == 1 && (then - now).abs() <= 0.1 * now
        };
        let sizes = content
            .filter(of_now)
            .map_or_else(Vec::new, |content| content.sizes);
        let ours = |one: &OfSize| one.safe.batch <= LARGEST && one.safe.cuts <= DEEPEST;
        let known = |one: OfSize| ((one.rows, one.columns), one.safe);
        sizes.into_iter().filter(ours).map(known).collect()
    }

    /// Replaces what is remembered.
    ///
    /// # Errors
    /// [`RecordError::Io`].
    pub fn write(&self, safe: &BTreeMap<Size, Safe>) -> Result<(), RecordError> {
        let of = |(&(rows, columns), &safe): (&Size, &Safe)| OfSize {
            rows,
            columns,
            safe,
        };
        let content = Content {
            format: FORMAT.to_owned(),
            version: 1,
            budget: self.budget,
            sizes: safe.iter().map(of).collect(),
        };
        let bytes = serde_json::to_vec(&content)
            .map_err(|error| RecordError::damaged(&self.file, error.to_string()))?;
        replace(&self.file, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_safe_is_read_again_within_a_similar_budget_only() {
        let cache = tempfile::tempdir().unwrap();
        let safe = Safe {
            failed: Some(8),
            batch: 6,
            cuts: 0,
        };
        let found = BTreeMap::from([((480, 640), safe)]);
        let of = |budget| SafeBatches::new(cache.path(), "network", "cpu", budget);
        assert!(of(1000).read().is_empty());
        of(1000).write(&found).unwrap();
        assert_eq!(of(1050).read(), found);
        assert!(of(2000).read().is_empty());
        assert!(
            SafeBatches::new(cache.path(), "other", "cpu", 1000)
                .read()
                .is_empty()
        );
        std::fs::write(&of(1000).file, "{").unwrap();
        assert!(of(1000).read().is_empty());
    }
}
