//! Is there something to win on a set of images, and is there no trick that wins it?
//!
//! Prints the CVaR of LP over the images for the defaults, for the best parameters that a random and
//! a local search find, and for the best change of each single parameter; then the same on unseen
//! scenes. `cargo run --release --example calibrate -- --scenes 24 --unseen 100 --samples 1000`.
#![expect(clippy::print_stdout, reason = "a program that prints tables")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use bo_vision::edge::{EdgeFinder, Precision};
use bo_vision::folder::FolderSource;
use bo_vision::kept::KeptLooks;
use bo_vision::line::Detectors;
use bo_vision::pipeline::{LineParameters, PARAMETERS, Scratch, Seen, Untimed, evaluate, see};
use bo_vision::scene::SceneSource;
use bo_vision::source::{ImageSource, Truth};
use candle_core::Device;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

type Values = [f64; 8];

/// Images with everything that does not depend on the parameters.
struct Stock {
    names: Vec<String>,
    images: Vec<(Seen, Truth)>,
    alpha: f64,
}

struct Arguments(BTreeMap<String, String>);

impl Arguments {
    fn read() -> Self {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let pairs = words.chunks_exact(2);
        Self(
            pairs
                .map(|pair| (pair[0].trim_start_matches('-').into(), pair[1].clone()))
                .collect(),
        )
    }

    fn number(&self, name: &str, default: f64) -> f64 {
        self.0
            .get(name)
            .map_or(default, |text| text.parse().expect("a number"))
    }
}

impl Stock {
    fn gather(source: &dyn ImageSource, first: usize, arguments: &Arguments) -> Self {
        let finder: EdgeFinder = arguments
            .0
            .get("edge-model")
            .map_or("compact", String::as_str)
            .parse()
            .expect("an edge model");
        let weights = arguments.0.get("weights").map(PathBuf::from);
        let network = finder
            .load_in(Precision::Float32, weights.as_deref(), None, &Device::Cpu)
            .expect("weights");
        let detectors: Detectors = arguments
            .0
            .get("voters")
            .map_or("hough", String::as_str)
            .parse()
            .expect("voters");
        let numbers: Vec<usize> = (first..source.len()).collect();
        let images = numbers.par_iter().map(|&index| {
            let image = source.load(index).expect("loadable");
            (
                see(image.pixels.clone(), network.as_ref(), detectors, &Untimed).expect("edges"),
                image.truth,
            )
        });
        Self {
            names: numbers
                .iter()
                .map(|&index| source.name(index).to_string())
                .collect(),
            images: images.collect(),
            alpha: arguments.number("alpha", 0.3),
        }
    }

    /// LP of each image for each of `settings`.
    fn scores(&self, settings: &[Values]) -> Vec<Vec<f64>> {
        let each = settings
            .par_iter()
            .map_init(Scratch::default, |scratch, values| {
                let parameters = LineParameters::from_values(values);
                let lp =
                    |(seen, truth): &(Seen, Truth)| evaluate(seen, truth, &parameters, scratch).lp;
                self.images.iter().map(lp).collect()
            });
        each.collect()
    }

    fn risks(&self, settings: &[Values]) -> Vec<f64> {
        self.scores(settings)
            .iter()
            .map(|scores| cvar(scores, self.alpha))
            .collect()
    }

    fn best(&self, settings: Vec<Values>) -> (Values, f64) {
        let risks = self.risks(&settings);
        settings
            .into_iter()
            .zip(risks)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .expect("settings")
    }
}

/// Mean of the worst share `alpha`, the image at the quantile counted in part.
fn cvar(scores: &[f64], alpha: f64) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mass = alpha * sorted.len() as f64;
    let share = |index: usize| (mass - index as f64).clamp(0.0, 1.0);
    sorted
        .iter()
        .enumerate()
        .map(|(index, score)| share(index) * score)
        .sum::<f64>()
        / mass
}

fn clip(values: Values) -> Values {
    std::array::from_fn(|i| values[i].clamp(PARAMETERS[i].low, PARAMETERS[i].high))
}

fn random_settings(random: &mut ChaCha8Rng, count: usize) -> Vec<Values> {
    let draw = |_| PARAMETERS.map(|p| p.low + random.random::<f64>() * (p.high - p.low));
    (0..count).map(draw).collect()
}

/// Steps away from the best so far, smaller and smaller; every step changes some of the parameters.
fn local_search(stock: &Stock, start: (Values, f64), random: &mut ChaCha8Rng) -> (Values, f64) {
    let mut best = start;
    for width in [0.25, 0.15, 0.1, 0.06, 0.04, 0.02] {
        let around: Vec<Values> = (0..40)
            .map(|_| {
                clip(std::array::from_fn(|i| {
                    let range = PARAMETERS[i].high - PARAMETERS[i].low;
                    let step =
                        (random.random::<f64>() + random.random::<f64>() - 1.0) * width * range;
                    best.0[i]
                        + if random.random::<f64>() < 0.5 {
                            step
                        } else {
                            0.0
                        }
                }))
            })
            .collect();
        let found = stock.best(around);
        if found.1 > best.1 {
            best = found;
        }
    }
    best
}

fn report(label: &str, stock: &Stock, values: &Values) -> f64 {
    let scores = &stock.scores(&[*values])[0];
    let risk = cvar(scores, stock.alpha);
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let worst = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let text: Vec<String> = values.iter().map(|value| format!("{value:.3}")).collect();
    println!(
        "{label:24} CVaR {risk:.4}  mean {mean:.4}  worst {worst:.4}  x = {}",
        text.join(" ")
    );
    risk
}

fn main() {
    let arguments = Arguments::read();
    let (count, seed) = (
        arguments.number("scenes", 24.0) as usize,
        arguments.number("seed", 0.0) as u64,
    );
    let unseen = arguments.number("unseen", 0.0) as usize;
    let source: Box<dyn ImageSource> = match arguments.0.get("images") {
        None => Box::new(SceneSource::new(count, seed)),
        Some(images) => {
            let labels = arguments.0.get("labels").expect("--labels with --images");
            Box::new(
                FolderSource::open(&[(images.into(), labels.into())], &mut KeptLooks::default())
                    .expect("images")
                    .0,
            )
        }
    };
    let stock = Stock::gather(source.as_ref(), 0, &arguments);
    println!("{} images, alpha {}", stock.images.len(), stock.alpha);

    let default: Values = PARAMETERS.map(|parameter| parameter.default);
    let base = report("defaults", &stock, &default);

    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut pool = random_settings(&mut random, arguments.number("samples", 400.0) as usize);
    pool.push(default);
    let risks = stock.risks(&pool);
    let mut order: Vec<usize> = (0..pool.len()).collect();
    order.sort_by(|&a, &b| risks[b].total_cmp(&risks[a]));
    let at = |share: f64| risks[order[(share * (order.len() - 1) as f64) as usize]];
    println!(
        "random settings: best {:.4}, top 10 % {:.4}, median {:.4}",
        at(0.0),
        at(0.1),
        at(0.5)
    );
    let starts = order.iter().take(arguments.number("starts", 3.0) as usize);
    let (best, _) = starts
        .map(|&index| local_search(&stock, (pool[index], risks[index]), &mut random))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .expect("a start");
    let top = report("best found", &stock, &best);

    println!("best change of a single parameter from the defaults:");
    let mut most = f64::NEG_INFINITY;
    for (index, parameter) in PARAMETERS.iter().enumerate() {
        let line: Vec<Values> = (0..=30)
            .map(|step| {
                let mut values = default;
                values[index] =
                    parameter.low + f64::from(step) / 30.0 * (parameter.high - parameter.low);
                values
            })
            .collect();
        let (values, risk) = stock.best(line);
        most = most.max(risk);
        println!(
            "  {:18} {:8.3}  CVaR {risk:.4}  gain {:+.4}",
            parameter.name,
            values[index],
            risk - base
        );
    }
    println!("from the best, one parameter back at its default:");
    for (index, parameter) in PARAMETERS.iter().enumerate() {
        let mut values = best;
        values[index] = default[index];
        let risk = stock.risks(&[values])[0];
        println!(
            "  {:18} {:8.3}  CVaR {risk:.4}  loss {:+.4}",
            parameter.name,
            default[index],
            risk - top
        );
    }
    println!(
        "gain {:+.4}; the best single change reaches {:.0} % of it",
        top - base,
        100.0 * (most - base) / (top - base)
    );

    println!("per image: defaults, best");
    let scores = stock.scores(&[default, best]);
    for (index, name) in stock.names.iter().enumerate() {
        println!(
            "  {name:16} {:.3} {:.3}",
            scores[0][index], scores[1][index]
        );
    }
    if unseen > 0 {
        let fresh = SceneSource::new(unseen, seed + 1_000);
        let fresh = Stock::gather(&fresh, 0, &arguments);
        let base = report("defaults, unseen", &fresh, &default);
        let top = report("best found, unseen", &fresh, &best);
        println!("gain on {unseen} unseen scenes {:+.4}", top - base);
    }
}
