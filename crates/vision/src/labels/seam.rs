//! Weld seam annotations: `lines` with end points, `polylines` with points along a curve.
//!
//! A polyline becomes the straight pieces that stay within 2 px of it (Douglas and Peucker, Cartographica 10,
//! 1973). Each line or piece is looked for in a box around it.

use serde_json::Value;

use super::annotation::{AnnotatedLine, Annotation};
use super::format::Entries;
use super::json::{self, image_name, list, points};
use crate::geometry::{Point, Segment};

/// Greatest distance of a polyline's point from its piece, in pixels.
const TOLERANCE: f32 = 2.0;

/// Reads the file; the image is `image`, or else the file's stem.
pub(super) fn read(value: &Value, stem: &str) -> Result<Entries, String> {
    let mut labels = Annotation {
        by_region: true,
        ..Default::default()
    };
    for line in list(value, "lines")? {
        labels.lines.push(json::line(line)?);
    }
    for curve in list(value, "polylines")? {
        let path = points(curve.get("points").ok_or("a polyline without `points`")?, 2)?;
        for pair in straightened(&path).windows(2) {
            labels.lines.push(AnnotatedLine::new(pair[0], pair[1]));
        }
    }
    Ok(vec![(image_name(value, "image", stem), labels)])
}

/// The path without the points that lie within [`TOLERANCE`] of the straight piece that replaces them.
fn straightened(path: &[Point]) -> Vec<Point> {
    let mut kept = vec![false; path.len()];
    let mut spans = vec![(0, path.len() - 1)];
    kept[0] = true;
    kept[path.len() - 1] = true;
    while let Some((from, to)) = spans.pop() {
        let piece = Segment {
            p0: path[from],
            p1: path[to],
        };
        let farthest = (from + 1..to)
            .map(|index| (index, piece.distance(path[index])))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((index, distance)) = farthest
            && distance > TOLERANCE
        {
            kept[index] = true;
            spans.push((from, index));
            spans.push((index, to));
        }
    }
    path.iter()
        .zip(kept)
        .filter(|(_, keep)| *keep)
        .map(|(point, _)| *point)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_straightened_polylines() {
        let value = serde_json::json!({"image": "a.jpg",
            "lines": [{"label": "bead", "p0": [1, 2], "p1": [3, 400], "tolerance_px": 25}],
            "polylines": [{"points": [[0, 0], [50, 1], [100, 0], [150, 40]]}]});
        let (_, labels) = read(&value, "a").unwrap().remove(0);
        let lines: Vec<Segment> = labels.lines.iter().map(|line| line.segment).collect();
        assert_eq!(
            lines,
            [
                Segment::new(1.0, 2.0, 3.0, 400.0),
                Segment::new(0.0, 0.0, 100.0, 0.0),
                Segment::new(100.0, 0.0, 150.0, 40.0),
            ]
        );
    }
}
