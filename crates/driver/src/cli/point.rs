//! The parameters that a command applies: what a run recommends, or what was typed.

use std::path::Path;

use bo_vision::pipeline::PARAMETERS;

use crate::exit::Failure;
use crate::quantity::typed;
use crate::record::{History, RangeRecord};
use crate::settings::{Origin, nearest};
use crate::show::recommended;

/// What a run recommends, with what `--x` says instead: `k=v,...`, or `defaults`.
///
/// # Errors
/// A name or value that cannot be, or no recommendation where not every parameter is given.
pub fn point(run: &Path, typed_x: Option<&str>, history: &History) -> Result<Vec<f64>, Failure> {
    let manifest = &history.manifest;
    let refuse = |reason: String, remedy: String| Failure::Setting {
        key: "x".into(),
        origin: Origin::Flag("--x".into()),
        reason,
        remedy,
    };
    let of_images = matches!(manifest.objective.as_str(), "scenes" | "images");
    if typed_x == Some("defaults") {
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
    for part in typed_x.iter().flat_map(|text| text.split(',')) {
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
            run,
            "the run recommends nothing yet",
            format!(
                "let it finish its initial design: bo resume {}; or give every parameter with --x",
                typed(run)
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
