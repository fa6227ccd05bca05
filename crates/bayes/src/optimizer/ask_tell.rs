//! [`Optimizer`]: initial design, tell, refit, incumbent, decide.

use super::model::{self, Data, Model, Scale};
use super::{
    AcquisitionKind, Decision, Event, FitReport, Incumbent, ModelState, Observation, Outcome,
    Problem, Query, Settings, schedule,
};
use crate::acquisition::{Situation, Taken, pool, rho_kg, space_filling};
use crate::design;
use crate::environment::{Environment, EnvironmentError, EnvironmentSet, Environments};
use crate::gp::{self, FitSettings, GpError, Hyperparameters, LogNormal, Priors, Standardizer};
use crate::incumbent::{self, RiskSurface};
use crate::space::SpaceError;
use crate::stream::{Purpose, sobol_seed};
use thiserror::Error;

/// Why the optimiser refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Error {
    /// A point outside the space.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// Environments that do not fit the settings.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A setting outside its range.
    #[error("{setting} {value}: {expected}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// Its value.
        value: usize,
        /// What it must be.
        expected: &'static str,
    },
    /// An id told twice.
    #[error("observation {id} is already told")]
    Repeated {
        /// The id.
        id: u64,
    },
    /// A value that is not finite; tell it as failed instead.
    #[error("observation {id}: value {value} is not finite, tell it as failed")]
    Value {
        /// The id.
        id: u64,
        /// The value.
        value: f64,
    },
    /// A query whose environment is not one of the problem's.
    #[error(
        "observation {id}: environment {environment:?} with {found} values is none of the problem's"
    )]
    Query {
        /// The id.
        id: u64,
        /// Row given.
        environment: Option<usize>,
        /// Length of w given.
        found: usize,
    },
    /// Nothing was observed successfully yet, so nothing can be recommended.
    #[error("no successful observation yet: tell one first")]
    NothingObserved,
    /// A recorded state that does not belong to the observations told.
    #[error("recorded model state does not fit: {reason}")]
    State {
        /// Why.
        reason: String,
    },
}

/// Starting points of a fit that continues an earlier one (that one among them).
const WARM_STARTS: usize = 3;
/// Starting points of a fit without an earlier one.
const COLD_STARTS: usize = 5;

/// Ask/tell optimiser of one problem.
#[derive(Clone, Debug)]
pub struct Optimizer {
    problem: Problem,
    settings: Settings,
    /// In the order of their ids.
    observations: Vec<Observation>,
    /// Their (x, environment) pairs.
    taken: Taken,
    judging: EnvironmentSet,
    state: Option<ModelState>,
    /// The model of `state`; absent before the first refit and where it failed.
    model: Option<Model>,
}

impl Optimizer {
    /// Checks the settings against the problem.
    ///
    /// # Errors
    /// `n_initial` or `initial_w` 0, `n_w` 0 or above the number of environments.
    pub fn new(problem: Problem, settings: Settings) -> Result<Self, Error> {
        crate::linalg::one_thread();
        for (setting, value) in [
            ("n_initial", settings.n_initial),
            ("initial_w", settings.initial_w),
        ] {
            if value == 0 {
                return Err(Error::Setting {
                    setting,
                    value,
                    expected: "must be at least 1",
                });
            }
        }
        problem.environments.check_look(settings.n_w)?;
        let judging = problem.environments.judging(settings.seed);
        Ok(Self {
            problem,
            settings,
            observations: Vec::new(),
            taken: Taken::default(),
            judging,
            state: None,
            model: None,
        })
    }

    /// The problem.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Observations told, in the order of their ids.
    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// Iteration 0: `n_initial` points x, each with `initial_w` environments of its own.
    pub fn initial_design(&self) -> Vec<Query> {
        let Settings {
            n_initial,
            initial_w,
            seed,
            ..
        } = self.settings;
        design::initial_design(&self.problem, n_initial, initial_w, seed)
    }

    /// Takes an observation. The model follows at the next [`Self::refit`].
    ///
    /// # Errors
    /// An id told before, a value that is not finite, a point that is not of the problem.
    pub fn tell(&mut self, observation: Observation) -> Result<(), Error> {
        let Observation {
            id, query, outcome, ..
        } = &observation;
        self.problem.space.check(&query.x)?;
        let known = match (&self.problem.environments, query.environment) {
            (Environments::Finite(f), Some(row)) => row < f.len() && query.w == f.points()[row],
            (Environments::Finite(_), None) => false,
            (e, row) => row.is_none() && query.w.len() == e.encoded_dimension(),
        };
        if !known || query.w.iter().any(|w| !w.is_finite()) {
            let (environment, found) = (query.environment, query.w.len());
            return Err(Error::Query {
                id: *id,
                environment,
                found,
            });
        }
        if let Outcome::Value(value) = *outcome
            && !value.is_finite()
        {
            return Err(Error::Value { id: *id, value });
        }
        match self.observations.binary_search_by_key(id, |o| o.id) {
            Ok(_) => Err(Error::Repeated { id: *id }),
            Err(at) => {
                let Query { x, environment, w } = query;
                self.taken.insert(
                    x,
                    &Environment {
                        index: *environment,
                        w: w.clone(),
                    },
                );
                self.observations.insert(at, observation);
                Ok(())
            }
        }
    }

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

    /// The x to recommend now: best risk of the posterior mean over all judging environments, as found
    /// by the last [`Self::refit`]. Without a model: the best single observation, as it is.
    ///
    /// # Errors
    /// [`Error::NothingObserved`].
    pub fn incumbent(&self) -> Result<Incumbent, Error> {
        let sign = self.problem.direction.sign();
        let (Some(model), Some(state)) = (&self.model, &self.state) else {
            let (observation, value) = self
                .successes()
                .max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))
                .ok_or(Error::NothingObserved)?;
            return Ok(Incumbent {
                x: observation.query.x.clone(),
                risk: value,
                mean: value,
                per_environment: vec![value; self.judging.len()],
            });
        };
        let dx = self.problem.space.encoded_dimension();
        let risk = self.settings.risk;
        let judging = self.judging.clone().with_effects(&model.scale.effects);
        let surface =
            RiskSurface::new(&model.posterior, dx, &judging, risk).expanding(model.compression());
        let means = surface.means(&self.problem.space.encode(&state.incumbent));
        let restore = |v: f64| sign * model.scale.standardizer.restore(v);
        Ok(Incumbent {
            x: state.incumbent.clone(),
            risk: restore(risk.evaluate(&means, &self.judging.masses)),
            mean: restore(crate::risk::mean(&means, &self.judging.masses)),
            per_environment: means.into_iter().map(restore).collect(),
        })
    }

    /// The next (x, w). A pure function of problem, settings, observations, model and `iteration`.
    ///
    /// # Errors
    /// Settings that no longer fit the problem (never after [`Self::new`]).
    pub fn decide(&self, iteration: u64) -> Result<Decision, Error> {
        let Settings { seed, n_w, .. } = self.settings;
        let space = &self.problem.space;
        let set = self
            .problem
            .environments
            .decision_set(n_w, seed, iteration)?;
        let mut events = Vec::new();
        let (chosen, acquisition) = match (self.settings.acquisition, &self.model, &self.state) {
            (AcquisitionKind::Random, ..) => (
                space_filling::random(space, &self.judging, &self.taken, seed, iteration),
                0.0,
            ),
            (AcquisitionKind::RhoKg, Some(model), Some(state)) => {
                let data = Data::new(&self.problem, &self.observations);
                let posterior = model.believing(&data.failed);
                let set = set.clone().with_effects(&model.scale.effects);
                let situation = Situation {
                    space,
                    posterior: &posterior,
                    environments: &set,
                    risk: self.settings.risk,
                    incumbent: &space.to_unit(&state.incumbent),
                    observed: &self.observed_units(),
                    taken: &self.taken,
                    seed,
                    iteration,
                };
                match rho_kg::choose(&situation) {
                    Some(c) => {
                        let pair = (
                            space.from_unit(&c.x),
                            set.environments[c.environment].clone(),
                        );
                        (Some(pair), c.value * model.scale.standardizer.scale)
                    }
                    None => {
                        let free = space_filling::first_free(space, &self.judging, &self.taken);
                        if free.is_some() {
                            events.push(Event::NoCandidate);
                        }
                        (free, 0.0)
                    }
                }
            }
            (AcquisitionKind::RhoKg, ..) => {
                events.push(Event::NoModel {
                    successes: self.successes().count(),
                });
                let tried: Vec<_> = self
                    .observations
                    .iter()
                    .map(|o| model::encode(&self.problem, o))
                    .collect();
                let e = &self.problem.environments;
                let pair =
                    space_filling::farthest(space, e, &set, &tried, &self.taken, (seed, iteration));
                (pair, 0.0)
            }
        };
        let (x, environment) = chosen.unwrap_or_else(|| {
            events.push(Event::Exhausted);
            let none = Taken::default();
            space_filling::random(space, &self.judging, &none, seed, iteration)
                .expect("without taken pairs the first draw is free")
        });
        let query = Query {
            x,
            environment: environment.index,
            w: environment.w,
        };
        Ok(Decision {
            query,
            acquisition,
            events,
        })
    }

    /// What the last refit left, if there was one.
    pub fn state(&self) -> Option<&ModelState> {
        self.state.as_ref()
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

    /// Unit points of the x observed, without repeats.
    fn observed_units(&self) -> Vec<Vec<f64>> {
        pool::distinct(
            self.successes()
                .map(|(o, _)| self.problem.space.to_unit(&o.query.x)),
        )
    }

    fn successes(&self) -> impl Iterator<Item = (&Observation, f64)> {
        self.observations.iter().filter_map(|o| match o.outcome {
            Outcome::Value(v) => Some((o, v)),
            Outcome::Failed => None,
        })
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
