//! Which files of a folder are images, and which are passed over with a reason.

use std::path::{Path, PathBuf};

use super::OpenError;

/// Extensions of images that are read.
const READ: [&str; 4] = ["jpg", "jpeg", "png", "bmp"];
/// Extensions of images that are not read, worth naming.
const UNREAD: [&str; 8] = ["tif", "tiff", "webp", "gif", "heic", "jp2", "avif", "dng"];

/// An image or label file that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why, in words.
    pub reason: String,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.path.display(), self.reason)
    }
}

/// A hasher that has read the whole file.
pub(crate) fn hash(path: &Path) -> std::io::Result<blake3::Hasher> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::open(path)?)?;
    Ok(hasher)
}

/// Names in a message: the first ten, and how many more; nothing of none.
pub(super) fn named<'n>(names: impl Iterator<Item = &'n str>) -> Option<String> {
    const FIRST: usize = 10;
    let names: Vec<&str> = names.collect();
    let first = names[..names.len().min(FIRST)].join(", ");
    match names.len() {
        0 => None,
        count if count > FIRST => Some(format!("{first} and {} more", count - FIRST)),
        _ => Some(first),
    }
}

/// What is said of images that lack their end.
pub(super) fn broken_off(names: &str) -> String {
    format!(
        "{names}: the file breaks off before its end; what is missing of the image is made up: copy it anew"
    )
}

/// As [`image_files`], of a folder that must hold images.
pub(super) fn some_image_files(folder: &Path) -> Result<(Vec<PathBuf>, Vec<Skipped>), OpenError> {
    let (files, foreign) = image_files(folder).map_err(|source| OpenError::Folder {
        path: folder.to_owned(),
        source,
    })?;
    match files.is_empty() {
        true => Err(OpenError::NoImages {
            path: folder.to_owned(),
        }),
        false => Ok((files, foreign)),
    }
}

/// Images directly in the folder, sorted by name, and files of other image formats, which are passed over.
pub(crate) fn image_files(folder: &Path) -> std::io::Result<(Vec<PathBuf>, Vec<Skipped>)> {
    let (mut read, mut unread) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default()
            .to_lowercase();
        if !path.is_file() {
            continue;
        }
        if READ.contains(&extension.as_str()) {
            read.push(path);
        } else if UNREAD.contains(&extension.as_str()) {
            unread.push(path);
        }
    }
    read.sort();
    unread.sort();
    let passed_over = |path| Skipped {
        path,
        reason: "not jpg, png or bmp".to_owned(),
    };
    Ok((read, unread.into_iter().map(passed_over).collect()))
}

/// An image's extension, read or not.
pub(crate) fn is_image_extension(extension: &str) -> bool {
    let extension = extension.to_lowercase();
    READ.contains(&extension.as_str()) || UNREAD.contains(&extension.as_str())
}

/// The last part of a path, as text.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
