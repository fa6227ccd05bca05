//! The objective of the fit: log posterior density as a function of a vector of logarithms.
//!
//! [`LogPosterior`] maps the vector of logarithms ([`Priors::vector`]) to value and gradient; the prior mean is put at its optimum on the way. [`ascend`] climbs it with
//! argmin's L-BFGS, which is driven through [`Climb`]: it remembers the last evaluations (the solver
//! asks for value and gradient apart), the best point seen, and when to stop.

use std::cell::RefCell;

use argmin::core::{CostFunction, Error, Executor, Gradient};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;

use super::{Evidence, GpError, Hyperparameters, Priors};

/// Logarithms beyond this are never evaluated: no scale of interest lies there.
const LARGEST_LOG: f64 = 20.0;
/// Largest first step in any logarithm.
const FIRST_STEP: f64 = 0.5;
/// Pairs of steps that L-BFGS remembers: more than it takes iterations, since an evaluation costs far
/// more than a pair and ten of them need a tenth more evaluations.
const MEMORY: usize = 40;

/// Log posterior density (nats, up to a constant) of the hyperparameters.
#[derive(Clone, Debug)]
pub(super) struct LogPosterior {
    evidence: Evidence,
    priors: Priors,
}

/// Value, gradient with respect to the vector, and the hyperparameters it stands for.
#[derive(Clone, Debug)]
pub(super) struct Evaluated {
    pub(super) at: Vec<f64>,
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
    pub(super) hyper: Hyperparameters,
    pub(super) jitter: f64,
}

/// Where a climb ended.
#[derive(Clone, Debug)]
pub(super) struct Summit {
    pub(super) best: Evaluated,
    /// Evaluations spent.
    pub(super) evaluations: usize,
    /// Why the search was given up, where it did not end by itself.
    pub(super) given_up: Option<String>,
}

impl LogPosterior {
    pub(super) fn new(evidence: Evidence, priors: Priors) -> Self {
        Self { evidence, priors }
    }

    pub(super) fn evaluate(&mut self, at: &[f64]) -> Result<Evaluated, GpError> {
        if let Some(&value) = at
            .iter()
            .find(|log| log.is_nan() || log.abs() > LARGEST_LOG)
        {
            return Err(GpError::Invalid {
                what: "logarithm of a hyperparameter",
                value,
            });
        }
        let d = self.evidence.dimension();
        let mut hyper = self.priors.hyperparameters(d, at);
        let spread = self.priors.mean_spread;
        let evidence = self.evidence.evaluate_at_best_mean(&hyper, spread)?;
        hyper.mean = evidence.mean;
        let mut value = evidence.value - 0.5 * (evidence.mean / spread).powi(2);
        let mut gradient = evidence.log_lengthscales;
        gradient.push(evidence.log_noise);
        gradient.extend(self.priors.outputscale.map(|_| evidence.log_outputscale));
        gradient.extend(self.priors.rough_noise.map(|_| evidence.log_rough_noise));
        gradient.extend(evidence.log_warp.into_iter().flatten());
        let priors = self.priors.densities(d);
        for ((gradient, prior), &log) in gradient.iter_mut().zip(priors).zip(at) {
            let (density, slope) = prior.log_density(log);
            value += density;
            *gradient += slope;
        }
        if !value.is_finite() {
            return Err(GpError::Invalid {
                what: "log posterior density",
                value,
            });
        }
        Ok(Evaluated {
            at: at.to_vec(),
            value,
            gradient,
            hyper,
            jitter: evidence.jitter,
        })
    }
}

/// When a climb ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// Most L-BFGS iterations.
    pub(super) iterations: u64,
    /// An iteration that gains less than this (nats) is the last.
    pub(super) gain: f64,
}

/// Climbs from `start` and returns the best point seen.
pub(super) fn ascend(
    target: &mut LogPosterior,
    start: &[f64],
    stop: Stop,
) -> Result<Summit, GpError> {
    let first = target.evaluate(start)?;
    // The first step of L-BFGS is the gradient itself: half a unit of logarithm at most, or a scale
    // would be thrown to where the evidence is flat and the climb ends at nothing.
    let steepest = first
        .gradient
        .iter()
        .fold(FIRST_STEP, |m, g| m.max(g.abs()));
    let scale = FIRST_STEP / steepest;
    let climb = RefCell::new(Climb {
        target,
        scale,
        recent: vec![first.clone()],
        best: first,
        evaluations: 1,
    });
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY)
        .with_tolerance_cost(stop.gain * scale)
        .and_then(|solver| solver.with_tolerance_grad(1e-9));
    // A line search that gives up ends the climb where it stands: the best point is kept here.
    let ended = solver.and_then(|solver| {
        Executor::new(Descent(&climb), solver)
            // No cost: argmin would take it for the previous one too, and stop for want of gain.
            .configure(|state| state.param(start.to_vec()).max_iters(stop.iterations))
            .ctrlc(false)
            .timer(false)
            .run()
            .map(drop)
    });
    let climb = climb.into_inner();
    Ok(Summit {
        best: climb.best,
        evaluations: climb.evaluations,
        given_up: ended.err().map(|error| error.to_string()),
    })
}

struct Climb<'a> {
    target: &'a mut LogPosterior,
    scale: f64,
    recent: Vec<Evaluated>,
    best: Evaluated,
    evaluations: usize,
}

impl Climb<'_> {
    fn look(&mut self, at: &[f64]) -> (f64, Vec<f64>) {
        if let Some(known) = self.recent.iter().find(|known| known.at == at) {
            return self.turned(known);
        }
        self.evaluations += 1;
        match self.target.evaluate(at) {
            Ok(seen) => {
                if seen.value > self.best.value {
                    self.best = seen.clone();
                }
                let turned = self.turned(&seen);
                if self.recent.len() == 4 {
                    self.recent.remove(0);
                }
                self.recent.push(seen);
                turned
            }
            // Outside what can be evaluated: a wall a little above, from which the search backs off.
            Err(_) => (-self.scale * (self.best.value - 100.0), vec![0.0; at.len()]),
        }
    }

    /// As a cost to be lowered.
    fn turned(&self, seen: &Evaluated) -> (f64, Vec<f64>) {
        (
            -self.scale * seen.value,
            seen.gradient.iter().map(|g| -self.scale * g).collect(),
        )
    }
}

struct Descent<'a, 'b>(&'a RefCell<Climb<'b>>);

impl CostFunction for Descent<'_, '_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, at: &Vec<f64>) -> Result<f64, Error> {
        Ok(self.0.borrow_mut().look(at).0)
    }
}

impl Gradient for Descent<'_, '_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, at: &Vec<f64>) -> Result<Vec<f64>, Error> {
        Ok(self.0.borrow_mut().look(at).1)
    }
}
