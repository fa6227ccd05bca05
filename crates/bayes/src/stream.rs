//! Random streams: every random number derives from (seed, iteration, purpose).
//!
//! There is no generator state to save or lose: whoever needs randomness asks for the stream of its
//! purpose and reads it from the start. Two purposes never share a stream, so adding a consumer
//! changes nobody else's numbers.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What a random stream is for. The discriminants are part of the file format (a resumed run must
/// draw the same numbers): never reuse or renumber one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial design over x and w.
    Design = 1,
    /// Which environments a decision looks at.
    Environments = 2,
    /// Starting points of hyperparameter fits.
    FitStarts = 3,
    /// Sobol candidates of the acquisition.
    Candidates = 4,
    /// Normal samples: Thompson sampling, Monte Carlo over sample paths.
    PosteriorSamples = 5,
    /// Fixed quasi-Monte-Carlo set that judges continuous environments.
    JudgingSet = 6,
    /// Candidates of the incumbent search.
    Incumbent = 7,
    /// Observation noise of synthetic problems.
    SyntheticNoise = 8,
    /// Uniformly random decisions.
    RandomSearch = 9,
    /// Joint samples behind the interval of the incumbent's risk.
    Interval = 10,
    /// Features of synthetic problems that are themselves drawn.
    SyntheticSample = 20,
}

/// Random generator for one purpose in one iteration.
pub fn stream(seed: u64, iteration: u64, purpose: Purpose) -> ChaCha8Rng {
    let mut key = [0_u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&iteration.to_le_bytes());
    key[16..24].copy_from_slice(&(purpose as u64).to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// 32-bit seed for the scrambled Sobol sequence of one purpose in one iteration.
pub fn sobol_seed(seed: u64, iteration: u64, purpose: Purpose) -> u32 {
    use rand_chacha::rand_core::Rng;
    stream(seed, iteration, purpose).next_u32()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_every_part_of_their_name() {
        let base = sobol_seed(1, 2, Purpose::Design);
        assert_eq!(base, sobol_seed(1, 2, Purpose::Design));
        assert_ne!(base, sobol_seed(2, 2, Purpose::Design));
        assert_ne!(base, sobol_seed(1, 3, Purpose::Design));
        assert_ne!(base, sobol_seed(1, 2, Purpose::Candidates));
    }
}
