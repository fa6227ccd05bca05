//! When hyperparameters are fitted anew.
//!
//! Up to [`ALWAYS`] observations: every time. Above, a fit costs seconds and one observation rarely
//! moves it, so it waits until the data have grown by a twentieth, or until the model was surprised:
//! the mean squared standardised error of its predictions of the observations appended since the last
//! fit exceeds [`SURPRISE`] (1 is what a right model expects).
//!
//! Random decisions ask no model. It then follows only for the recommendation: see [`recommends`].

use crate::gp::Posterior;
use ndarray::ArrayView2;

/// Observations up to which every refit is a full one.
pub(super) const ALWAYS: usize = 300;
/// Mean squared standardised prediction error that asks for a fit.
pub(super) const SURPRISE: f64 = 4.0;

/// Whether `n` observations, of which `fitted_at` were there at the last fit, are due for a fit by
/// their number alone.
pub(super) fn due_by_number(fitted_at: usize, n: usize) -> bool {
    n <= ALWAYS || n < fitted_at || 20 * n >= 21 * fitted_at
}

/// Whether a run of random decisions brings its model up to date after `iteration`: each of the first hundred, then
/// every tenth, and none beyond the thousandth, where exact inference would cost more than it tells. A function of
/// the iteration alone, so that a longer run has the same recommendations on its way.
pub(super) fn recommends(iteration: u64) -> bool {
    iteration <= 100 || iteration <= 1000 && iteration.is_multiple_of(10)
}

/// The last of `iterations` after which such a run brings its model up to date.
pub(super) fn last_recommending(iterations: u64) -> u64 {
    let tens = iterations.min(1000) / 10 * 10;
    tens.max(iterations.min(100))
}

/// Whether the predictions of new observations (`inputs`, standardised `values`) were off.
pub(super) fn surprised(posterior: &Posterior, inputs: ArrayView2<f64>, values: &[f64]) -> bool {
    if values.is_empty() {
        return false;
    }
    let set = posterior.whiten(inputs);
    let noise = posterior.hyperparameters().noise;
    let errors = values
        .iter()
        .zip(&set.mean)
        .zip(&set.variance)
        .map(|((v, m), variance)| (v - m).powi(2) / (variance + noise));
    errors.sum::<f64>() / values.len() as f64 > SURPRISE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_decisions_are_modelled_ever_more_rarely() {
        let due = |from, to| (from..=to).filter(|&i| recommends(i)).count();
        assert_eq!(
            (due(0, 100), due(101, 1000), due(1001, 10_000)),
            (101, 90, 0)
        );
        for all in [0, 7, 99, 100, 105, 110, 999, 1000, 5000] {
            let last = (0..=all).filter(|&i| recommends(i)).max();
            assert_eq!(Some(last_recommending(all)), last, "{all}");
        }
    }

    #[test]
    fn large_data_are_refitted_after_a_twentieth_more() {
        assert!(due_by_number(299, 300));
        assert!(!due_by_number(400, 419));
        assert!(due_by_number(400, 420));
        assert!(
            due_by_number(400, 390),
            "observations told anew, out of order"
        );
    }
}
