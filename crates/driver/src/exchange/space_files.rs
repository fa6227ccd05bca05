//! Foreign evaluations as what `bo run --command` begins with: a space file, a table of environments, one of observations.

use std::fmt::Write as _;
use std::path::Path;

use super::foreign::{Foreign, Row};
use crate::exit::Failure;

/// Name and text of each.
pub type Files = Vec<(&'static str, String)>;

/// The values of a parameter.
enum Range {
    Real([f64; 2]),
    Int([i64; 2]),
    Choices(Vec<String>),
}

/// The files, `space.toml` first.
///
/// # Errors
/// Rows that cannot be written as CSV.
pub fn space_files(foreign: &Foreign, source: &Path, minimize: bool) -> Result<Files, Failure> {
    let environments = environments(foreign);
    let mut space = format!(
        "# Written by bo import from {}.\n# Ranges reach as far as the values seen: widen them where more is allowed.\n\n\
         direction = \"{}\"\n",
        source.display().to_string().escape_debug(),
        if minimize { "minimize" } else { "maximize" }
    );
    for (column, (name, known)) in foreign.x.iter().enumerate() {
        let values = foreign.rows.iter().map(|row| row.x[column].as_str());
        let _ = writeln!(space, "\n[x.{}]", key(name));
        let _ = match range(values, *known) {
            Range::Real([low, high]) => {
                let whole = |row: &Row| row.x[column].parse().is_ok_and(|x: f64| x.fract() == 0.0);
                let hint = match known.is_none() && foreign.rows.iter().all(whole) {
                    true => "# type = \"int\"   (whole numbers alone were seen)\n",
                    false => "",
                };
                writeln!(space, "{hint}low = {low:?}\nhigh = {high:?}")
            }
            Range::Int([low, high]) => {
                writeln!(space, "low = {low}\nhigh = {high}\ntype = \"int\"")
            }
            Range::Choices(choices) => {
                let all: Vec<String> = choices.iter().map(|choice| quoted(choice)).collect();
                writeln!(space, "choices = [{}]", all.join(", "))
            }
        };
    }
    let mut files = Vec::new();
    match &environments {
        Some(points) if !foreign.w.is_empty() => {
            space.push_str("\n[environments]\nfile = \"environments.csv\"\n");
            let rows = points.iter().map(|point| numbers(point));
            files.push(("environments.csv", table(foreign.w.clone(), rows)?));
        }
        Some(_) => {}
        None => {
            for (column, name) in foreign.w.iter().enumerate() {
                let values = foreign.rows.iter().map(|row| row.w[column]);
                let [low, high] = apart(
                    values.clone().fold(f64::INFINITY, f64::min),
                    values.fold(f64::NEG_INFINITY, f64::max),
                );
                let _ = writeln!(space, "\n[w.{}]\nlow = {low:?}\nhigh = {high:?}", key(name));
            }
        }
    }
    space.push_str("\n# evaluated already: the run begins with these\n[observations]\nfile = \"observations.csv\"\n");
    let x = foreign.x.iter().map(|(name, _)| format!("x.{name}"));
    let w = foreign.w.iter().map(|name| format!("w.{name}"));
    let mut header: Vec<String> = x.chain(w).collect();
    header.extend(["value", "scale"].map(str::to_owned));
    let rows = foreign.rows.iter().map(|row| {
        let mut cells = row.x.clone();
        cells.extend(numbers(&row.w));
        cells.push(
            row.value
                .map_or_else(String::new, |value| value.to_string()),
        );
        cells.push(row.scale.clone());
        cells
    });
    files.push(("observations.csv", table(header, rows)?));
    files.insert(0, ("space.toml", space));
    Ok(files)
}

/// The different w in the order in which they come, where they are a set that was looked at again and again; `None` where
/// nearly each evaluation has its own, as drawn from a law.
pub fn environments(foreign: &Foreign) -> Option<Vec<&[f64]>> {
    let mut seen = std::collections::BTreeSet::new();
    let new = |row: &&Row| seen.insert(row.w.iter().map(|w| w.to_bits()).collect::<Vec<_>>());
    let points: Vec<&[f64]> = foreign
        .rows
        .iter()
        .filter(new)
        .map(|row| &row.w[..])
        .collect();
    (points.len() * 2 <= foreign.rows.len() || points.len() == 1).then_some(points)
}

/// Whole numbers are integers, other numbers real, anything else choices.
fn range<'v>(values: impl Iterator<Item = &'v str> + Clone, known: Option<[f64; 2]>) -> Range {
    let parsed: Option<Vec<f64>> = values
        .clone()
        .map(|value| value.parse().ok().filter(|value: &f64| value.is_finite()))
        .collect();
    let Some(numbers) = parsed else {
        let all: std::collections::BTreeSet<&str> = values.collect();
        return Range::Choices(all.into_iter().map(str::to_owned).collect());
    };
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if let Some([least, most]) = known {
        return Range::Real([low.min(least), high.max(most)]);
    }
    let whole: Option<Vec<i64>> = values.map(|value| value.parse().ok()).collect();
    match whole.filter(|whole| whole.iter().all(|value| value.unsigned_abs() < 1 << 53)) {
        Some(_) if low == high => Range::Int([low as i64 - 1, high as i64 + 1]),
        Some(_) => Range::Int([low as i64, high as i64]),
        None => Range::Real(apart(low, high)),
    }
}

/// Bounds that are not the same.
fn apart(low: f64, high: f64) -> [f64; 2] {
    if low < high {
        return [low, high];
    }
    let step = 0.5 * low.abs().max(1.0);
    [low - step, high + step]
}

fn numbers(list: &[f64]) -> Vec<String> {
    list.iter().map(f64::to_string).collect()
}

/// A name as TOML writes it: between quotes where it must be.
fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(plain) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// A text as TOML writes it between quotes.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Rows as CSV.
pub(super) fn table(
    header: Vec<String>,
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<String, Failure> {
    let unexpected =
        |error: &dyn std::fmt::Display| Failure::unexpected("writing a table", error.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in std::iter::once(header).chain(rows) {
        writer
            .write_record(row)
            .map_err(|error| unexpected(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| unexpected(&error))?;
    String::from_utf8(bytes).map_err(|error| unexpected(&error))
}
