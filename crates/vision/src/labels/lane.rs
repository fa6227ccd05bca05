//! Lane lines: `instance x1 y1 x2 y2 bow` a line, the straight line fitted to each marked lane.
//!
//! Each lane is one long line to be found in a box around it. A bow of more than 4 px means a curved lane:
//! it is used all the same, as the straight line that the file gives, with a note.

use super::annotation::{AnnotatedLine, Annotation};
use super::format::Entries;
use super::json::coordinate;
use crate::geometry::Point;

/// Greatest bow of a lane that counts as straight, in pixels.
const STRAIGHT: f64 = 4.0;

/// Reads the rows of the file; the image is the file's stem.
pub(super) fn read(rows: &[Vec<f64>], stem: &str) -> Result<Entries, String> {
    let mut labels = Annotation {
        by_region: true,
        ..Default::default()
    };
    let mut curved = Vec::new();
    for row in rows {
        let &[instance, x0, y0, x1, y1, bow] = row.as_slice() else {
            return Err(format!("{} numbers a line", row.len()));
        };
        let p0 = Point::new(coordinate(x0)?, coordinate(y0)?);
        let p1 = Point::new(coordinate(x1)?, coordinate(y1)?);
        labels.lines.push(AnnotatedLine::new(p0, p1));
        if bow > STRAIGHT {
            curved.push(format!("{instance} (bow {bow} px)"));
        }
    }
    if !curved.is_empty() {
        labels.notes.push(format!(
            "curved lanes taken as straight: {}",
            curved.join(", ")
        ));
    }
    Ok(vec![(stem.to_owned(), labels)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curved_lanes_are_used_and_noted() {
        let rows = [
            vec![20.0, 1.0, 2.0, 3.0, 40.0, 0.5],
            vec![70.0, 5.0, 2.0, 9.0, 40.0, 26.5],
        ];
        let (name, labels) = read(&rows, "0001").unwrap().remove(0);
        assert_eq!(
            (name.as_str(), labels.lines.len(), labels.by_region),
            ("0001", 2, true)
        );
        assert_eq!(
            labels.notes,
            ["curved lanes taken as straight: 70 (bow 26.5 px)"]
        );
    }
}
