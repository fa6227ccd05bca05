//! A network within a memory budget: the largest batch or tile that fits, and a step down when it does not.
//!
//! Central type [`Ladder`]. Before work begins it is planned ([`super::Work::footprint`]); out of
//! memory, real or injected, steps down: a batch that is a quarter smaller, then tiles from a quarter
//! less memory, then the CPU. After [`CALM`] successes in a row it steps up again, never to what has
//! failed. Every step is told. Logits do not depend on the steps, so neither does a score.

use std::sync::{Mutex, MutexGuard, PoisonError};

use image::RgbImage;
use serde::{Deserialize, Serialize};

use super::footprint::{Purpose, Work};
use super::network::{EdgeError, EdgeMap, EdgeModel, EdgeNetwork};
use super::tile::{Tiles, Windowed, logits_within};

/// Successes in a row before a step up.
pub const CALM: u32 = 8;

/// Share of the budget that a planned batch fills at most.
const TARGET: f64 = 0.85;

/// Largest batch that is tried.
const LARGEST: usize = 64;

/// A step on the ladder.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// A smaller batch after out of memory.
    SmallerBatch {
        /// What failed.
        from: usize,
        /// What is tried next.
        to: usize,
    },
    /// A larger batch: there was room.
    LargerBatch {
        /// What went well.
        from: usize,
        /// What is tried next.
        to: usize,
    },
    /// An image is cut into tiles: planned, or after out of memory.
    Tiled {
        /// How many.
        tiles: usize,
        /// Rows and columns of the largest window.
        window: (usize, usize),
        /// Bytes that one takes beside the model.
        bytes: u64,
    },
    /// The device has no room for the smallest tile: the CPU goes on.
    OnCpu,
    /// Not even the smallest tile fits the budget of the CPU; it is run all the same.
    OverBudget {
        /// Bytes it takes beside the model.
        needed: u64,
        /// Bytes allowed.
        allowed: u64,
    },
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mb = |bytes: u64| bytes.div_ceil(1_000_000);
        match self {
            Self::SmallerBatch { from, to } => {
                write!(
                    f,
                    "out of memory with a batch of {from}: going on with {to}"
                )
            }
            Self::LargerBatch { from, to } => {
                write!(f, "room for more than a batch of {from}: trying {to}")
            }
            Self::Tiled {
                tiles,
                window: (height, width),
                bytes,
            } => write!(
                f,
                "the image is seen in {tiles} tiles of at most {width} x {height} pixels, {} MB each",
                mb(*bytes)
            ),
            Self::OnCpu => f.write_str("out of memory on the device: the CPU goes on"),
            Self::OverBudget { needed, allowed } => write!(
                f,
                "the smallest tile takes {} MB, {} MB are allowed: it is run all the same",
                mb(*needed),
                mb(*allowed)
            ),
        }
    }
}

/// What was found safe, to begin with next time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Safe {
    /// Smallest batch that has failed; nothing as large is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<usize>,
    /// Largest batch that went well.
    pub batch: usize,
    /// Memory for tiles after so many cuts by a quarter.
    pub cuts: u32,
}

/// What is about to be tried, for whoever injects failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Images at once.
    pub batch: usize,
    /// Rows and columns of the largest window.
    pub window: (usize, usize),
    /// It is not on the CPU.
    pub on_device: bool,
}

/// Whether an attempt is to fail as if memory had run out.
pub type Inject = Box<dyn Fn(Attempt) -> bool + Send + Sync>;

/// A network that keeps within a budget.
pub struct Ladder {
    network: Box<dyn EdgeNetwork>,
    /// The same network on the CPU, where `network` is on another device.
    spare: Option<Box<dyn EdgeNetwork>>,
    /// Bytes that the next call may take, asked anew for each.
    allowed: Box<dyn Fn(&RgbImage) -> u64 + Send + Sync>,
    told: Box<dyn Fn(&Step) + Send + Sync>,
    inject: Option<Inject>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    safe: Safe,
    batch: usize,
    calm: u32,
    /// The last way an image was tiled, so that it is told once.
    tiled: Option<(usize, usize)>,
    on_cpu: bool,
}

impl Ladder {
    /// `network` with the bytes beside its model that `allowed` gives for images like one; `told`
    /// hears every step.
    pub fn new(
        network: Box<dyn EdgeNetwork>,
        allowed: impl Fn(&RgbImage) -> u64 + Send + Sync + 'static,
        told: impl Fn(&Step) + Send + Sync + 'static,
    ) -> Self {
        Self {
            network,
            spare: None,
            allowed: Box::new(allowed),
            told: Box::new(told),
            inject: None,
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

    /// Beginning from what was found safe before.
    pub fn remembering(self, safe: Safe) -> Self {
        let mut state = self.state();
        state.safe = safe;
        state.batch = safe.batch;
        drop(state);
        self
    }

    /// What has been found safe so far.
    pub fn safe(&self) -> Safe {
        self.state().safe
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // every change of the state is complete before anything can panic
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logits of images of equal size, in their order, in batches as large as the budget allows.
    ///
    /// # Errors
    /// As [`logits_within`]; [`EdgeError::OutOfMemory`] when the ladder has no lower step.
    pub fn all(&self, images: &[&RgbImage]) -> Result<Vec<EdgeMap>, EdgeError> {
        let mut maps = Vec::with_capacity(images.len());
        while maps.len() < images.len() {
            let rest = &images[maps.len()..];
            let batch = self.batch_for(rest)?;
            match self.once(&rest[..batch]) {
                Ok(more) => {
                    maps.extend(more);
                    self.went_well(batch, rest)?;
                }
                Err(error) if error.is_out_of_memory() => self.step_down(batch, error)?,
                Err(error) => return Err(error),
            }
        }
        Ok(maps)
    }

    /// The batch that is tried on the first of `rest`.
    fn batch_for(&self, rest: &[&RgbImage]) -> Result<usize, EdgeError> {
        let known = self.state().batch;
        if known > 0 || rest.len() == 1 {
            return Ok(known.clamp(1, rest.len()));
        }
        let planned = self.planned(rest[0])?;
        self.state().batch = planned;
        Ok(planned.min(rest.len()))
    }

    /// Largest batch of images like this one that the plan lets fill its share of the budget.
    fn planned(&self, image: &RgbImage) -> Result<usize, EdgeError> {
        let Some(network) = self.network.windowed() else {
            return Ok(1);
        };
        let room = ((self.allowed)(image) as f64 * TARGET) as u64;
        let mut best = 1;
        for batch in 2..=LARGEST {
            let work = whole(network.model(), batch, image);
            if work.footprint()?.beside_model() > room {
                break;
            }
            best = batch;
        }
        Ok(best)
    }

    /// One attempt at one batch.
    fn once(&self, images: &[&RgbImage]) -> Result<Vec<EdgeMap>, EdgeError> {
        let (on_cpu, cuts) = {
            let state = self.state();
            (state.on_cpu, state.safe.cuts)
        };
        let network = match &self.spare {
            Some(spare) if on_cpu => spare,
            _ => &self.network,
        };
        let Some(windowed) = network.windowed() else {
            return images.iter().map(|image| network.logits(image)).collect();
        };
        let allowed = (self.allowed)(images[0]);
        let allowed = (allowed as f64 * 0.75f64.powi(cuts as i32)) as u64;
        let tiles = self.tiles(windowed, images, allowed)?;
        let size = windowed
            .model()
            .padded(images[0].height(), images[0].width());
        let attempt = Attempt {
            batch: images.len(),
            window: tiles.window(size.0, size.1),
            on_device: !windowed.device().is_cpu(),
        };
        if self.inject.as_ref().is_some_and(|fails| fails(attempt)) {
            return Err(EdgeError::OutOfMemory {
                reason: "injected".into(),
            });
        }
        logits_within(windowed, images, tiles)
    }

    fn tiles(
        &self,
        network: &dyn Windowed,
        images: &[&RgbImage],
        allowed: u64,
    ) -> Result<Tiles, EdgeError> {
        let model = network.model();
        let size = model.padded(images[0].height(), images[0].width());
        let mut over = None;
        let tiles = match Tiles::fit(model, images.len(), size, allowed) {
            // a batch goes down before it is cut; on a device there is the CPU below
            Err(EdgeError::Budget { needed, .. })
                if images.len() == 1 && network.device().is_cpu() =>
            {
                over = Some(Step::OverBudget { needed, allowed });
                Tiles::smallest(model)?
            }
            found => found?,
        };
        let count = tiles.count(size.0, size.1);
        if images.len() > 1 && count > 1 {
            return Err(EdgeError::OutOfMemory {
                reason: format!("a batch of {} is planned above the budget", images.len()),
            });
        }
        let window = tiles.window(size.0, size.1);
        let mut state = self.state();
        if (count > 1 || over.is_some()) && state.tiled != Some(window) {
            state.tiled = Some(window);
            drop(state);
            if let Some(over) = over {
                (self.told)(&over);
            }
            let bytes = window_work(model, images.len(), window)
                .footprint()?
                .beside_model();
            (self.told)(&Step::Tiled {
                tiles: count,
                window,
                bytes,
            });
        }
        Ok(tiles)
    }

    /// After out of memory: the next lower step, or the error if there is none.
    fn step_down(&self, batch: usize, error: EdgeError) -> Result<(), EdgeError> {
        let mut state = self.state();
        state.calm = 0;
        let step = if batch > 1 {
            let to = quarter_less(batch);
            state.batch = to;
            state.safe.batch = state.safe.batch.min(to);
            state.safe.failed = Some(state.safe.failed.map_or(batch, |failed| failed.min(batch)));
            Some(Step::SmallerBatch { from: batch, to })
        } else if matches!(error, EdgeError::Budget { .. }) || state.safe.cuts >= 16 {
            if self.spare.is_none() || state.on_cpu {
                return Err(error);
            }
            state.on_cpu = true;
            state.safe.cuts = 0;
            Some(Step::OnCpu)
        } else {
            state.safe.cuts += 1; // tiles are told when they are planned
            None
        };
        drop(state);
        if let Some(step) = step {
            (self.told)(&step);
        }
        Ok(())
    }

    /// Counts a success; after enough of them tries a quarter more, if that is planned to fit.
    fn went_well(&self, batch: usize, rest: &[&RgbImage]) -> Result<(), EdgeError> {
        let mut state = self.state();
        state.safe.batch = state.safe.batch.max(batch);
        if batch < state.batch {
            return Ok(()); // the last few images say nothing of a full batch
        }
        state.calm += 1;
        if state.calm < CALM || rest.len() <= batch {
            return Ok(());
        }
        state.calm = 0;
        let most = state.safe.failed.map_or(LARGEST, |failed| failed - 1);
        drop(state);
        let to = quarter_more(batch).min(most).min(self.planned(rest[0])?);
        if to > batch {
            self.state().batch = to;
            (self.told)(&Step::LargerBatch { from: batch, to });
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

    fn fingerprint(&self) -> &str {
        self.network.fingerprint()
    }
}

fn whole(model: EdgeModel, batch: usize, image: &RgbImage) -> Work {
    window_work(model, batch, model.padded(image.height(), image.width()))
}

fn window_work(model: EdgeModel, batch: usize, (height, width): (usize, usize)) -> Work {
    Work {
        model,
        purpose: Purpose::Inference,
        batch,
        height,
        width,
    }
}

/// A batch a quarter smaller, an even number above 4: 16, 12, 8, 6, 4, 3, 2, 1.
pub fn quarter_less(batch: usize) -> usize {
    let less = batch * 3 / 4;
    let less = if less > 4 { less / 2 * 2 } else { less };
    less.clamp(1, batch.max(2) - 1)
}

/// A batch a quarter larger, at least by 1.
pub fn quarter_more(batch: usize) -> usize {
    batch + (batch / 4).max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use candle_core::Device;

    use super::*;
    use crate::edge::Compact;

    fn images(count: usize) -> Vec<RgbImage> {
        let one = |i: u32| {
            RgbImage::from_fn(48, 40, move |x, y| {
                image::Rgb([(x * 5 + i) as u8, (y * 7) as u8, (x * y + 3 * i) as u8])
            })
        };
        (0..count as u32).map(one).collect()
    }

    fn compact() -> Box<dyn EdgeNetwork> {
        Box::new(Compact::shipped(&Device::Cpu).unwrap())
    }

    /// A ladder and the steps it told.
    fn ladder(allowed: u64) -> (Ladder, Arc<Mutex<Vec<Step>>>) {
        let steps = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&steps);
        let ladder = Ladder::new(
            compact(),
            move |_| allowed,
            move |step| {
                told.lock().unwrap().push(step.clone());
            },
        );
        (ladder, steps)
    }

    fn batches(steps: &Mutex<Vec<Step>>) -> Vec<usize> {
        let steps = steps.lock().unwrap();
        let to = |step: &Step| match step {
            Step::SmallerBatch { to, .. } | Step::LargerBatch { to, .. } => Some(*to),
            _ => None,
        };
        steps.iter().filter_map(to).collect()
    }

    #[test]
    fn batches_fall_by_a_quarter_and_logits_stay() {
        let all = images(40);
        let refs: Vec<&RgbImage> = all.iter().collect();
        let network = compact();
        let (ladder, steps) = ladder(u64::MAX);
        let start = Safe {
            batch: 16,
            ..Safe::default()
        };
        let ladder = ladder
            .remembering(start)
            .with_failures(Box::new(|attempt| attempt.batch > 6));
        let maps = ladder.all(&refs).unwrap();
        assert_eq!(batches(&steps), [12, 8, 6]);
        assert_eq!(ladder.safe().batch, 6);
        assert_eq!(ladder.safe().failed, Some(8));
        for (image, map) in all.iter().zip(&maps) {
            assert_eq!(map, &network.logits(image).unwrap());
        }
    }

    #[test]
    fn with_room_batches_rise_by_a_quarter_but_never_to_what_failed() {
        let all = images(120);
        let refs: Vec<&RgbImage> = all.iter().collect();
        let (ladder, steps) = ladder(u64::MAX);
        let start = Safe {
            batch: 4,
            failed: Some(7),
            ..Safe::default()
        };
        ladder.remembering(start).all(&refs).unwrap();
        assert_eq!(batches(&steps), [5, 6]);
    }

    #[test]
    fn the_first_batch_fills_its_share_of_the_budget() {
        let all = images(12);
        let refs: Vec<&RgbImage> = all.iter().collect();
        let one = whole(EdgeModel::Compact, 1, refs[0]).footprint().unwrap();
        let (ladder, _) = ladder(5 * one.beside_model());
        ladder.all(&refs).unwrap();
        let batch = ladder.safe().batch;
        let bytes = |n| {
            whole(EdgeModel::Compact, n, refs[0])
                .footprint()
                .unwrap()
                .beside_model()
        };
        let share = |n| bytes(n) as f64 / (5 * one.beside_model()) as f64;
        assert!(share(batch) <= 0.85 && share(batch + 1) > 0.85, "{batch}");
    }

    #[test]
    fn an_image_above_the_budget_is_tiled_with_the_same_logits() {
        let image = RgbImage::from_fn(640, 420, |x, y| image::Rgb([x as u8, y as u8, 7]));
        let (ladder, steps) = ladder(40_000_000);
        let map = ladder.logits(&image).unwrap();
        assert_eq!(map, compact().logits(&image).unwrap());
        assert!(matches!(
            steps.lock().unwrap()[..],
            [Step::Tiled { tiles: 2.., .. }]
        ));
        // and into smaller ones when memory runs out all the same
        let (ladder, steps) = self::ladder(80_000_000);
        let calls = Mutex::new(0);
        let ladder = ladder.with_failures(Box::new(move |_| {
            *calls.lock().unwrap() += 1;
            *calls.lock().unwrap() <= 2
        }));
        assert_eq!(map, ladder.logits(&image).unwrap());
        assert_eq!((ladder.safe().cuts, steps.lock().unwrap().len()), (2, 1));
    }

    #[test]
    fn below_the_last_step_it_is_out_of_memory_by_type() {
        let (ladder, _) = ladder(60_000_000);
        let ladder = ladder.with_failures(Box::new(|_| true));
        let error = ladder.logits(&images(1)[0]).unwrap_err();
        assert!(error.is_out_of_memory(), "{error}");
        let steps = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&steps);
        // a stand-in for a device: the first network fails, the spare one on the CPU does not
        let calls = Mutex::new(0);
        let ladder = Ladder::new(
            compact(),
            |_| u64::MAX,
            move |step| {
                told.lock().unwrap().push(step.clone());
            },
        )
        .with_spare(compact())
        .with_failures(Box::new(move |_| {
            *calls.lock().unwrap() += 1;
            *calls.lock().unwrap() <= 17
        }));
        let image = &images(1)[0];
        assert_eq!(
            ladder.logits(image).unwrap(),
            compact().logits(image).unwrap()
        );
        assert_eq!(steps.lock().unwrap()[..], [Step::OnCpu]);
    }

    #[test]
    fn steps_of_a_quarter() {
        let mut batch = 16;
        let mut steps = Vec::new();
        while batch > 1 {
            batch = quarter_less(batch);
            steps.push(batch);
        }
        assert_eq!(steps, [12, 8, 6, 4, 3, 2, 1]);
        assert_eq!([1, 4, 6, 16].map(quarter_more), [2, 5, 7, 20]);
    }
}
