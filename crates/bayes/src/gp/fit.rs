//! Maximum a posteriori fit of the hyperparameters: several starts, the best optimum wins.
//!
//! The first start is the warm one (the previous fit), then the prior mode, then low-discrepancy
//! draws around it by (seed, iteration). Starts are climbed in parallel and compared in their order,
//! so that the result does not depend on the number of threads. A start that fails is an event; if
//! all fail the previous hyperparameters stay, and that is an event too.
//!
//! With many rows the fresh starts compete on a random part of them, and only the winner (and the warm
//! start) climbs on all.

use ndarray::{ArrayView1, ArrayView2, Axis};
use rand_chacha::rand_core::Rng;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

use super::map::{Evaluated, LogPosterior, Stop, Summit, ascend};
use super::posterior::check_data;
use super::{Evidence, GpError, Hyperparameters, Priors};
use crate::kernel::KernelKind;
use crate::stream::{Purpose, sobol_seed, stream};

/// Rows on which starts compete where there are many more.
const FIRST_STAGE: usize = 256;

/// How a fit is made.
#[derive(Clone, Debug, PartialEq)]
pub struct FitSettings {
    /// Which correlation.
    pub kind: KernelKind,
    /// Priors; `None` takes [`Priors::for_dimension`].
    pub priors: Option<Priors>,
    /// Starting points in all (warm start and prior mode among them), at least 1.
    pub starts: usize,
    /// Most L-BFGS iterations of one start.
    pub max_iterations: u64,
    /// A start ends with the iteration that gains less than this many nats.
    pub smallest_gain: f64,
    /// Seed of the run.
    pub seed: u64,
    /// Iteration of the run: with the seed it names the random stream of the starts.
    pub iteration: u64,
}

impl Default for FitSettings {
    fn default() -> Self {
        Self {
            kind: KernelKind::Matern52,
            priors: None,
            starts: 8,
            max_iterations: 100,
            smallest_gain: 1e-4,
            seed: 0,
            iteration: 0,
        }
    }
}

/// Something about a fit that belongs in the record.
#[derive(Clone, Debug, PartialEq)]
pub enum FitEvent {
    /// One start ended without a usable optimum.
    StartFailed {
        /// Index of the start.
        start: usize,
        /// Why.
        reason: String,
    },
    /// No start succeeded: the hyperparameters are the warm start's, or the prior mode.
    KeptPrevious,
    /// The factorisation at the optimum needed jitter.
    Jitter {
        /// Absolute amount on the diagonal.
        amount: f64,
    },
}

/// Result of a fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The hyperparameters found.
    pub hyper: Hyperparameters,
    /// Log posterior density there (nats, up to the constant of the evidence).
    pub log_posterior: f64,
    /// Evaluations of the density, over all starts.
    pub evaluations: usize,
    /// What the record should say.
    pub events: Vec<FitEvent>,
}

/// Finds the hyperparameters of highest posterior density for standardised `y` (n) at `x` (n x d).
///
/// # Errors
/// No rows, shapes that do not match, values that are not finite. Numerical trouble is not an
/// error: it is rescued and told in [`Fit::events`].
pub fn fit(
    x: ArrayView2<f64>,
    y: ArrayView1<f64>,
    warm: Option<&Hyperparameters>,
    settings: &FitSettings,
) -> Result<Fit, GpError> {
    let d = x.ncols();
    let priors = settings.priors.unwrap_or_else(|| Priors::for_dimension(d));
    check_data(x, y)?;
    let warm = warm.filter(|hyper| hyper.check(d).is_ok());
    let mode = warm.cloned().unwrap_or_else(|| priors.mode(d));
    let mut fresh = starts(&priors, d, warm.is_some(), settings);
    let warm = warm.map(|hyper| priors.vector(hyper));
    let mut ascent = Ascent {
        events: Vec::new(),
        evaluations: 0,
        best: None,
    };
    let sizes = stages(y.len());
    for (stage, &size) in sizes.iter().enumerate() {
        let last = stage + 1 == sizes.len();
        let rows = sample(y.len(), size, settings);
        let (x, y) = (x.select(Axis(0), &rows), y.select(Axis(0), &rows));
        let target = LogPosterior::new(Evidence::new(settings.kind, x.view(), y.view())?, priors);
        // The previous fit knows all rows: it has nothing to gain from a part of them.
        let climbed = warm.iter().filter(|_| last).chain(&fresh);
        let climbed: Vec<Vec<f64>> = climbed.cloned().collect();
        let gain = if last {
            settings.smallest_gain
        } else {
            10.0 * settings.smallest_gain
        };
        let stop = Stop {
            iterations: settings.max_iterations,
            gain,
        };
        ascent.climb(&target, &climbed, stop);
        if !last {
            // Later stages only finish what the best start began.
            let found = ascent.best.take();
            fresh = found.map_or_else(
                || vec![priors.vector(&priors.mode(d))],
                |found| vec![found.at],
            );
        }
    }
    Ok(ascent.finish(mode))
}

/// Rows of each stage: all of them while that is cheap; else the starts compete on
/// [`FIRST_STAGE`] rows and the winner is carried on to four times as many until all are in.
fn stages(n: usize) -> Vec<usize> {
    let mut sizes = Vec::new();
    if n > FIRST_STAGE + FIRST_STAGE / 2 {
        sizes.push(FIRST_STAGE);
        while 8 * sizes[sizes.len() - 1] < n * 2 {
            sizes.push(4 * sizes[sizes.len() - 1]);
        }
    }
    sizes.retain(|size| *size < n);
    sizes.push(n);
    sizes
}

/// `size` of `n` rows in their order, drawn without repeats by (seed, iteration).
fn sample(n: usize, size: usize, settings: &FitSettings) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..n).collect();
    if size < n {
        let mut random = stream(settings.seed, settings.iteration, Purpose::FitStarts);
        for i in 0..size {
            let from = i + (random.next_u64() % (n - i) as u64) as usize;
            rows.swap(i, from);
        }
        rows.truncate(size);
        rows.sort_unstable();
    }
    rows
}

/// The prior mode and draws around it, as vectors of logarithms.
fn starts(priors: &Priors, dimension: usize, warm: bool, settings: &FitSettings) -> Vec<Vec<f64>> {
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

/// What the climbs so far came to.
struct Ascent {
    events: Vec<FitEvent>,
    evaluations: usize,
    best: Option<Evaluated>,
}

impl Ascent {
    /// Climbs from every start in parallel and keeps the best end, ties to the earlier start.
    fn climb(&mut self, target: &LogPosterior, starts: &[Vec<f64>], stop: Stop) {
        let climbs: Vec<Result<Summit, GpError>> = starts
            .par_iter()
            .map(|start| ascend(&mut target.clone(), start, stop))
            .collect();
        for (start, climb) in climbs.into_iter().enumerate() {
            match climb {
                Ok(Summit {
                    best: found,
                    evaluations,
                }) => {
                    self.evaluations += evaluations;
                    if self
                        .best
                        .as_ref()
                        .is_none_or(|best| found.value > best.value)
                    {
                        self.best = Some(found);
                    }
                }
                Err(reason) => self.events.push(FitEvent::StartFailed {
                    start,
                    reason: reason.to_string(),
                }),
            }
        }
    }

    /// The best, or `previous` where every climb of the last stage failed.
    fn finish(mut self, previous: Hyperparameters) -> Fit {
        let (hyper, log_posterior) = match self.best {
            Some(found) => {
                if found.jitter > 0.0 {
                    self.events.push(FitEvent::Jitter {
                        amount: found.jitter,
                    });
                }
                (found.hyper, found.value)
            }
            None => {
                self.events.push(FitEvent::KeptPrevious);
                (previous, f64::NEG_INFINITY)
            }
        };
        Fit {
            hyper,
            log_posterior,
            evaluations: self.evaluations,
            events: self.events,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, Axis, array};
    use proptest::prelude::*;

    use super::*;
    use crate::gp::{Posterior, Standardizer};

    fn example(n: usize) -> (Array2<f64>, Array1<f64>) {
        let x = Array2::from_shape_fn((n, 3), |(i, j)| {
            f64::from(sobol_burley::sample(i as u32, j as u32, 9))
        });
        let y: Array1<f64> = x
            .rows()
            .into_iter()
            .map(|x| (6.0 * x[0]).sin() + 0.5 * x[1])
            .collect();
        let scale = Standardizer::from_observations(y.as_slice().unwrap());
        (x, y.mapv(|y| scale.standardize(y)))
    }

    #[test]
    fn finds_which_inputs_matter_and_predicts() {
        let (x, y) = example(60);
        let found = fit(x.view(), y.view(), None, &FitSettings::default()).unwrap();
        let l = &found.hyper.lengthscales;
        assert!(l[0] < l[1] && l[1] < l[2], "{l:?}");
        assert!(found.events.is_empty());
        let part = 40;
        let known = Posterior::new(
            KernelKind::Matern52,
            &found.hyper,
            x.slice(ndarray::s![..part, ..]).to_owned(),
            y.slice(ndarray::s![..part]).to_owned(),
        )
        .unwrap();
        let errors = known.mean(x.slice(ndarray::s![part.., ..])) - y.slice(ndarray::s![part..]);
        assert!(errors.iter().all(|e| e.abs() < 0.1), "{errors:?}");
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let (x, y) = example(40);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| fit(x.view(), y.view(), None, &FitSettings::default()).unwrap())
        };
        let one = with(1);
        assert!([2, 3, 8].map(with).iter().all(|fit| *fit == one));
    }

    #[test]
    fn degenerate_data_is_no_error() {
        let settings = FitSettings::default();
        let cases = [
            (array![[0.3, 0.4]], array![0.0]),
            (
                array![[0.3, 0.4], [0.3, 0.4], [0.3, 0.4]],
                array![1.0, 1.0, -2.0],
            ),
            (
                array![[0.0, 0.4], [0.0, 0.9], [0.0, 0.1]],
                array![0.0, 0.0, 0.0],
            ),
            (
                array![[0.0, 0.4], [1e-9, 0.4], [1.0, 0.1]],
                array![1e3, -1e3, 0.0],
            ),
        ];
        for (x, y) in cases {
            let found = fit(x.view(), y.view(), None, &settings).unwrap();
            found.hyper.check(2).unwrap();
            Posterior::new(KernelKind::Matern52, &found.hyper, x, y).unwrap();
        }
    }

    #[test]
    fn a_warm_start_is_never_lost() {
        let (x, y) = example(30);
        let first = fit(
            x.view(),
            y.view(),
            None,
            &FitSettings {
                starts: 6,
                ..FitSettings::default()
            },
        )
        .unwrap();
        let again = FitSettings {
            starts: 1,
            max_iterations: 5,
            ..FitSettings::default()
        };
        let second = fit(x.view(), y.view(), Some(&first.hyper), &again).unwrap();
        assert!(second.log_posterior >= first.log_posterior - 1e-9);
    }

    #[test]
    fn bad_warm_starts_are_passed_over_and_bad_data_refused() {
        let (x, y) = example(10);
        let bad = Hyperparameters {
            lengthscales: vec![1.0],
            outputscale: 1.0,
            noise: -1.0,
            mean: 0.0,
        };
        assert!(fit(x.view(), y.view(), Some(&bad), &FitSettings::default()).is_ok());
        let mut broken = y.clone();
        broken[3] = f64::NAN;
        assert!(fit(x.view(), broken.view(), None, &FitSettings::default()).is_err());
        assert!(
            fit(
                x.view(),
                y.slice_axis(Axis(0), (..4).into()),
                None,
                &FitSettings::default()
            )
            .is_err()
        );
    }

    /// Awkward data: few distinct coordinates (duplicates), any scale, outliers, constants.
    fn awkward() -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<f64>)> {
        let coordinate = prop_oneof![
            0.0..1.0_f64,
            Just(0.0),
            Just(0.5),
            Just(1.0),
            Just(0.5 + 1e-12)
        ];
        let value = prop_oneof![-1.0..1.0_f64, Just(0.0), Just(1.0), Just(-1e3), Just(1e6)];
        let scale = prop_oneof![Just(1.0), Just(1e-6), Just(1e6), Just(1e-300), Just(0.0)];
        (1..5_usize, 1..16_usize, scale).prop_flat_map(move |(d, n, scale)| {
            let point = prop::collection::vec(coordinate.clone(), d);
            let values = prop::collection::vec(value.clone().prop_map(move |v| v * scale), n);
            (prop::collection::vec(point, n), values)
        })
    }

    proptest! {
        #[test]
        fn no_data_stop_it((points, values) in awkward()) {
            let (n, d) = (points.len(), points[0].len());
            let x = Array2::from_shape_fn((n, d), |(i, j)| points[i][j]);
            let scale = Standardizer::from_observations(&values);
            let y: Array1<f64> = values.iter().map(|v| scale.standardize(*v)).collect();
            let settings = FitSettings { starts: 3, ..FitSettings::default() };
            let found = fit(x.view(), y.view(), None, &settings).unwrap();
            found.hyper.check(d).unwrap();
            let mut posterior = Posterior::new(settings.kind, &found.hyper, x.clone(), y).unwrap();
            posterior.append(x.row(0), 0.0).unwrap();
            let seen = posterior.whiten(x.view());
            prop_assert!(seen.mean.iter().chain(&seen.variance).all(|v| v.is_finite()));
            prop_assert!(seen.mean.iter().all(|m| scale.restore(*m).is_finite()));
        }
    }
}
