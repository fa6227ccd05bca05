//! Seeing images: the network on its device, and the store of what it once said.
//!
//! Central type: [`Eyes`]. What is seen depends on pixels, corruption, network, preprocessing and type of device or processor,
//! and always comes in the form in which it is kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use bo_memory::budget::{self, Budget, Source};
use bo_memory::device::DevicePool;
use bo_memory::{Counting, host as pages};
use bo_vision::corruption::Corruption;
use bo_vision::edge::{
    Attempt, EdgeError, EdgeNetwork, Ladder, Precision, Safe, Size, device_lost, out_of_memory,
};
use bo_vision::kept::{KeptBounds, KeptKey, KeptStore, Origin as Kept};
use bo_vision::line::Detectors;
use bo_vision::pipeline::{self, Seen};
use bo_vision::source::SourceError;
use candle_core::Device;
use image::RgbImage;

use super::Surroundings;
use super::clock::{Clock, Part, PartSeconds};
use super::device::{Chosen, Reserve};
use super::network;
use super::safe_batches::SafeBatches;
use crate::exit::Failure;
use crate::forecast::{Photograph, enough, resident};
use crate::record::cpu;
use crate::run::StopFlag;
use crate::settings::{Origin, Settings};
use crate::supervise::device_failure;

/// Most memory for what is kept; less where the budget is small. All of it is in files, which the system
/// holds in its page cache as far as there is room.
const KEPT: u64 = 16 << 20;

/// A network, its device and what it once said.
pub struct Eyes {
    pub(super) ladder: Ladder,
    pub(super) detectors: Detectors,
    device: Chosen,
    pub(super) store: KeptStore,
    /// What went well, beside what is kept; `None` for a reader.
    safe: Option<SafeBatches>,
    /// What of it is on disk.
    remembered: Mutex<BTreeMap<Size, Safe>>,
    /// Steps of the ladder that nobody was told yet.
    steps: Arc<Mutex<Vec<String>>>,
    pub(super) clock: Clock,
    /// How often an image was seen by the network, and from a file or memory.
    counts: [AtomicU64; 2],
    pub(super) stop: StopFlag,
    pub(super) log: Arc<dyn Fn(&str) + Send + Sync>,
}

/// Why an image was not seen.
#[derive(Debug, thiserror::Error)]
pub enum SightError {
    /// It is gone or no longer decodes.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The network failed.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// Memory ran out on the device and the CPU took over; never leaves this file.
    #[error("the CPU goes on")]
    Moved,
    /// The device failed at the corruption.
    #[error("corrupt the image: {0}")]
    Corruption(#[from] candle_core::Error),
}

impl SightError {
    /// Memory ran out below the last step of the ladder.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Edge(error) => error.is_out_of_memory(),
            Self::Corruption(error) => out_of_memory(error),
            _ => false,
        }
    }

    /// The device is of no more use to this process.
    pub fn is_device_lost(&self) -> bool {
        match self {
            Self::Edge(error) => error.is_device_lost(),
            Self::Corruption(error) => device_lost(error),
            _ => false,
        }
    }
}

impl Eyes {
    /// Opens the store of the settings for a network that is to see no image that takes more than `largest`, if that is
    /// known.
    ///
    /// # Errors
    /// A cache folder that cannot be written; a budget that was asked for and leaves no tile.
    pub fn open(
        network: Box<dyn EdgeNetwork>,
        device: Chosen,
        settings: &Settings,
        surroundings: &Surroundings,
        largest: Option<Photograph>,
    ) -> Result<Self, Failure> {
        let means = settings.means();
        let host = budget::host(means.host_memory_mb.map(|mb| mb << 20));
        if let (Some(largest), true) = (largest, device.device.is_cpu()) {
            sensible(network.as_ref(), largest, host)?;
        }
        let cache = &surroundings.cache;
        let bounds = KeptBounds {
            memory: usize::try_from(KEPT.min(host.bytes / 4)).unwrap_or(usize::MAX),
            files: means.cache_mb << 20,
        };
        let store = if surroundings.reads_only {
            KeptStore::reading(cache, bounds)
        } else {
            KeptStore::open(cache, bounds).map_err(|error| {
                let remedy = "give --cache DIR a folder that can be written";
                Failure::input(cache, error, remedy)
            })?
        };
        let budget = device.card.as_ref().map_or(host.bytes, Reserve::budget);
        let safe = SafeBatches::new(cache, network.fingerprint(), &place(&device), budget);
        let remembered = safe.read();
        let steps = Arc::default();
        let spare = match device.device.is_cpu() {
            true => None,
            false => Some(network::load(settings, &Device::Cpu)?),
        };
        let mut ladder = within(network, &device, host, (surroundings, &steps))
            .with_failures(Box::new(device_failure))
            .remembering(remembered.clone());
        if let Some(spare) = spare {
            ladder = ladder.with_spare(spare);
        }
        // on the CPU all cores work at one image already
        let alone = device.device.is_cpu().then_some(1);
        if let Some(most) = means.edge_batch.or(alone) {
            ladder = ladder.at_most(most);
        }
        Ok(Self {
            ladder,
            detectors: settings.study().voters,
            device,
            store,
            safe: (!surroundings.reads_only).then_some(safe),
            remembered: Mutex::new(remembered),
            steps,
            clock: Clock::default(),
            counts: Default::default(),
            stop: surroundings.stop.clone(),
            log: Arc::clone(&surroundings.log),
        })
    }

    /// What is kept of an image whose pixels have `hash` and are changed by `corruption`; `load` is asked for the
    /// pixels only where nothing is kept yet.
    ///
    /// # Errors
    /// The image does not load, or network or device fail.
    pub fn see(
        &self,
        hash: &str,
        corruption: &Corruption,
        load: impl FnOnce() -> Result<RgbImage, SourceError>,
    ) -> Result<Arc<Seen>, SightError> {
        let key = self.key(hash, corruption);
        let mut elsewhere = None;
        let kept = self.store.get_or_compute(&key, || {
            let changed = || Ok::<_, SightError>(corruption.apply(&load()?, &self.device.device)?);
            let pixels = self.clock.during(Part::Decode, changed)?;
            let seen = pipeline::see(pixels, &self.ladder, self.detectors, &self.clock)?;
            if self.place() == key.device {
                return Ok(seen);
            }
            // the CPU has taken over meanwhile: this is no output of the device and is not kept as such
            elsewhere = Some(seen);
            Err(SightError::Moved)
        });
        self.remember();
        let kept = match (kept, elsewhere) {
            (Err(SightError::Moved), Some(seen)) => {
                let key = self.key(hash, corruption);
                self.store
                    .get_or_compute(&key, || Ok::<_, SightError>(seen))?
            }
            (kept, _) => kept?,
        };
        for warning in &kept.warnings {
            (self.log)(&warning.to_string());
        }
        self.counts[usize::from(kept.origin != Kept::Computed)].fetch_add(1, Relaxed);
        Ok(kept.seen)
    }

    /// Under what an image is kept now.
    pub(super) fn key(&self, hash: &str, corruption: &Corruption) -> KeptKey {
        KeptKey {
            pixels: hash.to_owned(),
            corruption: corruption.key(),
            network: self.ladder.fingerprint().to_owned(),
            preprocessing: self.preprocessing(),
            device: self.place(),
        }
    }

    /// Where the network runs now.
    pub(super) fn place(&self) -> String {
        match self.ladder.is_on_cpu() {
            true => on_cpu(),
            false => place(&self.device),
        }
    }

    /// Puts on disk what has been found safe, if that is news.
    pub(super) fn remember(&self) {
        let (Some(file), found) = (&self.safe, self.ladder.safe()) else {
            return;
        };
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // what was learned on the CPU says nothing of the device
        if *remembered == found || self.ladder.is_on_cpu() {
            return;
        }
        if let Err(error) = file.write(&found) {
            (self.log)(&format!("the safe batch is not remembered: {error}"));
        }
        *remembered = found;
    }

    /// What was done since the last call to keep within memory, in words.
    pub fn memory_steps(&self) -> Vec<String> {
        std::mem::take(&mut *self.steps.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where what was seen came from, in words.
    pub fn account(&self) -> String {
        let [computed, kept] = [0, 1].map(|k| self.counts[k].load(Relaxed));
        format!("images seen: {computed} by the network, {kept} times from what is kept")
    }

    /// Where the time went so far.
    pub fn seconds(&self) -> PartSeconds {
        self.clock.seconds()
    }

    /// The network.
    pub fn network(&self) -> &dyn EdgeNetwork {
        &self.ladder
    }

    /// Version of all that is done to an image beside the network and its device.
    pub fn preprocessing(&self) -> String {
        pipeline::preprocessing(&self.ladder, self.detectors)
    }

    /// For candle.
    pub fn device(&self) -> &Device {
        &self.device.device
    }

    /// For the record: `cpu` or `cuda:N`.
    pub fn device_name(&self) -> &str {
        &self.device.name
    }

    /// The GPU's memory, if that is where the network is and its bytes can be counted.
    pub fn pool(&self) -> Option<DevicePool> {
        self.device.card.as_ref()?.pool.clone()
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> u64 {
        self.store.bytes() as u64
    }

    /// Lets go of everything in memory; files stay.
    pub fn release(&self) {
        self.store.release();
    }
}

/// Bytes that the pipeline holds of a pixel while the network runs: the enhanced image, its logit, and its half.
const OF_A_PIXEL: u64 = 9;
/// The same of an image alone, which is enhanced already and so in use when the network is asked: its logit.
const LOGIT: u64 = 4;

/// Resident bytes of the program beside what it allocates: code, libraries, stacks. Measured: 10 to 13 MB.
const OWN: u64 = 12 << 20;
/// Share of a budget, one in so many, above which pages of the heap that hold nothing are given back before the next image.
const IDLE: u64 = 16;

/// The network held to what is left of a budget; its steps go to the log and to whoever asks for them.
fn within(
    network: Box<dyn EdgeNetwork>,
    device: &Chosen,
    host: Budget,
    (surroundings, steps): (&Surroundings, &Arc<Mutex<Vec<String>>>),
) -> Ladder {
    let (log, steps) = (Arc::clone(&surroundings.log), Arc::clone(steps));
    let card = device.card.clone();
    let allowed = move |attempt: Attempt| match &card {
        Some(card) if attempt.on_device => card.room(),
        _ => {
            let (width, height) = attempt.image;
            let pixels = u64::from(width) * u64::from(height) * attempt.batch as u64;
            // pages that the heap keeps without use are not there for a tile: they go back where they are many
            if resident().saturating_sub(Counting::in_use()) > OWN + host.bytes / IDLE {
                pages::trim();
            }
            // by what was allocated, which is the same each time, so that tiles are too
            let left = host.bytes.saturating_sub(OWN + Counting::in_use());
            // threads that look at images each get their part
            let sharing = match rayon::current_thread_index() {
                Some(_) => rayon::current_num_threads() as u64,
                None => 1,
            };
            let each = match attempt.batch {
                1 => LOGIT,
                _ => OF_A_PIXEL,
            };
            (left / sharing).saturating_sub(each * pixels)
        }
    };
    Ladder::new(network, allowed, move |step| {
        log(&format!("memory: {step}"));
        let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.push(step.to_string());
    })
}

/// Whether a budget that was asked for leaves room for the largest image: for the smallest tiles beside it, and for what
/// looks at the whole of it.
fn sensible(network: &dyn EdgeNetwork, largest: Photograph, budget: Budget) -> Result<(), Failure> {
    if budget.source != Source::Asked {
        return Ok(());
    }
    let (width, height) = largest.size;
    let finder = network
        .least(largest.size)
        .map_err(|error| Failure::unexpected("planning the network", error))?;
    let needed = largest.peak(finder);
    // what opening the images has left in the heap is given back first: it is no part of what the program takes
    pages::trim();
    let base = resident();
    let least = base + needed;
    if budget.bytes >= least {
        return Ok(());
    }
    let mb = |bytes: u64| bytes.div_ceil(1 << 20);
    Err(Failure::Setting {
        key: "host-memory-mb".into(),
        origin: Origin::Flag("--host-memory-mb".into()),
        reason: format!(
            "{} MiB: an image of {width} x {height} pixels takes {} MiB ({}), and the program {} MiB",
            budget.bytes >> 20,
            mb(needed),
            largest.most(finder, network.name()),
            mb(least - needed)
        ),
        remedy: format!(
            "type --host-memory-mb {} or more, or give smaller images",
            enough(least)
        ),
    })
}

/// Where what is kept is computed. Numbers are the same bit for bit only on the same type of processor.
fn place(device: &Chosen) -> String {
    match device.kind() {
        "cpu" => on_cpu(),
        kind if device.precision == Precision::Float32 => kind.to_owned(),
        kind => format!("{kind} {}", device.precision),
    }
}

fn on_cpu() -> String {
    format!("cpu {}", cpu())
}

#[cfg(test)]
mod tests {
    use bo_vision::edge::EdgeModel;

    use super::*;

    #[test]
    fn an_image_in_the_whole_of_which_lines_are_detected_needs_room_for_that() {
        let network = EdgeModel::Compact.load(None, &Device::Cpu).unwrap();
        let asked = budget::host(Some(400 << 20));
        let held = |has_regions| {
            let size = (4000, 3000);
            sensible(network.as_ref(), Photograph { size, has_regions }, asked)
        };
        assert!(held(true).is_ok());
        let refused = held(false).unwrap_err().to_string();
        assert!(refused.contains("detected in the whole of it"), "{refused}");
    }
}
