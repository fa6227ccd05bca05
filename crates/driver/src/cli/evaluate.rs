//! `bo evaluate`: a recommendation measured on every environment, or on other data.

use std::io::Write as _;
use std::path::PathBuf;

use bo_vision::pipeline::PARAMETERS;
use clap::Args;

use super::result::print;
use crate::evaluate::Judge;
use crate::exit::Failure;
use crate::objective::{self, LineImages};
use crate::quantity::typed;
use crate::record::{History, Manifest, RangeRecord};
use crate::run::{World, measure, recorded_settings, watch_signals};
use crate::settings::{ObjectiveSettings, Origin, RawSettings, Settings, nearest};
use crate::show::recommended;

/// Flags of `bo evaluate`.
#[derive(Args)]
pub struct EvaluateArgs {
    /// A run's directory
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Other images than the run's; repeat together with --labels
    #[arg(long, value_name = "DIR")]
    images: Vec<PathBuf>,

    /// Labels (file or folder) of the --images before it
    #[arg(long, value_name = "PATH")]
    labels: Vec<PathBuf>,

    /// Generated weld scenes instead of the run's data
    #[arg(long, value_name = "N", conflicts_with = "images")]
    scenes: Option<usize>,

    /// Seed of the generated scenes
    #[arg(long, value_name = "S", conflicts_with = "images")]
    scene_seed: Option<u64>,

    /// Other values than the recommended: k=v,..., or `defaults`
    #[arg(long, value_name = "K=V,...", allow_hyphen_values = true)]
    x: Option<String>,

    /// Worker threads; changes the speed, never a result
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// auto, cpu or cuda:N
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,

    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Measures.
///
/// # Errors
/// No run, no recommendation, or data that cannot be used.
pub fn main(args: &EvaluateArgs) -> Result<(), Failure> {
    let history = History::read(&args.run)?;
    let manifest = &history.manifest;
    let settings = settings(args, manifest)?;
    if let Some(threads) = args.threads {
        // Only this process's first pool counts; results do not depend on it.
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global();
    }
    let x = chosen(args, &history)?;
    let world = World::default();
    watch_signals(&world.stop)?;
    let surroundings = world.surroundings(&settings);
    let alpha = settings.study().alpha;
    let judge = Judge {
        manifest,
        measure: measure(settings.study()),
        alpha,
    };
    let evaluation = match settings.study().objective {
        ObjectiveSettings::Scenes { .. } | ObjectiveSettings::Images(_) => {
            let (images, notices): (LineImages, _) =
                objective::open_images(&settings, surroundings)?;
            say(&notices);
            judge.images(&images, &x)?
        }
        _ => {
            let mut opened = objective::open(&settings, surroundings)?;
            say(&opened.notices);
            judge.objective(&mut opened, &x, settings.study().seed)?
        }
    };
    print(&evaluation, args.json)
}

/// Notices on stderr.
fn say(notices: &[String]) {
    for notice in notices {
        let _ = writeln!(std::io::stderr(), "{notice}");
    }
}

/// The run's settings, with the data that was named instead of its own.
fn settings(args: &EvaluateArgs, manifest: &Manifest) -> Result<Settings, Failure> {
    let settings = recorded_settings(manifest)?.at(&args.run);
    let of_images = matches!(
        settings.study().objective,
        ObjectiveSettings::Scenes { .. } | ObjectiveSettings::Images(_)
    );
    let flags = RawSettings {
        images: args.images.clone(),
        labels: args.labels.clone(),
        scenes: args.scenes.or_else(|| args.scene_seed.map(|_| 24)),
        scene_seed: args.scene_seed,
        device: args.device.clone(),
        ..RawSettings::default()
    };
    let other = ["images", "labels", "scenes"]
        .into_iter()
        .find(|key| flags.names(key));
    if let Some(key) = other
        && !of_images
    {
        return Err(Failure::Setting {
            key: key.into(),
            origin: Origin::Flag(format!("--{key}")),
            reason: format!("this run is of {}, not of images", manifest.objective),
            remedy: format!("leave out --{key}"),
        });
    }
    let mut merged = flags.clone().over(settings.into());
    if other.is_some() && flags.scenes.is_none() {
        merged.scene_seed = None;
    }
    Settings::check(&merged, &|key| {
        if flags.names(key) {
            Origin::Flag(format!("--{key}"))
        } else {
            Origin::Record
        }
    })
}

/// The x to be measured: what the run recommends, with what --x says instead.
fn chosen(args: &EvaluateArgs, history: &History) -> Result<Vec<f64>, Failure> {
    let manifest = &history.manifest;
    let refuse = |reason: String, remedy: String| Failure::Setting {
        key: "x".into(),
        origin: Origin::Flag("--x".into()),
        reason,
        remedy,
    };
    let of_images = matches!(manifest.objective.as_str(), "scenes" | "images");
    if args.x.as_deref() == Some("defaults") {
        return match of_images {
            true => Ok(PARAMETERS
                .iter()
                .map(|parameter| parameter.default)
                .collect()),
            false => Err(refuse(
                "this run has no default parameters".into(),
                "type --x name=value,...".into(),
            )),
        };
    }
    let known = recommended(history);
    let mut x: Vec<Option<f64>> = match &known {
        Some(incumbent) => incumbent.x.iter().copied().map(Some).collect(),
        None => vec![None; manifest.x.len()],
    };
    let names: Vec<&str> = manifest
        .x
        .iter()
        .map(|parameter| parameter.name.as_str())
        .collect();
    for part in args.x.iter().flat_map(|text| text.split(',')) {
        let Some((name, text)) = part.split_once('=') else {
            return Err(refuse(
                format!("{part:?} is not name=value"),
                "type --x name=value,name=value".into(),
            ));
        };
        let Some(at) = names.iter().position(|known| *known == name.trim()) else {
            let hint = nearest(name, names.iter().copied())
                .map_or_else(String::new, |near| format!("did you mean {near}? "));
            return Err(refuse(
                format!("no parameter is called {name:?}"),
                format!("{hint}known are {}", names.join(", ")),
            ));
        };
        let range = &manifest.x[at].range;
        x[at] = Some(parse(range, text.trim()).ok_or_else(|| {
            refuse(
                format!("{name} cannot be {text:?}"),
                format!("allowed is {}", allowed(range)),
            )
        })?);
    }
    x.into_iter().collect::<Option<Vec<f64>>>().ok_or_else(|| {
        Failure::unusable(
            &args.run,
            "the run recommends nothing yet",
            format!(
                "let it finish its initial design: bo resume {}; or give every parameter with --x",
                typed(&args.run)
            ),
        )
    })
}

/// A value of a parameter from what was typed.
fn parse(range: &RangeRecord, text: &str) -> Option<f64> {
    let within = |value: &f64, low: f64, high: f64| (low..=high).contains(value);
    match range {
        RangeRecord::Real { low, high, .. } => {
            text.parse().ok().filter(|value| within(value, *low, *high))
        }
        RangeRecord::Int { low, high, .. } => text
            .parse::<i64>()
            .ok()
            .filter(|value| (low..=high).contains(&value))
            .map(|value| value as f64),
        RangeRecord::Choice { choices } => choices
            .iter()
            .position(|choice| choice == text)
            .map(|index| index as f64),
        RangeRecord::Normal { .. } => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

fn allowed(range: &RangeRecord) -> String {
    match range {
        RangeRecord::Real { low, high, .. } => format!("a number from {low} to {high}"),
        RangeRecord::Int { low, high, .. } => format!("a whole number from {low} to {high}"),
        RangeRecord::Choice { choices } => format!("one of {}", choices.join(", ")),
        RangeRecord::Normal { .. } => "any number".into(),
    }
}
