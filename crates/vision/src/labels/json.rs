//! Points out of JSON values, checked.

use serde_json::Value;

use super::annotation::COORDINATE_LIMIT;
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

/// The last part of a path of either kind of slash.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
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
