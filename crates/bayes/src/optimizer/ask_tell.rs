//! [`Optimizer`]: initial design, tell, refit, incumbent, decide.

use super::{
    Decision, Event, FitReport, Incumbent, ModelState, Observation, Outcome, Problem, Query,
    Settings,
};
use crate::design;
use crate::environment::{EnvironmentError, Environments};
use crate::space::SpaceError;
use crate::stream::{Purpose, stream};
use rand::RngExt as _;
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
}

/// Ask/tell optimiser of one problem.
#[derive(Clone, Debug)]
pub struct Optimizer {
    problem: Problem,
    settings: Settings,
    /// In the order of their ids.
    observations: Vec<Observation>,
    state: Option<ModelState>,
}

impl Optimizer {
    /// Checks the settings against the problem.
    ///
    /// # Errors
    /// `n_initial` or `initial_w` 0, `n_w` 0 or above the number of environments.
    pub fn new(problem: Problem, settings: Settings) -> Result<Self, Error> {
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
        Ok(Self {
            problem,
            settings,
            observations: Vec::new(),
            state: None,
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
                self.observations.insert(at, observation);
                Ok(())
            }
        }
    }

    /// Brings the model up to date with what was told. A pure function of problem, settings,
    /// observations, the state before and `iteration`.
    ///
    /// # Errors
    /// None yet; a fit that fails is an event, not an error.
    pub fn refit(&mut self, _iteration: u64) -> Result<FitReport, Error> {
        let observations = self.successes().count();
        self.state = Some(ModelState {
            fitted_at: observations,
        });
        Ok(FitReport {
            observations,
            refitted: true,
            events: Vec::new(),
        })
    }

    /// The x to recommend now: best risk of the posterior mean over all judging environments.
    ///
    /// # Errors
    /// [`Error::NothingObserved`].
    pub fn incumbent(&self) -> Result<Incumbent, Error> {
        let sign = self.problem.direction.sign();
        let (observation, value) = self
            .successes()
            .max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))
            .ok_or(Error::NothingObserved)?;
        let n = self.problem.environments.judging(self.settings.seed).len();
        Ok(Incumbent {
            x: observation.query.x.clone(),
            risk: value,
            mean: value,
            per_environment: vec![value; n],
        })
    }

    /// The next (x, w). A pure function of problem, settings, model and `iteration`.
    ///
    /// # Errors
    /// Settings that no longer fit the problem (never after [`Self::new`]).
    pub fn decide(&self, iteration: u64) -> Result<Decision, Error> {
        let mut random = stream(self.settings.seed, iteration, Purpose::RandomSearch);
        let unit: Vec<f64> = (0..self.problem.space.dimension())
            .map(|_| random.random::<f64>())
            .collect();
        let set = self.problem.environments.decision_set(
            self.settings.n_w,
            self.settings.seed,
            iteration,
        )?;
        let environment = set.environments[random.random_range(0..set.len())].clone();
        let query = Query {
            x: self.problem.space.from_unit(&unit),
            environment: environment.index,
            w: environment.w,
        };
        let events = vec![Event::NoModel {
            successes: self.successes().count(),
        }];
        Ok(Decision {
            query,
            acquisition: 0.0,
            events,
        })
    }

    /// What the last refit left, if there was one.
    pub fn state(&self) -> Option<&ModelState> {
        self.state.as_ref()
    }

    /// Puts back the state recorded with a decision; tell the observations first.
    pub fn restore(&mut self, state: ModelState) {
        self.state = Some(state);
    }

    fn successes(&self) -> impl Iterator<Item = (&Observation, f64)> {
        self.observations.iter().filter_map(|o| match o.outcome {
            Outcome::Value(v) => Some((o, v)),
            Outcome::Failed => None,
        })
    }
}
