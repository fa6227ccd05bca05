//! Bringing the model up to date: hyperparameters fitted or kept, observations conditioned on, the
//! incumbent searched; and putting back a recorded state.

use super::model::{Data, Model, Scale};
use super::{AcquisitionKind, Error, Event, FitReport, ModelState, Optimizer, Surrogate, schedule};
use crate::design;
use crate::environment::Environments;
use crate::gp::{self, FitSettings, GpError, Hyperparameters, Standardizer};
use crate::incumbent::{self, RiskSurface};
use crate::kernel::KernelForm;
use crate::stream::{Purpose, sobol_seed};

/// Most starting points of a fit that continues an earlier one (that one among them).
const WARM_STARTS: usize = 4;
/// Most starting points of a fit without an earlier one.
const COLD_STARTS: usize = 8;

/// What a fit settles until the next one.
struct Fitted {
    hyper: Hyperparameters,
    standardizer: Standardizer,
    /// Successful observations then.
    at: usize,
}

impl Fitted {
    fn of(state: ModelState) -> Self {
        Self {
            hyper: state.hyper,
            standardizer: state.standardizer,
            at: state.fitted_at,
        }
    }
}

impl Optimizer {
    /// Brings the model up to date with what was told: hyperparameters are fitted anew or kept (see
    /// the schedule in `schedule.rs`), observations enter the posterior, the incumbent
    /// is searched. Where decisions are random that is done only now and then: the model then serves nothing but
    /// the recommendation. A pure function of problem, settings, observations, the state before and
    /// `iteration`. With fewer than two successes there is no model, which is an event.
    ///
    /// # Errors
    /// None today: numerical trouble is an event. Kept fallible for what is to come.
    pub fn refit(&mut self, iteration: u64) -> Result<FitReport, Error> {
        let idle = self.settings.acquisition == AcquisitionKind::Random && self.state.is_some();
        if idle && !schedule::recommends(iteration) {
            return Ok(FitReport {
                observations: self.successes().count(),
                refitted: false,
                log_posterior: None,
                events: Vec::new(),
            });
        }
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
        let last_good = self.state.clone();
        let fitted = match kept {
            Some(s) => Fitted::of(s),
            None => self.fit(&data, iteration, &mut report),
        };
        let Some((fitted, model)) = self.rescued(&data, fitted, last_good, before, &mut report)
        else {
            // As a resume would: the model of the state that stays.
            let last = self.state.as_ref();
            self.model = last.and_then(|s| self.condition(s, s.observed).ok());
            return Ok(report);
        };
        if model.jitter() > 0.0 {
            report.events.push(Event::Jitter {
                amount: model.jitter(),
            });
        }
        let previous = self
            .state
            .as_ref()
            .map(|s| self.problem.space.to_unit(&s.incumbent));
        let dx = self.problem.space.encoded_dimension();
        let judging = self.judging.clone().with_effects(&model.scale.effects);
        let viability = Data::viability(&self.problem, &self.observations);
        let proven = self.proven(&judging, viability.as_ref());
        let (incumbent, _) = incumbent::search(
            &self.problem.space,
            |environments| {
                RiskSurface::new(&model.posterior, dx, environments, self.settings.risk)
                    .expanding(model.compression())
                    .where_proven(proven.clone())
            },
            &judging,
            &self.observed_units(),
            previous.as_deref(),
            (
                sobol_seed(self.settings.seed, iteration, Purpose::Incumbent),
                || design::first_admitted(&self.problem.space, self.settings.seed),
            ),
        );
        self.state = Some(ModelState {
            hyper: fitted.hyper,
            standardizer: fitted.standardizer,
            fitted_at: fitted.at,
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
    fn fit(&self, data: &Data, iteration: u64, report: &mut FitReport) -> Fitted {
        let scale = Scale::of(data, self.environment_count());
        let warm = self.state.as_ref().map(|s| &s.hyper);
        let surrogate = self.settings.surrogate;
        let inputs = data.inputs.ncols();
        let environments = !matches!(self.problem.environments, Environments::None);
        let hyper = match data.replicates(data.len(), &scale) {
            Ok(rows) => {
                let settings = FitSettings {
                    form: self.form(),
                    starts: if warm.is_some() {
                        WARM_STARTS
                    } else {
                        COLD_STARTS
                    },
                    seed: self.settings.seed,
                    iteration,
                    priors: Some(surrogate.priors(inputs, environments, rows.any_rough())),
                    ..FitSettings::default()
                };
                let fit = gp::fit(&rows, warm, &settings);
                report.refitted = fit.log_posterior.is_some();
                report.log_posterior = fit.log_posterior;
                let events = fit.events.into_iter().map(Event::from);
                report.events.extend(events);
                fit.hyper
            }
            Err(e) => {
                let reason = e.to_string();
                match warm {
                    Some(warm) => {
                        report.events.push(Event::KeptHyperparameters { reason });
                        warm.clone()
                    }
                    None => {
                        report.events.push(Event::FixedHyperparameters { reason });
                        Surrogate::fallback(inputs)
                    }
                }
            }
        };
        Fitted {
            hyper,
            standardizer: scale.standardizer,
            at: data.len(),
        }
    }

    /// The model of what was fitted; where it has no factor that of the last good hyperparameters, then
    /// that of smooth ones with noise. Each step is an event; the last is that there is no model.
    fn rescued(
        &self,
        data: &Data,
        fitted: Fitted,
        last_good: Option<ModelState>,
        before: Option<Model>,
        report: &mut FitReport,
    ) -> Option<(Fitted, Model)> {
        let refused = match self.model_of(data, &fitted, before) {
            Ok(model) => return Some((fitted, model)),
            Err(e) => e,
        };
        let kept: fn(String) -> Event = |reason| Event::KeptHyperparameters { reason };
        let fixed: fn(String) -> Event = |reason| Event::FixedHyperparameters { reason };
        let others = last_good
            .map(|state| (state.hyper, kept))
            .into_iter()
            .chain([(Surrogate::fallback(data.inputs.ncols()), fixed)]);
        for (hyper, told) in others.filter(|(hyper, _)| *hyper != fitted.hyper) {
            let other = Fitted {
                hyper,
                standardizer: fitted.standardizer,
                at: fitted.at,
            };
            if let Ok(model) = self.model_of(data, &other, None) {
                report.events.push(told(refused.to_string()));
                // What was fitted is not what is used.
                (report.refitted, report.log_posterior) = (false, None);
                return Some((other, model));
            }
        }
        let reason = refused.to_string();
        report.events.push(Event::NoFactor { reason });
        None
    }

    fn model_of(
        &self,
        data: &Data,
        fitted: &Fitted,
        before: Option<Model>,
    ) -> Result<Model, GpError> {
        let scaled = (fitted.standardizer, self.environment_count());
        Model::new(data, self.form(), &fitted.hyper, scaled, fitted.at, before)
    }

    fn form(&self) -> KernelForm {
        let dx = self.problem.space.encoded_dimension();
        self.settings.surrogate.form(dx)
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
        self.model_of(&data, &Fitted::of(state.clone()), None)
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
        self.model = match self.condition(&state, state.observed) {
            Ok(model) => Some(model),
            // as in `refit`: a state may stay whose model has no factor on what is known by now
            Err(GpError::Factor(_)) => None,
            Err(e) => return Err(fault(e.to_string())),
        };
        self.state = Some(state);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Direction, Observation, Outcome, Problem, Settings};
    use super::*;
    use crate::space::{Parameter, Space};

    #[test]
    fn the_event_names_the_hyperparameters_that_stand_in() {
        let problem = Problem {
            space: Space::new(vec![Parameter::real("a", 0.0, 1.0)]).unwrap(),
            environments: Environments::None,
            direction: Direction::Maximize,
        };
        let mut o = Optimizer::new(problem, Settings::default()).unwrap();
        for (id, query) in (0..).zip(o.initial_design()) {
            let outcome = Outcome::Value((9.0 * query.x[0]).sin());
            let observation = Observation {
                id,
                iteration: 0,
                query,
                outcome,
            };
            o.tell(observation).unwrap();
        }
        let report = o.refit(0).unwrap();
        assert!(report.refitted && report.log_posterior.is_some());
        let data = Data::new(&o.problem, &o.observations);
        let spoilt = || {
            let mut fitted = Fitted::of(o.state.clone().unwrap());
            fitted.hyper.noise = f64::NAN;
            fitted
        };
        for last_good in [None, o.state.clone()] {
            let known = last_good.is_some();
            let mut told = report.clone();
            let (used, _) = o
                .rescued(&data, spoilt(), last_good, None, &mut told)
                .unwrap();
            assert!(!told.refitted && told.log_posterior.is_none());
            let kept = matches!(told.events.last(), Some(Event::KeptHyperparameters { .. }));
            let fixed = matches!(told.events.last(), Some(Event::FixedHyperparameters { .. }));
            assert_eq!((kept, fixed), (known, !known), "{:?}", told.events);
            assert_eq!(used.hyper == Surrogate::fallback(1), fixed);
        }
    }
}
