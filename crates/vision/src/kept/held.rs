//! Entries in memory: the longest unused go when there are too many bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::KeptKey;
use crate::pipeline::Seen;

#[derive(Debug, Default)]
pub(super) struct Held {
    entries: BTreeMap<KeptKey, (u64, Arc<Seen>)>,
    clock: u64,
    /// Bytes of all entries.
    pub bytes: usize,
}

impl Held {
    /// The entry of `key`, now the latest used.
    pub fn recall(&mut self, key: &KeptKey) -> Option<Arc<Seen>> {
        self.clock += 1;
        let (used, seen) = self.entries.get_mut(key)?;
        *used = self.clock;
        Some(seen.clone())
    }

    /// Keeps an entry as long as there is room for it.
    pub fn remember(&mut self, key: &KeptKey, seen: &Arc<Seen>, budget: usize) {
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
