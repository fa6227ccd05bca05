//! The next (x, w), or a batch of them: the acquisition where there is a model, a space-filling point where
//! there is none.
//!
//! A batch is decided one by one. What is decided but not yet evaluated is believed to return its posterior
//! mean, so that nothing is left to be learned there, and is never chosen again (Ginsbourger, Le Riche and
//! Carraro 2010, the *Kriging believer*).

use super::model::{self, Data, Model};
use super::{
    AcquisitionKind, Decision, Error, Event, ModelState, Optimizer, Problem, Query, Settings,
};
use crate::acquisition::{
    Choice, Situation, Taken, cv_ucb, log_nei, rho_kg, rho_kg_paths, space_filling, thompson,
};
use crate::environment::{Environment, EnvironmentSet};
use crate::viability::Viability;
use std::cell::OnceCell;

/// A natural x with its environment, and the value of the acquisition there.
type Chosen = (Vec<f64>, Environment, f64);

impl Optimizer {
    /// The next (x, w). A pure function of problem, settings, observations, model and `iteration`.
    ///
    /// # Errors
    /// Settings that no longer fit the problem (never after [`Self::new`]).
    pub fn decide(&self, iteration: u64) -> Result<Decision, Error> {
        Turn::new(self).decide(iteration)
    }

    /// The next `q` of them, to be evaluated at once; the first is that of [`Self::decide`].
    ///
    /// # Errors
    /// As [`Self::decide`].
    pub fn decide_batch(&self, iteration: u64, q: usize) -> Result<Vec<Decision>, Error> {
        let mut turn = Turn::new(self);
        // Random streams are named by iterations: members of a batch take numbers no iteration has.
        let numbers = (0..q as u64).map(|member| iteration + (member << 32));
        numbers
            .map(|number| {
                let decision = turn.decide(number)?;
                turn.wait_for(&decision.query);
                Ok(decision)
            })
            .collect()
    }
}

/// A batch under way.
struct Turn<'o> {
    optimizer: &'o Optimizer,
    /// Evaluated or decided.
    taken: Taken,
    /// Encoded inputs of what is decided.
    pending: Vec<Vec<f64>>,
    /// Where values come back; learned with the first decision that has a model, the same for all of a batch.
    viability: OnceCell<Option<Viability>>,
    events: Vec<Event>,
}

impl<'o> Turn<'o> {
    fn new(optimizer: &'o Optimizer) -> Self {
        Self {
            optimizer,
            taken: optimizer.taken.clone(),
            pending: Vec::new(),
            viability: OnceCell::new(),
            events: Vec::new(),
        }
    }

    fn wait_for(&mut self, query: &Query) {
        let environment = Environment {
            index: query.environment,
            w: query.w.clone(),
        };
        self.taken.insert(&query.x, &environment);
        let Problem {
            space,
            environments,
            ..
        } = &self.optimizer.problem;
        let mut row = space.encode(&query.x);
        row.extend(environments.encode(&query.w));
        self.pending.push(row);
    }

    /// The decision of stream number `number`.
    fn decide(&mut self, number: u64) -> Result<Decision, Error> {
        let o = self.optimizer;
        let Settings { seed, n_w, .. } = o.settings;
        let set = o.problem.environments.decision_set(n_w, seed, number)?;
        let chosen = match (o.settings.acquisition, &o.model, &o.state) {
            (AcquisitionKind::Random, ..) => self.random(number),
            (_, Some(model), Some(state)) => self
                .by_model((model, state), &set, number)
                .or_else(|| self.free_pair(number)),
            _ => self.apart(&set, number),
        };
        let (x, environment, acquisition) = chosen.unwrap_or_else(|| self.repeat(number));
        let query = Query {
            x,
            environment: environment.index,
            w: environment.w,
        };
        Ok(Decision {
            query,
            acquisition,
            events: std::mem::take(&mut self.events),
        })
    }

    /// What the acquisition chooses.
    fn by_model(
        &mut self,
        (model, state): (&Model, &ModelState),
        set: &EnvironmentSet,
        number: u64,
    ) -> Option<Chosen> {
        let o = self.optimizer;
        let space = &o.problem.space;
        let (posterior, events) = model.believing(&self.unseen(state));
        self.events.extend(events);
        let set = set.clone().with_effects(&model.scale.effects);
        let learn = || Data::viability(&o.problem, &o.observations);
        let viability = self.viability.get_or_init(learn).as_ref();
        let viable = viability.map(|viability| viability.over(&set));
        let region = o.region(model, state, viability);
        let situation = Situation {
            space,
            posterior: &posterior,
            environments: &set,
            risk: o.settings.risk,
            incumbent: &space.to_unit(&state.incumbent),
            region: region.as_ref(),
            observed: &o.observed_units(),
            viable: viable.as_ref(),
            taken: &self.taken,
            seed: o.settings.seed,
            iteration: number,
        };
        let Choice {
            x,
            environment,
            value,
            jitter,
        } = by(o.settings.acquisition, &situation)?;
        if jitter > 0.0 {
            self.events.push(Event::SampleJitter { amount: jitter });
        }
        Some((
            space.from_unit(&x),
            set.environment(environment),
            value * model.scale.standardizer.scale,
        ))
    }

    /// Encoded inputs of which the model knows no value: failed, told since it was conditioned, pending.
    fn unseen(&self, state: &ModelState) -> Vec<Vec<f64>> {
        let (problem, observations) = (&self.optimizer.problem, &self.optimizer.observations);
        let mut unseen = Data::new(problem, observations).failed;
        let known = state.observed.min(observations.len());
        let newer = Data::new(problem, &observations[known..]);
        unseen.extend(newer.inputs.rows().into_iter().map(|row| row.to_vec()));
        unseen.extend(self.pending.iter().cloned());
        unseen
    }

    /// Where the acquisition has no pair to choose: the first free one, or a random one where pairs
    /// cannot be counted.
    fn free_pair(&mut self, number: u64) -> Option<Chosen> {
        let o = self.optimizer;
        let first = space_filling::first_free(&o.problem.space, &o.judging, &self.taken)
            .map(|(x, environment)| (x, environment, 0.0));
        let chosen = first.or_else(|| self.random(number));
        if chosen.is_some() {
            self.events.push(Event::NoCandidate);
        }
        chosen
    }

    fn random(&self, number: u64) -> Option<Chosen> {
        let o = self.optimizer;
        let (space, seed) = (&o.problem.space, o.settings.seed);
        space_filling::random(space, &o.judging, &self.taken, seed, number)
            .map(|(x, environment)| (x, environment, 0.0))
    }

    /// Without a model: far from everything tried.
    fn apart(&mut self, set: &EnvironmentSet, number: u64) -> Option<Chosen> {
        let o = self.optimizer;
        self.events.push(Event::NoModel {
            successes: o.successes().count(),
        });
        let tried = o.observations.iter();
        let mut tried: Vec<_> = tried.map(|t| model::encode(&o.problem, t)).collect();
        tried.extend(self.pending.iter().cloned());
        let Problem {
            space,
            environments,
            ..
        } = &o.problem;
        let stream = (o.settings.seed, number);
        space_filling::farthest(space, environments, set, &tried, &self.taken, stream)
            .map(|(x, environment)| (x, environment, 0.0))
    }

    /// No free pair: one of those evaluated again.
    fn repeat(&mut self, number: u64) -> Chosen {
        let o = self.optimizer;
        let counted = space_filling::counted(&o.problem.space, &o.problem.environments);
        self.events.push(if counted {
            Event::Exhausted
        } else {
            Event::NoneFound
        });
        let (space, seed, none) = (&o.problem.space, o.settings.seed, Taken::default());
        let any = space_filling::random(space, &o.judging, &none, seed, number);
        let (x, environment) = any.unwrap_or_else(|| {
            let first = o.initial_design().swap_remove(0);
            let (index, w) = (first.environment, first.w);
            (first.x, Environment { index, w })
        });
        (x, environment, 0.0)
    }
}

/// The choice of an acquisition that has a model.
fn by(kind: AcquisitionKind, situation: &Situation<'_>) -> Option<Choice> {
    match kind {
        AcquisitionKind::RhoKg => rho_kg::choose(situation),
        AcquisitionKind::RhoKgPaths => rho_kg_paths::choose(situation),
        AcquisitionKind::CvUcb => cv_ucb::choose(situation),
        AcquisitionKind::LogNei => log_nei::choose(situation),
        AcquisitionKind::Thompson => thompson::choose(situation),
        AcquisitionKind::Random => None,
    }
}
