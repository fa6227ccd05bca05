//! The formats of label files and how content tells them apart.

use serde_json::Value;

use super::annotation::{Annotation, LINE_LIMIT};
use super::{chessboard, labelme, lane, original, seam, segments};

/// A format of label files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The original optimiser's `ground_truth.json`.
    Original,
    /// `NAME_gt.txt`: four numbers a line.
    Segments,
    /// LabelMe JSON.
    LabelMe,
    /// Corners and lines of a chessboard, JSON.
    Chessboard,
    /// Lines and polylines of a weld seam, JSON.
    Seam,
    /// Lanes: `instance x1 y1 x2 y2 bow` a line.
    Lane,
}

impl Format {
    /// What is known, in words, for messages.
    pub const KNOWN: &'static str = "ground_truth.json (objects with `coordinates`), NAME_gt.txt (x1 y1 x2 y2 a line), \
        LabelMe JSON (`shapes`), chessboard JSON (`corners` and `lines`), weld seam JSON (`image` with `lines` or \
        `polylines`), lane lines (instance x1 y1 x2 y2 bow a line)";

    /// Name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "ground_truth.json",
            Self::Segments => "segments (x1 y1 x2 y2)",
            Self::LabelMe => "LabelMe",
            Self::Chessboard => "chessboard",
            Self::Seam => "weld seam",
            Self::Lane => "lane lines",
        }
    }
}

/// Image name (or stem) and labels, in the order of the file.
pub(super) type Entries = Vec<(String, Annotation)>;

/// Recognises and reads the content of a label file; `stem` is the file's name without extension and names
/// the image where the content does not.
///
/// # Errors
/// `Err((None, reason))`: no known format. `Err((Some(format), reason))`: of that format, but malformed.
pub fn parse(bytes: &[u8], stem: &str) -> Result<Entries, (Option<Format>, String)> {
    let text = std::str::from_utf8(bytes).map_err(|_| (None, "not text in UTF-8".to_owned()))?;
    let text = text.trim_start_matches('\u{feff}');
    let first = text.trim_start().chars().next();
    let (format, entries) = match first {
        Some('{' | '[') => {
            let value: Value = serde_json::from_str(text)
                .map_err(|error| (None, format!("not valid JSON: {error}")))?;
            let format = of_json(&value).ok_or((None, "JSON of another form".to_owned()))?;
            let entries = match format {
                Format::LabelMe => labelme::read(&value, stem),
                Format::Chessboard => chessboard::read(&value, stem),
                Format::Seam => seam::read(&value, stem),
                _ => original::read(&value),
            };
            (format, entries)
        }
        Some(_) => {
            let rows = rows(text).map_err(|reason| (None, reason))?;
            match rows.first().map(Vec::len) {
                Some(4) => (Format::Segments, segments::read(&rows, stem)),
                Some(6) => (Format::Lane, lane::read(&rows, stem)),
                Some(count) => return Err((None, format!("{count} numbers a line"))),
                None => return Err((None, "no line of numbers".to_owned())),
            }
        }
        None => return Err((None, "the file is empty".to_owned())),
    };
    let entries = entries.map_err(|reason| (Some(format), reason))?;
    if let Some((name, labels)) = entries
        .iter()
        .find(|(_, labels)| labels.lines.len() > LINE_LIMIT)
    {
        return Err((
            Some(format),
            format!(
                "{} lines for {name}, more than {LINE_LIMIT}",
                labels.lines.len()
            ),
        ));
    }
    Ok(entries)
}

fn of_json(value: &Value) -> Option<Format> {
    let object = value.as_object()?;
    let has = |key: &str| object.get(key).is_some_and(Value::is_array);
    if has("shapes") {
        Some(Format::LabelMe)
    } else if has("corners") && has("lines") {
        Some(Format::Chessboard)
    } else if has("lines") || has("polylines") {
        Some(Format::Seam)
    } else if object
        .values()
        .any(|entry| entry.get("coordinates").is_some())
    {
        Some(Format::Original)
    } else {
        None
    }
}

/// Rows of numbers, all equally long; blank lines and lines that start with `#` are passed over.
fn rows(text: &str) -> Result<Vec<Vec<f64>>, String> {
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut row = Vec::new();
        for word in line
            .split([' ', '\t', ',', ';'])
            .filter(|word| !word.is_empty())
        {
            row.push(
                word.parse::<f64>()
                    .map_err(|_| format!("line {} holds more than numbers", number + 1))?,
            );
        }
        if rows.first().is_some_and(|first| first.len() != row.len()) {
            return Err(format!(
                "line {} holds {} numbers, the first holds {}",
                number + 1,
                row.len(),
                rows[0].len()
            ));
        }
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn content_tells_the_format() {
        let known = |text: &str| parse(text.as_bytes(), "a").map(|entries| entries.len());
        assert_eq!(known("1 2 3 4\n5 6 7 8\n"), Ok(1));
        assert_eq!(known("20 1 2 3 40 0.5\n"), Ok(1));
        assert!(matches!(known("1 2 3\n"), Err((None, _))));
        assert!(matches!(known("1 2 3 4\n1 2 3\n"), Err((None, _))));
        assert!(matches!(known("{\"a\": 1}"), Err((None, _))));
        assert!(matches!(known("{\"a\": "), Err((None, _))));
        assert!(matches!(known(""), Err((None, _))));
        assert!(matches!(
            known("{\"shapes\": [3]}"),
            Err((Some(Format::LabelMe), _))
        ));
        assert!(matches!(
            known("1 2 3 1e300"),
            Err((Some(Format::Segments), _))
        ));
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let deep = "[".repeat(100_000);
        assert!(parse(deep.as_bytes(), "a").is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes, "name");
        }

        #[test]
        fn damaged_labels_never_panic(cut in 0usize..400, at in 0usize..400, byte in any::<u8>(), which in 0usize..6) {
            let good = [
                r#"{"a.jpg": {"coordinates": {"longi_left_lower_x": 10, "longi_left_lower_y": 90, "longi_left_upper_x": 12,
                    "longi_left_upper_y": 5}}}"#,
                "1 2 3 4\n5 6 70 80\n",
                r#"{"shapes": [{"shape_type": "line", "points": [[1, 2], [3, 4]], "label": "a"}], "imagePath": "a.jpg"}"#,
                r#"{"image": "a.jpg", "corners": [[[0, 0], [9, 0]], [[0, 9], [9, 9]]], "lines": [{"kind": "row", "index": 0,
                    "p0": [0, 0], "p1": [9, 0], "bow_px": 3.0}]}"#,
                r#"{"image": "a.jpg", "lines": [{"p0": [0, 0], "p1": [9, 0]}], "polylines": [{"points": [[0, 0], [5, 5], [9, 0]]}]}"#,
                "20 1 2 3 40 0.5\n70 1 2 3 40 9\n",
            ][which];
            let mut bytes = good.as_bytes().to_vec();
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(cut.max(1));
            if let Ok(entries) = parse(&bytes, "name") {
                for (_, labels) in entries {
                    let _ = labels.truth(640, 480);
                    let _ = labels.truth(1, 1);
                }
            }
        }
    }
}
