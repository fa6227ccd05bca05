//! A network within a memory budget: the largest batch or tile that fits, and a step down when it does not.
//!
//! Central type [`Ladder`]. Before work begins it is planned ([`super::Work::footprint`]), and the first full batch
//! confirms the plan; out of memory, real or injected, steps down: a batch that is a quarter smaller, then tiles from a
//! quarter less than the whole takes or the budget allows, each time smaller ones than those that failed, then the CPU. After some successes in a row it steps up again: batches never to what has failed, tiles after each failure more rarely. Where
//! it stands is known for each size of image. Every step is told. Logits do not depend on the steps, so neither does a
//! score.

mod rung;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use image::RgbImage;

pub use rung::Safe;
pub(crate) use rung::quarter_less;
use rung::{Rung, quarter_more};
pub use step::Step;

use super::footprint::{Purpose, Work};
use super::network::{EdgeError, EdgeMap, EdgeModel, EdgeNetwork, LogitScale};
use super::tile::{Tiles, Windowed, logits_within};

/// Share of the budget that a planned batch fills at most.
const TARGET: f64 = 0.85;

/// Largest batch of images that is tried.
pub const LARGEST: usize = 64;

/// What is left of a tile's memory by a cut.
const CUT: f64 = 0.75;

/// Rows and columns of an image as the network reads it.
pub type Size = (usize, usize);

/// What is about to be tried, for whoever says how much it may take or injects failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Images at once.
    pub batch: usize,
    /// Columns and rows of an image.
    pub image: (u32, u32),
    /// Rows and columns of the largest window; of the whole image before it is cut.
    pub window: Size,
    /// It is not on the CPU.
    pub on_device: bool,
}

/// The failure of an attempt that is to fail, as if the device had.
pub type Inject = Box<dyn Fn(Attempt) -> Option<EdgeError> + Send + Sync>;

/// A network that keeps within a budget.
pub struct Ladder {
    network: Box<dyn EdgeNetwork>,
    /// The same network on the CPU, where `network` is on another device.
    spare: Option<Box<dyn EdgeNetwork>>,
    /// Bytes that the next call may take, asked anew for each.
    allowed: Box<dyn Fn(Attempt) -> u64 + Send + Sync>,
    told: Box<dyn Fn(&Step) + Send + Sync>,
    inject: Option<Inject>,
    largest: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rungs: BTreeMap<Size, Rung>,
    on_cpu: bool,
}

impl State {
    fn rung(&mut self, size: Size) -> &mut Rung {
        self.rungs.entry(size).or_default()
    }
}

impl Ladder {
    /// `network` with the bytes beside its model that `allowed` gives; `told` hears every step.
    pub fn new(
        network: Box<dyn EdgeNetwork>,
        allowed: impl Fn(Attempt) -> u64 + Send + Sync + 'static,
        told: impl Fn(&Step) + Send + Sync + 'static,
    ) -> Self {
        Self {
            network,
            spare: None,
            allowed: Box::new(allowed),
            told: Box::new(told),
            inject: None,
            largest: LARGEST,
            state: Mutex::default(),
        }
    }

    /// With the same network on the CPU to fall back on.
    pub fn with_spare(mut self, spare: Box<dyn EdgeNetwork>) -> Self {
        self.spare = Some(spare);
        self
    }

    /// With failures that are not real.
    pub fn with_failures(mut self, inject: Inject) -> Self {
        self.inject = Some(inject);
        self
    }

    /// With batches of `largest` images at most, which is at least 1.
    pub fn at_most(mut self, largest: usize) -> Self {
        self.largest = largest.clamp(1, LARGEST);
        self
    }

    /// Beginning from what was found safe before.
    pub fn remembering(self, safe: impl IntoIterator<Item = (Size, Safe)>) -> Self {
        let mut state = self.state();
        for (size, safe) in safe {
            state.rungs.insert(size, Rung::at(safe));
        }
        drop(state);
        self
    }

    /// What has been found safe so far, by size of image.
    pub fn safe(&self) -> BTreeMap<Size, Safe> {
        let state = self.state();
        let known = state.rungs.iter().map(|(size, rung)| (*size, rung.safe));
        known.filter(|(_, safe)| *safe != Safe::default()).collect()
    }

    /// Most images at once.
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// True once memory ran out on the device and the CPU went on.
    pub fn is_on_cpu(&self) -> bool {
        self.state().on_cpu
    }

    /// How many of `waiting` images of this size should be brought together for the next call of [`Self::all`].
    ///
    /// # Errors
    /// A size that the network does not take.
    pub fn batch(&self, image: (u32, u32), waiting: usize) -> Result<usize, EdgeError> {
        if waiting <= 1 {
            return Ok(waiting);
        }
        let size = self.size(image);
        let mut state = self.state();
        let rung = state.rung(size);
        if rung.batch > 0 {
            let batch = rung.batch.min(self.largest);
            let remembered = std::mem::take(&mut rung.remembered);
            rung.confirmed |= remembered;
            drop(state);
            if remembered && batch > 1 {
                (self.told)(&Step::Remembered { batch });
            }
            return Ok(batch.min(waiting));
        }
        drop(state);
        let planned = self.planned(image)?;
        self.state().rung(size).batch = planned;
        Ok(planned.min(waiting))
    }

    /// Logits of images of equal size, in their order, in batches as large as the budget allows.
    ///
    /// # Errors
    /// As [`logits_within`]; [`EdgeError::NothingSmaller`] or [`EdgeError::Budget`] when the ladder has no lower step.
    pub fn all(&self, images: &[&RgbImage]) -> Result<Vec<EdgeMap>, EdgeError> {
        let mut maps = Vec::with_capacity(images.len());
        while maps.len() < images.len() {
            let rest = &images[maps.len()..];
            let image = rest[0].dimensions();
            let batch = self.batch(image, rest.len())?;
            match self.once(&rest[..batch]) {
                Ok(more) => {
                    maps.extend(more);
                    self.went_well(batch, image)?;
                }
                Err(error) if error.is_out_of_memory() => {
                    self.step_down(batch, image, error)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(maps)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // every change of the state is complete before anything can panic
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network that is asked now.
    fn present(&self) -> &dyn EdgeNetwork {
        match &self.spare {
            Some(spare) if self.is_on_cpu() => spare.as_ref(),
            _ => self.network.as_ref(),
        }
    }

    /// Rows and columns of such an image as the network reads it.
    fn size(&self, (width, height): (u32, u32)) -> Size {
        match self.network.windowed() {
            Some(network) => network.model().padded(height, width),
            None => (height as usize, width as usize),
        }
    }

    /// Largest batch of images like this one that the plan lets fill its share of the budget.
    fn planned(&self, image: (u32, u32)) -> Result<usize, EdgeError> {
        let Some(network) = self.present().windowed() else {
            return Ok(1);
        };
        if self.is_on_cpu() {
            return Ok(1); // all cores work at one image already
        }
        let mut best = 1;
        for batch in 2..=self.largest {
            let attempt = self.attempt(network, batch, image);
            let room = ((self.allowed)(attempt) as f64 * TARGET) as u64;
            if bytes(network.model(), batch, attempt.window)? > room {
                break;
            }
            best = batch;
        }
        Ok(best)
    }

    fn attempt(&self, network: &dyn Windowed, batch: usize, image: (u32, u32)) -> Attempt {
        Attempt {
            batch,
            image,
            window: self.size(image),
            on_device: !network.device().is_cpu(),
        }
    }

    /// One attempt at one batch.
    fn once(&self, images: &[&RgbImage]) -> Result<Vec<EdgeMap>, EdgeError> {
        let network = self.present();
        let Some(windowed) = network.windowed() else {
            return images.iter().map(|image| network.logits(image)).collect();
        };
        let attempt = self.attempt(windowed, images.len(), images[0].dimensions());
        let size = attempt.window;
        let cuts = self.state().rung(size).safe.cuts;
        let (tiles, over) = self.tiles(windowed, attempt, cuts)?;
        if attempt.batch > 1 && tiles.count(size.0, size.1) > 1 {
            return Err(EdgeError::OutOfMemory {
                reason: format!("a batch of {} is planned above the budget", attempt.batch),
            });
        }
        self.tell_tiles(windowed, attempt, tiles, over)?;
        let attempt = Attempt {
            window: tiles.window(size.0, size.1),
            ..attempt
        };
        self.state().rung(size).tried = attempt.window;
        if let Some(error) = self.inject.as_ref().and_then(|fails| fails(attempt)) {
            return Err(error);
        }
        logits_within(windowed, images, tiles)
    }

    /// How images are cut after `cuts` cuts of their memory. One alone is cut into the smallest tiles at last, where the
    /// budget allows those, and on the CPU where it does not too, which is a step to tell: there is nothing below.
    fn tiles(
        &self,
        network: &dyn Windowed,
        attempt: Attempt,
        cuts: u32,
    ) -> Result<(Tiles, Option<Step>), EdgeError> {
        let (model, size) = (network.model(), attempt.window);
        let allowed = (self.allowed)(attempt);
        let room = match cuts {
            0 => allowed,
            // the whole did not fit, whatever the budget says: cut from what it takes
            _ => {
                let whole = bytes(model, attempt.batch, size)?;
                (allowed.min(whole) as f64 * CUT.powi(cuts as i32)) as u64
            }
        };
        match Tiles::fit(model, attempt.batch, size, room) {
            Err(EdgeError::Budget { needed, .. })
                if attempt.batch == 1 && (needed <= allowed || !attempt.on_device) =>
            {
                let over = (needed > allowed).then_some(Step::OverBudget { needed, allowed });
                Ok((Tiles::smallest(model, size)?, over))
            }
            found => Ok((found?, None)),
        }
    }

    /// Says how an image is cut, once for each way.
    fn tell_tiles(
        &self,
        network: &dyn Windowed,
        attempt: Attempt,
        tiles: Tiles,
        over: Option<Step>,
    ) -> Result<(), EdgeError> {
        let (model, size) = (network.model(), attempt.window);
        let (count, window) = (tiles.count(size.0, size.1), tiles.window(size.0, size.1));
        let cut = count > 1 || over.is_some();
        if !cut && self.state().rung(size).tiled.take().is_some() {
            (self.told)(&Step::Whole);
        }
        if !cut || self.state().rung(size).tiled.replace(window) == Some(window) {
            return Ok(());
        }
        if let Some(over) = over {
            (self.told)(&over);
        }
        (self.told)(&Step::Tiled {
            tiles: count,
            window,
            bytes: bytes(model, attempt.batch, window)?,
        });
        Ok(())
    }

    /// After out of memory: the next lower step, or the error if there is none.
    fn step_down(
        &self,
        batch: usize,
        image: (u32, u32),
        error: EdgeError,
    ) -> Result<(), EdgeError> {
        let size = self.size(image);
        self.state().rung(size).calm = 0;
        if batch > 1 {
            let to = self.state().rung(size).fall(batch);
            (self.told)(&Step::SmallerBatch { from: batch, to });
            return Ok(());
        }
        let too_small = matches!(error, EdgeError::Budget { .. });
        let lower = if too_small { None } else { self.lower(image)? };
        if let Some(cuts) = lower {
            self.state().rung(size).cut(cuts); // tiles are told when they are planned
            return Ok(());
        }
        let mut state = self.state();
        if self.spare.is_some() && !state.on_cpu {
            // what was learned on the device says nothing of the host
            state.on_cpu = true;
            state.rungs.clear();
            drop(state);
            (self.told)(&Step::OnCpu);
            return Ok(());
        }
        let (rows, columns) = state.rung(size).tried;
        Err(match error {
            EdgeError::Budget { .. } => error,
            _ => EdgeError::NothingSmaller {
                rows,
                columns,
                error: Box::new(error),
            },
        })
    }

    /// Cuts after which the largest window of such an image, alone, takes less than that which was tried last; none if
    /// there are no smaller tiles.
    fn lower(&self, image: (u32, u32)) -> Result<Option<u32>, EdgeError> {
        let Some(network) = self.present().windowed() else {
            return Ok(None);
        };
        let attempt = self.attempt(network, 1, image);
        let (model, size) = (network.model(), attempt.window);
        let (tried, cuts) = {
            let mut state = self.state();
            let rung = state.rung(size);
            (rung.tried, rung.safe.cuts)
        };
        let failed = bytes(model, 1, tried)?;
        let smallest = Tiles::smallest(model, size)?;
        for more in cuts + 1.. {
            let tiles = match self.tiles(network, attempt, more) {
                Err(EdgeError::Budget { .. }) => break,
                found => found?.0,
            };
            if tiles.bytes(model, 1, size)? < failed {
                return Ok(Some(more));
            }
            if tiles == smallest {
                break;
            }
        }
        Ok(None)
    }

    /// Counts a success; after enough of them tries a quarter more, if that is planned to fit.
    fn went_well(&self, batch: usize, image: (u32, u32)) -> Result<(), EdgeError> {
        let size = self.size(image);
        let mut state = self.state();
        let rung = state.rung(size);
        if batch == 1 {
            rung.uncut();
        }
        if batch < rung.batch.min(self.largest) || rung.batch == 0 {
            return Ok(()); // the last few images say nothing of a full batch
        }
        let first = !std::mem::replace(&mut rung.confirmed, true) && batch > 1;
        let calm = rung.is_calm(batch);
        let most = rung.safe.failed.map_or(self.largest, |failed| failed - 1);
        drop(state);
        if first && let Some(network) = self.present().windowed() {
            (self.told)(&Step::Confirmed {
                batch,
                bytes: bytes(network.model(), batch, size)?,
                allowed: (self.allowed)(self.attempt(network, batch, image)),
            });
        }
        if calm {
            let to = quarter_more(batch).min(most).min(self.planned(image)?);
            if to > batch {
                self.state().rung(size).batch = to;
                (self.told)(&Step::LargerBatch { from: batch, to });
            }
        }
        Ok(())
    }
}

impl EdgeNetwork for Ladder {
    fn logits(&self, rgb: &RgbImage) -> Result<EdgeMap, EdgeError> {
        let mut maps = self.all(&[rgb])?;
        Ok(maps.remove(0))
    }

    fn name(&self) -> &str {
        self.network.name()
    }

    fn scale(&self) -> LogitScale {
        self.network.scale()
    }

    fn least(&self, image: (u32, u32)) -> Result<u64, EdgeError> {
        self.network.least(image)
    }

    fn fingerprint(&self) -> &str {
        self.network.fingerprint()
    }
}

/// Bytes that a batch of such windows takes beside the model.
fn bytes(model: EdgeModel, batch: usize, (height, width): Size) -> Result<u64, EdgeError> {
    let work = Work {
        model,
        purpose: Purpose::Inference,
        batch,
        height,
        width,
    };
    Ok(work.footprint()?.beside_model())
}
