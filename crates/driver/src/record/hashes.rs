//! Content hashes by name, as `run.json` and checkpoints hold them; in memory one block, since there may be thousands.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use bo_vision::texts::Texts;
use serde::{Deserialize, Serialize, Serializer};

/// Hashes of images, labels, weights, space by their names; on disk an object in the order of names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<String, String>")]
pub struct Hashes {
    /// Ascending.
    names: Texts,
    values: Texts,
}

impl Hashes {
    /// The hash of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (mut low, mut high) = (0, self.names.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.names.get(middle)?.cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return self.values.get(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Names, ascending.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter()
    }

    /// Names whose hashes are not those of `other`, or that only one of the two holds, ascending.
    pub fn differing(&self, other: &Self) -> Vec<String> {
        let all: BTreeSet<&str> = self.names().chain(other.names()).collect();
        let other_hash = |&name: &&str| self.get(name) != other.get(name);
        all.into_iter()
            .filter(other_hash)
            .map(str::to_owned)
            .collect()
    }

    /// Names with their hashes, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names.iter().zip(self.values.iter())
    }
}

impl From<BTreeMap<String, String>> for Hashes {
    fn from(hashes: BTreeMap<String, String>) -> Self {
        Self {
            names: hashes.keys().collect(),
            values: hashes.values().collect(),
        }
    }
}

impl Serialize for Hashes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_found_by_name_and_survive_a_round_trip() {
        let names = (0..40).map(|n| (format!("image {n}.png"), format!("{n:x}")));
        let all: BTreeMap<String, String> = names.collect();
        let hashes = Hashes::from(all.clone());
        for (name, hash) in &all {
            assert_eq!(hashes.get(name), Some(hash.as_str()));
        }
        assert_eq!(hashes.get("image"), None);
        assert_eq!(hashes.get("z"), None);
        let text = serde_json::to_string(&hashes).unwrap();
        assert_eq!(text, serde_json::to_string(&all).unwrap());
        assert_eq!(serde_json::from_str::<Hashes>(&text).unwrap(), hashes);
    }
}
