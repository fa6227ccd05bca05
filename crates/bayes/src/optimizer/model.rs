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
use std::sync::Arc;

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
    pub effects: Arc<[f64]>,
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
            effects: effects(&values, &data.environments[..first], count).into(),
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
    /// Most that a row appended needed beyond the jitter of the factor.
    appended_jitter: f64,
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
                    appended_jitter: 0.0,
                }
            }
        };
        for i in model.ids.len()..data.len() {
            let value = model.scale.seen(data, i);
            let (input, rough) = (data.inputs.row(i), data.rough[i]);
            let jitter = model.posterior.append_marked(input, value, rough)?;
            model.appended_jitter = model.appended_jitter.max(jitter);
            model.ids.push(data.ids[i]);
        }
        Ok(model)
    }

    /// Most that was added to an entry of the kernel matrix's diagonal (0 in the ordinary case).
    pub(super) fn jitter(&self) -> f64 {
        self.posterior.jitter() + self.appended_jitter
    }

    /// The compression in the posterior's units, to be undone where risks are reported.
    pub(super) fn compression(&self) -> Option<Compression> {
        let Standardizer { shift, scale } = self.scale.standardizer;
        self.scale.compression.map(|c| c.in_units(shift, scale))
    }

    /// The posterior with points at which nothing is to be learned any more (failed, or decided but
    /// not yet evaluated), each believed to return its posterior mean: the mean stays, the variance
    /// falls. A point that cannot be appended is left out, which is an event, as is jitter.
    pub(super) fn believing(&self, points: &[Vec<f64>]) -> (Posterior, Vec<Event>) {
        let mut posterior = self.posterior.clone();
        let (mut left_out, mut last, mut most) = (0, None, 0.0);
        for p in points {
            let point = ArrayView1::from(&p[..]);
            let mean = posterior.mean(point.insert_axis(ndarray::Axis(0)))[0];
            match posterior.append(point, mean) {
                Ok(jitter) => most = f64::max(most, jitter),
                Err(error) => {
                    left_out += 1;
                    last = Some(error);
                }
            }
        }
        let jitter = (most > 0.0).then_some(Event::Jitter { amount: most });
        let left_out = last.map(|error| Event::LeftOut {
            points: left_out,
            reason: error.to_string(),
        });
        (posterior, jitter.into_iter().chain(left_out).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KernelKind;

    /// The third repeats the second.
    fn data() -> Data {
        Data {
            ids: vec![0, 1, 2],
            inputs: ndarray::array![[0.1], [0.7], [0.7]],
            values: vec![1.0, -1.0, -1.0],
            environments: vec![None; 3],
            rough: vec![false; 3],
            failed: Vec::new(),
        }
    }

    fn hyper() -> Hyperparameters {
        Hyperparameters {
            lengthscales: vec![0.5],
            outputscale: 1.0,
            // So little that a repeat has no pivot left.
            noise: 1e-17,
            mean: 0.0,
            rough_noise: None,
            warp: Vec::new(),
        }
    }

    #[test]
    fn jitter_of_an_appended_row_is_told() {
        let scale = Standardizer::from_observations(&[1.0, -1.0]);
        let form = KernelForm::from(KernelKind::Matern52);
        let model = Model::new(&data(), form, &hyper(), (scale, 0), 2, None).unwrap();
        assert_eq!(model.posterior.jitter(), 0.0);
        assert!(model.jitter() > 0.0, "a repeat without noise");
        let (_, events) = model.believing(&[vec![0.1]]);
        assert!(
            matches!(events[..], [Event::Jitter { amount }] if amount > 0.0),
            "{events:?}"
        );
    }
}
