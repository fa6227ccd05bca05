//! The fixed collection of corrupted images that a run looks at.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Corruption;

/// Purpose number of the stream from which noise seeds are drawn.
const STREAM: u64 = 0x636f_7272;
/// Points tried for each environment before an image is called unusable under rotation.
const TRIES: u32 = 8;
/// Values are rounded to this step, so that they can be read and typed.
const STEP: f64 = 1e-4;

/// One environment: which image, and what is done to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corrupted {
    /// Number of the image.
    pub image: usize,
    /// What is done to it.
    pub corruption: Corruption,
}

/// `count` environments over `images` images: scrambled Sobol points in (image, brightness, contrast, blur, noise,
/// rotation), a function of the arguments alone.
///
/// `fits` says whether an image keeps a label under a corruption; where it does not, the next point is taken, and
/// where none of eight does, the image comes unturned.
///
/// # Panics
/// If there is no image.
pub fn corrupted_set(
    count: usize,
    seed: u64,
    images: usize,
    fits: impl Fn(usize, &Corruption) -> bool,
) -> Vec<Corrupted> {
    assert!(images > 0, "environments need an image");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(STREAM);
    let scramble: u32 = random.random();
    let mut set = Vec::with_capacity(count);
    let mut next = 0_u32;
    while set.len() < count {
        let noise_seed = random.random();
        let mut drawn = draw(next, scramble, images, noise_seed);
        let mut tries = 1;
        while !fits(drawn.image, &drawn.corruption) && tries < TRIES {
            next += 1;
            tries += 1;
            drawn = draw(next, scramble, images, noise_seed);
        }
        if !fits(drawn.image, &drawn.corruption) {
            drawn.corruption.rotation = Corruption::NEUTRAL.rotation;
        }
        next += 1;
        set.push(drawn);
    }
    set
}

fn draw(index: u32, scramble: u32, images: usize, seed: u64) -> Corrupted {
    // A sequence holds 65,536 points; later ones come from one scrambled otherwise.
    let (round, index) = (index >> 16, index & 0xffff);
    let scramble = scramble.wrapping_add(round.wrapping_mul(0x85eb_ca6b));
    let unit = |dimension| f64::from(sobol_burley::sample(index, dimension, scramble));
    let values = std::array::from_fn(|k| {
        let (low, high) = Corruption::RANGES[k];
        let value = low + unit(1 + k as u32) * (high - low);
        (value / STEP).round() * STEP
    });
    Corrupted {
        image: ((unit(0) * images as f64) as usize).min(images - 1),
        corruption: Corruption::new(values, seed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_is_fixed_covers_all_images_and_grows_at_its_end() {
        let set = corrupted_set(256, 3, 24, |_, _| true);
        assert_eq!(set, corrupted_set(256, 3, 24, |_, _| true));
        assert_eq!(set[..100], corrupted_set(100, 3, 24, |_, _| true));
        assert_ne!(set, corrupted_set(256, 4, 24, |_, _| true));
        let mut uses = [0; 24];
        set.iter().for_each(|one| uses[one.image] += 1);
        assert!(uses.iter().all(|n| (8..=14).contains(n)), "{uses:?}");
        for k in 0..5 {
            let (low, high) = Corruption::RANGES[k];
            let mean = set
                .iter()
                .map(|one| one.corruption.values()[k])
                .sum::<f64>()
                / 256.0;
            assert!((mean - (low + high) / 2.0).abs() < 0.02 * (high - low));
        }
    }

    #[test]
    fn images_that_lose_their_labels_are_not_turned() {
        let upright = |_: usize, c: &Corruption| c.rotation.abs() < 1.0;
        let set = corrupted_set(64, 0, 3, upright);
        assert_eq!(set.len(), 64);
        assert!(set.iter().all(|one| upright(one.image, &one.corruption)));
    }
}
