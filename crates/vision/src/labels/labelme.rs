//! LabelMe JSON: shapes of type `line` and `linestrip`; a `rectangle` is a region for the lines inside it.
//!
//! With rectangles each line is looked for in the smallest one that holds it (or in a box around it);
//! without any, the labels name no regions and all segments of the image count. Other shapes are passed over, with a note.

use serde_json::Value;

use super::annotation::{AnnotatedLine, Annotation};
use super::format::Entries;
use super::json::{image_name, list, points};
use crate::geometry::Segment;
use crate::source::LineKind;

/// Reads the file; the image is `imagePath`, or else the file's stem.
pub(super) fn read(value: &Value, stem: &str) -> Result<Entries, String> {
    let mut labels = Annotation::default();
    let mut other = 0;
    for shape in list(value, "shapes")? {
        let kind = shape
            .get("shape_type")
            .and_then(Value::as_str)
            .ok_or("a shape without `shape_type`")?;
        let corners = shape.get("points").ok_or("a shape without `points`")?;
        match kind {
            "line" | "linestrip" => {
                let kind = kind_of(shape.get("label").and_then(Value::as_str).unwrap_or(""));
                for pair in points(corners, 2)?.windows(2) {
                    let segment = Segment {
                        p0: pair[0],
                        p1: pair[1],
                    };
                    labels.lines.push(AnnotatedLine { segment, kind });
                }
            }
            "rectangle" => {
                let corners = points(corners, 2)?;
                // two opposite corners, or all four
                labels.boxes.push((corners[0], corners[corners.len() / 2]));
            }
            _ => other += 1,
        }
    }
    labels.by_region = !labels.boxes.is_empty();
    if other > 0 {
        labels.notes.push(format!(
            "{other} shapes other than line, linestrip and rectangle passed over"
        ));
    }
    Ok(vec![(image_name(value, "imagePath", stem), labels)])
}

/// The kind that a label's words name.
fn kind_of(label: &str) -> LineKind {
    let label = label.to_lowercase();
    let has = |word: &str| label.contains(word);
    if has("collar") {
        LineKind::Collar
    } else if has("fillet") {
        LineKind::Fillet
    } else if has("longi") && has("left") {
        LineKind::LongitudinalLeft
    } else if has("longi") && has("right") {
        LineKind::LongitudinalRight
    } else {
        LineKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_strips_and_rectangles() {
        let value = serde_json::json!({
        "version": "5.0.1", "imagePath": "..\\photos\\a.jpg", "imageHeight": 100, "imageWidth": 100,
        "shapes": [
            {"label": "longi_left", "shape_type": "line", "points": [[1, 2], [3, 90]]},
            {"label": "x", "shape_type": "linestrip", "points": [[1, 2], [3, 4], [5.5, 6]]},
            {"label": "hole", "shape_type": "circle", "points": [[1, 2], [3, 4]]},
        ]});
        let (name, labels) = read(&value, "a").unwrap().remove(0);
        assert_eq!(name, "a.jpg");
        assert_eq!(labels.lines.len(), 3);
        assert_eq!(labels.lines[0].kind, LineKind::LongitudinalLeft);
        assert_eq!(labels.lines[2].segment, Segment::new(3.0, 4.0, 5.5, 6.0));
        assert!(!labels.by_region);
        assert_eq!(labels.notes.len(), 1);
        let boxed = serde_json::json!({"shapes": [
            {"shape_type": "rectangle", "points": [[0, 0], [50, 0], [50, 60], [0, 60]]},
            {"shape_type": "line", "points": [[1, 2], [3, 4]]}]});
        let (name, labels) = read(&boxed, "b").unwrap().remove(0);
        assert_eq!(name, "b");
        assert!(labels.by_region);
        assert_eq!((labels.boxes[0].1.x, labels.boxes[0].1.y), (50.0, 60.0));
    }
}
