//! [`Optimizer`]: what it holds, and how observations enter. The other verbs have files of their own:
//! `refit`, `decide`, `recommend`.

use super::model::Model;
use super::{Error, ModelState, Observation, Problem, Query, Settings};
use crate::acquisition::Taken;
use crate::design;
use crate::environment::{Environment, EnvironmentSet, Environments};
use crate::pool;

/// Observations for which room is made at a time: what is held stays close to what is there.
const STEP: usize = 64;

/// Ask/tell optimiser of one problem.
#[derive(Clone, Debug)]
pub struct Optimizer {
    pub(super) problem: Problem,
    pub(super) settings: Settings,
    /// In the order of their ids.
    pub(super) observations: Vec<Observation>,
    /// Their (x, environment) pairs.
    pub(super) taken: Taken,
    pub(super) judging: EnvironmentSet,
    pub(super) state: Option<ModelState>,
    /// The model of `state`; absent before the first refit and where it failed.
    pub(super) model: Option<Model>,
}

impl Optimizer {
    /// Checks the settings against the problem.
    ///
    /// # Errors
    /// `n_initial` (without earlier queries) or `initial_w` 0, `n_w` 0 or above the number of environments, a space whose condition
    /// admits nothing that was tried.
    pub fn new(problem: Problem, settings: Settings) -> Result<Self, Error> {
        crate::linalg::one_thread();
        for (setting, value) in [
            ("n_initial", settings.n_initial),
            ("initial_w", settings.initial_w),
        ] {
            if value == 0 && (setting == "initial_w" || settings.earlier.is_empty()) {
                return Err(Error::Setting {
                    setting,
                    value,
                    expected: "must be at least 1",
                });
            }
        }
        problem.environments.check_look(settings.n_w)?;
        if design::first_admitted(&problem.space, settings.seed).is_none() {
            return Err(Error::Inadmissible {
                tried: design::ADMISSION_TRIES,
            });
        }
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

    /// Iteration 0: what was evaluated elsewhere, then `n_initial` points x, each with `initial_w` environments of its own.
    pub fn initial_design(&self) -> Vec<Query> {
        let Settings {
            n_initial,
            initial_w,
            seed,
            ..
        } = self.settings;
        let Problem {
            space,
            environments,
            ..
        } = &self.problem;
        let design = design::initial_design(space, environments, (n_initial, initial_w), seed);
        let query = |(x, Environment { index, w })| Query {
            x,
            environment: index,
            w,
        };
        let design = design.into_iter().map(query);
        self.settings
            .earlier
            .iter()
            .cloned()
            .chain(design)
            .collect()
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
        if let Some(value) = outcome.value()
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
                if self.observations.len() == self.observations.capacity() {
                    self.observations.reserve_exact(STEP);
                }
                self.observations.insert(at, observation);
                Ok(())
            }
        }
    }

    /// Bytes held for the observations told, where a piece of memory of n bytes takes `piece(n)` of the heap.
    pub fn observed_bytes(&self, piece: impl Fn(usize) -> u64) -> u64 {
        // all have as many numbers
        let one = self.observations.first().map_or(0, |o| {
            let Query { x, w, .. } = &o.query;
            piece(size_of_val(&x[..])) + piece(size_of_val(&w[..]))
        });
        let list = self.observations.capacity() * size_of::<Observation>();
        one * self.observations.len() as u64 + piece(list) + piece(self.taken.bytes())
    }

    /// Bytes held for the model between decisions: its factor and its data.
    pub fn model_bytes(&self) -> u64 {
        let model = self.model.as_ref();
        model.map_or(0, |model| model.posterior.bytes() as u64)
    }

    /// What the last refit left, if there was one.
    pub fn state(&self) -> Option<&ModelState> {
        self.state.as_ref()
    }

    /// Unit points of the x observed, without repeats.
    pub(super) fn observed_units(&self) -> Vec<Vec<f64>> {
        pool::distinct(
            self.successes()
                .map(|(o, _)| self.problem.space.to_unit(&o.query.x)),
        )
    }

    pub(super) fn successes(&self) -> impl Iterator<Item = (&Observation, f64)> {
        self.observations
            .iter()
            .filter_map(|o| Some((o, o.outcome.value()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Direction;
    use super::*;
    use crate::space::{Parameter, Space};

    #[test]
    fn the_design_begins_with_what_was_evaluated_elsewhere_and_may_be_that_alone() {
        let problem = Problem {
            space: Space::new(vec![Parameter::real("a", 0.0, 1.0)]).unwrap(),
            environments: Environments::None,
            direction: Direction::Maximize,
        };
        let query = |a: f64| Query {
            x: vec![a],
            environment: None,
            w: Vec::new(),
        };
        let with = |n_initial, earlier| {
            let settings = Settings {
                n_initial,
                initial_w: 1,
                earlier,
                ..Settings::default()
            };
            Optimizer::new(problem.clone(), settings).map(|o| o.initial_design())
        };
        let alone = with(2, Vec::new()).unwrap();
        let earlier = vec![query(0.25), query(0.75), query(0.25)];
        let both = with(2, earlier.clone()).unwrap();
        assert_eq!(both[..3], earlier);
        assert_eq!(both[3..], alone);
        assert_eq!(with(0, earlier.clone()).unwrap(), earlier);
        assert!(with(0, Vec::new()).is_err());
    }
}
