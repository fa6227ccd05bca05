//! The original optimiser's `ground_truth.json`.
//!
//! An object by image name or stem; each entry has an object `coordinates` of up to 12 numbers. A point is
//! absent when both of its numbers are 0 or missing; one number without the other is an error. Lines: left longitudinal, right longitudinal, fillet (from foot
//! to foot, one line also where the collar stands on it), collar. Each line is looked for in a box around it.

use serde_json::Value;

use super::annotation::{AnnotatedLine, Annotation};
use super::format::Entries;
use super::json::coordinate;
use crate::corner::CORNER_NAMES;
use crate::geometry::{Point, Segment};
use crate::source::LineKind;

/// Names of the points that each line joins.
const LINES: [(LineKind, &str, &str); 4] = [
    (
        LineKind::LongitudinalLeft,
        "longi_left_lower",
        "longi_left_upper",
    ),
    (
        LineKind::LongitudinalRight,
        "longi_right_lower",
        "longi_right_upper",
    ),
    (LineKind::Fillet, "longi_left_lower", "longi_right_lower"),
    (LineKind::Collar, "collar_left_lower", "collar_left_upper"),
];

/// Whether a number's name is that of a point with its axis.
fn is_known(key: &str) -> bool {
    let point = key.strip_suffix("_x").or_else(|| key.strip_suffix("_y"));
    point.is_some_and(|point| CORNER_NAMES.contains(&point))
}

/// Reads all images of the file. An entry without a single whole line stays, without lines.
pub(super) fn read(value: &Value) -> Result<Entries, String> {
    let object = value.as_object().ok_or("the top is not an object")?;
    let mut entries = Vec::new();
    for (name, entry) in object {
        let Some(coordinates) = entry.get("coordinates") else {
            // such files carry remarks beside the images
            continue;
        };
        if !coordinates.is_object() {
            return Err(format!(
                "`coordinates` of {name} is not an object of named numbers"
            ));
        }
        let mut labels = Annotation {
            by_region: true,
            ..Default::default()
        };
        for (kind, from, to) in LINES {
            let ends = (named(coordinates, from), named(coordinates, to));
            let (from, to) = match ends {
                (Ok(from), Ok(to)) => (from, to),
                (Err(reason), _) | (_, Err(reason)) => return Err(format!("{name}: {reason}")),
            };
            if let (Some(p0), Some(p1)) = (from, to)
                && p0 != p1
            {
                labels.lines.push(AnnotatedLine {
                    segment: Segment { p0, p1 },
                    kind,
                });
            }
        }
        let known = coordinates
            .as_object()
            .is_some_and(|all| all.is_empty() || all.keys().any(|key| is_known(key)));
        if !known {
            return Err(format!(
                "`coordinates` of {name} has none of the names that are known: {}, each with _x and _y",
                CORNER_NAMES.join(", ")
            ));
        }
        entries.push((name.clone(), labels));
    }
    Ok(entries)
}

/// The point `name`, `None` if absent.
fn named(coordinates: &Value, name: &str) -> Result<Option<Point>, String> {
    let number = |axis: &str| match coordinates.get(format!("{name}_{axis}")) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_f64()
            .ok_or_else(|| format!("{name}_{axis} is not a number"))
            .and_then(coordinate)
            .map(Some),
    };
    let half = |there, missing| Err(format!("{name}_{there} stands without {name}_{missing}"));
    match (number("x")?, number("y")?) {
        (Some(x), Some(y)) => Ok((x != 0.0 || y != 0.0).then(|| Point::new(x, y))),
        (Some(x), None) if x != 0.0 => half("x", "y"),
        (None, Some(y)) if y != 0.0 => half("y", "x"),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_numbers_are_four_lines_and_zero_is_absent() {
        let text = r#"{"img_1.jpg": {"coordinates": {
            "longi_left_lower_x": 100, "longi_left_lower_y": 400, "longi_right_lower_x": 500, "longi_right_lower_y": 410,
            "longi_left_upper_x": 110, "longi_left_upper_y": 50, "longi_right_upper_x": 490, "longi_right_upper_y": 60,
            "collar_left_lower_x": 0, "collar_left_lower_y": 0, "collar_left_upper_x": 0, "collar_left_upper_y": 0}}}"#;
        let entries = read(&serde_json::from_str(text).unwrap()).unwrap();
        let (name, labels) = &entries[0];
        assert_eq!(name, "img_1.jpg");
        assert!(labels.by_region);
        let kinds: Vec<_> = labels.lines.iter().map(|line| line.kind).collect();
        assert_eq!(
            kinds,
            [
                LineKind::LongitudinalLeft,
                LineKind::LongitudinalRight,
                LineKind::Fillet
            ]
        );
        assert_eq!(
            labels.lines[2].segment,
            Segment::new(100.0, 400.0, 500.0, 410.0)
        );
    }

    #[test]
    fn half_a_point_is_an_error_unless_it_is_0() {
        let of = |x: Value, y: Value| {
            let one = serde_json::json!({"longi_left_lower_x": x, "longi_left_lower_y": y,
                "longi_left_upper_x": 3, "longi_left_upper_y": 0});
            read(&serde_json::json!({"a": {"coordinates": one}})).map(|all| all[0].1.lines.len())
        };
        let null = || Value::Null;
        assert_eq!(of(null(), null()), Ok(0));
        assert_eq!(of(0.into(), null()), Ok(0));
        assert_eq!(of(0.into(), 7.into()), Ok(1));
        assert_eq!(
            of(12.into(), null()).unwrap_err(),
            "a: longi_left_lower_x stands without longi_left_lower_y"
        );
        assert_eq!(
            of(null(), 12.into()).unwrap_err(),
            "a: longi_left_lower_y stands without longi_left_lower_x"
        );
    }

    #[test]
    fn words_for_numbers_are_named() {
        let value = serde_json::json!({"a": {"coordinates": {"longi_left_lower_x": "12"}}});
        assert_eq!(
            read(&value).unwrap_err(),
            "a: longi_left_lower_x is not a number"
        );
    }
}
