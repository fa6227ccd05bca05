//! The next (x, w): the acquisition where there is a model, a space-filling point where there is none.

use super::model::{self, Data};
use super::{AcquisitionKind, Decision, Error, Event, Optimizer, Query, Settings};
use crate::acquisition::{Situation, Taken, rho_kg, space_filling};

impl Optimizer {
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
}
