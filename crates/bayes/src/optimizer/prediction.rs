//! Predictions on held-out rows of real runs, against those of BoTorch (tests only): by the surrogate that an
//! optimiser has by default, its kernel and its priors where there are environments.

use ndarray::{Array1, Array2, Axis};
use serde_json::Value;

use super::Surrogate;
use crate::gp::{FitSettings, Posterior, Replicates, Standardizer, fit};
use crate::reference::{data, data_names, golden, matrix, vector};

/// Rows of one run of `weld_runs`, inputs scaled to [0, 1]: of its checkpoint that has so many. `None`
/// only where there are no such runs at all.
fn weld_run(run: &str, rows: usize) -> Option<(Array2<f64>, Array1<f64>)> {
    let bounds = data("weld_runs/bounds.json")?;
    let (low, high) = (vector(&bounds["low"]), vector(&bounds["high"]));
    let names = data_names("weld_runs").into_iter();
    let file = names
        .filter(|name| name.starts_with(&format!("{run}_iter_")))
        .filter_map(|name| data(&format!("weld_runs/{name}")))
        .find(|file| file["train_Y"].as_array().unwrap().len() == rows);
    let file = file.unwrap_or_else(|| panic!("no checkpoint of {run} has {rows} rows"));
    let mut x = matrix(&file["train_X_full"]);
    for (d, (low, high)) in low.iter().zip(&high).enumerate() {
        x.column_mut(d).mapv_inplace(|x| (x - low) / (high - low));
    }
    let y = file["train_Y"].as_array().unwrap().iter().map(|y| match y {
        Value::Array(one) => one[0].as_f64().unwrap(),
        other => other.as_f64().unwrap(),
    });
    let y: Array1<f64> = y.collect();
    assert_eq!((x.nrows(), y.len()), (rows, rows));
    Some((x, y))
}

/// Root mean square error and mean negative log density (nats) of the noisy test observations.
fn score(
    x: &Array2<f64>,
    y: &Array1<f64>,
    train: &[usize],
    test: &[usize],
    settings: &FitSettings,
) -> (f64, f64) {
    let (known, targets) = (x.select(Axis(0), train), y.select(Axis(0), train));
    let scale = Standardizer::from_observations(targets.as_slice().unwrap());
    let targets = targets.mapv(|y| scale.standardize(y));
    let data = Replicates::single(known, targets).unwrap();
    let found = fit(&data, None, settings);
    let posterior = Posterior::on(settings.form, &found.hyper, data).unwrap();
    let seen = posterior.whiten(x.select(Axis(0), test).view());
    let (mut squares, mut density) = (0.0, 0.0);
    for (i, &row) in test.iter().enumerate() {
        let error = y[row] - scale.restore(seen.mean[i]);
        let variance = (seen.variance[i] + found.hyper.noise) * scale.scale * scale.scale;
        squares += error * error;
        density += 0.5 * (error * error / variance + (2.0 * std::f64::consts::PI * variance).ln());
    }
    let n = test.len() as f64;
    ((squares / n).sqrt(), density / n)
}

/// What [`Surrogate::default`] fits with.
fn shipped(inputs: usize) -> FitSettings {
    let surrogate = Surrogate::default();
    FitSettings {
        form: surrogate.kernel.into(),
        priors: Some(surrogate.priors(inputs, true, false)),
        ..FitSettings::default()
    }
}

type Split = (Value, Array2<f64>, Array1<f64>);

fn splits() -> Option<Vec<Split>> {
    let file = golden("prediction_splits.json")?;
    let splits = file["splits"].as_array().unwrap().iter();
    splits
        .map(|split| {
            let rows = split["rows"].as_u64().unwrap() as usize;
            weld_run(split["run"].as_str().unwrap(), rows).map(|(x, y)| (split.clone(), x, y))
        })
        .collect()
}

fn indices(value: &Value) -> Vec<usize> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i.as_u64().unwrap() as usize)
        .collect()
}

#[test]
fn golden_prediction_splits() {
    let Some(splits) = splits() else { return };
    let mut gaps = Vec::new();
    for (split, x, y) in &splits {
        let (train, test) = (
            indices(&split["train_index"]),
            indices(&split["test_index"]),
        );
        let (rmse, nlpd) = score(x, y, &train, &test, &shipped(x.ncols()));
        assert!(rmse.is_finite());
        gaps.push(nlpd - split["botorch_nlpd"].as_f64().unwrap());
    }
    let near = gaps.iter().filter(|gap| **gap <= 0.02).count();
    assert!(5 * near >= 4 * gaps.len(), "{gaps:?}");
    assert!(
        gaps.iter().sum::<f64>() <= 0.0 && gaps.iter().all(|gap| *gap <= 0.1),
        "{gaps:?}"
    );
}
