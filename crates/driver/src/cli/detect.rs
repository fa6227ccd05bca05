//! `bo detect`: the tuned pipeline on images without labels.

use std::path::{Path, PathBuf};

use bo_vision::folder::Photographs;
use clap::Args;

use super::point::point;
use super::result::{notify, print};
use crate::bounded;
use crate::detect::{Detection, Rois};
use crate::exit::Failure;
use crate::objective::{WITHOUT_REGIONS, open_eyes, parameters, refused};
use crate::picture::PictureFolder;
use crate::record::{History, replace};
use crate::run::{World, foreign, trusted_settings, watch_signals, workers};
use crate::settings::{Origin, RawSettings, Settings};

/// Flags of `bo detect`.
#[derive(Args)]
pub struct DetectArgs {
    /// A run's directory
    #[arg(value_name = "RUN")]
    run: PathBuf,

    /// Folder of images: jpg, png or bmp
    #[arg(long, value_name = "DIR")]
    images: PathBuf,

    /// File for lines and corner points (JSON); pictures go into a folder beside it, named like it, or like it with
    /// .pictures where that is somebody else's
    #[arg(long, value_name = "FILE", default_value = "lines.json")]
    out: PathBuf,

    /// Regions by image (JSON): {"*": [[left, top, right, bottom], ...], "a.png": [{"bounds": [..], "kind": "fillet"}]};
    /// one line is found in each; without it, all lines of the whole image
    #[arg(long, value_name = "FILE")]
    roi: Option<PathBuf>,

    /// Other values than the recommended: k=v,..., or `defaults`
    #[arg(long, value_name = "K=V,...", allow_hyphen_values = true)]
    x: Option<String>,

    /// Worker threads; changes the speed, never a result
    #[arg(long, value_name = "N")]
    threads: Option<usize>,

    /// auto, cpu or cuda:N
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,

    /// The result on stdout as one JSON object, beside the file
    #[arg(long)]
    json: bool,
}

/// Detects.
///
/// # Errors
/// No run of images, no recommendation, no images, one that cannot be read, or a file that cannot be written.
pub fn main(args: &DetectArgs) -> Result<(), Failure> {
    let history = History::read(&args.run)?;
    if !matches!(history.manifest.objective.as_str(), "scenes" | "images") {
        return Err(Failure::unusable(
            &args.run,
            format!(
                "this run is of {}, not of images",
                history.manifest.objective
            ),
            "name a run that was begun with --images or --scenes",
        ));
    }
    if args.out.exists() && !is_ours(&args.out) {
        return Err(Failure::input(
            &args.out,
            "is there already and not written by bo detect",
            "give --out another name",
        ));
    }
    let overlays = overlays(&args.out);
    let flags = RawSettings {
        device: args.device.clone(),
        threads: args.threads,
        ..RawSettings::default()
    };
    let recorded = trusted_settings(&history.manifest, foreign(&args.run), None, false)?;
    let merged = flags.over(recorded.at(&args.run).into());
    let settings = Settings::check(&merged, &|key| Origin::Flag(format!("--{key}")))?;
    workers(args.threads);
    let x = point(&args.run, args.x.as_deref(), &history)?;
    let rois = args
        .roi
        .as_deref()
        .map(Rois::read)
        .transpose()?
        .unwrap_or_default();
    let photographs = Photographs::open(&args.images).map_err(|error| refused(&error))?;
    if let (Some(file), Some(unused)) = (&args.roi, rois.unused(photographs.names())) {
        notify(&[format!("{}: no image is named {unused}", file.display())]);
    }
    if args.roi.is_none() && history.manifest.hashes.get(WITHOUT_REGIONS).is_none() {
        notify(&[
            "the run looked for one line in each region that its labels name; no regions are named here, so all lines of the \
             whole image are found, by other rules: give --roi FILE to look as the run did"
                .to_owned(),
        ]);
    }
    notify(&Vec::from_iter(photographs.broken_off()));
    let world = World::default();
    watch_signals(&world.stop)?;
    let (eyes, notices) = open_eyes(&settings, &world.surroundings(&settings))?;
    notify(&notices);
    let named = (history.manifest.named_x(&x), parameters(&x));
    let detection = Detection::new(&photographs, &eyes, &rois, named, &overlays)?;
    notify(&eyes.memory_steps());
    notify(&detection.outside(&rois));
    notify(&detection.failures());
    let text = serde_json::to_vec(&detection)
        .map_err(|error| Failure::unexpected("writing the lines as JSON", error))?;
    replace(&args.out, &text)?;
    notify(&[format!(
        "written: {} and pictures in {}",
        args.out.display(),
        overlays.display()
    )]);
    print(&detection, args.json)?;
    match detection.failures().len() {
        0 => Ok(()),
        // after all the others: theirs is written
        failed => Err(Failure::input(
            &args.images,
            format!(
                "{failed} of {} images gave no lines, as said above",
                photographs.len()
            ),
            format!(
                "mend or remove them; the others are in {}",
                args.out.display()
            ),
        )),
    }
}

/// Whether `path` is what an earlier `bo detect` wrote, which may be replaced.
fn is_ours(path: &Path) -> bool {
    let text = bounded::read(path, bounded::LEDGER).unwrap_or_default();
    let json = serde_json::from_slice::<serde_json::Value>(&text).unwrap_or_default();
    json["format"] == "bo/detected"
}

/// The folder for pictures: named like the file, unless that is the file itself or somebody's own, say of the photographs.
fn overlays(out: &Path) -> PathBuf {
    let stem = out.with_extension("");
    match out.extension().is_some() && PictureFolder::is_ours(&stem) {
        true => stem,
        false => out.with_extension("pictures"),
    }
}
