//! The surrogate of one moment: observations as the Gaussian process sees them, conditioned.
//!
//! A pure function of (problem, observations in the order of ids, hyperparameters, how many
//! observations were there at the fit): the first `fitted_at` successes are factorised at once and
//! the later ones appended one by one, so that a model rebuilt on resume has the same bits as one
//! that grew.

use super::{Event, Observation, Outcome, Problem};
use crate::compress::Compression;
use crate::environment::effects;
use crate::gp::{GpError, Hyperparameters, Posterior, Replicates, Standardizer};
use crate::kernel::KernelForm;
use crate::viability::Viability;
use ndarray::{Array1, Array2, ArrayView1};

/// Successful observations, encoded.
#[derive(Clone, Debug)]
pub(super) struct Data {
    /// Ids, ascending.
    pub ids: Vec<u64>,
    /// n x (encoded x, encoded w).
    pub inputs: Array2<f64>,
    /// Values turned to be maximised, n.
    pub values: Vec<f64>,
    /// Number of each one's environment in a finite set.
    pub environments: Vec<Option<usize>>,
    /// Which values are rough.
    pub rough: Vec<bool>,
    /// Encoded inputs of failed observations.
    pub failed: Vec<Vec<f64>>,
}

/// Encoded (x, w) of an observation.
pub(super) fn encode(problem: &Problem, observation: &Observation) -> Vec<f64> {
    let mut row = problem.space.encode(&observation.query.x);
    row.extend(problem.environments.encode(&observation.query.w));
    row
}

impl Data {
    pub(super) fn new(problem: &Problem, observations: &[Observation]) -> Self {
        let sign = problem.direction.sign();
        let d = problem.space.encoded_dimension() + problem.environments.encoded_dimension();
        let (mut ids, mut rows, mut values, mut failed) = (vec![], vec![], vec![], vec![]);
        let (mut environments, mut rough) = (Vec::new(), Vec::new());
        for o in observations {
            let row = encode(problem, o);
            let Some(value) = o.outcome.value() else {
                failed.push(row);
                continue;
            };
            ids.push(o.id);
            rows.extend(row);
            values.push(sign * value);
            environments.push(o.query.environment);
            rough.push(matches!(o.outcome, Outcome::Rough(_)));
        }
        let inputs = Array2::from_shape_vec((ids.len(), d), rows)
            .expect("every row has the encoded dimensions of x and w");
        Self {
            ids,
            inputs,
            values,
            environments,
            rough,
            failed,
        }
    }

    /// Where values come back, by what failed among `observations`.
    pub(super) fn viability(problem: &Problem, observations: &[Observation]) -> Option<Viability> {
        let rows: Vec<f64> = observations
            .iter()
            .flat_map(|o| encode(problem, o))
            .collect();
        let dx = problem.space.encoded_dimension();
        let d = dx + problem.environments.encoded_dimension();
        let inputs = Array2::from_shape_vec((observations.len(), d), rows)
            .expect("every row has the encoded dimensions of x and w");
        let failed = observations.iter().map(|o| o.outcome == Outcome::Failed);
        Viability::learn(dx, &inputs, &failed.collect::<Vec<bool>>())
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The first `first` observations as the Gaussian process takes them: repeats merged.
    pub(super) fn replicates(&self, first: usize, scale: &Scale) -> Result<Replicates, GpError> {
        let values: Array1<f64> = (0..first).map(|i| scale.seen(self, i)).collect();
        let inputs = self.inputs.slice(ndarray::s![..first, ..]);
        Replicates::merging(inputs, values.view(), &self.rough[..first])
    }
}

/// How values are turned into what the Gaussian process models: compressed, standardised, the effects
/// of environments taken off. A function of the observations of the fit.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    compression: Option<Compression>,
    /// Of the compressed values.
    pub standardizer: Standardizer,
    /// Of each environment of a finite set, standardised.
    pub effects: Vec<f64>,
}

impl Scale {
    /// The scale of a fit to all of `data`.
    pub(super) fn of(data: &Data, count: usize) -> Self {
        let compression = Compression::for_values(&data.values);
        let values: Vec<f64> = data
            .values
            .iter()
            .map(|v| compressed(compression, *v))
            .collect();
        Self::with(
            data,
            data.len(),
            count,
            Standardizer::from_observations(&values),
        )
    }

    /// The scale of the fit to the first `first` successes that left `standardizer`.
    fn with(data: &Data, first: usize, count: usize, standardizer: Standardizer) -> Self {
        let compression = Compression::for_values(&data.values[..first]);
        let values: Vec<f64> = data.values[..first]
            .iter()
            .map(|v| standardizer.standardize(compressed(compression, *v)))
            .collect();
        Self {
            compression,
            standardizer,
            effects: effects(&values, &data.environments[..first], count),
        }
    }

    /// Value `i` of `data` as the posterior sees it.
    pub(super) fn seen(&self, data: &Data, i: usize) -> f64 {
        let effect = data.environments[i].and_then(|j| self.effects.get(j));
        let value = compressed(self.compression, data.values[i]);
        self.standardizer.standardize(value) - effect.copied().unwrap_or(0.0)
    }
}

fn compressed(compression: Option<Compression>, value: f64) -> f64 {
    compression.map_or(value, |c| c.compress(value))
}

/// A conditioned surrogate.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub posterior: Posterior,
    /// Of the values known at the fit.
    pub scale: Scale,
    pub fitted_at: usize,
    ids: Vec<u64>,
}

impl Model {
    /// Conditions on `data` of a problem with `count` environments (0: not finite), growing `before` where that gives the same bits for less work.
    pub(super) fn new(
        data: &Data,
        form: KernelForm,
        hyper: &Hyperparameters,
        (standardizer, count): (Standardizer, usize),
        fitted_at: usize,
        before: Option<Self>,
    ) -> Result<Self, GpError> {
        let grown = before.filter(|m| {
            m.fitted_at == fitted_at
                && m.scale.standardizer == standardizer
                && m.posterior.hyperparameters() == hyper
                && data.ids.starts_with(&m.ids)
        });
        let mut model = match grown {
            Some(model) => model,
            None => {
                let first = fitted_at.clamp(1, data.len().max(1)).min(data.len());
                let scale = Scale::with(data, first, count, standardizer);
                let posterior = Posterior::on(form, hyper, data.replicates(first, &scale)?)?;
                Self {
                    posterior,
                    scale,
                    fitted_at,
                    ids: data.ids[..first].to_vec(),
                }
            }
        };
        for i in model.ids.len()..data.len() {
            let value = model.scale.seen(data, i);
            let (input, rough) = (data.inputs.row(i), data.rough[i]);
            model.posterior.append_marked(input, value, rough)?;
            model.ids.push(data.ids[i]);
        }
        Ok(model)
    }

    /// The compression in the posterior's units, to be undone where risks are reported.
    pub(super) fn compression(&self) -> Option<Compression> {
        let Standardizer { shift, scale } = self.scale.standardizer;
        self.scale.compression.map(|c| c.in_units(shift, scale))
    }

    /// The posterior with points at which nothing is to be learned any more (failed, or decided but
    /// not yet evaluated), each believed to return its posterior mean: the mean stays, the variance
    /// falls. A point that cannot be appended is left out, which is an event.
    pub(super) fn believing(&self, points: &[Vec<f64>]) -> (Posterior, Option<Event>) {
        let mut posterior = self.posterior.clone();
        let (mut left_out, mut last) = (0, None);
        for p in points {
            let point = ArrayView1::from(&p[..]);
            let mean = posterior.mean(point.insert_axis(ndarray::Axis(0)))[0];
            if let Err(error) = posterior.append(point, mean) {
                left_out += 1;
                last = Some(error);
            }
        }
        let event = last.map(|error| Event::LeftOut {
            points: left_out,
            reason: error.to_string(),
        });
        (posterior, event)
    }
}
