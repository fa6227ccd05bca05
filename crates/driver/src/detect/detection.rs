//! Lines and corner points of images without labels, with a picture of each.
//!
//! Central type: [`Detection`], what `lines.json` holds.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use bo_vision::corner::{CORNER_NAMES, Corners, intersection};
use bo_vision::corruption::Corruption;
use bo_vision::folder::Photographs;
use bo_vision::geometry::{Point, Rect, Segment};
use bo_vision::pipeline::{DetectedLine, LineParameters, Scratch, detect};
use bo_vision::source::LineKind;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use super::Rois;
use super::roi::Roi;
use crate::exit::Failure;
use crate::objective::{Eyes, Wanted};
use crate::picture::{PictureFolder, draw, plain};

/// How far beyond their ends two lines may meet, as a share of the image's diagonal.
const REACH: f32 = 0.03;

/// What was detected in a folder of images.
#[derive(Clone, Debug, Serialize)]
pub struct Detection {
    format: &'static str,
    version: u32,
    /// The parameters.
    x: BTreeMap<String, Value>,
    /// In the order of their names.
    images: Vec<Detected>,
}

/// What was detected in an image.
#[derive(Clone, Debug, Serialize)]
struct Detected {
    image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    lines: Vec<Line>,
    /// Named points of a weld scene, `[x, y]`, where regions say what they hold.
    corners: BTreeMap<&'static str, [f32; 2]>,
    /// Where lines meet, at most 3 % of the diagonal beyond their ends; only where regions are given.
    intersections: Vec<Meeting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlay: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A line, from `p0` to `p1`, `[x, y]` in pixels, x to the right, y down; in a region from border to border.
#[derive(Clone, Copy, Debug, Serialize)]
struct Line {
    p0: [f32; 2],
    p1: [f32; 2],
    /// The ends of what was seen of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<[[f32; 2]; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<LineKind>,
}

/// A point that two lines share.
#[derive(Clone, Copy, Debug, Serialize)]
struct Meeting {
    at: [f32; 2],
    lines: [usize; 2],
}

impl Detection {
    /// Detects in every image; an image that does not decode is told in its entry. Pictures go into `overlays`.
    ///
    /// # Errors
    /// A folder that holds what is not ours, or a picture that cannot be written.
    pub fn new(
        photographs: &Photographs,
        eyes: &Eyes,
        rois: &Rois,
        (x, parameters): (BTreeMap<String, Value>, LineParameters),
        overlays: &Path,
    ) -> Result<Self, Failure> {
        // one that cannot be read is told below
        let known: Vec<usize> = (0..photographs.len())
            .filter(|&index| photographs.hash(index).is_ok())
            .collect();
        let wanted = |&index: &usize| {
            Some(Wanted {
                hash: photographs.hash(index).ok()?,
                corruption: Corruption::NEUTRAL,
            })
        };
        let wanted: Vec<Wanted> = known.iter().filter_map(wanted).collect();
        eyes.foresee(&wanted, |index| {
            Some(photographs.load(known[index]).ok()?.0)
        });
        let names = picture_names(photographs.names());
        let overlays = &PictureFolder::take(overlays, &names)?;
        let images = names
            .par_iter()
            .enumerate()
            .map_init(Scratch::default, |scratch, (index, file)| {
                Detected::new(
                    photographs,
                    index,
                    (eyes, rois),
                    &parameters,
                    (scratch, overlays, file),
                )
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            format: "bo/detected",
            version: 1,
            x,
            images,
        })
    }

    /// Remarks on regions that lie outside of images, in whole or in part.
    pub fn outside(&self, rois: &Rois) -> Vec<String> {
        let mut beyond: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for one in &self.images {
            let (Some(width), Some(height)) = (one.width, one.height) else {
                continue;
            };
            for Roi { bounds, .. } in rois.of(&one.image) {
                let Rect {
                    left,
                    top,
                    right,
                    bottom,
                } = *bounds;
                let what = match (
                    left < width && top < height,
                    right <= width && bottom <= height,
                ) {
                    (true, true) => continue,
                    (true, false) => "reaches beyond the image and is cut to it",
                    (false, _) => "lies outside of the image: no line is found there",
                };
                let region = format!("region [{left}, {top}, {right}, {bottom}] {what}");
                beyond.entry(region).or_default().push(&one.image);
            }
        }
        let line = |(region, names): (String, Vec<&str>)| match names.len() {
            1 => format!("{}: {region}", names[0]),
            more => format!("{} and {} more: {region}", names[0], more - 1),
        };
        beyond.into_iter().map(line).collect()
    }

    /// Images in which something went wrong, with the reason.
    pub fn failures(&self) -> Vec<String> {
        let failed = |one: &Detected| Some(format!("{}: {}", one.image, one.error.as_ref()?));
        self.images.iter().filter_map(failed).collect()
    }
}

/// A name for the picture of each image: the image's own, its number before it where another's would be the same.
fn picture_names(images: &[String]) -> Vec<String> {
    let names: Vec<String> = images.iter().map(|image| plain(image)).collect();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for name in &names {
        *count.entry(name).or_default() += 1;
    }
    let of = |(index, name): (usize, &String)| match count[name.as_str()] {
        1 => name.clone(),
        _ => format!("{index}-{name}"),
    };
    names.iter().enumerate().map(of).collect()
}

impl Detected {
    fn new(
        photographs: &Photographs,
        index: usize,
        (eyes, rois): (&Eyes, &Rois),
        parameters: &LineParameters,
        (scratch, overlays, file): (&mut Scratch, &PictureFolder, &str),
    ) -> Result<Self, Failure> {
        let name = photographs.name(index).to_owned();
        let mut detected = Self {
            image: name.clone(),
            width: None,
            height: None,
            lines: Vec::new(),
            corners: BTreeMap::new(),
            intersections: Vec::new(),
            overlay: None,
            error: None,
        };
        let seen = photographs.load(index).and_then(|(pixels, hash)| {
            let load = || Ok(pixels.clone());
            let seen = eyes.see(&hash, &Corruption::NEUTRAL, load);
            Ok((seen.map_err(|error| error.to_string())?, pixels))
        });
        let (seen, pixels) = match seen {
            Ok(seen) => seen,
            Err(reason) => {
                detected.error = Some(reason);
                return Ok(detected);
            }
        };
        (detected.width, detected.height) = (Some(seen.width), Some(seen.height));
        let rois = rois.of(&name);
        let regions: Vec<Rect> = rois.iter().map(|roi| roi.bounds).collect();
        let lines = detect(&seen, &regions, parameters, scratch);
        let kind = |region: Option<usize>| region.map(|region| rois[region].kind);
        let of_kind = |line: &DetectedLine| line.found(kind(line.region)?);
        let corners = Corners::from_lines(&lines.iter().filter_map(of_kind).collect::<Vec<_>>());
        let picture = draw(&pixels, None, &regions, &lines, &corners);
        detected.overlay = Some(overlays.save(&picture, file)?);
        let named = CORNER_NAMES.into_iter().zip(corners.points);
        detected.corners = named
            .filter_map(|(name, point)| Some((name, at(point?))))
            .collect();
        if !regions.is_empty() {
            let segments: Vec<Segment> = lines.iter().map(|line| line.segment).collect();
            detected.intersections = meetings(&segments, Rect::whole(seen.width, seen.height));
        }
        detected.lines = lines
            .iter()
            .map(|line| Line {
                p0: at(line.segment.p0),
                p1: at(line.segment.p1),
                seen: line.supported.map(|part| [at(part.p0), at(part.p1)]),
                region: line.region,
                kind: kind(line.region),
            })
            .collect();
        Ok(detected)
    }
}

fn at(point: Point) -> [f32; 2] {
    [point.x, point.y]
}

/// Points inside the image at which two lines meet, or would a little beyond their ends.
fn meetings(lines: &[Segment], whole: Rect) -> Vec<Meeting> {
    let reach = REACH * whole.diagonal();
    let mut meetings = Vec::new();
    for (i, a) in lines.iter().enumerate() {
        for (j, b) in lines.iter().enumerate().skip(i + 1) {
            let Some(point) = intersection(a, b) else {
                continue;
            };
            let inside = (0.0..whole.right as f32).contains(&point.x)
                && (0.0..whole.bottom as f32).contains(&point.y);
            if inside && a.distance(point) <= reach && b.distance(point) <= reach {
                meetings.push(Meeting {
                    at: at(point),
                    lines: [i, j],
                });
            }
        }
    }
    meetings
}

impl fmt::Display for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count: usize = self.images.iter().map(|image| image.lines.len()).sum();
        let good = self
            .images
            .iter()
            .filter(|image| image.error.is_none())
            .count();
        write!(f, "{count} lines in {good} of {} images", self.images.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_picture_is_written_over_another() {
        let images = ["a b.png", "a+b.png", "c.png"].map(str::to_owned);
        let expected = ["0-a-b.png", "1-a-b.png", "c.png"];
        assert_eq!(picture_names(&images), expected);
    }

    #[test]
    fn lines_meet_inside_the_image_and_near_their_ends() {
        let lines = [
            Segment::new(10.0, 50.0, 90.0, 50.0),
            Segment::new(50.0, 10.0, 50.0, 48.0),
            Segment::new(80.0, 5.0, 80.0, 20.0),
        ];
        let found = meetings(&lines, Rect::whole(100, 100));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].at, found[0].lines), ([50.0, 50.0], [0, 1]));
    }
}
