//! The deep clean-up: drop what can be rebuilt, trim, reset peaks, and measure what it gave back.

use crate::host;
use crate::ledger::Ledger;
use crate::scope::lock;

/// A registered cache: its name and how to empty it (returns the bytes it dropped).
pub(crate) type Cache = (String, Box<dyn FnMut() -> u64 + Send>);

/// What a deep clean-up gave back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reclaimed {
    /// Bytes dropped by each registered cache, in order of registration.
    pub caches: Vec<(String, u64)>,
    /// Resident bytes before; 0 where the system does not tell.
    pub resident_before: u64,
    /// Resident bytes after.
    pub resident_after: u64,
    /// Free pages were given back to the system.
    pub trimmed: bool,
    /// The resident peak began anew.
    pub peak_reset: bool,
}

impl Reclaimed {
    /// Resident bytes given back; 0 when the resident size grew meanwhile.
    pub fn resident(&self) -> u64 {
        self.resident_before.saturating_sub(self.resident_after)
    }
}

impl Ledger {
    /// Registers a cache that a deep clean-up empties. `empty` returns the bytes it dropped.
    pub fn on_clean(&self, name: &str, empty: impl FnMut() -> u64 + Send + 'static) {
        lock(&self.state)
            .caches
            .push((name.to_owned(), Box::new(empty)));
    }

    /// Empties registered caches, gives free pages back to the system and begins new peaks. Run it
    /// between scopes.
    pub fn deep_clean(&self) -> Reclaimed {
        let resident_before = host::resident().map_or(0, |resident| resident.now);
        // the callbacks may write into these books: they run without the lock
        let mut registered = std::mem::take(&mut lock(&self.state).caches);
        let caches = registered
            .iter_mut()
            .map(|(name, empty)| (name.clone(), empty()))
            .collect();
        let mut state = lock(&self.state);
        registered.append(&mut state.caches);
        state.caches = registered;
        let trimmed = host::trim();
        let peak_reset = host::reset_peak();
        state.boundary();
        Reclaimed {
            caches,
            resident_before,
            resident_after: host::resident().map_or(0, |resident| resident.now),
            trimmed,
            peak_reset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_clean_up_empties_caches_and_gives_pages_back() {
        let ledger = Ledger::new();
        // many small pieces with one survivor on top: free() alone keeps the pages
        let cache: Vec<Vec<u8>> = (0..20_000).map(|_| vec![1_u8; 4000]).collect();
        let pinned = vec![1_u8; 4000];
        let cache = Arc::new(Mutex::new(cache));
        let (own, books) = (Arc::clone(&cache), ledger.clone());
        ledger.hold("cache", 80_000_000);
        ledger.on_clean("cache", move || {
            books.hold("cache", 0);
            let dropped = std::mem::take(&mut *own.lock().unwrap());
            dropped.iter().map(|piece| piece.len() as u64).sum()
        });
        let reclaimed = ledger.deep_clean();
        assert_eq!(reclaimed.caches, [("cache".to_owned(), 80_000_000)]);
        assert!(ledger.held().is_empty());
        if reclaimed.trimmed && reclaimed.resident_before > 0 {
            assert!(reclaimed.resident() > 40_000_000, "{reclaimed:?}");
        }
        assert_eq!(ledger.deep_clean().caches[0].1, 0);
        drop(pinned);
    }
}
