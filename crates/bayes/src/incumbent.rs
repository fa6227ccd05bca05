//! The incumbent: the x whose risk of the posterior mean over all judging environments is best.
//!
//! [`RiskSurface`] is that risk as a function of x, on a [`MeanSurface`].

use crate::compress::Compression;
use crate::environment::EnvironmentSet;
use crate::gp::{MeanSurface, Posterior};
use crate::maximize::{Effort, Slope};
use crate::pool;
use crate::risk::RiskMeasure;
use crate::space::Space;
use crate::viability::Proven;
use rayon::prelude::*;
use std::sync::Arc;

/// Risk of the posterior mean over a set of environments, as a function of encoded x.
#[derive(Clone, Debug)]
pub struct RiskSurface<'a> {
    risk: RiskMeasure,
    masses: &'a [f64],
    mean: MeanSurface,
    effects: &'a [f64],
    compression: Option<Compression>,
    proven: Option<Arc<Proven>>,
}

impl<'a> RiskSurface<'a> {
    /// Precomputes the w part. `dx` is the encoded dimension of x.
    pub fn new(
        posterior: &Posterior,
        dx: usize,
        environments: &'a EnvironmentSet,
        risk: RiskMeasure,
    ) -> Self {
        Self {
            risk,
            masses: &environments.masses,
            mean: MeanSurface::new(posterior, dx, &environments.encoded),
            effects: &environments.effects,
            compression: None,
            proven: None,
        }
    }

    /// The same surface with the posterior means taken back through a compression (in the posterior's
    /// units): means become medians of the uncompressed values, the same where nothing was compressed.
    #[must_use]
    pub fn expanding(mut self, compression: Option<Compression>) -> Self {
        self.compression = compression;
        self
    }

    /// The same surface, minus infinity where too few evaluations would succeed to recommend x.
    #[must_use]
    pub fn where_proven(mut self, proven: Option<Arc<Proven>>) -> Self {
        self.proven = proven;
        self
    }

    fn is_proven(&self, x: &[f64]) -> bool {
        let proven = self.proven.as_ref();
        proven.is_none_or(|proven| proven.holds(x))
    }

    /// Posterior mean at encoded `x` in each environment, expanded.
    pub fn means(&self, x: &[f64]) -> Vec<f64> {
        self.expanded(x).0
    }

    /// Posterior means taken back through the compression, and how fast they change with it.
    fn expanded(&self, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let mut means = self.mean.means(x);
        for (mean, effect) in means.iter_mut().zip(self.effects) {
            *mean += effect;
        }
        match self.compression {
            Some(c) => means.into_iter().map(|m| c.expand(m)).unzip(),
            None => {
                let ones = vec![1.0; means.len()];
                (means, ones)
            }
        }
    }

    /// Risk at encoded `x`, in standardised units, to be maximised.
    pub fn value(&self, x: &[f64]) -> f64 {
        if !self.is_proven(x) {
            return f64::NEG_INFINITY;
        }
        self.risk.evaluate(&self.means(x), self.masses)
    }

    /// Risk and its gradient with respect to encoded `x` (a subgradient at kinks).
    pub fn slope(&self, x: &[f64]) -> Slope {
        if !self.is_proven(x) {
            return (f64::NEG_INFINITY, vec![0.0; x.len()]);
        }
        let (means, rises) = self.expanded(x);
        let mut shares = self.risk.tail_weights(&means, self.masses);
        for (share, rise) in shares.iter_mut().zip(rises) {
            *share *= rise;
        }
        let value = self.risk.evaluate(&means, self.masses);
        (value, self.mean.gradient(x, &shares))
    }
}

/// Sobol points looked at.
const SOBOL: usize = 256;
/// Points climbed from.
const CLIMBED: usize = 5;
/// Environments above which the first look uses a spread of them only.
pub(crate) const SCREENED: usize = 64;

/// The unit x of best risk over `judging`, with its risk: the best few of every observed x, 256 Sobol
/// points, points around the best observed ones and around the incumbent before (`previous`), each
/// climbed to its local maximum. With more than 64 environments this is done on every k-th of them,
/// at most 64, and the best two x are then compared and climbed from over all. Where nothing that is looked at is admitted
/// (values may be told of x that are not) the search starts from `shelter`, an admitted x.
///
/// # Panics
/// If nothing is admitted and `shelter` returns nothing.
pub fn search(
    space: &Space,
    surface_over: impl Fn(&EnvironmentSet) -> RiskSurface<'_>,
    judging: &EnvironmentSet,
    observed: &[Vec<f64>],
    previous: Option<&[f64]>,
    (sobol_seed, shelter): (u32, impl FnOnce() -> Option<Vec<f64>>),
) -> (Vec<f64>, f64) {
    let encode = |unit: &[f64]| {
        let mut out = Vec::with_capacity(space.encoded_dimension());
        space.encode_unit_into(unit, &mut out);
        out
    };
    let surface = surface_over(judging);
    let few = thinned(judging, SCREENED);
    let screen = match &few {
        Some(few) => surface_over(few),
        None => surface.clone(),
    };
    let quick = |unit: &[f64]| screen.value(&encode(unit));
    let observed = pool::ranked(pool::distinct(observed.iter().cloned()), quick);
    let centres: Vec<Vec<f64>> = observed
        .iter()
        .take(2)
        .map(|(u, _)| u.clone())
        .chain(previous.map(<[f64]>::to_vec))
        .collect();
    let around = centres.iter().flat_map(|c| {
        pool::around(space, c, 0.1, 0, 16, sobol_seed)
            .into_iter()
            .chain([c.clone()])
    });
    let known = observed.iter().map(|(u, _)| u.clone());
    let looked = pool::distinct(
        known
            .chain(around)
            .chain(pool::spread(space, 0, SOBOL, sobol_seed)),
    );
    let others = looked.into_iter().skip(observed.len());
    let others: Vec<_> = others.filter(|unit| space.admits_unit(unit)).collect();
    // What was observed has its values already.
    let mut looked: Vec<_> = observed
        .into_iter()
        .filter(|(unit, _)| space.admits_unit(unit))
        .chain(pool::ranked(others, quick))
        .collect();
    pool::rank(&mut looked);
    let starts = looked.into_iter().take(4 * CLIMBED).map(|(u, _)| u);
    let starts = apart(starts, CLIMBED);
    let mut starts = pool::distinct(previous.map(<[f64]>::to_vec).into_iter().chain(starts));
    if starts.is_empty() {
        starts.extend(shelter());
    }
    let rough: Vec<(Vec<f64>, f64)> = starts
        .par_iter()
        .map(|start| pool::climb(space, start, Effort::default(), |e| screen.slope(e)))
        .collect();
    if few.is_none() {
        return highest(rough);
    }
    let units = rough
        .into_iter()
        .map(|(u, _)| u)
        .chain(previous.map(<[f64]>::to_vec));
    let last = pool::best(pool::distinct(units), 2, |u| surface.value(&encode(u)));
    highest(
        last.par_iter()
            .map(|(u, _)| {
                let effort = Effort {
                    steps: 12,
                    shortest: 1e-6,
                };
                pool::climb(space, u, effort, |e| surface.slope(e))
            })
            .collect(),
    )
}

/// The first pair of greatest value.
fn highest(pairs: Vec<(Vec<f64>, f64)>) -> (Vec<f64>, f64) {
    pairs
        .into_iter()
        .reduce(|a, b| if b.1 > a.1 { b } else { a })
        .expect("there is an admitted x to climb from")
}

/// The first points, best first, that differ by at least 0.05 in some coordinate from those before;
/// `n` of them at most.
fn apart(points: impl Iterator<Item = Vec<f64>>, n: usize) -> Vec<Vec<f64>> {
    let mut kept: Vec<Vec<f64>> = Vec::new();
    for p in points {
        let far = |q: &Vec<f64>| q.iter().zip(&p).any(|(a, b)| (a - b).abs() >= 0.05);
        if kept.len() < n && kept.iter().all(far) {
            kept.push(p);
        }
    }
    kept
}

/// Every k-th environment such that at most `most` are left; `None` if that is all of them.
pub(crate) fn thinned(all: &EnvironmentSet, most: usize) -> Option<EnvironmentSet> {
    let stride = all.len().div_ceil(most);
    (stride > 1).then(|| {
        let rows: Vec<usize> = (0..all.len()).step_by(stride).collect();
        let masses: Vec<f64> = rows.iter().map(|r| all.masses[*r]).collect();
        let total: f64 = masses.iter().sum();
        let uniform = 1.0 / masses.len() as f64;
        let shares = masses
            .iter()
            .map(|m| if total > 0.0 { m / total } else { uniform });
        all.some(&rows, shares.collect())
    })
}
