//! Pictures of what was detected in an image and, where it is known, missed, and the folder in which they lie.

use std::io::{BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use bo_vision::corner::Corners;
use bo_vision::geometry::{Rect, Segment};
use bo_vision::overlay::{FOUND, Overlay};
use bo_vision::pipeline::DetectedLine;
use bo_vision::score::radius;
use bo_vision::source::Truth;
use image::{ImageFormat, RgbImage};

use crate::bounded;
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

/// In a folder of pictures: the names of those that we wrote there.
const LIST: &str = "pictures.json";

/// A folder whose pictures are all of one call; what others put there is never touched.
pub struct PictureFolder {
    path: PathBuf,
    /// Pictures of an earlier call that made room for them.
    pub replaced: usize,
}

impl PictureFolder {
    /// Whether pictures may go there: nothing is there, or pictures of ours with their list.
    pub fn is_ours(path: &Path) -> bool {
        match std::fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none() || path.join(LIST).is_file(),
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    /// Takes the folder for pictures of these names and removes those of an earlier call, so that two are not mixed.
    ///
    /// # Errors
    /// It holds what is not ours, or cannot be written.
    pub fn take(path: &Path, names: &[String]) -> Result<Self, Failure> {
        let other = "name a folder that can be written, and that holds nothing else";
        if !Self::is_ours(path) {
            let reason = "holds files that are not pictures of bo";
            return Err(Failure::input(path, reason, other));
        }
        let folder = Self {
            replaced: clear(path),
            path: path.to_owned(),
        };
        let names: Vec<String> = names.iter().map(|name| file(name)).collect();
        let list = serde_json::to_vec(&names)
            .map_err(|error| Failure::unexpected("listing the pictures", error))?;
        // before the pictures: one that is there but not listed would be another's
        std::fs::create_dir_all(path)
            .and_then(|()| std::fs::write(path.join(LIST), list))
            .map_err(|error| Failure::input(path, error, other))?;
        Ok(folder)
    }

    /// Writes a picture as PNG under one of the names that were told; answers the path.
    ///
    /// # Errors
    /// The file cannot be written, or another's is there.
    pub fn save(&self, picture: &RgbImage, name: &str) -> Result<PathBuf, Failure> {
        let path = self.path.join(file(name));
        let written = std::fs::File::create_new(&path)
            .map_err(image::ImageError::from)
            .and_then(|new| picture.write_to(&mut BufWriter::new(new), ImageFormat::Png));
        match written {
            Ok(()) => Ok(path),
            Err(error) => Err(Failure::input(
                &path,
                error,
                "name a folder that can be written, and that holds nothing else",
            )),
        }
    }
}

fn file(name: &str) -> String {
    format!("{}.png", plain(name))
}

/// Removes the pictures that are listed in `folder`; how many. What cannot be removed stays, and is told when a new one
/// is to take its name.
fn clear(folder: &Path) -> usize {
    let list = bounded::read(&folder.join(LIST), bounded::LEDGER).unwrap_or_default();
    let names: Vec<String> = serde_json::from_slice(&list).unwrap_or_default();
    let own = |name: &&String| *name == &plain(name) && name.ends_with(".png");
    let removed = names
        .iter()
        .filter(own)
        .map(|name| std::fs::remove_file(folder.join(name)));
    removed.filter(Result::is_ok).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_others_are_neither_mixed_with_pictures_nor_written_over() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("photographs");
        let picture = RgbImage::new(2, 2);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a.png"), "mine").unwrap();
        let names =
            |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.into()).collect() };
        assert!(!PictureFolder::is_ours(&folder));
        assert!(PictureFolder::take(&folder, &names(&["a"])).is_err());

        let folder = place.path().join("pictures");
        let first = PictureFolder::take(&folder, &names(&["a", "b/c"])).unwrap();
        first.save(&picture, "a").unwrap();
        let second = first.save(&picture, "b/c").unwrap();
        assert_eq!(second, folder.join("b-c.png"));
        std::fs::write(folder.join("d.png"), "mine").unwrap();
        // those of an earlier call go, a name that is taken is refused
        let again = PictureFolder::take(&folder, &names(&["a", "d"])).unwrap();
        assert_eq!(again.replaced, 2);
        assert!(!folder.join("b-c.png").exists());
        again.save(&picture, "a").unwrap();
        assert!(again.save(&picture, "d").is_err());
        assert_eq!(std::fs::read(folder.join("d.png")).unwrap(), b"mine");
    }
}
