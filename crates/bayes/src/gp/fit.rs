//! Maximum a posteriori fit of the hyperparameters: several starts, the best optimum wins.
//!
//! The first start is the warm one (the previous fit), then the prior mode, then low-discrepancy
//! draws around it by (seed, iteration). They are climbed in parallel, two by two, until few starts are
//! left that would lead to an optimum not seen yet: after N climbs with W different ends their expected
//! share is `W (W + 1) / (N (N - 1))` (Boender and Rinnooy Kan 1987), and a tenth is enough. One end is
//! believed after 6 climbs; two or more take all 8. Waves have a fixed size and climbs are compared in
//! their order, so that the result does not depend on the number of threads. A start that fails is an
//! event; if all fail the previous hyperparameters stay, and that is an event too.
//!
//! With many rows the fresh starts compete on a random part of them, and only the winner (and the warm
//! start) climbs on all.

use rand_chacha::rand_core::Rng;
use rayon::prelude::*;

use super::map::{Evaluated, LogPosterior, Stop, Summit, ascend};
use super::starts::starts;
use super::{Evidence, GpError, Hyperparameters, Priors, Replicates};
use crate::kernel::{KernelForm, KernelKind};
use crate::stream::{Purpose, stream};

/// Rows on which starts compete where there are many more.
const FIRST_STAGE: usize = 256;
/// Starts climbed before it is asked whether there were enough, side by side where there are threads.
pub(crate) const WAVE: usize = 2;
/// Share of starts with an unseen optimum that is left be.
const UNSEEN: f64 = 0.1;
/// Climbs that end this close to each other (nats) have found the same optimum.
const SAME: f64 = 0.02;

/// How a fit is made.
#[derive(Clone, Debug, PartialEq)]
pub struct FitSettings {
    /// Which kernel.
    pub form: KernelForm,
    /// Priors; `None` takes [`Priors::for_dimension`].
    pub priors: Option<Priors>,
    /// Most starting points (warm start and prior mode among them), at least 1.
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
            form: KernelKind::Matern52.into(),
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
    /// The search from one start was given up before it reached an optimum; the best point on its way
    /// takes part.
    ClimbEnded {
        /// Index of the start.
        start: usize,
        /// Why.
        reason: String,
    },
    /// No start succeeded: the hyperparameters are the warm start's.
    KeptPrevious,
    /// No start succeeded and there was no warm one: the hyperparameters are the prior mode.
    KeptPriorMode,
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
    /// Log posterior density there (nats, up to the constant of the evidence); `None` where no start succeeded.
    pub log_posterior: Option<f64>,
    /// Starts climbed from, where they competed.
    pub starts: usize,
    /// Different optima they reached.
    pub optima: usize,
    /// Evaluations of the density, over all starts.
    pub evaluations: usize,
    /// What the record should say.
    pub events: Vec<FitEvent>,
}

/// Finds the hyperparameters of highest posterior density for `data` (values standardised). Numerical
/// trouble is no error: it is rescued and told in [`Fit::events`].
pub fn fit(data: &Replicates, warm: Option<&Hyperparameters>, settings: &FitSettings) -> Fit {
    let (n, d) = data.x().dim();
    let priors = settings.priors.unwrap_or_else(|| Priors::for_dimension(d));
    let warm = warm.filter(|hyper| hyper.check(d).is_ok());
    let previous = warm.cloned();
    let mut fresh = starts(&priors, d, warm.is_some(), settings);
    let warm = warm.map(|hyper| priors.vector(hyper));
    let mut ascent = Ascent::default();
    let sizes = stages(n);
    for (stage, &size) in sizes.iter().enumerate() {
        let last = stage + 1 == sizes.len();
        let rows = data.select(&sample(n, size, settings));
        let target = LogPosterior::new(Evidence::new(settings.form, rows), priors);
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
    ascent.finish(previous, || priors.mode(d))
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

/// How many of the ends are further than [`SAME`] from the next lower one, or the lowest.
fn different(ends: &[f64]) -> usize {
    let mut ends = ends.to_vec();
    ends.sort_by(f64::total_cmp);
    ends.len().min(1)
        + ends
            .windows(2)
            .filter(|pair| pair[1] - pair[0] > SAME)
            .count()
}

/// What the climbs so far came to.
#[derive(Default)]
struct Ascent {
    events: Vec<FitEvent>,
    evaluations: usize,
    starts: usize,
    optima: usize,
    best: Option<Evaluated>,
}

impl Ascent {
    /// Climbs from the starts, two by two in parallel, and keeps the best end, ties to the earlier start.
    fn climb(&mut self, target: &LogPosterior, starts: &[Vec<f64>], stop: Stop) {
        let mut ends: Vec<f64> = Vec::new();
        for (wave, starts) in starts.chunks(WAVE).enumerate() {
            let climbs: Vec<Result<Summit, GpError>> = starts
                .par_iter()
                .map(|start| ascend(&mut target.clone(), start, stop))
                .collect();
            for (k, climb) in climbs.into_iter().enumerate() {
                ends.extend(self.take(WAVE * wave + k, climb));
            }
            let optima = different(&ends);
            if ends.len() > self.starts {
                (self.starts, self.optima) = (ends.len(), optima);
            }
            let (n, w) = (ends.len() as f64, optima as f64);
            if optima > 0 && w * (w + 1.0) <= UNSEEN * n * (n - 1.0) {
                break;
            }
        }
    }

    /// Takes in the climb from start number `start`; its end.
    fn take(&mut self, start: usize, climb: Result<Summit, GpError>) -> Option<f64> {
        let summit = match climb {
            Ok(summit) => summit,
            Err(reason) => {
                let reason = reason.to_string();
                self.events.push(FitEvent::StartFailed { start, reason });
                return None;
            }
        };
        self.evaluations += summit.evaluations;
        if let Some(reason) = summit.given_up {
            self.events.push(FitEvent::ClimbEnded { start, reason });
        }
        let end = summit.best.value;
        if self.best.as_ref().is_none_or(|best| end > best.value) {
            self.best = Some(summit.best);
        }
        Some(end)
    }

    /// The best; where every climb of the last stage failed `previous`, and without that the prior mode.
    fn finish(
        mut self,
        previous: Option<Hyperparameters>,
        mode: impl FnOnce() -> Hyperparameters,
    ) -> Fit {
        let (hyper, log_posterior) = match self.best {
            Some(found) => {
                if found.jitter > 0.0 {
                    self.events.push(FitEvent::Jitter {
                        amount: found.jitter,
                    });
                }
                (found.hyper, Some(found.value))
            }
            None => match previous {
                Some(hyper) => {
                    self.events.push(FitEvent::KeptPrevious);
                    (hyper, None)
                }
                None => {
                    self.events.push(FitEvent::KeptPriorMode);
                    (mode(), None)
                }
            },
        };
        Fit {
            hyper,
            log_posterior,
            starts: self.starts,
            optima: self.optima,
            evaluations: self.evaluations,
            events: self.events,
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, array};
    use proptest::prelude::*;

    use super::*;
    use crate::gp::{Posterior, Standardizer};

    fn single(x: &Array2<f64>, y: &Array1<f64>) -> Replicates {
        Replicates::single(x.clone(), y.clone()).unwrap()
    }

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
        let found = fit(&single(&x, &y), None, &FitSettings::default());
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
            pool.install(|| fit(&single(&x, &y), None, &FitSettings::default()))
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
            let found = fit(&single(&x, &y), None, &settings);
            found.hyper.check(2).unwrap();
            Posterior::new(KernelKind::Matern52, &found.hyper, x, y).unwrap();
        }
    }

    #[test]
    fn a_warm_start_is_never_lost() {
        let (x, y) = example(30);
        let settings = FitSettings {
            starts: 6,
            ..FitSettings::default()
        };
        let first = fit(&single(&x, &y), None, &settings);
        let again = FitSettings {
            starts: 1,
            max_iterations: 5,
            ..FitSettings::default()
        };
        let second = fit(&single(&x, &y), Some(&first.hyper), &again);
        assert!(second.log_posterior.unwrap() >= first.log_posterior.unwrap() - 1e-9);
    }

    #[test]
    fn without_a_climb_it_is_told_which_hyperparameters_stand_in() {
        let mode = || Priors::for_dimension(3).mode(3);
        let first = Ascent::default().finish(None, mode);
        assert_eq!(
            (first.events, first.hyper),
            (vec![FitEvent::KeptPriorMode], mode())
        );
        assert_eq!(first.log_posterior, None);
        let mut warm = mode();
        warm.noise = 0.3;
        let later = Ascent::default().finish(Some(warm.clone()), mode);
        assert_eq!(
            (later.events, later.hyper),
            (vec![FitEvent::KeptPrevious], warm)
        );
    }

    #[test]
    fn bad_warm_starts_are_passed_over() {
        let (x, y) = example(10);
        let bad = Hyperparameters {
            lengthscales: vec![1.0],
            outputscale: 1.0,
            noise: -1.0,
            mean: 0.0,
            rough_noise: None,
            warp: Vec::new(),
        };
        let found = fit(&single(&x, &y), Some(&bad), &FitSettings::default());
        assert_eq!(found, fit(&single(&x, &y), None, &FitSettings::default()));
    }

    #[test]
    fn starts_end_when_few_can_lead_elsewhere() {
        let (x, y) = example(60);
        let found = fit(&single(&x, &y), None, &FitSettings::default());
        let many = FitSettings {
            starts: 20,
            ..FitSettings::default()
        };
        let more = fit(&single(&x, &y), None, &many);
        // One optimum is believed after 6 starts, two after 10, three after 12.
        let believed = [6, 10, 12][more.optima - 1];
        assert_eq!((more.starts, found.starts), (believed, believed.min(8)));
        let alone = FitSettings {
            starts: 1,
            ..FitSettings::default()
        };
        let found = fit(&single(&x, &y), None, &alone);
        assert_eq!((found.starts, found.optima), (1, 1));
        assert_eq!(different(&[-3.0, -1.0, -2.995, -1.0]), 2);
    }

    #[test]
    fn a_warp_is_found_where_the_objective_has_one() {
        let x = Array2::from_shape_fn((50, 2), |(i, j)| {
            f64::from(sobol_burley::sample(i as u32, j as u32, 4))
        });
        let bent: Array1<f64> = x
            .rows()
            .into_iter()
            .map(|x| (14.0 * x[0].powf(0.3)).sin() + x[1])
            .collect();
        let scale = Standardizer::from_observations(bent.as_slice().unwrap());
        let data = single(&x, &bent.mapv(|y| scale.standardize(y)));
        let plain = fit(&data, None, &FitSettings::default());
        let priors = Priors {
            warp: Some(Priors::gentle_warp()),
            ..Priors::for_dimension(2)
        };
        let settings = FitSettings {
            priors: Some(priors),
            ..FitSettings::default()
        };
        let warped = fit(&data, None, &settings);
        assert!(warped.log_posterior.unwrap() > plain.log_posterior.unwrap() + 10.0);
        assert!(warped.hyper.warp[0].a < 0.6, "{:?}", warped.hyper.warp);
    }

    #[test]
    fn rough_values_get_a_noise_of_their_own() {
        let (x, mut y) = example(80);
        let rough: Vec<bool> = (0..80).map(|i| i % 2 == 1).collect();
        for i in (1..80).step_by(2) {
            y[i] += 0.8 * (f64::from(sobol_burley::sample(i as u32, 7, 3)) - 0.5);
        }
        let data = Replicates::merging(x.view(), y.view(), &rough).unwrap();
        let priors = Priors::for_dimension(3);
        let settings = FitSettings {
            priors: Some(Priors {
                rough_noise: Some(priors.noise),
                ..priors
            }),
            ..FitSettings::default()
        };
        let found = fit(&data, None, &settings).hyper;
        let rough_noise = found.rough_noise.unwrap();
        // 0.8 times a uniform number has a variance of 0.053.
        assert!((0.02..0.12).contains(&rough_noise), "{rough_noise}");
        assert!(found.noise < 0.2 * rough_noise, "{}", found.noise);
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
            let found = fit(&single(&x, &y), None, &settings);
            found.hyper.check(d).unwrap();
            let mut posterior = Posterior::new(settings.form, &found.hyper, x.clone(), y).unwrap();
            posterior.append(x.row(0), 0.0).unwrap();
            let seen = posterior.whiten(x.view());
            prop_assert!(seen.mean.iter().chain(&seen.variance).all(|v| v.is_finite()));
            prop_assert!(seen.mean.iter().all(|m| scale.restore(*m).is_finite()));
        }
    }
}
