//! Reference values shared by the unit tests that carry `golden` in their name.

use std::path::PathBuf;

use ndarray::{Array1, Array2};
use serde_json::Value;

/// Reads `$BO_GOLDEN/name`; `None`, said on stderr, where it is absent.
pub(crate) fn golden(name: &str) -> Option<Value> {
    read("BO_GOLDEN", "golden", name)
}

/// Reads `$BO_DATA/name`; `None`, said on stderr, where it is absent.
pub(crate) fn data(name: &str) -> Option<Value> {
    read("BO_DATA", "data", name)
}

/// Names of the files in `$BO_DATA/folder`, sorted; none where it is absent.
pub(crate) fn data_names(folder: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(root("BO_DATA", "data").join(folder)) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn root(variable: &str, folder: &str) -> PathBuf {
    let default = || {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared")
            .join(folder)
    };
    std::env::var_os(variable).map_or_else(default, PathBuf::from)
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn read(variable: &str, folder: &str, name: &str) -> Option<Value> {
    let path = root(variable, folder).join(name);
    if !path.exists() {
        eprintln!("skipped: {} absent", path.display());
        return None;
    }
    let text = std::fs::read_to_string(&path).unwrap();
    Some(serde_json::from_str(&text).unwrap())
}

/// A JSON array of numbers.
pub(crate) fn vector(value: &Value) -> Array1<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

/// A JSON array of rows.
pub(crate) fn matrix(value: &Value) -> Array2<f64> {
    let rows: Vec<Array1<f64>> = value.as_array().unwrap().iter().map(vector).collect();
    let mut out = Array2::zeros((rows.len(), rows[0].len()));
    for (mut to, from) in out.rows_mut().into_iter().zip(&rows) {
        to.assign(from);
    }
    out
}

/// Asserts that all entries agree relative to the largest reference magnitude.
pub(crate) fn assert_close<'a>(
    what: &str,
    found: impl IntoIterator<Item = &'a f64>,
    expected: impl IntoIterator<Item = &'a f64>,
    tolerance: f64,
) {
    let (found, expected): (Vec<_>, Vec<_>) =
        (found.into_iter().collect(), expected.into_iter().collect());
    assert_eq!(found.len(), expected.len(), "{what}: number of entries");
    let scale = expected
        .iter()
        .fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = (*found - *expected).abs() / scale;
        assert!(
            error <= tolerance,
            "{what}[{i}]: {found} against {expected}, relative error {error:e}"
        );
    }
}
