//! How much there is to win on the generated scenes, and whether one parameter alone wins it.
//!
//! `cargo run --release -p bo-vision --example headroom -- [--search N] [--unseen N] [--x v1,..,v8] [--json FILE]
//! [--edge-model NAME --weights FILE] [--scenes N] [--seed S] [--unseen-seed S] [--alpha A]`
//!
//! Reports the CVaR of LP_r at the defaults, at the best x that a search finds (or at `--x`), at the best change of each
//! single parameter, and all of these on scenes of another seed. The search only serves to show a good x.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use bo_vision::edge::{EdgeModel, EdgeNetwork};
use bo_vision::line::Detectors;
use bo_vision::pipeline::{LineParameters, PARAMETERS, Scratch, Seen, Untimed, evaluate, see};
use bo_vision::scene::SceneSource;
use bo_vision::source::{ImageSource, Truth};
use candle_core::Device;
use rayon::prelude::*;

type Values = [f64; 8];
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Values tried for each parameter alone.
const STEPS: usize = 17;

/// Scenes as the pipeline sees them.
struct Set {
    images: Vec<(Seen, Truth)>,
    alpha: f64,
}

impl Set {
    fn look(
        count: usize,
        seed: u64,
        alpha: f64,
        network: &dyn EdgeNetwork,
    ) -> Result<Self, Failure> {
        let source = SceneSource::new(count, seed);
        let images = (0..count)
            .into_par_iter()
            .map(|index| {
                let image = source.load(index)?;
                Ok((
                    see(
                        image.pixels.clone(),
                        network,
                        Detectors::default(),
                        &Untimed,
                    )?,
                    image.truth,
                ))
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Self { images, alpha })
    }

    fn scores(&self, x: &Values) -> Vec<f64> {
        let parameters = LineParameters::from_values(x);
        self.images
            .par_iter()
            .map_init(Scratch::default, |scratch, (seen, truth)| {
                evaluate(seen, truth, &parameters, scratch).lp
            })
            .collect()
    }

    /// Mean of the worst share alpha of scenes, the scene at the quantile counted fractionally.
    fn cvar(&self, x: &Values) -> f64 {
        let mut scores = self.scores(x);
        scores.sort_by(f64::total_cmp);
        let mut left = self.alpha * scores.len() as f64;
        let whole = left;
        let mut sum = 0.0;
        for score in scores {
            let share = left.clamp(0.0, 1.0);
            sum += share * score;
            left -= share;
        }
        sum / whole
    }
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    let number =
        |key: &str, default: f64| options.get(key).map_or(Ok(default), |word| word.parse());
    let (alpha, search) = (number("alpha", 0.3)?, number("search", 400.0)? as usize);
    let model: EdgeModel = options
        .get("edge-model")
        .map_or(Ok(EdgeModel::default()), |word| word.parse())?;
    let weights = options.get("weights").map(PathBuf::from);
    let network = model.load(weights.as_deref(), &Device::Cpu)?;
    let set = Set::look(
        number("scenes", 24.0)? as usize,
        number("seed", 0.0)? as u64,
        alpha,
        network.as_ref(),
    )?;
    let percentiles = percentiles(&set);
    println!("logit percentiles 1, 10, 50, 90, 97, 99, 99.9: {percentiles:.1?}");

    let defaults = PARAMETERS.map(|parameter| parameter.default);
    let base = set.cvar(&defaults);
    println!(
        "defaults: cvar {base:.4}, mean {:.4}",
        mean(&set.scores(&defaults))
    );
    let best = match options.get("x") {
        Some(word) => list(word)?
            .try_into()
            .map_err(|_| "--x takes eight numbers")?,
        None => searched(&set, search),
    };
    let top = set.cvar(&best);
    println!(
        "best x {best:.3?}: cvar {top:.4}, mean {:.4}, gain {:.4}",
        mean(&set.scores(&best)),
        top - base
    );
    let mut singles = Vec::new();
    for (index, parameter) in PARAMETERS.iter().enumerate() {
        let (value, cvar) = alone(&set, &defaults, index);
        println!(
            "  {} = {value:.3}: cvar {cvar:.4}, gain {:.4} ({:.0} %)",
            parameter.name,
            cvar - base,
            100.0 * (cvar - base) / (top - base)
        );
        singles.push(serde_json::json!({"name": parameter.name, "value": value, "cvar": cvar}));
    }
    let unseen = number("unseen", 0.0)? as usize;
    let mut unseen_json = serde_json::Value::Null;
    if unseen > 0 {
        let others = Set::look(
            unseen,
            number("unseen-seed", 1.0)? as u64,
            alpha,
            network.as_ref(),
        )?;
        let (base, top) = (others.cvar(&defaults), others.cvar(&best));
        println!(
            "{unseen} unseen scenes: defaults {base:.4}, best {top:.4}, gain {:.4}",
            top - base
        );
        let mut changed_json = Vec::new();
        for (index, parameter) in PARAMETERS.iter().enumerate() {
            let mut changed = defaults;
            changed[index] = singles[index]["value"].as_f64().unwrap_or(changed[index]);
            let cvar = others.cvar(&changed);
            println!(
                "  {} alone, as found above: gain {:.4}",
                parameter.name,
                cvar - base
            );
            changed_json.push(serde_json::json!({"name": parameter.name, "cvar": cvar}));
        }
        unseen_json = serde_json::json!({"scenes": unseen, "defaults": base, "best": top, "singles": changed_json});
    }
    if let Some(path) = options.get("json") {
        let report = serde_json::json!({
            "alpha": alpha, "scenes": set.images.len(), "network": network.name(), "fingerprint": network.fingerprint(),
            "logit_percentiles": percentiles, "defaults": {"cvar": base, "scores": set.scores(&defaults)},
            "best": {"x": best, "cvar": top, "scores": set.scores(&best)}, "singles": singles, "unseen": unseen_json,
        });
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

/// The best value of one parameter with all others at their defaults.
fn alone(set: &Set, defaults: &Values, index: usize) -> (f64, f64) {
    let parameter = &PARAMETERS[index];
    let mut best = (parameter.default, f64::NEG_INFINITY);
    for step in 0..STEPS {
        let mut x = *defaults;
        x[index] =
            parameter.low + (parameter.high - parameter.low) * step as f64 / (STEPS - 1) as f64;
        let cvar = set.cvar(&x);
        if cvar > best.1 {
            best = (x[index], cvar);
        }
    }
    best
}

/// Half of the budget on Sobol points, the rest on shrinking random steps from the three best.
fn searched(set: &Set, budget: usize) -> Values {
    let natural = |unit: &Values| -> Values {
        std::array::from_fn(|k| {
            PARAMETERS[k].low + (PARAMETERS[k].high - PARAMETERS[k].low) * unit[k]
        })
    };
    let mut tried: Vec<(f64, Values)> = (0..budget / 2)
        .map(|index| {
            let unit =
                std::array::from_fn(|k| f64::from(sobol_burley::sample(index as u32, k as u32, 7)));
            (set.cvar(&natural(&unit)), unit)
        })
        .collect();
    tried.sort_by(|a, b| b.0.total_cmp(&a.0));
    tried.truncate(3);
    let mut draw = 0u32;
    let steps = budget / 2 / 3;
    for start in &mut tried {
        for step in 0..steps {
            let reach = 0.25 * (1.0 - step as f64 / steps as f64) + 0.02;
            let mut unit = start.1;
            for (k, value) in unit.iter_mut().enumerate() {
                let u =
                    |dimension: u32| f64::from(sobol_burley::sample(draw & 0xFFFF, dimension, 11));
                if u(k as u32) < 0.4 {
                    *value = (*value + reach * (u(8 + k as u32) - 0.5) * 2.0).clamp(0.0, 1.0);
                }
            }
            draw += 1;
            let cvar = set.cvar(&natural(&unit));
            if cvar >= start.0 {
                *start = (cvar, unit);
            }
        }
        println!("  search: cvar {:.4} at {:.3?}", start.0, natural(&start.1));
    }
    tried.sort_by(|a, b| b.0.total_cmp(&a.0));
    natural(&tried[0].1)
}

fn percentiles(set: &Set) -> Vec<f32> {
    let mut all: Vec<f32> = set
        .images
        .iter()
        .flat_map(|(seen, _)| seen.logits.iter().step_by(17).map(|logit| logit.to_f32()))
        .collect();
    all.sort_by(f32::total_cmp);
    [0.01, 0.1, 0.5, 0.9, 0.97, 0.99, 0.999]
        .map(|share| all[((all.len() - 1) as f64 * share) as usize])
        .to_vec()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn list(word: &str) -> Result<Vec<f64>, Failure> {
    Ok(word
        .split(',')
        .map(|part| part.trim().parse())
        .collect::<Result<_, _>>()?)
}

fn options() -> Result<BTreeMap<String, String>, Failure> {
    let mut options = BTreeMap::new();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let key = word
            .strip_prefix("--")
            .ok_or_else(|| format!("unexpected {word}"))?;
        options.insert(
            key.to_owned(),
            words
                .next()
                .ok_or_else(|| format!("--{key} needs a value"))?,
        );
    }
    Ok(options)
}
