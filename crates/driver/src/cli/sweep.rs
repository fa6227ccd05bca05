//! `bo sweep`: many runs that differ in some settings.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser};

use super::result::{Voice, notify, print};
use super::run::merged;
use crate::exit::Failure;
use crate::run::{StopFlag, watch_signals_within};
use crate::settings::{Origin, RawSettings, Settings, nearest};
use crate::sweep::{Combination, Sweep, combinations};

/// Longest that a run may take to end once the sweep was asked to stop; a second signal ends the sweep at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Flags of `bo sweep`: those of `bo run`, for all runs, and what they differ in.
#[derive(Args)]
pub struct SweepArgs {
    /// A setting (any flag of bo run) with its values: alpha=0.1,0.2,0.3; repeat it for every combination: seed=0,1,2
    #[arg(long, value_name = "KEY=V,V,...", required = true)]
    over: Vec<String>,

    #[command(flatten)]
    settings: RawSettings,

    /// Settings from a file (TOML); flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    voice: Voice,
}

/// The values of one run as flags.
#[derive(Parser)]
#[command(no_binary_name = true)]
struct Own {
    #[command(flatten)]
    settings: RawSettings,
}

/// Runs all combinations, one after the other; typed again it goes on.
///
/// # Errors
/// A setting that cannot be, in any of the runs, before the first begins; else the code of the first run that failed.
pub fn main(args: SweepArgs) -> Result<(), Failure> {
    let (mut common, _) = merged(args.settings, args.config.as_deref())?;
    // each run does this where it is started, which is here
    common.command_folder = None;
    let out = common
        .out
        .take()
        .unwrap_or_else(|| PathBuf::from("checkpoints"));
    // beside the settings, in which paths are taken from their own folder
    common.cache.get_or_insert_with(|| PathBuf::from("cache"));
    let runs = combinations(&axes(&args.over)?);
    let folders: BTreeSet<&str> = runs.iter().map(|one| one.name.as_str()).collect();
    if folders.len() < runs.len() {
        return Err(refused(
            "two runs would have the same folder: values must differ in more than signs",
        ));
    }
    for one in &runs {
        check(one, &common)?;
    }
    let sweep = Sweep {
        out: &out,
        runs,
        quiet: args.voice.quiet,
    };
    sweep.settle(&common)?;
    let stop = StopFlag::default();
    watch_signals_within(&stop, PATIENCE)?;
    let swept = sweep.run(&stop, &|line| notify(&[line.to_owned()]))?;
    print(&swept, args.voice.json)?;
    if let Some(signal) = stop.asked() {
        notify(&["stopped, everything is saved; to go on type the same again".to_owned()]);
        return Err(Failure::Said {
            code: 128_u8.wrapping_add(signal as u8),
        });
    }
    swept
        .code()
        .map_or(Ok(()), |code| Err(Failure::Said { code }))
}

/// Settings with their values.
fn axes(over: &[String]) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let known = RawSettings::all_names();
    let mut axes: Vec<(String, Vec<String>)> = Vec::new();
    for text in over {
        let Some((key, values)) = text.split_once('=') else {
            return Err(refused(&format!("{text:?} is not KEY=V,V,...")));
        };
        let key = key.trim().trim_start_matches("--");
        if !known.iter().any(|name| name == key) {
            let hint = nearest(key, known.iter().map(String::as_str));
            let hint = hint.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            return Err(refused(&format!("{key:?} is no setting of bo run{hint}")));
        }
        if ["out", "cache"].contains(&key) {
            return Err(refused(&format!(
                "{key} is the sweep's own: each run has a folder in --out, all share --cache"
            )));
        }
        if axes.iter().any(|(other, _)| other == key) {
            return Err(refused(&format!(
                "{key} is named twice: give all its values at once"
            )));
        }
        let values = values
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        axes.push((key.to_owned(), values));
    }
    Ok(axes)
}

/// Whether a run could begin, as far as its settings say.
fn check(one: &Combination, common: &RawSettings) -> Result<(), Failure> {
    let flags = one.flags();
    let own = Own::try_parse_from(&flags).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        refused(line.trim_start_matches("error: "))
    })?;
    let of = |key: &str| match own.settings.names(key) {
        true => Origin::Flag(format!("--over {key}=..")),
        false => Origin::Flag(format!("--{key}")),
    };
    let all = own.settings.clone().over(common.clone());
    Settings::check(&all, &of).map(|_| ())
}

fn refused(reason: &str) -> Failure {
    Failure::Setting {
        key: "over".into(),
        origin: Origin::Flag("--over".into()),
        reason: reason.to_owned(),
        remedy: "type for example --over alpha=0.1,0.2 --over seed=0,1,2".into(),
    }
}
