//! What an acquisition sees of a run when it chooses, and what it answers.

use super::Region;
use crate::environment::{Environment, EnvironmentSet};
use crate::gp::Posterior;
use crate::maximize::{Effort, Slope};
use crate::pool;
use crate::risk::RiskMeasure;
use crate::space::Space;
use crate::viability::ViableSurface;
use std::cmp::Ordering;

/// (x, environment) pairs of one problem that need no further evaluation, by their exact values.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// Numbers of one pair.
    width: usize,
    /// Pair after pair, ascending: one piece of memory, however many they are.
    pairs: Vec<u64>,
}

/// Pairs for which room is made at a time.
const STEP: usize = 64;

impl Taken {
    /// Adds natural x with an environment.
    pub fn insert(&mut self, x: &[f64], environment: &Environment) {
        let key = Self::key(x, environment);
        if self.pairs.is_empty() {
            self.width = key.len();
        }
        assert_eq!(self.width, key.len(), "pairs are of one problem");
        if let Err(at) = self.find(&key) {
            if self.pairs.capacity() < self.pairs.len() + self.width {
                self.pairs.reserve_exact(STEP * self.width);
            }
            let at = at * self.width;
            self.pairs.splice(at..at, key);
        }
    }

    /// Whether the pair is there.
    pub fn contains(&self, x: &[f64], environment: &Environment) -> bool {
        self.find(&Self::key(x, environment)).is_ok()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.pairs.capacity() * size_of::<u64>()
    }

    /// Where a pair is, or belongs.
    fn find(&self, key: &[u64]) -> Result<usize, usize> {
        let count = self.pairs.len().checked_div(self.width).unwrap_or(0);
        let pair = |at: usize| &self.pairs[at * self.width..][..self.width];
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            match pair(middle).cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn key(x: &[f64], e: &Environment) -> Vec<u64> {
        // Adding 0 makes -0 and 0 one.
        let bits = |v: &f64| (v + 0.0).to_bits();
        match e.index {
            Some(index) => x.iter().map(bits).chain([index as u64]).collect(),
            None => x.iter().chain(&e.w).map(bits).collect(),
        }
    }
}

/// Everything a choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Decision space.
    pub space: &'a Space,
    /// Model, standardised; failed and pending points believed at their mean.
    pub posterior: &'a Posterior,
    /// Environments this decision looks at.
    pub environments: &'a EnvironmentSet,
    /// Measure to be maximised.
    pub risk: RiskMeasure,
    /// Unit point of the incumbent.
    pub incumbent: &'a [f64],
    /// Where x is searched; `None`: everywhere.
    pub region: Option<&'a Region>,
    /// Unit points of the observed x, without repeats.
    pub observed: &'a [Vec<f64>],
    /// Probability of a value over `environments`; `None` while nothing failed.
    pub viable: Option<&'a ViableSurface>,
    /// Pairs not to be chosen again.
    pub taken: &'a Taken,
    /// Seed of the run.
    pub seed: u64,
    /// Iteration of the decision.
    pub iteration: u64,
}

impl Situation<'_> {
    /// Encoding of a unit point.
    pub fn encode(&self, unit: &[f64]) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.space.encoded_dimension());
        self.space.encode_unit_into(unit, &mut out);
        out
    }

    /// `n` points spread over what is searched ([`pool::spread`], [`Region::spread`]).
    pub(super) fn spread(&self, first: u64, n: usize, seed: u32) -> Vec<Vec<f64>> {
        match self.region {
            Some(region) => region.spread(self.space, first, n, seed),
            None => pool::spread(self.space, first, n, seed),
        }
    }

    /// Points around the incumbent, or around the centre of the region ([`pool::around`]).
    pub(super) fn near(&self, radius: f64, first: u64, n: usize, seed: u32) -> Vec<Vec<f64>> {
        match self.region {
            Some(region) => region.around(self.space, radius, first, n, seed),
            None => pool::around(self.space, self.incumbent, radius, first, n, seed),
        }
    }

    /// Climbs in what is searched, from a point of it ([`pool::climb`]).
    pub(super) fn climb(
        &self,
        start: &[f64],
        effort: Effort,
        f: impl Fn(&[f64]) -> Slope,
    ) -> (Vec<f64>, f64) {
        match self.region {
            Some(region) => pool::climb_within(self.space, region.sides(), start, effort, f),
            None => pool::climb(self.space, start, effort, f),
        }
    }

    /// Whether a unit point lies in what is searched.
    pub(super) fn searches(&self, unit: &[f64]) -> bool {
        self.region.is_none_or(|region| region.holds(unit))
    }

    /// Probability of a value at encoded x in each environment: 1 while nothing failed.
    pub(super) fn chances(&self, x: &[f64]) -> Vec<f64> {
        match self.viable {
            Some(viable) => viable.each(x),
            None => vec![1.0; self.environments.len()],
        }
    }

    /// Whether unit x with environment `j` of the decision's set may be chosen.
    pub fn is_free(&self, unit: &[f64], j: usize) -> bool {
        let x = self.space.from_unit(unit);
        self.space.admits(&x) && !self.taken.contains(&x, &self.environments.environment(j))
    }
}

/// What an acquisition chose.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Unit point.
    pub x: Vec<f64>,
    /// Position in the decision's environment set.
    pub environment: usize,
    /// Value of the acquisition, standardised.
    pub value: f64,
    /// Most that was added to the diagonal of a covariance of joint samples behind the value, in units of the standardised
    /// variance; 0 in the ordinary case, and for rules that do not sample.
    pub jitter: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::{Purpose, stream};
    use rand::Rng as _;

    #[test]
    fn pairs_are_found_by_their_exact_values_like_in_a_set() {
        let mut random = stream(3, 0, Purpose::Candidates);
        let mut pair = || {
            let few = |n: u64| (n % 6) as f64 - 2.0;
            let x = [few(random.next_u64()), few(random.next_u64())];
            let environment = Environment {
                index: Some((random.next_u64() % 4) as usize),
                w: vec![0.5],
            };
            (x, environment)
        };
        let (mut taken, mut set) = (Taken::default(), std::collections::BTreeSet::new());
        for _ in 0..400 {
            let (x, e) = pair();
            let key = (x.map(f64::to_bits), e.index);
            assert_eq!(taken.contains(&x, &e), set.contains(&key));
            let (x, e) = pair();
            taken.insert(&x, &e);
            set.insert((x.map(f64::to_bits), e.index));
        }
        assert_eq!(taken.pairs.len(), 3 * set.len());
        // -0 and 0 are one
        let e = Environment {
            index: Some(0),
            w: vec![0.5],
        };
        taken.insert(&[-0.0, 7.0], &e);
        assert!(taken.contains(&[0.0, 7.0], &e));
    }
}
