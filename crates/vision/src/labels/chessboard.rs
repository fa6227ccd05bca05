//! Chessboard annotations: rows of inner corners and the lines through them.
//!
//! A line whose `bow_px` is at most 1 is one true line; a line bent more by the lens is taken as its
//! pieces from corner to corner, each the straight border of two squares. Each is looked for in a box around it.

use serde_json::Value;

use super::annotation::{AnnotatedLine, Annotation, LINE_LIMIT};
use super::format::Entries;
use super::json::{self, image_name, list, points};
use crate::geometry::Point;

/// Greatest bow of a line that counts as straight, in pixels.
const STRAIGHT: f64 = 1.0;

/// Reads the file; the image is `image`, or else the file's stem.
pub(super) fn read(value: &Value, stem: &str) -> Result<Entries, String> {
    let rows = list(value, "corners")?
        .iter()
        .map(|row| points(row, 1))
        .collect::<Result<Vec<_>, _>>()?;
    let mut labels = Annotation {
        by_region: true,
        ..Default::default()
    };
    for line in list(value, "lines")? {
        let bow = line
            .get("bow_px")
            .and_then(Value::as_f64)
            .ok_or("a line without the number `bow_px`")?;
        if bow <= STRAIGHT {
            labels.lines.push(json::line(line)?);
            continue;
        }
        let index = line
            .get("index")
            .and_then(Value::as_u64)
            .ok_or("a line without the number `index`")? as usize;
        let corners: Option<Vec<Point>> = match line.get("kind").and_then(Value::as_str) {
            Some("row") => rows.get(index).cloned(),
            Some("col" | "column") => rows.iter().map(|row| row.get(index).copied()).collect(),
            _ => return Err("a line whose `kind` is neither row nor col".to_owned()),
        };
        let corners = corners.ok_or_else(|| format!("line {index} has no corners"))?;
        for pair in corners.windows(2) {
            labels.lines.push(AnnotatedLine::new(pair[0], pair[1]));
        }
        // many bent lines over the same many corners: more pieces than the file has bytes
        if labels.lines.len() > LINE_LIMIT {
            return Err(format!("more than {LINE_LIMIT} lines"));
        }
    }
    Ok(vec![(image_name(value, "image", stem), labels)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Segment;

    #[test]
    fn pieces_are_counted_before_they_take_memory() {
        let corners = vec![vec![[0, 0]]; 2000];
        let line = serde_json::json!({"kind": "col", "index": 0, "bow_px": 9.0});
        let value = serde_json::json!({"corners": corners, "lines": vec![line; 2000]});
        assert!(read(&value, "a").unwrap_err().contains("more than"));
    }

    #[test]
    fn straight_lines_are_whole_and_bent_ones_are_pieces() {
        let value = serde_json::json!({"image": "a.jpg",
            "corners": [[[0, 0], [10, 1], [20, 0]], [[0, 10], [10, 11], [20, 10]]],
            "lines": [
                {"kind": "row", "index": 0, "p0": [0, 0.4], "p1": [20, 0.4], "bow_px": 0.7},
                {"kind": "row", "index": 1, "p0": [0, 0], "p1": [20, 0], "bow_px": 1.2},
                {"kind": "col", "index": 2, "p0": [20, 0], "p1": [20, 10], "bow_px": 3.0}]});
        let (name, labels) = read(&value, "b").unwrap().remove(0);
        assert_eq!(name, "a.jpg");
        let lines: Vec<Segment> = labels.lines.iter().map(|line| line.segment).collect();
        assert_eq!(
            lines,
            [
                Segment::new(0.0, 0.4, 20.0, 0.4),
                Segment::new(0.0, 10.0, 10.0, 11.0),
                Segment::new(10.0, 11.0, 20.0, 10.0),
                Segment::new(20.0, 0.0, 20.0, 10.0),
            ]
        );
    }
}
