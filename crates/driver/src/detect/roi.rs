//! Where to look in images without labels: the file behind `--roi`.
//!
//! A JSON object by image name, by name without extension, or `"*"` for every other image; each holds a list of
//! regions, `[left, top, right, bottom]` in pixels or `{"bounds": [..], "kind": "fillet"}`. In a region one line is found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bo_vision::geometry::Rect;
use bo_vision::source::LineKind;
use serde::Deserialize;

use crate::bounded;
use crate::exit::Failure;

/// Regions by image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rois {
    by_name: BTreeMap<String, Vec<Roi>>,
}

/// A region and what is to be found there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roi {
    /// Where to look.
    pub bounds: Rect,
    /// What for.
    pub kind: LineKind,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Bounds([u32; 4]),
    Named {
        bounds: [u32; 4],
        #[serde(default = "other")]
        kind: LineKind,
    },
}

fn other() -> LineKind {
    LineKind::Other
}

impl Rois {
    /// Reads a region file.
    ///
    /// # Errors
    /// A file that cannot be read, or holds something else, with what it should hold.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = bounded::read(path, bounded::TABLE)
            .map_err(|error| Failure::input(path, error, "give --roi a readable file"))?;
        Self::parse(&bytes).map_err(|reason| {
            Failure::input(
                path,
                reason,
                "give --roi a file like {\"*\": [[left, top, right, bottom]], \"a.png\": [{\"bounds\": [0, 0, 90, 50], \
                 \"kind\": \"fillet\"}]}; kinds are longitudinal_left, longitudinal_right, fillet, collar, other",
            )
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let written: BTreeMap<String, Vec<Written>> =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let mut by_name = BTreeMap::new();
        for (name, regions) in written {
            let mut rois = Vec::with_capacity(regions.len());
            for region in regions {
                let (bounds, kind) = match region {
                    Written::Bounds(bounds) => (bounds, LineKind::Other),
                    Written::Named { bounds, kind } => (bounds, kind),
                };
                let [left, top, right, bottom] = bounds;
                if left >= right || top >= bottom {
                    return Err(format!("{name}: region {bounds:?} is empty"));
                }
                let bounds = Rect {
                    left,
                    top,
                    right,
                    bottom,
                };
                rois.push(Roi { bounds, kind });
            }
            by_name.insert(name, rois);
        }
        Ok(Self { by_name })
    }

    /// Regions of the image `name`; none means the whole image.
    pub fn of(&self, name: &str) -> &[Roi] {
        let found = [name, stem(name), "*"]
            .into_iter()
            .find_map(|name| self.by_name.get(name));
        found.map_or(&[], Vec::as_slice)
    }

    /// Names that no image has, in one line; a slip of the finger among them would go unnoticed.
    pub fn unused<'n>(&self, images: impl IntoIterator<Item = &'n String>) -> Option<String> {
        let mut unused: BTreeSet<&str> = self.by_name.keys().map(String::as_str).collect();
        unused.remove("*");
        for name in images {
            unused.remove(name.as_str());
            unused.remove(stem(name));
        }
        (!unused.is_empty()).then(|| unused.into_iter().collect::<Vec<_>>().join(", "))
    }
}

fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_found_by_name_stem_or_star_and_mistakes_are_named() {
        let text = r#"{"*": [[0, 1, 5, 6]], "a": [{"bounds": [2, 2, 9, 9], "kind": "collar"}], "b.png": []}"#;
        let rois = Rois::parse(text.as_bytes()).unwrap();
        assert_eq!(rois.of("a.jpg")[0].kind, LineKind::Collar);
        assert_eq!(rois.of("b.png"), []);
        assert_eq!(rois.of("c.png")[0].bounds.bottom, 6);
        assert_eq!(Rois::default().of("c.png"), []);
        let names = ["a.jpg", "c.png"].map(str::to_owned);
        assert_eq!(rois.unused(&names).unwrap(), "b.png");
        for (text, said) in [
            (
                r#"{"a": [[3, 1, 3, 6]]}"#,
                "a: region [3, 1, 3, 6] is empty",
            ),
            (r#"{"a": [[3, 1, 6]]}"#, "did not match"),
            ("[]", "invalid type"),
        ] {
            let error = Rois::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
