//! A failing region is left alone: evaluations in it by each acquisition, against the same decisions without the
//! viability model.
//!
//! f gets better all the way into the half that fails. Without the model a failure is only believed to return its
//! posterior mean, so that the next decision asks a little beside it. The border itself is where the best x is, and is
//! asked about from both sides; what is wasted lies further in.

use bo_bayes::acquisition::{
    Choice, Situation, Taken, cv_ucb, log_nei, rho_kg, rho_kg_paths, thompson,
};
use bo_bayes::environment::{EnvironmentSet, Rows};
use bo_bayes::gp::{FitSettings, Posterior, Replicates, Standardizer, fit};
use bo_bayes::risk::RiskMeasure;
use bo_bayes::sobol;
use bo_bayes::space::{Parameter, Space};
use bo_bayes::viability::Viability;
use ndarray::{Array2, ArrayView1, Axis};

type Rule = fn(&Situation<'_>) -> Option<Choice>;

const RULES: [(&str, Rule); 5] = [
    ("rho-kg", rho_kg::choose),
    ("rho-kg-paths", rho_kg_paths::choose),
    ("cv-ucb", cv_ucb::choose),
    ("log-nei", log_nei::choose),
    ("thompson", thompson::choose),
];

/// Decisions that are counted.
const DECISIONS: u64 = 24;
/// First coordinate from which on an evaluation fails.
const BORDER: f64 = 0.5;
/// What lies further beyond the border than this is wasted.
const MARGIN: f64 = 0.02;

fn fails(x: &[f64]) -> bool {
    x[0] > BORDER
}

fn value(x: &[f64], w: &[f64]) -> f64 {
    x[0] - (x[1] - 0.4).powi(2) + 0.05 * w[0]
}

/// The mean over two environments.
fn environments() -> EnvironmentSet {
    let w = Rows::new(1, [[0.2], [0.9]]);
    EnvironmentSet::own(w.clone(), w, vec![0.5; 2])
}

/// The model of what returned values; failures are believed to return its mean.
fn posterior(rows: &[(Vec<f64>, bool)]) -> Posterior {
    let good: Vec<&Vec<f64>> = rows.iter().filter(|r| !r.1).map(|r| &r.0).collect();
    let inputs = Array2::from_shape_fn((good.len(), 3), |(i, d)| good[i][d]);
    let values: Vec<f64> = good.iter().map(|r| value(r, &r[2..])).collect();
    let scale = Standardizer::from_observations(&values);
    let values = values.iter().map(|v| scale.standardize(*v)).collect();
    let data = Replicates::single(inputs, values).unwrap();
    let settings = FitSettings::default();
    let hyper = fit(&data, None, &settings).hyper;
    let mut posterior = Posterior::on(settings.form, &hyper, data).unwrap();
    for (row, _) in rows.iter().filter(|r| r.1) {
        let at = ArrayView1::from(row);
        let mean = posterior.mean(at.insert_axis(Axis(0)))[0];
        posterior.append(at, mean).unwrap();
    }
    posterior
}

/// How many of the decisions of a rule, after eight Sobol points, lie in the failing region.
fn wasted(rule: Rule, with_viability: bool) -> usize {
    let space = ["a", "b"].map(|name| Parameter::real(name, 0.0, 1.0));
    let (space, environments) = (Space::new(space.to_vec()).unwrap(), environments());
    let mut taken = Taken::default();
    // (x, w), and whether it failed.
    let mut rows: Vec<(Vec<f64>, bool)> = (0..8)
        .map(|k| {
            let mut row = sobol::point(k, 2, 5);
            row.push(environments.encoded[k as usize % 2][0]);
            let failed = fails(&row);
            (row, failed)
        })
        .collect();
    let mut wasted = 0;
    for iteration in 1..=DECISIONS {
        let posterior = posterior(&rows);
        let inputs = Array2::from_shape_fn((rows.len(), 3), |(i, d)| rows[i].0[d]);
        let failed: Vec<bool> = rows.iter().map(|r| r.1).collect();
        let viable = Viability::learn(2, &inputs, &failed).map(|v| v.over(&environments));
        let good = rows.iter().filter(|r| !r.1);
        let observed: Vec<Vec<f64>> = good.map(|r| r.0[..2].to_vec()).collect();
        let incumbent = observed
            .iter()
            .max_by(|a, b| value(a, &[0.0]).total_cmp(&value(b, &[0.0])))
            .unwrap();
        let choice = rule(&Situation {
            space: &space,
            posterior: &posterior,
            environments: &environments,
            risk: RiskMeasure::Mean,
            incumbent,
            region: None,
            observed: &observed,
            viable: viable.as_ref().filter(|_| with_viability),
            taken: &taken,
            seed: 2,
            iteration,
        })
        .unwrap();
        let environment = environments.environment(choice.environment);
        taken.insert(&choice.x, &environment);
        wasted += usize::from(choice.x[0] > BORDER + MARGIN);
        let failed = fails(&choice.x);
        rows.push(([&choice.x[..], &environment.w].concat(), failed));
    }
    wasted
}

#[test]
fn a_failing_region_is_left_alone() {
    let (mut all_with, mut all_without) = (0, 0);
    for (name, rule) in RULES {
        let (with, without) = (wasted(rule, true), wasted(rule, false));
        assert!(with < without, "{name}: {with} against {without}");
        all_with += with;
        all_without += without;
    }
    // 40 against 78 of 120 when this was written.
    assert!(3 * all_with <= 2 * all_without, "{all_with} {all_without}");
}
