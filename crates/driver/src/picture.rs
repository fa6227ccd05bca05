//! A picture of what was detected in an image and, where it is known, missed.

use std::path::{Path, PathBuf};

use bo_vision::corner::Corners;
use bo_vision::geometry::{Rect, Segment};
use bo_vision::overlay::{FOUND, Overlay};
use bo_vision::pipeline::DetectedLine;
use bo_vision::score::radius;
use bo_vision::source::Truth;
use image::RgbImage;

use crate::exit::Failure;

/// The image beside itself with regions (yellow), true lines (covered green, missed magenta), detected lines (red)
/// and corner points (cyan).
pub fn draw(
    pixels: &RgbImage,
    truth: Option<&Truth>,
    regions: &[Rect],
    lines: &[DetectedLine],
    corners: &Corners,
) -> RgbImage {
    let mut overlay = Overlay::new(pixels);
    regions.iter().for_each(|bounds| overlay.region(*bounds));
    let detected: Vec<Segment> = lines.iter().map(|line| line.segment).collect();
    detected.iter().for_each(|line| overlay.line(line, FOUND));
    let radius = radius(pixels.width(), pixels.height());
    for line in truth.iter().flat_map(|truth| truth.lines()) {
        overlay.truth(&line, &detected, radius);
    }
    corners
        .points
        .iter()
        .flatten()
        .for_each(|point| overlay.corner(*point));
    overlay.into_image()
}

/// A name without the characters that a shell or a file system may trip over; two names may become one.
pub fn plain(name: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        }
    };
    name.chars().map(plain).collect()
}

/// Writes a picture as PNG into `folder`, made if absent, under a name made of `name`; answers the path.
///
/// # Errors
/// The folder or file cannot be written.
pub fn save(picture: &RgbImage, folder: &Path, name: &str) -> Result<PathBuf, Failure> {
    let path = folder.join(format!("{}.png", plain(name)));
    let written = std::fs::create_dir_all(folder)
        .map_err(image::ImageError::from)
        .and_then(|()| picture.save(&path));
    match written {
        Ok(()) => Ok(path),
        Err(error) => Err(Failure::input(
            &path,
            error,
            "name a folder that can be written",
        )),
    }
}
