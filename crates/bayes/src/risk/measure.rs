//! The choice of risk measure, with values and derivatives in one place.

use serde::{Deserialize, Serialize};

use super::tail::{
    TailMass, cvar, deviation, mean, mean_minus_deviation, quantile_atom, tail_shares, var, worst,
    worst_atom,
};

/// What is maximised over x: a functional of the values over the environments.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RiskMeasure {
    /// Mean of the lower tail of this mass.
    Cvar(TailMass),
    /// Quantile at this mass.
    Var(TailMass),
    /// Smallest value.
    Worst,
    /// Weighted mean.
    Mean,
    /// Mean minus `k` standard deviations.
    MeanDeviation {
        /// How many standard deviations are taken off, finite and not negative.
        k: f64,
    },
}

impl RiskMeasure {
    /// The measure of `values` with `weights` (non-negative, positive sum), in the values' unit.
    ///
    /// # Panics
    /// If lengths differ or there are no values.
    pub fn evaluate(&self, values: &[f64], weights: &[f64]) -> f64 {
        match *self {
            Self::Cvar(tail) => cvar(values, weights, tail),
            Self::Var(tail) => var(values, weights, tail),
            Self::Worst => worst(values, weights),
            Self::Mean => mean(values, weights),
            Self::MeanDeviation { k } => mean_minus_deviation(values, weights, k),
        }
    }

    /// Derivative of [`Self::evaluate`] with respect to each value; where it has a kink, one
    /// subgradient, ties by index. Sums to one.
    ///
    /// # Panics
    /// If lengths differ or there are no values.
    pub fn tail_weights(&self, values: &[f64], weights: &[f64]) -> Vec<f64> {
        match *self {
            Self::Cvar(tail) => tail_shares(values, weights, tail),
            Self::Var(tail) => atom(values.len(), quantile_atom(values, weights, tail)),
            Self::Worst => atom(values.len(), worst_atom(values, weights)),
            Self::Mean => normalised(weights),
            Self::MeanDeviation { k } => {
                let (centre, spread) = (mean(values, weights), deviation(values, weights));
                let mut shares = normalised(weights);
                let largest = values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
                // Equal values have a spread of rounding only, and no direction.
                if spread > 1e-12 * largest {
                    for (share, v) in shares.iter_mut().zip(values) {
                        *share *= 1.0 - k * (v - centre) / spread;
                    }
                }
                shares
            }
        }
    }
}

fn atom(n: usize, at: usize) -> Vec<f64> {
    let mut shares = vec![0.0; n];
    shares[at] = 1.0;
    shares
}

fn normalised(weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{golden, vector};

    const EVERY: [fn(TailMass) -> RiskMeasure; 5] = [
        RiskMeasure::Cvar,
        RiskMeasure::Var,
        |_| RiskMeasure::Worst,
        |_| RiskMeasure::Mean,
        |tail| RiskMeasure::MeanDeviation {
            k: 2.0 * tail.get(),
        },
    ];

    #[test]
    fn golden_risk() {
        let Some(file) = golden("risk.json") else {
            return;
        };
        for case in file["cases"].as_array().unwrap() {
            let (values, weights) = (
                vector(&case["values"]).to_vec(),
                vector(&case["weights"]).to_vec(),
            );
            let tail = TailMass::new(case["tail"].as_f64().unwrap()).unwrap();
            let check = |name: &str, measure: RiskMeasure| {
                let (found, expected) = (
                    measure.evaluate(&values, &weights),
                    case[name].as_f64().unwrap(),
                );
                assert!(
                    (found - expected).abs() <= 1e-12,
                    "{name} at {tail:?}: {found} against {expected}"
                );
            };
            check("cvar_lower", RiskMeasure::Cvar(tail));
            check("var_lower", RiskMeasure::Var(tail));
            check("worst", RiskMeasure::Worst);
            check("mean", RiskMeasure::Mean);
        }
    }

    #[test]
    fn five_values_by_hand() {
        let (values, weights) = ([5.0, 1.0, 4.0, 2.0, 3.0], [1.0; 5]);
        let at = |tail| RiskMeasure::Cvar(TailMass::new(tail).unwrap()).evaluate(&values, &weights);
        assert!((at(0.4) - 1.5).abs() < 1e-15);
        // Half an atom: (1 + 2 + 3/2) / 2.5.
        assert!((at(0.5) - 1.8).abs() < 1e-15);
        assert_eq!(at(0.01), 1.0);
        assert!((at(1.0) - 3.0).abs() < 1e-15);
    }

    #[test]
    fn tail_mass_is_checked() {
        for bad in [0.0, -0.1, 1.0001, f64::NAN] {
            assert!(TailMass::new(bad).is_err());
        }
        assert!(serde_json::from_str::<TailMass>("1.5").is_err());
        let measure = RiskMeasure::Cvar(TailMass::new(0.3).unwrap());
        let text = serde_json::to_string(&measure).unwrap();
        assert_eq!(serde_json::from_str::<RiskMeasure>(&text).unwrap(), measure);
    }

    fn sets() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, TailMass)> {
        (
            prop::collection::vec((-5.0..5.0, 0.05..2.0), 1..30),
            0.001..=1.0,
        )
            .prop_map(|(entries, tail)| {
                let (values, weights) = entries.into_iter().unzip();
                (values, weights, TailMass::new(tail).unwrap())
            })
    }

    proptest! {
        /// What every measure must pass: translation, monotone weights that sum to one, a gradient.
        #[test]
        fn every_measure_passes_the_battery((values, weights, tail) in sets(), shift in -3.0..3.0_f64) {
            for measure in EVERY.map(|make| make(tail)) {
                let value: f64 = measure.evaluate(&values, &weights);
                let shifted: Vec<f64> = values.iter().map(|v| v + shift).collect();
                prop_assert!((measure.evaluate(&shifted, &weights) - value - shift).abs() < 1e-10);
                let shares = measure.tail_weights(&values, &weights);
                prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-10);
                // The values are distinct, so a tiny step crosses no kink.
                let h = 1e-7;
                for j in 0..values.len() {
                    let mut moved = values.clone();
                    moved[j] += h;
                    let up = measure.evaluate(&moved, &weights);
                    moved[j] -= 2.0 * h;
                    let slope = (up - measure.evaluate(&moved, &weights)) / (2.0 * h);
                    let nearest = values.iter().enumerate().filter(|(i, _)| *i != j)
                        .map(|(_, v)| (v - values[j]).abs()).fold(f64::INFINITY, f64::min);
                    // A deviation bends the more the less there is of it.
                    let enough = if matches!(measure, RiskMeasure::MeanDeviation { .. }) { 1e-2 } else { 1e-5 };
                    if nearest > enough {
                        prop_assert!((slope - shares[j]).abs() < 1e-6, "{:?}: {} against {}", measure, slope, shares[j]);
                    }
                }
            }
        }

        #[test]
        fn order_of_the_measures((values, weights, tail) in sets()) {
            let [cvar, var, worst, mean, _] = EVERY.map(|make| make(tail).evaluate(&values, &weights));
            prop_assert!(worst <= cvar + 1e-12 && cvar <= var + 1e-12 && cvar <= mean + 1e-12);
        }

        #[test]
        fn cvar_is_the_supremum_of_its_dual((values, weights, tail) in sets()) {
            // Rockafellar and Uryasev: max over t of t - E[(t - v)+] / tail, attained at an atom.
            let total: f64 = weights.iter().sum();
            let dual = values.iter().map(|t| {
                let shortfall: f64 = values.iter().zip(&weights).map(|(v, w)| w / total * (t - v).max(0.0)).sum();
                t - shortfall / tail.get()
            }).fold(f64::NEG_INFINITY, f64::max);
            prop_assert!((RiskMeasure::Cvar(tail).evaluate(&values, &weights) - dual).abs() < 1e-9);
        }
    }
}
