//! What a run evaluated, in forms that others read.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::space_files::table;
use crate::exit::Failure;
use crate::record::{EvaluationLine, History, Manifest};

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A table with columns x.NAME and w.NAME: for spreadsheets, pandas, bo import, and [observations] of a space file.
    Csv,
    /// A JSON object a line, with names.
    Jsonl,
    /// The checkpoint of the original: {iteration, train_X_full, train_Y, best_cvar_history}.
    Original,
}

/// The text of a run in that form.
///
/// # Errors
/// Unexpected ones alone: every run can be written.
pub fn export(history: &History, form: Form) -> Result<String, Failure> {
    match form {
        Form::Csv => csv(history),
        Form::Jsonl => jsonl(history),
        Form::Original => original(history),
    }
}

/// Name or number of an environment of a finite set.
fn environment(manifest: &Manifest, line: &EvaluationLine) -> Option<String> {
    let row = line.environment?;
    let name = usize::try_from(row)
        .ok()
        .and_then(|row| manifest.environments.name(row));
    Some(name.map_or_else(|| row.to_string(), str::to_owned))
}

fn csv(history: &History) -> Result<String, Failure> {
    let manifest = &history.manifest;
    let finite = !manifest.environments.is_empty();
    let mut header = vec!["id".to_owned(), "iteration".to_owned()];
    header.extend(manifest.x.iter().map(|x| format!("x.{}", x.name)));
    header.extend(manifest.w.iter().map(|w| format!("w.{}", w.name)));
    header.extend(finite.then(|| "environment".to_owned()));
    header.extend(["value", "status", "scale", "reason", "attempt", "seconds"].map(str::to_owned));
    let text = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let rows = history.evaluations.iter().map(|line| {
        let mut cells = vec![line.id.to_string(), line.iteration.to_string()];
        let x = manifest.x.iter().zip(&line.x);
        cells.extend(x.map(|(parameter, value)| match parameter.shown(*value) {
            Value::String(choice) => choice,
            number => number.to_string(),
        }));
        cells.extend(line.w.iter().map(f64::to_string));
        cells.extend(finite.then(|| environment(manifest, line).unwrap_or_default()));
        cells.extend([
            text(line.value),
            line.status.clone(),
            text(line.scale),
            line.reason.clone().unwrap_or_default(),
            line.attempt.to_string(),
            line.seconds.to_string(),
        ]);
        cells
    });
    table(header, rows)
}

fn jsonl(history: &History) -> Result<String, Failure> {
    #[derive(Serialize)]
    struct Line<'l> {
        id: u64,
        iteration: u64,
        x: Map<String, Value>,
        w: Map<String, Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        environment: Option<String>,
        value: Option<f64>,
        status: &'l str,
        #[serde(skip_serializing_if = "Option::is_none")]
        scale: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'l str>,
        attempt: u32,
        seconds: f64,
    }
    let manifest = &history.manifest;
    let mut text = String::new();
    for line in &history.evaluations {
        let w = manifest.w.iter().zip(&line.w);
        let shown = Line {
            id: line.id,
            iteration: line.iteration,
            x: manifest.named_x(&line.x).into_iter().collect(),
            w: w.map(|(variable, value)| (variable.name.clone(), json!(value)))
                .collect(),
            environment: environment(manifest, line),
            value: line.value,
            status: &line.status,
            scale: line.scale,
            reason: line.reason.as_deref(),
            attempt: line.attempt,
            seconds: line.seconds,
        };
        let line = serde_json::to_string(&shown);
        text += &line.map_err(|error| Failure::unexpected("writing a line", error))?;
        text.push('\n');
    }
    Ok(text)
}

/// A category is the number of its choice. Failed evaluations have no place there: the original marked them by 0, which taught its model that they were bad.
fn original(history: &History) -> Result<String, Failure> {
    let good: Vec<(&EvaluationLine, f64)> = history
        .evaluations
        .iter()
        .filter_map(|line| Some((line, line.value?)))
        .collect();
    let all: Vec<Vec<f64>> = good
        .iter()
        .map(|(line, _)| line.x.iter().chain(&line.w).copied().collect())
        .collect();
    let risks = history
        .decisions
        .iter()
        .filter_map(|line| line.incumbent.as_ref());
    let checkpoint = json!({
        "iteration": history.complete().unwrap_or(0),
        "train_X_full": all,
        "train_Y": good.iter().map(|(_, value)| [value]).collect::<Vec<_>>(),
        "best_cvar_history": risks.map(|known| known.risk).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string(&checkpoint);
    text.map_err(|error| Failure::unexpected("writing a checkpoint", error))
}
