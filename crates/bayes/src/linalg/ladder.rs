//! The one jitter ladder: what is added to a diagonal, how much at most, and relative to what.

use super::FactorError;

/// What is added to the diagonal, in this order, as a share of a scale, until the factorisation succeeds.
/// After the last step it has failed.
pub const JITTER_LADDER: [f64; 8] = [0.0, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6];

/// The scale of a matrix that stands for itself: the mean of its diagonal's absolute values.
pub fn scale_of(diagonal: impl ExactSizeIterator<Item = f64>) -> f64 {
    let size = diagonal.len();
    diagonal.map(f64::abs).sum::<f64>() / size as f64
}

/// Tries to factorise a matrix of `size` rows with each step of [`JITTER_LADDER`] times `scale` on its diagonal.
/// `attempt` gets the jitter and returns the index of the first pivot that is not positive where there is
/// one. Returns the jitter that was enough (absolute, 0 in the ordinary case).
///
/// # Errors
/// Not positive definite to the end of the ladder.
pub fn climb(
    size: usize,
    scale: f64,
    mut attempt: impl FnMut(f64) -> Result<(), usize>,
) -> Result<f64, FactorError> {
    let mut failure = FactorError::NotPositiveDefinite {
        size,
        pivot: 0,
        jitter: 0.0,
    };
    for step in JITTER_LADDER {
        let jitter = step * scale;
        match attempt(jitter) {
            Ok(()) => return Ok(jitter),
            Err(pivot) => {
                failure = FactorError::NotPositiveDefinite {
                    size,
                    pivot,
                    jitter,
                }
            }
        }
    }
    Err(failure)
}
