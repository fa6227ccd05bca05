//! What a network will take here, what fits, and what to change where it does not.
//!
//! Central types: [`Forecast`], one piece of work of a network against this machine's budget, [`CannyForecast`], the same of Canny, [`Demand`], a training held to one, and
//! [`Cards`], the settings recommended for cards of several sizes. All ask the networks' own layers
//! ([`bo_vision::edge::Work`]); no number stands here that the layers could contradict.

mod canny;
mod cards;
mod photograph;
mod remedy;
mod training;
mod work;

pub use canny::CannyForecast;
pub use cards::Cards;
pub use photograph::Photograph;
pub use training::Demand;
pub use work::Forecast;

use bo_memory::{Counting, host};
use bo_vision::edge::{EdgeModel, Footprint, LARGEST, Place, Purpose, Training, Work};

use crate::exit::Failure;

/// Largest number of crops at once that is looked for.
const CROPS: usize = 1024;

/// Bytes that the program takes as it stands: resident ones, or, where the system does not tell, those that were allocated.
pub fn resident() -> u64 {
    host::resident().map_or_else(Counting::in_use, |resident| resident.now)
}

/// MiB to allow for so many bytes, where the process that is to take them may begin with a little more than this one did.
pub fn enough(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20) + 2
}

/// Rank of the changes that `bo adapt` learns if no other is asked for.
const RANK: usize = 4;

/// What is trained of a network: all of the compact one (`bo train edge`), of any other low-rank changes alone (`bo adapt`).
fn rank(model: EdgeModel) -> Option<usize> {
    (model != EdgeModel::Compact).then_some(RANK)
}

/// The largest batch that this program can be asked for.
fn most(purpose: Purpose) -> usize {
    match purpose {
        Purpose::Inference => LARGEST,
        Purpose::Training | Purpose::CheckpointedTraining => CROPS,
    }
}

/// What the work takes; training is a step on one batch.
fn footprint(work: &Work, place: Place) -> Result<Footprint, Failure> {
    if work.purpose != Purpose::Inference {
        let how = Training {
            crops: work.batch,
            rank: rank(work.model),
        };
        return step(work, place, how);
    }
    work.footprint_at(place)
        .map_err(|error| Failure::unexpected("planning the network", error))
}

fn step(work: &Work, place: Place, how: Training) -> Result<Footprint, Failure> {
    work.step_at(place, how)
        .map_err(|error| Failure::unexpected("planning a step of training", error))
}

/// The largest batch of this work that takes at most `bytes` at a place; 0 if not even one image fits.
fn largest_batch(work: &Work, place: Place, bytes: u64) -> Result<usize, Failure> {
    let fits = |batch: usize| {
        let found = footprint(&Work { batch, ..*work }, place)?;
        Ok::<_, Failure>(found.peak <= bytes)
    };
    if !fits(1)? {
        return Ok(0);
    }
    let (mut good, mut bad) = (1, most(work.purpose) + 1);
    while bad - good > 1 {
        let middle = (good + bad) / 2;
        if fits(middle)? {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Ok(good)
}
