//! Where the climbs of a fit begin.

use statrs::distribution::{ContinuousCDF, Normal};

use super::{FitSettings, Priors};
use crate::stream::{Purpose, sobol_seed};

/// The prior mode and draws around it, as vectors of logarithms; one fewer with a warm start.
pub(super) fn starts(
    priors: &Priors,
    dimension: usize,
    warm: bool,
    settings: &FitSettings,
) -> Vec<Vec<f64>> {
    let count = settings.starts.max(1) - usize::from(warm);
    let seed = sobol_seed(settings.seed, settings.iteration, Purpose::FitStarts);
    let centre = priors.vector(&priors.mode(dimension));
    (0..count as u32)
        .map(|index| match index {
            0 => centre.clone(),
            index => draw(&centre, index - 1, seed),
        })
        .collect()
}

/// A start near `centre`: independent normal steps of one standard deviation in each logarithm.
fn draw(centre: &[f64], index: u32, seed: u32) -> Vec<f64> {
    let normal = Normal::standard();
    let step = |dimension: usize| {
        // Sobol points have at most 256 dimensions; further blocks get a seed of their own.
        let (block, dimension) = ((dimension / 256) as u32, (dimension % 256) as u32);
        let uniform = f64::from(sobol_burley::sample(
            index,
            dimension,
            seed.wrapping_add(block),
        ));
        normal.inverse_cdf(uniform.clamp(1e-6, 1.0 - 1e-6))
    };
    centre
        .iter()
        .enumerate()
        .map(|(i, log)| log + step(i))
        .collect()
}
