//! Points, lines and names out of JSON values, checked.

use serde_json::Value;

use super::annotation::{AnnotatedLine, COORDINATE_LIMIT};
use crate::geometry::Point;

/// A number that can be a coordinate.
pub(super) fn coordinate(value: f64) -> Result<f32, String> {
    if value.is_finite() && value.abs() <= COORDINATE_LIMIT {
        Ok(value as f32)
    } else {
        Err(format!("{value} is not a coordinate in pixels"))
    }
}

/// `[x, y]`.
pub(super) fn point(value: &Value) -> Result<Point, String> {
    let wrong = || format!("{} is not a point [x, y]", brief(value));
    let [x, y] = value.as_array().map(Vec::as_slice).ok_or_else(wrong)? else {
        return Err(wrong());
    };
    let (x, y) = (x.as_f64().ok_or_else(wrong)?, y.as_f64().ok_or_else(wrong)?);
    Ok(Point::new(coordinate(x)?, coordinate(y)?))
}

/// `[[x, y], ..]` of at least `least` points.
pub(super) fn points(value: &Value, least: usize) -> Result<Vec<Point>, String> {
    let list = value
        .as_array()
        .ok_or_else(|| format!("{} is not a list of points", brief(value)))?;
    if list.len() < least {
        return Err(format!(
            "{} points where at least {least} are needed",
            list.len()
        ));
    }
    list.iter().map(point).collect()
}

/// The list under `key`, empty if there is none.
pub(super) fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value], String> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(other) => Err(format!("`{key}` is {} instead of a list", brief(other))),
    }
}

/// The image that the text under `key` names, by the last part of a path of either kind of slash; else
/// the label file's own `stem`.
pub(super) fn image_name(value: &Value, key: &str, stem: &str) -> String {
    let path = value.get(key).and_then(Value::as_str).unwrap_or_default();
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    if name.is_empty() { stem } else { name }.to_owned()
}

/// The line from `p0` to `p1` of `value`, two points of these names.
pub(super) fn line(value: &Value) -> Result<AnnotatedLine, String> {
    let end = |key| {
        value
            .get(key)
            .ok_or(format!("a line without `{key}`"))
            .and_then(point)
    };
    Ok(AnnotatedLine::new(end("p0")?, end("p1")?))
}

/// The beginning of a value, for messages.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 40 {
        text
    } else {
        text.chars().take(40).chain("...".chars()).collect()
    }
}
