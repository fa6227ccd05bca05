//! Environments with masses, ready for the model: those that a decision looks at, or that judge an incumbent.

use super::{Environment, Rows};
use std::sync::Arc;

/// Environments with masses. Row i of `encoded`, [`Self::environment`] of i, `masses[i]` and `effects[i]` belong
/// together; masses sum to 1. All environments of a finite set are held once, whatever is drawn of them.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvironmentSet {
    /// As the Gaussian process sees them ([`super::Environments::encoded_dimension`] numbers each).
    pub encoded: Rows,
    /// As a query carries them.
    natural: Natural,
    /// Probability masses.
    pub masses: Arc<[f64]>,
    /// What is known of each beyond what the Gaussian process sees, in its units, added to every
    /// posterior mean there; 0 until the optimiser has learned it ([`Self::with_effects`]).
    pub effects: Arc<[f64]>,
}

/// Values in natural units.
#[derive(Clone, Debug, PartialEq)]
enum Natural {
    /// Of no finite set: one row each.
    Own(Rows),
    /// All of a finite set.
    All(Rows),
    /// These rows of a finite set.
    Some(Rows, Arc<[usize]>),
}

impl EnvironmentSet {
    /// Environments of no finite set, by their encoded and natural values.
    ///
    /// # Panics
    /// If there are not as many rows of either as masses.
    pub fn own(encoded: Rows, natural: Rows, masses: Vec<f64>) -> Self {
        assert_eq!(
            (encoded.len(), natural.len()),
            (masses.len(), masses.len()),
            "a row of values for each mass"
        );
        Self::with(encoded, Natural::Own(natural), masses.into())
    }

    /// All of a finite set.
    pub(super) fn all(encoded: Rows, points: Rows, masses: Arc<[f64]>) -> Self {
        Self::with(encoded, Natural::All(points), masses)
    }

    fn with(encoded: Rows, natural: Natural, masses: Arc<[f64]>) -> Self {
        Self {
            effects: vec![0.0; masses.len()].into(),
            encoded,
            natural,
            masses,
        }
    }

    /// Some of these environments, with masses of their own.
    pub(crate) fn some(&self, rows: &[usize], masses: Vec<f64>) -> Self {
        let pick = |of: &Rows| Rows::new(of.width(), rows.iter().map(|&row| &of[row]));
        Self {
            encoded: pick(&self.encoded),
            natural: match &self.natural {
                Natural::Own(own) => Natural::Own(pick(own)),
                Natural::All(points) => Natural::Some(points.clone(), rows.into()),
                Natural::Some(points, chosen) => {
                    let chosen = rows.iter().map(|&row| chosen[row]);
                    Natural::Some(points.clone(), chosen.collect())
                }
            },
            masses: masses.into(),
            effects: rows.iter().map(|&row| self.effects[row]).collect(),
        }
    }

    /// Environment `i`, as a query carries it.
    ///
    /// # Panics
    /// If there are no more than `i`.
    pub fn environment(&self, i: usize) -> Environment {
        let (points, row) = match &self.natural {
            Natural::Own(own) => (own, i),
            Natural::All(points) => (points, i),
            Natural::Some(points, chosen) => (points, chosen[i]),
        };
        Environment {
            index: self.number(i),
            w: points[row].to_vec(),
        }
    }

    /// As queries carry them.
    pub fn environments(&self) -> impl ExactSizeIterator<Item = Environment> {
        (0..self.len()).map(|i| self.environment(i))
    }

    /// Number of environment `i` in the finite set it is of.
    fn number(&self, i: usize) -> Option<usize> {
        match &self.natural {
            Natural::Own(_) => None,
            Natural::All(_) => Some(i),
            Natural::Some(_, chosen) => Some(chosen[i]),
        }
    }

    /// Number of environments.
    pub fn len(&self) -> usize {
        self.masses.len()
    }

    /// Whether there is none (never true for a set made by [`super::Environments`]).
    pub fn is_empty(&self) -> bool {
        self.masses.is_empty()
    }

    /// The same environments with what was learned of each, by its number in the finite set.
    #[must_use]
    pub fn with_effects(mut self, effects: &Arc<[f64]>) -> Self {
        self.effects = match &self.natural {
            Natural::All(points) if points.len() == effects.len() => Arc::clone(effects),
            _ => {
                let known = |i| effects.get(self.number(i)?).copied();
                (0..self.len()).map(|i| known(i).unwrap_or(0.0)).collect()
            }
        };
        self
    }
}
