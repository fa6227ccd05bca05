//! `bo evaluate`: a recommendation measured on every environment, or on other data.

use std::path::PathBuf;

use clap::Args;

use super::point::point;
use super::result::{notify, print};
use crate::evaluate::Judge;
use crate::exit::Failure;
use crate::objective::Surroundings;
use crate::objective::{self, LineImages, Objective as _};
use crate::record::{Differences, History, Manifest};
use crate::run::{World, foreign, measure, trusted_settings, watch_signals, workers};
use crate::settings::{Environment, Look, ObjectiveSettings, Origin, RawSettings, Settings};

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

    /// Folder for pictures of the worst images [default: worst/ inside the run]
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,

    /// What an environment is, if not as in the run
    #[arg(long, value_enum)]
    environment: Option<Environment>,

    /// Number of corrupted images, if not as in the run
    #[arg(long, value_name = "N")]
    environments: Option<usize>,

    /// Seed of the corrupted images, if not as in the run
    #[arg(long, value_name = "S")]
    environment_seed: Option<u64>,

    /// The run's command, repeated: needed when its files belong to another user
    #[arg(long, value_name = "PROG ARGS")]
    command: Option<String>,

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
    workers(args.threads);
    let x = point(&args.run, args.x.as_deref(), &history)?;
    let world = World::default();
    watch_signals(&world.stop)?;
    let surroundings = Surroundings {
        measures: true,
        ..world.surroundings(&settings)
    };
    let alpha = settings.study().alpha;
    let judge = Judge {
        manifest,
        measure: measure(settings.study()),
        alpha,
    };
    let mut drawn = Ok(());
    let evaluation = match settings.study().objective {
        ObjectiveSettings::Scenes { .. } | ObjectiveSettings::Images(_) => {
            let (images, notices): (LineImages, _) =
                objective::open_images(&settings, surroundings)?;
            notify(&notices);
            if !is_other(args) {
                notify(&Vec::from_iter(changed(manifest, &images)));
            }
            let mut evaluation = judge.images(&images, &x)?;
            notify(&images.memory_steps());
            if args.x.is_none() {
                evaluation.advise(&args.run);
            }
            let folder = args
                .pictures
                .clone()
                .unwrap_or_else(|| args.run.join("worst"));
            // what was measured is told, pictures or not
            drawn = evaluation.draw(&images, &x, &folder);
            evaluation
        }
        _ => {
            let mut opened = objective::open(&settings, surroundings)?;
            notify(&opened.notices);
            judge
                .objective(&mut opened, &x, settings.study().seed, &world.stop)
                .inspect_err(|failure| {
                    if matches!(failure, Failure::Said { .. }) {
                        notify(&["stopped: nothing was measured".to_owned()]);
                    }
                })?
        }
    };
    print(&evaluation, args.json)?;
    drawn
}

/// Whether other data than the run's are measured.
fn is_other(args: &EvaluateArgs) -> bool {
    !args.images.is_empty() || args.scenes.is_some() || args.scene_seed.is_some()
}

/// That data of the run are not what they were when it began: they are measured as they are now.
fn changed(manifest: &Manifest, images: &LineImages) -> Option<String> {
    let differences = Differences {
        problem: Vec::new(),
        content: manifest.hashes.differing(&images.describe().hashes.into()),
    };
    let names = differences.names();
    (!differences.is_empty())
        .then(|| format!("{names}: not what it was when the run began; measured as it is now"))
}

/// The run's settings, with the data that was named instead of its own.
fn settings(args: &EvaluateArgs, manifest: &Manifest) -> Result<Settings, Failure> {
    let settings = trusted_settings(manifest, foreign(&args.run), args.command.as_deref(), false)?
        .at(&args.run);
    let of_images = matches!(
        settings.study().objective,
        ObjectiveSettings::Scenes { .. } | ObjectiveSettings::Images(_)
    );
    let flags = RawSettings {
        images: args.images.clone(),
        labels: args.labels.clone(),
        scenes: args.scenes.or_else(|| args.scene_seed.map(|_| 24)),
        scene_seed: args.scene_seed,
        environment: args.environment,
        environments: args.environments,
        environment_seed: args.environment_seed,
        device: args.device.clone(),
        threads: args.threads,
        ..RawSettings::default()
    };
    let other = ["images", "labels", "scenes", "environment"]
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
    if flags.environment == Some(Environment::Features) {
        (merged.environments, merged.environment_seed) = (None, None);
    }
    // all environments are measured, however many a decision looks at
    (merged.n_w, merged.initial_w) = (Some(Look::Count(1)), None);
    let checked = Settings::check(&merged, &|key| {
        if flags.names(key) {
            Origin::Flag(format!("--{key}"))
        } else {
            Origin::Record
        }
    })?;
    Ok(checked.with_kept(&manifest.texts))
}
