//! Images that are wanted together are seen together, in batches as large as memory allows.
//!
//! Only where batches above 1 are allowed: on the CPU all cores work at one image already, so there images are
//! seen when they are asked for (what a batch would gain there is not measured). What fails here is tried again, and
//! told, when it is asked for.

use bo_vision::corruption::Corruption;
use bo_vision::kept::KeptKey;
use bo_vision::pipeline::see_together;
use image::RgbImage;
use rayon::prelude::*;

use super::clock::Part;
use super::eyes::{Eyes, SightError};

/// An image that will be asked for.
pub struct Wanted {
    /// Hash of its pixels.
    pub hash: String,
    /// What is done to it.
    pub corruption: Corruption,
}

impl Eyes {
    /// Sees what is not kept yet of `wanted`; `load` gives the pixels of one of them.
    pub fn foresee(&self, wanted: &[Wanted], load: impl Fn(usize) -> Option<RgbImage> + Sync) {
        if self.ladder.largest() == 1 {
            return;
        }
        let mut waiting: Vec<(usize, KeptKey)> = wanted
            .iter()
            .enumerate()
            .map(|(index, one)| (index, self.key(&one.hash, &one.corruption)))
            .filter(|(_, key)| !self.store.holds(key))
            .collect();
        waiting.sort_by(|a, b| a.1.cmp(&b.1).then(a.0.cmp(&b.0)));
        waiting.dedup_by(|a, b| a.1 == b.1);
        waiting.sort_by_key(|(index, _)| *index);
        let pixels = |(index, key): &(usize, KeptKey)| {
            let changed = self.clock.during(Part::Decode, || {
                let pixels = load(*index)?;
                let changed = wanted[*index].corruption.apply(&pixels, self.device());
                changed.ok()
            });
            Some((key.clone(), changed?))
        };
        let mut next = 0;
        let mut held: Vec<(KeptKey, RgbImage)> = Vec::new();
        while next < waiting.len() || !held.is_empty() {
            if self.stop.asked().is_some() {
                return;
            }
            if held.is_empty() {
                held.extend(pixels(&waiting[next]));
                next += 1;
                continue;
            }
            let size = held[0].1.dimensions();
            let left = waiting.len() - next;
            let Ok(batch) = self.ladder.batch(size, held.len() + left) else {
                return;
            };
            let more = &waiting[next..][..batch.saturating_sub(held.len()).min(left)];
            next += more.len();
            held.par_extend(more.par_iter().filter_map(pixels));
            let (now, later): (Vec<_>, Vec<_>) = held
                .into_iter()
                .partition(|(_, image)| image.dimensions() == size);
            held = later;
            let (keys, images): (Vec<KeptKey>, Vec<RgbImage>) = now.into_iter().unzip();
            let Ok(seen) = see_together(images, &self.ladder, self.detectors, &self.clock) else {
                return;
            };
            for (key, seen) in keys.iter().zip(seen) {
                // what the CPU computed in place of the device is known by another key
                if key.device == self.place() {
                    let kept = self.store.get_or_compute(key, || Ok::<_, SightError>(seen));
                    kept.into_iter()
                        .flat_map(|kept| kept.warnings)
                        .for_each(|warning| (self.log)(&warning.to_string()));
                }
            }
            self.remember();
        }
    }
}
