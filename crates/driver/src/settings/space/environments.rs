//! `[environments]` of a space file: the finite set, as a table.

use bo_bayes::environment::Finite;

use super::{ReadTable, Section};
use crate::exit::Failure;

/// `[environments]`: a table with a column for each variable; `weight` holds probabilities, `name` names. With its text.
pub(super) fn environments(
    section: &Section<'_>,
    read: ReadTable<'_>,
) -> Result<(Finite, String), Failure> {
    let (table, text) = section.table_file("a column for each variable", read)?;
    let wrong = |reason: String| {
        Failure::input(
            &table,
            reason,
            "first line: names of variables; then one line of numbers each",
        )
    };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header: Vec<String> = reader
        .headers()
        .map_err(|error| wrong(error.to_string()))?
        .iter()
        .map(str::to_owned)
        .collect();
    let is_variable = |column: &str| column != "weight" && column != "name";
    let (mut points, mut weights, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let mut point = Vec::new();
        for (column, cell) in header.iter().zip(&record) {
            if column == "name" {
                labels.push(cell.to_owned());
                continue;
            }
            let value: f64 = cell
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite())
                .ok_or_else(|| {
                    wrong(format!(
                        "row {}, column {column}: {cell:?} is not a finite number",
                        row + 1
                    ))
                })?;
            if column == "weight" {
                weights.push(value)
            } else {
                point.push(value)
            }
        }
        points.push(point);
    }
    let names: Vec<String> = header
        .into_iter()
        .filter(|column| is_variable(column))
        .collect();
    let given = |list: Vec<f64>| (!list.is_empty()).then_some(list);
    let labels = (!labels.is_empty()).then_some(labels);
    let finite = Finite::new(names, points, given(weights), labels)
        .map_err(|error| wrong(error.to_string()))?;
    Ok((finite, text))
}
