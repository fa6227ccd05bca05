//! Bringing the model up to date: hyperparameters fitted or kept, observations conditioned on, the
//! incumbent searched; and putting back a recorded state.

use super::model::{Data, Model, Scale};
use super::{Error, Event, FitReport, ModelState, Optimizer, schedule};
use crate::environment::Environments;
use crate::gp::{self, FitSettings, GpError, Hyperparameters, LogNormal, Priors, Standardizer};
use crate::incumbent::{self, RiskSurface};
use crate::stream::{Purpose, sobol_seed};

/// Starting points of a fit that continues an earlier one (that one among them).
const WARM_STARTS: usize = 3;
/// Starting points of a fit without an earlier one.
const COLD_STARTS: usize = 5;

impl Optimizer {
    /// Brings the model up to date with what was told: hyperparameters are fitted anew or kept (see
    /// the schedule in the [module documentation](super)), observations enter the posterior, the incumbent
    /// is searched. A pure function of problem, settings, observations, the state before and
    /// `iteration`. With fewer than two successes there is no model, which is an event.
    ///
    /// # Errors
    /// None today: numerical trouble is an event. Kept fallible for what is to come.
    pub fn refit(&mut self, iteration: u64) -> Result<FitReport, Error> {
        let data = Data::new(&self.problem, &self.observations);
        let mut report = FitReport {
            observations: data.len(),
            refitted: false,
            log_posterior: None,
            events: Vec::new(),
        };
        if data.len() < 2 {
            report.events.push(Event::NoModel {
                successes: data.len(),
            });
            self.model = None;
            return Ok(report);
        }
        let before = self.model.take();
        let kept = self
            .state
            .clone()
            .filter(|s| !self.is_due(s, &data, before.as_ref()));
        let (hyper, standardizer, fitted_at) = match kept {
            Some(s) => (s.hyper, s.standardizer, s.fitted_at),
            None => self.fit(&data, iteration, &mut report),
        };
        let kind = self.settings.kernel;
        let scaled = (standardizer, self.environment_count());
        let model = Model::new(&data, kind, &hyper, scaled, fitted_at, before);
        let model = match model {
            Ok(model) => model,
            Err(e) => {
                report.events.push(Event::NoFactor {
                    reason: e.to_string(),
                });
                return Ok(report);
            }
        };
        if model.posterior.jitter() > 0.0 {
            report.events.push(Event::Jitter {
                amount: model.posterior.jitter(),
            });
        }
        let previous = self
            .state
            .as_ref()
            .map(|s| self.problem.space.to_unit(&s.incumbent));
        let dx = self.problem.space.encoded_dimension();
        let judging = self.judging.clone().with_effects(&model.scale.effects);
        let (incumbent, _) = incumbent::search(
            &self.problem.space,
            |environments| {
                RiskSurface::new(&model.posterior, dx, environments, self.settings.risk)
                    .expanding(model.compression())
            },
            &judging,
            &self.observed_units(),
            previous.as_deref(),
            sobol_seed(self.settings.seed, iteration, Purpose::Incumbent),
        );
        self.state = Some(ModelState {
            hyper,
            standardizer,
            fitted_at,
            observed: self.observations.len(),
            incumbent: self.problem.space.from_unit(&incumbent),
        });
        self.model = Some(model);
        Ok(report)
    }

    fn is_due(&self, state: &ModelState, data: &Data, before: Option<&Model>) -> bool {
        if schedule::due_by_number(state.fitted_at, data.len()) {
            return true;
        }
        // The model before the newest observations: at hand, or rebuilt after a resume.
        let known = state.observed.min(self.observations.len());
        let old = Data::new(&self.problem, &self.observations[..known]);
        let fresh = data.inputs.slice(ndarray::s![old.len().., ..]);
        let rebuilt;
        let model = match before {
            Some(model) => model,
            None => {
                match self.condition(state, known) {
                    Ok(model) => rebuilt = model,
                    Err(_) => return true,
                }
                &rebuilt
            }
        };
        let values: Vec<f64> = (old.len()..data.len())
            .map(|i| model.scale.seen(data, i))
            .collect();
        schedule::surprised(&model.posterior, fresh, &values)
    }

    /// Fits hyperparameters, or keeps the last good ones with an event.
    fn fit(
        &self,
        data: &Data,
        iteration: u64,
        report: &mut FitReport,
    ) -> (Hyperparameters, Standardizer, usize) {
        let scale = Scale::of(data, self.environment_count());
        let values: ndarray::Array1<f64> = (0..data.len()).map(|i| scale.seen(data, i)).collect();
        let warm = self.state.as_ref().map(|s| &s.hyper);
        let settings = FitSettings {
            kind: self.settings.kernel,
            starts: if warm.is_some() {
                WARM_STARTS
            } else {
                COLD_STARTS
            },
            seed: self.settings.seed,
            iteration,
            priors: Some(priors(data.inputs.ncols())),
            ..FitSettings::default()
        };
        let hyper = match gp::fit(data.inputs.view(), values.view(), warm, &settings) {
            Ok(fit) => {
                report.refitted = true;
                report.log_posterior = Some(fit.log_posterior);
                report
                    .events
                    .extend(fit.events.into_iter().map(Event::from));
                fit.hyper
            }
            Err(e) => {
                report.events.push(Event::KeptHyperparameters {
                    reason: e.to_string(),
                });
                warm.cloned()
                    .unwrap_or_else(|| fallback(data.inputs.ncols()))
            }
        };
        (hyper, scale.standardizer, data.len())
    }

    /// Environments of a finite set, else 0: those have no effects of their own.
    fn environment_count(&self) -> usize {
        match &self.problem.environments {
            Environments::Finite(f) => f.len(),
            Environments::None | Environments::Continuous(_) => 0,
        }
    }

    /// The model of `state` on the first `known` observations.
    fn condition(&self, state: &ModelState, known: usize) -> Result<Model, GpError> {
        let known = known.min(self.observations.len());
        let data = Data::new(&self.problem, &self.observations[..known]);
        let ModelState {
            hyper,
            standardizer,
            fitted_at,
            ..
        } = state;
        Model::new(
            &data,
            self.settings.kernel,
            hyper,
            (*standardizer, self.environment_count()),
            *fitted_at,
            None,
        )
    }

    /// Puts back the state recorded with a decision; tell the observations first. The model is the one
    /// that decision was made with, on the first `state.observed` observations.
    ///
    /// # Errors
    /// [`Error::State`] if the state does not fit the observations told.
    pub fn restore(&mut self, state: ModelState) -> Result<(), Error> {
        let fault = |reason: String| Error::State { reason };
        self.problem
            .space
            .check(&state.incumbent)
            .map_err(|e| fault(e.to_string()))?;
        if state.observed > self.observations.len() {
            let told = self.observations.len();
            return Err(fault(format!(
                "it knows {} observations, {told} are told",
                state.observed
            )));
        }
        let model = self
            .condition(&state, state.observed)
            .map_err(|e| fault(e.to_string()))?;
        self.model = Some(model);
        self.state = Some(state);
        Ok(())
    }
}

/// Hyperparameters for data that no fit accepts and no earlier fit covers: smooth, a tenth of noise.
fn fallback(inputs: usize) -> Hyperparameters {
    Hyperparameters {
        lengthscales: vec![0.5 * (inputs as f64).sqrt(); inputs],
        outputscale: 1.0,
        noise: 0.01,
        mean: 0.0,
    }
}

/// Priors of the fit: the default ones with a wider prior on the noise. Objectives are mostly
/// deterministic, and values near the optimum differ by far less than a hundredth of their spread: the
/// default's least plausible noise would drown that (regret on the synthetic problems decided it).
fn priors(inputs: usize) -> Priors {
    let noise = LogNormal {
        location: -4.0,
        spread: 2.0,
    };
    Priors {
        noise,
        ..Priors::for_dimension(inputs)
    }
}
