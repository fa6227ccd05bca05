//! Segment files `NAME_gt.txt`: four numbers `x1 y1 x2 y2` a line, as the York Urban annotations come.
//!
//! Such an annotation is dense and names no regions: all segments found in the image count.

use super::annotation::{AnnotatedLine, Annotation};
use super::format::Entries;
use super::json::coordinate;
use crate::geometry::Point;

/// Reads the rows of the file; the image is the file's stem without `_gt`.
pub(super) fn read(rows: &[Vec<f64>], stem: &str) -> Result<Entries, String> {
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        let &[x0, y0, x1, y1] = row.as_slice() else {
            return Err(format!("{} numbers a line", row.len()));
        };
        let p0 = Point::new(coordinate(x0)?, coordinate(y0)?);
        let p1 = Point::new(coordinate(x1)?, coordinate(y1)?);
        lines.push(AnnotatedLine::new(p0, p1));
    }
    let name = stem.strip_suffix("_gt").unwrap_or(stem);
    Ok(vec![(
        name.to_owned(),
        Annotation {
            lines,
            ..Default::default()
        },
    )])
}
