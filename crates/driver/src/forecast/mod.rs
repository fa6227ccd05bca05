//! What a network will take here, what fits, and what to change where it does not.
//!
//! Central types: [`Forecast`], one piece of work against this machine's budget, [`Demand`], a training held to one, and
//! [`Cards`], the settings recommended for cards of several sizes. All ask the networks' own layers
//! ([`bo_vision::edge::Work`]); no number stands here that the layers could contradict.

mod cards;
mod remedy;
mod training;
mod work;

pub use cards::Cards;
pub use training::Demand;
pub use work::Forecast;

use bo_vision::edge::{Footprint, Training, Work};

use crate::exit::Failure;

/// Largest batch that is looked for.
const LARGEST: usize = 1024;

fn footprint(work: &Work) -> Result<Footprint, Failure> {
    work.footprint()
        .map_err(|error| Failure::unexpected("planning the network", error))
}

fn step(work: &Work, how: Training) -> Result<Footprint, Failure> {
    work.step(how)
        .map_err(|error| Failure::unexpected("planning a step of training", error))
}

/// The largest batch of this work that takes at most `bytes`; 0 if not even one image fits.
fn largest_batch(work: &Work, bytes: u64) -> Result<usize, Failure> {
    let fits = |batch: usize| Ok::<_, Failure>(footprint(&Work { batch, ..*work })?.peak <= bytes);
    if !fits(1)? {
        return Ok(0);
    }
    let (mut good, mut bad) = (1, LARGEST + 1);
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
