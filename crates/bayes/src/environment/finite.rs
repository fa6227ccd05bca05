//! A finite set of weighted environments, and the spread subset a decision looks at.

use super::{Environment, EnvironmentError, EnvironmentSet, Rows};
use crate::sobol;
use std::sync::Arc;

/// Finite weighted environments (checked: equal lengths, finite values, weights that sum to 1).
#[derive(Clone, Debug, PartialEq)]
pub struct Finite {
    names: Vec<String>,
    points: Rows,
    /// Each variable scaled to [0, 1] over the set; the block of `points` where that changes nothing.
    encoded: Rows,
    weights: Arc<[f64]>,
    /// None where they are the row numbers.
    labels: Option<Arc<[String]>>,
    low: Vec<f64>,
    span: Vec<f64>,
}

impl Finite {
    /// Checks and normalises. `points[i]` are the natural values of environment i, one per name;
    /// `weights` default to equal and are divided by their sum; `labels` (for reports) default to the
    /// row numbers.
    ///
    /// # Errors
    /// Empty, ragged or non-finite input, weights that are no masses, labels of another number: see [`EnvironmentError`].
    pub fn new(
        names: Vec<String>,
        points: Vec<Vec<f64>>,
        weights: Option<Vec<f64>>,
        labels: Option<Vec<String>>,
    ) -> Result<Self, EnvironmentError> {
        if points.is_empty() || names.is_empty() {
            return Err(EnvironmentError::Empty);
        }
        for (row, p) in points.iter().enumerate() {
            if p.len() != names.len() {
                return Err(EnvironmentError::Dimension {
                    row,
                    expected: names.len(),
                    found: p.len(),
                });
            }
            if let Some(d) = p.iter().position(|v| !v.is_finite()) {
                return Err(EnvironmentError::Value {
                    row,
                    name: names[d].clone(),
                    value: p[d],
                });
            }
        }
        let n = points.len();
        let weights = weights.unwrap_or_else(|| vec![1.0; n]);
        if weights.len() != n {
            return Err(EnvironmentError::WeightCount {
                expected: n,
                found: weights.len(),
            });
        }
        if let Some(row) = weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
            return Err(EnvironmentError::Weight {
                row,
                weight: weights[row],
            });
        }
        let sum: f64 = weights.iter().sum();
        if sum <= 0.0 || !sum.is_finite() {
            return Err(EnvironmentError::Weight {
                row: 0,
                weight: weights[0],
            });
        }
        let weights = weights.into_iter().map(|w| w / sum).collect();
        if let Some(labels) = labels.as_ref().filter(|labels| labels.len() != n) {
            return Err(EnvironmentError::LabelCount {
                expected: n,
                found: labels.len(),
            });
        }
        let labels = labels.map(Arc::from);
        let column = |d: usize| points.iter().map(move |p| p[d]);
        let low: Vec<f64> = (0..names.len())
            .map(|d| column(d).fold(f64::INFINITY, f64::min))
            .collect();
        let span = (0..names.len())
            .map(|d| column(d).fold(f64::NEG_INFINITY, f64::max) - low[d])
            .collect();
        let points = Rows::new(names.len(), points);
        let mut set = Self {
            names,
            encoded: points.clone(),
            points,
            weights,
            labels,
            low,
            span,
        };
        let encoded = Rows::new(set.names.len(), set.points.iter().map(|w| set.encode(w)));
        if encoded != set.points {
            set.encoded = encoded;
        }
        Ok(set)
    }

    /// Names of the variables.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Natural values, one row per environment.
    pub fn points(&self) -> &Rows {
        &self.points
    }

    /// Masses, summing to 1.
    pub fn weights(&self) -> &Arc<[f64]> {
        &self.weights
    }

    /// Labels for reports (an image's name, say).
    pub fn labels(&self) -> Vec<String> {
        match &self.labels {
            Some(labels) => labels.to_vec(),
            None => (0..self.len()).map(|row| row.to_string()).collect(),
        }
    }

    /// Number of environments.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Never true: an empty set is refused.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Scales each variable by its range over the set; a variable that never varies becomes 0.5.
    pub(super) fn encode(&self, w: &[f64]) -> Vec<f64> {
        (0..self.names.len())
            .map(|d| {
                if self.span[d] > 0.0 {
                    (w[d] - self.low[d]) / self.span[d]
                } else {
                    0.5
                }
            })
            .collect()
    }

    /// The query form of environment `row`.
    pub fn environment(&self, row: usize) -> Environment {
        Environment {
            index: Some(row),
            w: self.points[row].to_vec(),
        }
    }

    /// Every environment with its exact mass.
    pub(super) fn all(&self) -> EnvironmentSet {
        let (encoded, points) = (self.encoded.clone(), self.points.clone());
        EnvironmentSet::all(encoded, points, Arc::clone(&self.weights))
    }

    /// `n` environments spread through the set: scrambled Sobol points in the scaled feature space,
    /// each snapped to the nearest environment not yet taken (the lowest row of equals; environments
    /// of zero weight only when no other is left). Every environment then gives its weight to the
    /// nearest taken one, so that masses sum to 1 and a dense corner keeps its weight.
    pub fn spread(&self, n: usize, sobol_seed: u32) -> EnvironmentSet {
        let mut taken: Vec<usize> = Vec::with_capacity(n);
        for k in 0..n.min(self.len()) {
            let target = sobol::point(k as u64, self.names.len(), sobol_seed);
            taken.push(self.nearest_free(&target, &taken));
        }
        let mut masses = vec![0.0; taken.len()];
        for (r, e) in self.encoded.iter().enumerate() {
            masses[self.nearest_of(&taken, e)] += self.weights[r];
        }
        self.all().some(&taken, masses)
    }

    /// Row nearest to an encoded point among those not in `taken`: the lowest row of equals, rows of
    /// zero weight only when no other is left, row 0 when none is.
    pub(crate) fn nearest_free(&self, encoded: &[f64], taken: &[usize]) -> usize {
        let key = |r: usize| {
            (
                self.weights[r] == 0.0,
                squared_distance(&self.encoded[r], encoded),
            )
        };
        (0..self.len())
            .filter(|r| !taken.contains(r))
            .map(|r| (r, key(r)))
            .min_by(|(_, (za, da)), (_, (zb, db))| za.cmp(zb).then(da.total_cmp(db)))
            .map_or(0, |(r, _)| r)
    }

    fn nearest_of(&self, taken: &[usize], e: &[f64]) -> usize {
        let distance = |k: usize| squared_distance(&self.encoded[taken[k]], e);
        (0..taken.len())
            .min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
            .unwrap_or(0)
    }
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(p, q)| (p - q) * (p - q)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Finite {
        let points = (0..12)
            .map(|i| vec![f64::from(i % 4), f64::from(i / 4) * 100.0])
            .collect();
        let weights = (0..12).map(|i| f64::from(i + 1)).collect();
        Finite::new(vec!["a".into(), "b".into()], points, Some(weights), None).unwrap()
    }

    #[test]
    fn a_spread_has_no_repeats_and_carries_the_whole_mass() {
        let set = grid();
        for n in 1..=12 {
            for seed in 0..5 {
                let chosen = set.spread(n, seed);
                let mut rows: Vec<_> = chosen.environments().filter_map(|e| e.index).collect();
                rows.sort_unstable();
                rows.dedup();
                assert_eq!(rows.len(), n);
                assert!((chosen.masses.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn each_environment_gives_its_weight_to_the_nearest_taken_one() {
        let names = vec!["a".to_owned()];
        let points = vec![vec![0.0], vec![0.1], vec![1.0]];
        let set = Finite::new(names, points, Some(vec![0.2, 0.3, 0.5]), None).unwrap();
        let two = set.spread(2, 3);
        for (e, m) in two.environments().zip(two.masses.iter()) {
            assert!((m - 0.5).abs() < 1e-12, "{e:?} carries {m}");
        }
    }

    #[test]
    fn taking_all_keeps_exact_weights() {
        let set = grid();
        let spread = set.spread(12, 9);
        for (e, m) in spread.environments().zip(spread.masses.iter()) {
            assert_eq!(*m, set.weights()[e.index.unwrap()]);
        }
    }

    #[test]
    fn labels_of_another_number_are_refused() {
        let labels = Some(vec!["one".to_owned()]);
        let bad = Finite::new(vec!["a".into()], vec![vec![0.0]; 2], None, labels);
        let (expected, found) = (2, 1);
        assert_eq!(bad, Err(EnvironmentError::LabelCount { expected, found }));
    }

    #[test]
    fn bad_weights_are_named() {
        let bad = Finite::new(
            vec!["a".into()],
            vec![vec![0.0]; 2],
            Some(vec![1.0, -1.0]),
            None,
        );
        assert_eq!(
            bad,
            Err(EnvironmentError::Weight {
                row: 1,
                weight: -1.0
            })
        );
    }
}
